/**
 * Values of a kernel for four neighbouring lanes at a time, at a place that is
 * given by two tables.
 *
 * @module
 */

import {
  argumentsOf,
  type Store,
  type Value,
  type ValueId,
} from "../kernel/kernel.ts";
import type { Bound, Division, Index } from "../view.ts";
import type { FunctionBuilder, Hole, Local } from "./assembler.ts";
import { emitFloorDivision } from "./lane_table.ts";
import type { QuadContext, Sum } from "./quad_context.ts";
import type { TableReader } from "./table_reader.ts";
import { emitThreefry } from "./threefry.ts";
import { emitConstant, emitOperation, emitPerLane } from "./value_code.ts";

/** What is computed before an innermost loop, for all its turns. */
export interface OuterScope {
  /** The place before the loop. */
  readonly hole: Hole;
  /** Reads the table of the side that stands still. */
  readonly reader: TableReader;
  /** What is there already. */
  readonly known: Map<ValueId, Local>;
}

/** What is known of a place, so that less has to be computed there. */
export interface Place {
  /** {@link emitContiguous} has held for all loads and stores. */
  readonly contiguous: boolean;
  /** {@link emitInterior} has held for all loads. */
  readonly interior: boolean;
}

interface Mask {
  /** 0 or 1 for all lanes. */
  readonly uniform: Local | undefined;
  /** 0 or all ones in each lane, the uniform part included. */
  readonly lanes: Local | undefined;
}

/** The values at one place of the innermost loop. */
export class QuadValues {
  readonly #context: QuadContext;
  readonly #outer: OuterScope;
  readonly #inner: TableReader;
  readonly #place: Place;
  readonly #known: Map<ValueId, Local>;

  /**
   * Computes nothing yet.
   *
   * @param context What stays the same in the function.
   * @param outer What is computed before the loop.
   * @param inner Reads the table of the side that changes.
   * @param place What is known of it.
   * @param given Values that are known from elsewhere.
   */
  constructor(
    context: QuadContext,
    outer: OuterScope,
    inner: TableReader,
    place: Place,
    given: ReadonlyMap<ValueId, Local> = new Map(),
  ) {
    this.#context = context;
    this.#outer = outer;
    this.#inner = inner;
    this.#place = place;
    this.#known = new Map(given);
  }

  /** Computes a value, and what it needs, once; gives four lanes. */
  value(id: ValueId): Local {
    const { known, hole } = this.#outer;
    const present = this.#known.get(id) ?? known.get(id);
    if (present) return present;
    const { f, kernel } = this.#context;
    const value = kernel.values[id]!;
    // Arguments first: they may go to the same hole.
    const args = argumentsOf(value).map((arg) => this.value(arg));
    const local = f.local("v128");
    const compute = () => {
      this.#emitValue(value, args);
      f.set(local);
    };
    if (this.#context.changes(id)) {
      compute();
      this.#known.set(id, local);
    } else {
      f.fill(hole, compute);
      known.set(id, local);
    }
    return local;
  }

  /**
   * Writes four lanes, or the first `valid` of them.
   *
   * @param store What and where.
   * @param valid How many lanes there are; undefined stands for four.
   */
  store(store: Store, valid: Local | undefined): void {
    const { f, kernel } = this.#context;
    const { dtype } = kernel.values[store.value]!;
    let value = this.value(store.value);
    if (dtype === "bool") {
      const word = f.local("v128");
      f.get(value).i32x4(1).op("v128.and").set(word);
      value = word;
    }
    const sum = this.#context.split(store.index, 4, store.buffer);
    if (this.#isContiguous(store.index)) {
      this.#emitFirstLane(sum);
      f.get(value).memory("v128.store");
      return;
    }
    const addresses = f.local("v128");
    this.#emitVector(sum);
    f.set(addresses);
    for (let lane = 0; lane < 4; lane++) {
      const write = () => {
        f.get(addresses).lane("i32x4.extract_lane", lane);
        f.get(value).memoryLane("v128.store32_lane", lane);
      };
      if (!valid || lane === 0) write();
      else f.get(valid).i32(lane).op("i32.gt_u").if(write);
    }
  }

  #emitValue(value: Value, args: readonly Local[]): void {
    const { f, kernel, helpers, frame } = this.#context;
    switch (value.op) {
      case "const":
        return emitConstant(f, value.value, value.dtype, true);
      case "param": {
        const word = kernel.buffers.length + value.slot;
        f.get(frame).memory("v128.load32_splat", 4 * word);
        if (value.dtype === "bool") f.op("i32x4.neg");
        return;
      }
      case "index": {
        const sum = this.#context.split(value.index, 1);
        return this.#emitVector(sum);
      }
      case "inside":
        return this.#pushMask(this.#mask(value.bounds));
      case "load":
        this.#emitLoad(value);
        if (value.dtype === "bool") f.op("i32x4.neg");
        return;
      case "gather":
        this.#emitGather(value, args[0]!);
        if (value.dtype === "bool") f.op("i32x4.neg");
        return;
      case "reduce":
        throw new Error("reduce: a matrix product has no other reduction");
      case "threefry": {
        f.get(emitThreefry(f, args, true)[value.word]);
        return;
      }
      default: {
        const operands = value.args.map((id, i) => {
          const arg = kernel.values[id]!;
          const operand = { local: args[i]!, dtype: arg.dtype };
          return arg.op === "const"
            ? { ...operand, constant: arg.value }
            : operand;
        });
        emitOperation(f, helpers, value, operands, true);
      }
    }
  }

  #emitLoad(value: Value & { op: "load" }): void {
    const { f } = this.#context;
    const sum = this.#context.split(value.index, 4, value.buffer);
    const mask = this.#mask(this.#place.interior ? [] : value.bounds);
    const { uniform } = sum;
    if (!uniform && !this.#isContiguous(value.index)) {
      if (mask.uniform || mask.lanes || sum.mixed.length > 0) {
        this.#emitLanes(() => this.#emitVector(sum), value.buffer, mask);
      } else this.#emitWords(sum);
      return;
    }
    this.#emitFirstLane(sum);
    if (mask.uniform || mask.lanes) {
      // An address that is not used may lie anywhere.
      this.#pushBuffer(value.buffer);
      if (mask.lanes) f.get(mask.lanes).op("v128.any_true");
      else f.get(mask.uniform!);
      f.op("select");
    }
    f.memory(uniform ? "v128.load32_splat" : "v128.load");
    this.#applyMask(mask);
  }

  #emitGather(value: Value & { op: "gather" }, at: Local): void {
    const { f } = this.#context;
    const sum = this.#context.split(value.index, 4, value.buffer);
    const { uniform, lanes } = this.#mask(value.bounds);
    const inside = f.local("v128");
    f.get(at).i32x4(value.extent).op("i32x4.lt_u");
    if (lanes || uniform) {
      this.#pushMask({ uniform, lanes });
      f.op("v128.and");
    }
    f.set(inside);
    this.#emitLanes(
      () => {
        this.#emitVector(sum);
        f.get(at).i32x4(4 * value.stride).op("i32x4.mul").op("i32x4.add");
      },
      value.buffer,
      { uniform: undefined, lanes: inside },
    );
  }

  #isContiguous(index: Index): boolean {
    return this.#place.contiguous && this.#context.canBeContiguous(index);
  }

  /** Pushes the words at four places that differ on the vector side. */
  #emitWords({ vector, scalar }: Sum): void {
    const { f } = this.#context;
    const result = f.local("v128");
    for (let lane = 0; lane < 4; lane++) {
      f.get(this.#reader("vector").word(vector!, lane));
      if (scalar !== undefined) {
        f.get(this.#reader("scalar").word(scalar)).op("i32.add");
      }
      if (lane === 0) f.memory("v128.load32_zero");
      else f.get(result).memoryLane("v128.load32_lane", lane);
      f.set(result);
    }
    f.get(result);
  }

  /** Pushes the words at four addresses, 0 where the mask is not set. */
  #emitLanes(push: () => void, buffer: number, mask: Mask): void {
    const { f } = this.#context;
    const addresses = f.local("v128");
    push();
    if (mask.uniform || mask.lanes) {
      this.#pushBuffer(buffer);
      f.op("i32x4.splat");
      this.#pushMask(mask);
      f.op("v128.bitselect");
    }
    f.set(addresses);
    const result = f.local("v128");
    f.get(addresses).lane("i32x4.extract_lane", 0);
    f.memory("v128.load32_zero").set(result);
    for (let lane = 1; lane < 4; lane++) {
      f.get(addresses).lane("i32x4.extract_lane", lane).get(result);
      f.memoryLane("v128.load32_lane", lane).set(result);
    }
    f.get(result);
    this.#applyMask(mask);
  }

  #mask(bounds: readonly Bound[]): Mask {
    const { f } = this.#context;
    let uniform: Local | undefined;
    let lanes: Local | undefined;
    for (const { index, low, high } of bounds) {
      const sum = this.#context.split(index, 1, undefined, -low);
      if (sum.uniform) {
        const both = f.local("i32");
        this.#emitFirstLane(sum);
        f.i32(high - low).op("i32.lt_u");
        if (uniform) f.get(uniform).op("i32.and");
        f.set(both);
        uniform = both;
      } else {
        const both = f.local("v128");
        this.#emitVector(sum);
        f.i32x4(high - low).op("i32x4.lt_u");
        if (lanes) f.get(lanes).op("v128.and");
        f.set(both);
        lanes = both;
      }
    }
    if (uniform && lanes) {
      const both = f.local("v128");
      f.get(lanes).i32(0).get(uniform).op("i32.sub").op("i32x4.splat");
      f.op("v128.and").set(both);
      lanes = both;
    }
    return { uniform, lanes };
  }

  #applyMask(mask: Mask): void {
    if (!mask.uniform && !mask.lanes) return;
    this.#pushMask(mask);
    this.#context.f.op("v128.and");
  }

  #pushMask({ uniform, lanes }: Mask): void {
    const { f } = this.#context;
    if (lanes) f.get(lanes);
    else if (uniform) {
      f.i32(0).get(uniform).op("i32.sub").op("i32x4.splat");
    } else f.i32x4(-1);
  }

  #pushBuffer(buffer: number): void {
    this.#context.f.get(this.#context.frame).memory("i32.load", 4 * buffer);
  }

  #reader(side: "vector" | "scalar"): TableReader {
    return side === this.#context.inner ? this.#inner : this.#outer.reader;
  }

  /** Pushes the sum of the first lane, as an i32. */
  #emitFirstLane({ vector, scalar }: Sum): void {
    const { f } = this.#context;
    if (vector !== undefined) f.get(this.#reader("vector").word(vector));
    if (scalar !== undefined) f.get(this.#reader("scalar").word(scalar));
    if (vector !== undefined && scalar !== undefined) f.op("i32.add");
  }

  /** Pushes the sums of four lanes. */
  #emitVector({ vector, scalar, mixed }: Sum): void {
    const { f } = this.#context;
    if (vector !== undefined) f.get(this.#reader("vector").vector(vector));
    if (scalar !== undefined) {
      f.get(this.#reader("scalar").splat(scalar));
      if (vector !== undefined) f.op("i32x4.add");
    }
    for (const { division, factor, of } of mixed) {
      this.#emitVector(of);
      emitVectorDivision(f, division);
      if (factor !== 1) f.i32x4(factor).op("i32x4.mul");
      f.op("i32x4.add");
    }
  }
}

function emitVectorDivision(
  f: FunctionBuilder,
  { kind, by }: Division,
): void {
  if (Number.isInteger(Math.log2(by))) {
    if (kind === "quotient") f.i32(Math.log2(by)).op("i32x4.shr_s");
    else f.i32x4(by - 1).op("v128.and");
    return;
  }
  const dividend = f.local("v128");
  f.set(dividend);
  emitPerLane(f, "int32", (lane) => {
    f.get(dividend).lane("i32x4.extract_lane", lane);
    emitFloorDivision(f, kind, by);
  });
}
