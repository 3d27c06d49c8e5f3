/**
 * The instructions that read and write elements of a kernel's buffers.
 *
 * @module
 */

import type { DType } from "../dtype.ts";
import type { Index } from "../view.ts";
import type { FunctionBuilder, Local } from "./assembler.ts";
import type { BoundsCode, Guarded } from "./bounds_code.ts";
import type { Addend, IndexCode } from "./index_code.ts";
import type { Lanes } from "./lanes.ts";
import type { Scopes } from "./scopes.ts";
import { localType } from "./value_code.ts";

/** What is read; 0 where it is guarded against. */
export interface Source extends Guarded {
  /** Which buffer. */
  readonly buffer: number;
  /** Its type. */
  readonly dtype: DType;
  /** Which element. */
  readonly index: Index;
}

/** Writes loads and stores of one function. */
export class MemoryCode {
  readonly #f: FunctionBuilder;
  readonly #scopes: Scopes;
  readonly #indices: IndexCode;
  readonly #bounds: BoundsCode;
  readonly #pushAddress: (buffer: number) => void;

  /**
   * For one function.
   *
   * @param f Where to.
   * @param scopes What is known where.
   * @param indices For addresses.
   * @param bounds For what must hold.
   * @param pushAddress Pushes the byte address of a buffer.
   */
  constructor(
    f: FunctionBuilder,
    scopes: Scopes,
    indices: IndexCode,
    bounds: BoundsCode,
    pushAddress: (buffer: number) => void,
  ) {
    this.#f = f;
    this.#scopes = scopes;
    this.#indices = indices;
    this.#bounds = bounds;
    this.#pushAddress = pushAddress;
  }

  /** Pushes one element; to be called at the depth of the value. */
  loadScalar(source: Source): void {
    const f = this.#f;
    const { local, offset } = this.#uniform(
      source.buffer,
      source.index,
      this.#chosenAddend(source),
    );
    const type = localType(source.dtype, false);
    const load = () => {
      f.get(local).memory(type === "f32" ? "f32.load" : "i32.load", offset);
    };
    this.#guarded(this.#bounds.condition(source), type, load);
  }

  /** Pushes four elements; to be called at the depth of the value. */
  loadVector(source: Source, lanes: Lanes): void {
    const f = this.#f;
    const mask = this.#bounds.mask(source, lanes);
    const { divisions } = this.#indices.parts(source.index, 4);
    const scattered = divisions.length > 0 || source.chosen?.varying;
    const load = scattered
      ? this.#prepareScattered(source, lanes, mask)
      : this.#prepareStrided(source, lanes, mask);
    let condition = this.#bounds.condition(source);
    if (mask && !scattered) {
      // Where no lane is inside, the address may lie outside of all memory.
      const uniform = condition;
      condition = f.local("i32");
      f.get(mask).op("v128.any_true");
      if (uniform) f.get(uniform).op("i32.and");
      f.set(condition);
    }
    this.#guarded(condition, "v128", () => {
      load();
      if (mask) f.get(mask).op("v128.and");
    });
    if (source.dtype === "bool") f.i32x4(0).op("i32x4.ne");
  }

  /** Pops nothing: writes an element from a local. */
  storeScalar(buffer: number, index: Index, value: Local): void {
    const f = this.#f;
    const { local, offset } = this.#uniform(buffer, index, []);
    f.get(local).get(value);
    f.memory(value.type === "f32" ? "f32.store" : "i32.store", offset);
  }

  /** Writes the elements of the lanes from a local. */
  storeVector(buffer: number, index: Index, lanes: Lanes, value: Local): void {
    const f = this.#f;
    const { divisions, stride } = this.#indices.parts(index, 4);
    if (divisions.length > 0) {
      const { local } = this.#indices.vector(index, 4, lanes, [
        this.#base(buffer),
      ]);
      for (let lane = 0; lane < lanes.count; lane++) {
        f.get(local).lane("i32x4.extract_lane", lane);
        f.get(value).memoryLane("v128.store32_lane", lane);
      }
      return;
    }
    const from = stride < 0 ? lanes.count - 1 : 0;
    const { local, offset } = this.#strided(buffer, index, lanes, from, []);
    if (stride === 1) {
      if (lanes.count === 4) {
        f.get(local).get(value).memory("v128.store", offset);
        return;
      }
      if (lanes.count > 1) {
        f.get(local).get(value).memoryLane("v128.store64_lane", 0, offset);
      }
      if (lanes.count !== 2) {
        const last = lanes.count - 1;
        f.get(local).get(value);
        f.memoryLane("v128.store32_lane", last, offset + 4 * last);
      }
      return;
    }
    for (let lane = 0; lane < lanes.count; lane++) {
      const steps = stride < 0 ? from - lane : lane;
      f.get(local).get(value);
      f.memoryLane(
        "v128.store32_lane",
        lane,
        offset + 4 * Math.abs(stride) * steps,
      );
    }
  }

  #base(buffer: number): Addend {
    return {
      depth: 0,
      key: `b${buffer}`,
      push: () => this.#f.get(this.#address(buffer)),
    };
  }

  #address(buffer: number): Local {
    return this.#scopes.once(
      0,
      `b${buffer}`,
      "i32",
      () => this.#pushAddress(buffer),
    );
  }

  #chosenAddend({ chosen }: Source): Addend[] {
    if (!chosen || chosen.varying) return [];
    return [{
      depth: chosen.depth,
      key: `${4 * chosen.stride}*${chosen.key}`,
      push: () => {
        this.#f.get(chosen.local).i32(4 * chosen.stride).op("i32.mul");
      },
    }];
  }

  /**
   * Address of an element that is the same in all lanes, with a part that goes
   * into the instruction: not if the rest of the sum may be below 0.
   */
  #uniform(
    buffer: number,
    index: Index,
    extra: readonly Addend[],
  ): { local: Local; offset: number } {
    const indices = this.#indices;
    const { uniform, low, constant } = indices.parts(index, 4);
    const apart = low >= 0 && constant >= 0;
    const { local } = indices.sum([
      this.#base(buffer),
      ...uniform,
      ...extra,
      ...(apart ? [] : indices.constant(constant)),
    ]);
    return { local, offset: apart ? constant : 0 };
  }

  /** The same for the lane `from`. */
  #strided(
    buffer: number,
    index: Index,
    lanes: Lanes,
    from: number,
    extra: readonly Addend[],
  ): { local: Local; offset: number } {
    const indices = this.#indices;
    const { uniform, low, constant, stride } = indices.parts(index, 4);
    const first = constant + 4 * stride * (lanes.offset + from);
    const apart = low >= 0 && first >= 0 && (stride >= 0 || !lanes.base);
    const { local } = indices.sum([
      this.#base(buffer),
      ...uniform,
      ...extra,
      ...indices.loopAddend(lanes, 4 * stride),
      ...(apart ? [] : indices.constant(first)),
    ]);
    return { local, offset: apart ? first : 0 };
  }

  /** Computes the address, gives what pushes the elements. */
  #prepareStrided(
    source: Source,
    lanes: Lanes,
    mask: Local | undefined,
  ): () => void {
    const f = this.#f;
    const { stride } = this.#indices.parts(source.index, 4);
    const whole = Math.abs(stride) <= 2 && (stride >= 0 || lanes.count === 4);
    if (mask && !whole) return this.#prepareScattered(source, lanes, mask);
    const from = stride < 0 ? lanes.count - 1 : 0;
    const { local, offset } = this.#strided(
      source.buffer,
      source.index,
      lanes,
      from,
      this.#chosenAddend(source),
    );
    switch (stride) {
      case 0:
        return () => f.get(local).memory("v128.load32_splat", offset);
      case 1:
        return () => f.get(local).memory("v128.load", offset);
      case -1:
        if (!whole) break;
        return () => {
          f.get(local).memory("v128.load", offset);
          f.get(local).memory("v128.load", offset).shuffle(3, 2, 1, 0);
        };
      case 2:
        return () => {
          f.get(local).memory("v128.load", offset);
          if (lanes.count <= 2) f.get(local).memory("v128.load", offset);
          else f.get(local).memory("v128.load", offset + 16);
          f.shuffle(0, 2, 4, 6);
        };
    }
    const step = 4 * Math.abs(stride);
    return () => {
      const elements = f.local("v128");
      for (let lane = 0; lane < lanes.count; lane++) {
        const at = offset + step * (stride < 0 ? from - lane : lane);
        f.get(local);
        if (lane === 0) f.memory("v128.load32_zero", at);
        else f.get(elements).memoryLane("v128.load32_lane", lane, at);
        f.set(elements);
      }
      f.get(elements);
    };
  }

  /** One address a lane; lanes outside read the buffer's first element. */
  #prepareScattered(
    source: Source,
    lanes: Lanes,
    mask: Local | undefined,
  ): () => void {
    const f = this.#f;
    const { chosen, buffer } = source;
    const at = this.#indices.vector(source.index, 4, lanes, [
      this.#base(buffer),
      ...this.#chosenAddend(source),
    ]);
    const addresses = f.local("v128");
    f.get(at.local);
    if (chosen?.varying) {
      f.get(chosen.local).i32x4(4 * chosen.stride).op("i32x4.mul");
      f.op("i32x4.add");
    }
    f.set(addresses);
    if (mask) {
      f.get(addresses).get(this.#address(buffer)).op("i32x4.splat").get(mask);
      f.op("v128.bitselect").set(addresses);
    }
    return () => {
      const elements = f.local("v128");
      for (let lane = 0; lane < lanes.count; lane++) {
        f.get(addresses).lane("i32x4.extract_lane", lane);
        if (lane === 0) f.memory("v128.load32_zero");
        else f.get(elements).memoryLane("v128.load32_lane", lane);
        f.set(elements);
      }
      f.get(elements);
    };
  }

  #guarded(
    condition: Local | undefined,
    type: "f32" | "i32" | "v128",
    load: () => void,
  ): void {
    const f = this.#f;
    if (!condition) {
      load();
      return;
    }
    // A constant that is held from the entry on must not be made in a branch.
    const zero = type === "v128" ? f.constant(0, 0, 0, 0) : undefined;
    f.get(condition).if(
      load,
      () => {
        if (zero) f.get(zero);
        else if (type === "f32") f.f32(0);
        else f.i32(0);
      },
      type,
    );
  }
}
