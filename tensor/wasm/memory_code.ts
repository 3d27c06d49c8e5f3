/**
 * The instructions that read and write elements of a kernel's buffers.
 *
 * @module
 */

import type { DType } from "../dtype.ts";
import type { Bound, Index } from "../view.ts";
import type { FunctionBuilder, Local } from "./assembler.ts";
import type { Addend, IndexCode } from "./index_code.ts";
import type { Lanes } from "./lanes.ts";
import type { Scopes } from "./scopes.ts";
import { localType } from "./value_code.ts";

/** A place chosen by a value: `stride * at`, where `0 <= at < extent`. */
export interface Chosen {
  /** The value: a vector if it varies. */
  readonly local: Local;
  /** Depth at which it is known. */
  readonly depth: number;
  /** Whether it differs between lanes. */
  readonly varying: boolean;
  /** Equal for equal values. */
  readonly key: string;
  /** Elements from one to the next. */
  readonly stride: number;
  /** How many there are. */
  readonly extent: number;
}

/** What is read. */
export interface Source {
  /** Which buffer. */
  readonly buffer: number;
  /** Its type. */
  readonly dtype: DType;
  /** Which element. */
  readonly index: Index;
  /** Where one fails, 0 is read. */
  readonly bounds: readonly Bound[];
  /** Added to the index. */
  readonly chosen?: Chosen | undefined;
}

/** Writes loads and stores of one function. */
export class MemoryCode {
  readonly #f: FunctionBuilder;
  readonly #scopes: Scopes;
  readonly #indices: IndexCode;
  readonly #pushAddress: (buffer: number) => void;

  /**
   * For one function.
   *
   * @param f Where to.
   * @param scopes What is known where.
   * @param indices For addresses.
   * @param pushAddress Pushes the byte address of a buffer.
   */
  constructor(
    f: FunctionBuilder,
    scopes: Scopes,
    indices: IndexCode,
    pushAddress: (buffer: number) => void,
  ) {
    this.#f = f;
    this.#scopes = scopes;
    this.#indices = indices;
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
    this.#guarded(this.#uniformCondition(source), type, load);
  }

  /** Pushes four elements; to be called at the depth of the value. */
  loadVector(source: Source, lanes: Lanes): void {
    const f = this.#f;
    const mask = this.#mask(source, lanes);
    const { divisions } = this.#indices.parts(source.index, 4);
    const scattered = divisions.length > 0 || source.chosen?.varying;
    const load = scattered
      ? this.#prepareScattered(source, lanes, mask)
      : this.#prepareStrided(source, lanes, mask);
    let condition = this.#uniformCondition(source);
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

  /** All ones in the lanes where the bounds that differ between lanes hold. */
  #mask(source: Source, lanes: Lanes): Local | undefined {
    const indices = this.#indices;
    const checks = source.bounds
      .filter((bound) => indices.varies(bound.index))
      .map((bound) => indices.vectorBound(bound, lanes));
    const { chosen } = source;
    if (chosen?.varying) {
      const { local, depth, key, extent } = chosen;
      checks.push(indices.checkVectorRange(local, depth, key, 0, extent));
    }
    return this.#all(checks, "v128");
  }

  /** An i32 that is not 0 where the bounds that are equal in all lanes hold. */
  #uniformCondition(source: Source): Local | undefined {
    const indices = this.#indices;
    const checks = source.bounds
      .filter((bound) => !indices.varies(bound.index))
      .map((bound) => indices.uniformBound(bound));
    const { chosen } = source;
    if (chosen && !chosen.varying) {
      const { local, depth, key, extent } = chosen;
      checks.push(indices.checkRange(local, depth, key, 0, extent));
    }
    return this.#all(checks, "i32");
  }

  #all(
    checks: readonly { local: Local; depth: number; key: string }[],
    type: "i32" | "v128",
  ): Local | undefined {
    const [first, ...rest] = [...checks].sort((a, b) => a.depth - b.depth);
    let all = first;
    for (const next of rest) {
      const before = all!;
      const key = `${before.key}&${next.key}`;
      const { depth } = next;
      const local = this.#scopes.once(depth, key, type, () => {
        this.#f.get(before.local).get(next.local);
        this.#f.op(type === "i32" ? "i32.and" : "v128.and");
      });
      all = { local, depth, key };
    }
    return all?.local;
  }

  /** Bounds as a value: an i32, or a mask for each lane. */
  inside(bounds: readonly Bound[], lanes: Lanes | undefined): void {
    const f = this.#f;
    const index = { terms: [], constant: 0, low: 0, high: 0 };
    const source: Source = { buffer: 0, dtype: "bool", index, bounds };
    const condition = this.#uniformCondition(source);
    const mask = lanes ? this.#mask(source, lanes) : undefined;
    if (!lanes) {
      if (condition) f.get(condition);
      else f.i32(1);
      return;
    }
    if (mask) f.get(mask);
    else f.i32x4(-1);
    if (condition) {
      f.get(condition).op("i32x4.splat").op("i32x4.neg").op("v128.and");
    }
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
