/**
 * Values of a kernel for four neighbouring lanes at a time, at a place that is
 * given by two tables: one for the axes that the lanes run over (the vector
 * side), one for those at which all four lanes stand still (the scalar side).
 *
 * @module
 */

import {
  argumentsOf,
  indicesOf,
  type LoopKernel,
  type Store,
  type Value,
  type ValueId,
} from "../kernel/kernel.ts";
import {
  axesOf,
  type Axis,
  type Bound,
  type Division,
  evaluateIndex,
  type Index,
  isDivision,
  linear,
} from "../view.ts";
import type { FunctionBuilder, Hole, Local } from "./assembler.ts";
import type { Helpers } from "./helpers.ts";
import {
  dependsOn,
  emitFloorDivision,
  type LaneTable,
  type Side,
} from "./lane_table.ts";
import { emitThreefry } from "./threefry.ts";
import { emitConstant, emitOperation, emitPerLane } from "./value_code.ts";

/** Reads words of a table at one place, each once. */
export class TableReader {
  readonly #f: FunctionBuilder;
  readonly #pointer: Local;
  readonly #offset: number;
  readonly #hole: Hole | undefined;
  readonly #words = new Map<number, Local>();
  readonly #splats = new Map<number, Local>();
  readonly #vectors = new Map<number, Local>();

  /**
   * @param f Where to write code.
   * @param pointer Address of the place in the first entry.
   * @param lane Lanes behind the pointer.
   * @param hole Where the loads go; by default to where they are asked for.
   */
  constructor(f: FunctionBuilder, pointer: Local, lane: number, hole?: Hole) {
    this.#f = f;
    this.#pointer = pointer;
    this.#offset = 4 * lane;
    this.#hole = hole;
  }

  /** The word of an entry, of one lane. */
  word(entry: number, lane: number = 0): Local {
    return this.#read(this.#words, entry + 4 * lane, "i32.load");
  }

  /** The same in four lanes. */
  splat(entry: number): Local {
    return this.#read(this.#splats, entry, "v128.load32_splat");
  }

  /** The words of an entry, of four lanes. */
  vector(entry: number): Local {
    return this.#read(this.#vectors, entry, "v128.load");
  }

  #read(
    known: Map<number, Local>,
    entry: number,
    op: "i32.load" | "v128.load" | "v128.load32_splat",
  ): Local {
    const present = known.get(entry);
    if (present) return present;
    const local = this.#f.local(op === "i32.load" ? "i32" : "v128");
    const load = () => {
      this.#f.get(this.#pointer);
      this.#f.memory(op, entry + this.#offset).set(local);
    };
    if (this.#hole) this.#f.fill(this.#hole, load);
    else load();
    known.set(entry, local);
    return local;
  }
}

/** What stays the same while one function is written. */
export interface QuadContext {
  /** Where to write code. */
  readonly f: FunctionBuilder;
  /** Whose values. */
  readonly kernel: LoopKernel;
  /** Functions of the module. */
  readonly helpers: Helpers;
  /** Address of the frame. */
  readonly frame: Local;
  /** What the four lanes run over. */
  readonly vector: LaneTable;
  /** What they share. */
  readonly scalar: LaneTable;
  /** The side whose table also holds what belongs to neither. */
  readonly home: "vector" | "scalar";
  /** The side that changes in the innermost loop. */
  readonly inner: "vector" | "scalar";
}

/** What is computed before an innermost loop, for all its turns. */
export interface OuterScope {
  /** The place before the loop. */
  readonly hole: Hole;
  /** Reads the table of the side that stands still. */
  readonly reader: TableReader;
  /** What is there already. */
  readonly known: Map<ValueId, Local>;
}

/** An index split by what its parts depend on. */
interface Sum {
  readonly vector: number | undefined;
  readonly scalar: number | undefined;
  /** Whether it is the same in all four lanes. */
  readonly uniform: boolean;
  /** Divisions of sums that depend on both sides. */
  readonly mixed: readonly {
    readonly division: Division;
    readonly factor: number;
    readonly of: Sum;
  }[];
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
    if (this.#changes(id)) {
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
    const sum = splitIndex(this.#context, store.index, 4, store.buffer);
    if (this.#isContiguous(store.index, sum)) {
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

  /** Whether a value changes in the innermost loop. */
  #changes(id: ValueId): boolean {
    return dependencies(this.#context)[id]!;
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
        const sum = splitIndex(this.#context, value.index, 1);
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
    const sum = splitIndex(this.#context, value.index, 4, value.buffer);
    const mask = this.#mask(this.#place.interior ? [] : value.bounds);
    const { uniform } = sum;
    if (!uniform && !this.#isContiguous(value.index, sum)) {
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
    const sum = splitIndex(this.#context, value.index, 4, value.buffer);
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

  #isContiguous(index: Index, sum: Sum): boolean {
    return this.#place.contiguous && isCandidate(this.#context, index, sum);
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
      const sum = splitIndex(this.#context, shifted(index, -low), 1);
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

/**
 * Pushes 1 if the four lanes at `pointer` of the vector side's table are
 * neighbours in memory, in every load and store of `ids` and `stores` of which
 * that can be; 0 otherwise.
 *
 * @returns false, and pushes nothing, if there are none of which it can be.
 */
export function emitContiguous(
  context: QuadContext,
  pointer: Local,
  ids: readonly ValueId[],
  stores: readonly Store[] = [],
): boolean {
  const { f, kernel } = context;
  const entries = new Set<number>();
  const consider = (index: Index, buffer: number) => {
    const sum = splitIndex(context, index, 4, buffer);
    if (isCandidate(context, index, sum)) entries.add(sum.vector!);
  };
  for (const load of loadsOf(kernel, ids)) consider(load.index, load.buffer);
  for (const store of stores) consider(store.index, store.buffer);
  let first = true;
  for (const entry of entries) {
    f.get(pointer).memory("v128.load32_splat", entry);
    f.get(f.constant(0, 4, 8, 12)).op("i32x4.add");
    f.get(pointer).memory("v128.load", entry);
    f.op("i32x4.eq").op("i32x4.all_true");
    if (!first) f.op("i32.and");
    first = false;
  }
  return !first;
}

/**
 * Pushes 1 if all bounds of the loads of `ids` hold for the four lanes at
 * `pointer` of the lanes' table, wherever the columns are; 0 otherwise.
 *
 * @returns false, and pushes nothing, if there are no bounds or no such lanes.
 */
export function emitInterior(
  context: QuadContext,
  lanes: "vector" | "scalar",
  pointer: Local,
  ids: readonly ValueId[],
): boolean {
  const { f, kernel } = context;
  const columns = new Set(
    context[lanes === "vector" ? "scalar" : "vector"].side.axes,
  );
  const checks = new Map<string, () => void>();
  for (const load of loadsOf(kernel, ids)) {
    for (const { index, low, high } of load.bounds) {
      const sum = splitIndex(context, shifted(index, -low), 1);
      const entry = sum[lanes];
      const moving = linear([[1, {
        terms: index.terms.filter(({ atom }) => dependsOn(atom, columns)),
        constant: 0,
        low: -Infinity,
        high: Infinity,
      }]]);
      const span = high - low - (moving.high - moving.low);
      if (sum.mixed.length > 0 || entry === undefined || span <= 0) {
        return false;
      }
      checks.set(`${entry} ${moving.low} ${span}`, () => {
        f.get(pointer).memory("v128.load", entry);
        if (moving.low !== 0) f.i32x4(moving.low).op("i32x4.add");
        f.i32x4(span).op("i32x4.lt_u").op("i32x4.all_true");
      });
    }
  }
  let first = true;
  for (const emit of checks.values()) {
    emit();
    if (!first) f.op("i32.and");
    first = false;
  }
  return checks.size > 0;
}

/** Whether a value has loads with bounds. */
export function hasBounds(kernel: LoopKernel, id: ValueId): boolean {
  return loadsOf(kernel, [id]).some(({ bounds }) => bounds.length > 0);
}

/** How many of the loads' quads are neighbours along a side, summed. */
export function contiguity(
  kernel: LoopKernel,
  ids: readonly ValueId[],
  side: Side,
): number {
  return loadsOf(kernel, ids).reduce(
    (sum, { index }) => sum + contiguousShare(index, side),
    0,
  );
}

/** Whether the loads that can be neighbours along a side are so in all quads. */
export function alwaysContiguous(
  kernel: LoopKernel,
  ids: readonly ValueId[],
  side: Side,
): boolean {
  return loadsOf(kernel, ids).every(({ index }) => {
    const run = contiguousRun(index, side);
    return run === 1 && contiguousShare(index, side) === 0 ||
      run === side.extent || run % 4 === 0;
  });
}

/** Lanes, from each multiple of this number on, at which an index counts up. */
function contiguousRun(index: Index, side: Side): number {
  const own = new Set(side.axes);
  const coefficients = new Map<Axis, number>();
  for (const { atom, coefficient } of index.terms) {
    if (!dependsOn(atom, own)) continue;
    if (isDivision(atom)) return 1;
    coefficients.set(atom, coefficient);
  }
  let run = 1;
  for (const axis of side.axes.toReversed()) {
    if (coefficients.get(axis) !== run) break;
    run *= axis.extent;
  }
  return run;
}

/** The share of quads along a side at which an index counts up by ones. */
export function contiguousShare(index: Index, side: Side): number {
  const own = new Set(side.axes);
  const terms = index.terms.filter(({ atom }) => dependsOn(atom, own));
  const part = { ...index, terms, constant: 0 };
  const quads = Math.floor(side.extent / 4);
  if (quads === 0) return 0;
  const at = (lane: number) => {
    const position = new Map<Axis, number>();
    for (const axis of side.axes.toReversed()) {
      position.set(axis, lane % axis.extent);
      lane = Math.floor(lane / axis.extent);
    }
    return evaluateIndex(part, (axis) => position.get(axis) ?? 0);
  };
  const samples = Math.min(quads, 32);
  let found = 0;
  for (let sample = 0; sample < samples; sample++) {
    const lane = 4 * Math.floor(sample * quads / samples);
    const first = at(lane);
    if ([1, 2, 3].every((i) => at(lane + i) === first + i)) found++;
  }
  return found / samples;
}

function loadsOf(
  kernel: LoopKernel,
  ids: readonly ValueId[],
): (Value & { op: "load" })[] {
  return [...reachable(kernel, ids)].map((id) => kernel.values[id]!)
    .filter((value) => value.op === "load");
}

function shifted(index: Index, by: number): Index {
  return { ...index, constant: index.constant + by };
}

/** All values that some are computed from, themselves included. */
function reachable(
  kernel: LoopKernel,
  ids: readonly ValueId[],
  found: Set<ValueId> = new Set(),
): Set<ValueId> {
  for (const id of ids) {
    if (found.has(id)) continue;
    found.add(id);
    if (id === kernel.contract?.product) continue;
    reachable(kernel, argumentsOf(kernel.values[id]!), found);
  }
  return found;
}

function axesOfContext(
  { vector, scalar }: QuadContext,
): { vector: Set<Axis>; scalar: Set<Axis> } {
  return {
    vector: new Set(vector.side.axes),
    scalar: new Set(scalar.side.axes),
  };
}

const changing = new WeakMap<QuadContext, boolean[]>();

/** Which values change in the innermost loop. */
function dependencies(context: QuadContext): readonly boolean[] {
  const present = changing.get(context);
  if (present) return present;
  const { kernel, inner } = context;
  const axes = axesOfContext(context)[inner];
  const found: boolean[] = [];
  kernel.values.forEach((value, id) => {
    found[id] = id === kernel.contract?.product ||
      argumentsOf(value).some((arg) => found[arg]) ||
      indicesOf(value).some((index) =>
        [...axesOf(index)].some((axis) => axes.has(axis))
      );
  });
  changing.set(context, found);
  return found;
}

function splitIndex(
  context: QuadContext,
  index: Index,
  scale: number,
  buffer?: number,
): Sum {
  const axes = axesOfContext(context);
  const parts: Record<"vector" | "scalar" | "rest", Index["terms"][number][]> =
    { vector: [], scalar: [], rest: [] };
  const mixed: Sum["mixed"][number][] = [];
  for (const term of index.terms) {
    const byVector = dependsOn(term.atom, axes.vector);
    const byScalar = dependsOn(term.atom, axes.scalar);
    if (byVector && byScalar && isDivision(term.atom)) {
      mixed.push({
        division: term.atom,
        factor: scale * term.coefficient,
        of: splitIndex(context, term.atom.of, 1),
      });
    } else parts[byVector ? "vector" : byScalar ? "scalar" : "rest"].push(term);
  }
  const other = context.home === "vector" ? "scalar" : "vector";
  const home = parts[context.home].length > 0 || parts[other].length === 0
    ? context.home
    : other;
  // What belongs to neither is read before the loop, from the outer side.
  const outer = context.inner === "vector" ? "scalar" : "vector";
  const holder = parts.vector.length === 0 && parts.scalar.length === 0
    ? outer
    : home;
  const entry = (side: "vector" | "scalar") => {
    const held = side === holder;
    if (parts[side].length === 0 && !held) return undefined;
    const part = {
      ...index,
      terms: held ? [...parts[side], ...parts.rest] : parts[side],
      constant: held ? index.constant : 0,
    };
    return context[side].add(part, scale, held ? buffer : undefined);
  };
  const uniform = parts.vector.length === 0 && mixed.length === 0;
  return { vector: entry("vector"), scalar: entry("scalar"), uniform, mixed };
}

/** Whether four lanes can be neighbours in memory. */
function isCandidate(context: QuadContext, index: Index, sum: Sum): boolean {
  return !sum.uniform && sum.mixed.length === 0 &&
    contiguousShare(index, context.vector.side) > 0;
}
