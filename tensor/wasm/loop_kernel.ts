/**
 * A nest of loops as a WebAssembly function.
 *
 * @module
 */

import { type DType, encode } from "../dtype.ts";
import { identityOf } from "../kernel/interpret.ts";
import {
  argumentsOf,
  isElementStore,
  type LoopKernel,
  type Reducer,
  type Store,
  type Value,
  type ValueId,
} from "../kernel/kernel.ts";
import type { Axis } from "../view.ts";
import type {
  Callable,
  FunctionBuilder,
  Local,
  ModuleBuilder,
} from "./assembler.ts";
import type { Helpers } from "./helpers.ts";
import { IndexCode } from "./index_code.ts";
import { SCALAR, VECTOR } from "./instructions.ts";
import { type Lanes, lanesFor } from "./lanes.ts";
import { type LoopPlan, planLoop } from "./loop_plan.ts";
import { type Chosen, MemoryCode } from "./memory_code.ts";
import { Scopes } from "./scopes.ts";
import { emitThreefry } from "./threefry.ts";
import {
  emitConstant,
  emitExtract,
  emitOperation,
  emitSplat,
  localType,
  type Operand,
} from "./value_code.ts";

/** How a function is made from a kernel. */
export interface LoopFunctionOptions {
  /** Its export name; without one it is for calls inside the module. */
  readonly name?: string;
  /**
   * Row axes whose positions, the last one fastest, are the items of the
   * function. By default some are chosen.
   */
  readonly items?: readonly Axis[];
  /**
   * Buffers whose byte address is a further i32 parameter, behind `(frame,
   * start, end)` in this order; the others' are in the frame.
   */
  readonly addressParams?: readonly number[];
}

/** A function `(frame, start, end, ...addresses)` that does some items. */
export interface LoopFunction {
  /** To call it inside the module. */
  readonly callable: Callable;
  /** How many items there are. */
  readonly items: number;
  /** Estimated nanoseconds of all items on one thread. */
  readonly cost: number;
}

/**
 * Adds the function of a kernel to a module. The frame is the address of 32-bit
 * words: one byte address a buffer, then the params. No extent may be 0 among
 * the rows.
 */
export function emitLoopFunction(
  module: ModuleBuilder,
  helpers: Helpers,
  kernel: LoopKernel,
  options: LoopFunctionOptions = {},
): LoopFunction {
  const { items } = options;
  const plan = planLoop(kernel, items ? { items } : {});
  const addressParams = options.addressParams ?? [];
  const params = addressParams.map(() => "i32" as const);
  const callable = module.function(
    options.name,
    ["i32", "i32", "i32", ...params],
    [],
    (f) => new LoopCode(f, helpers, plan, addressParams).emit(),
  );
  return { callable, items: countItems(plan), cost: plan.cost };
}

function countBlocks({ vector, block }: LoopPlan): number {
  return block === undefined ? 1 : Math.ceil(vector!.extent / block);
}

function countItems(plan: LoopPlan): number {
  return plan.items.reduce(
    (count, axis) => count * axis.extent,
    countBlocks(plan),
  );
}

class LoopCode {
  readonly #f: FunctionBuilder;
  readonly #helpers: Helpers;
  readonly #plan: LoopPlan;
  readonly #kernel: LoopKernel;
  readonly #scopes: Scopes;
  readonly #indices: IndexCode;
  readonly #memory: MemoryCode;
  #passNumber = 0;

  constructor(
    f: FunctionBuilder,
    helpers: Helpers,
    plan: LoopPlan,
    addressParams: readonly number[],
  ) {
    this.#f = f;
    this.#helpers = helpers;
    this.#plan = plan;
    this.#kernel = plan.kernel;
    this.#scopes = new Scopes(f);
    this.#indices = new IndexCode(
      f,
      this.#scopes,
      plan.axisDepth,
      plan.vector,
    );
    this.#memory = new MemoryCode(f, this.#scopes, this.#indices, (buffer) => {
      const param = addressParams.indexOf(buffer);
      if (param >= 0) f.get(f.params[3 + param]!);
      else f.get(f.params[0]!).memory("i32.load", 4 * buffer);
    });
  }

  emit(): void {
    const f = this.#f;
    const { items } = this.#plan;
    const [, start, end] = f.params;
    const item = f.local("i32");
    const blocks = countBlocks(this.#plan);
    const block = blocks > 1 ? f.local("i32") : undefined;
    const counters: [Local, number][] = items.map((axis) => {
      const position = f.local("i32");
      this.#indices.positions.set(axis, position);
      return [position, axis.extent];
    });
    if (block) counters.push([block, blocks]);
    // From the first item's number to its position along each axis.
    const rest = f.local("i32");
    f.get(start!).tee(item).set(rest);
    for (const [position, extent] of counters.toReversed()) {
      f.get(rest).i32(extent).op("i32.rem_u").set(position);
      f.get(rest).i32(extent).op("i32.div_u").set(rest);
    }
    f.block((done) => {
      f.get(item).get(end!).op("i32.ge_u").brIf(done);
      this.#scopes.leaveRoom();
      f.loop((again) => {
        this.#scopes.inside(() => this.#rows(0, block));
        this.#advance(counters);
        f.get(item).i32(1).op("i32.add").tee(item);
        f.get(end!).op("i32.lt_u").brIf(again);
      });
    });
  }

  /** To the next item: the last counter first, as on an odometer. */
  #advance(counters: readonly [Local, number][]): void {
    const f = this.#f;
    const last = counters.at(-1);
    if (!last) return;
    const [position, extent] = last;
    f.get(position).i32(1).op("i32.add").tee(position);
    f.i32(extent).op("i32.ge_u").if(() => {
      f.i32(0).set(position);
      this.#advance(counters.slice(0, -1));
    });
  }

  /** The loops over the rows of an item, from the axis `at` on. */
  #rows(at: number, block: Local | undefined): void {
    const { serial, vector, vectorInCols } = this.#plan;
    const axis = serial[at];
    if (axis) this.#loop(axis, () => this.#rows(at + 1, block));
    else if (!vector || vectorInCols) this.#row([undefined]);
    else this.#vectorLoop((copies) => this.#row(copies), block);
  }

  #loop(axis: Axis, body: () => void): void {
    const f = this.#f;
    const position = f.local("i32");
    this.#indices.positions.set(axis, position);
    f.i32(0).set(position);
    this.#scopes.leaveRoom();
    f.loop((again) => {
      this.#scopes.inside(body);
      f.get(position).i32(1).op("i32.add").tee(position);
      f.i32(axis.extent).op("i32.lt_u").brIf(again);
    });
  }

  /** Runs `body` for all elements of the vector axis, or for one block. */
  #vectorLoop(
    body: (copies: readonly Lanes[]) => void,
    block?: Local,
  ): void {
    const f = this.#f;
    const { vector, unroll, block: blockSize } = this.#plan;
    const { extent } = vector!;
    const turn = 4 * unroll;
    const looped = this.#loopedElements(block);
    if (looped > 0) {
      const base = f.local("i32");
      const stop = f.local("i32");
      if (block) {
        f.get(block).i32(blockSize!).op("i32.mul").tee(base);
        f.i32(blockSize!).op("i32.add").tee(stop).i32(looped);
        f.get(stop).i32(looped).op("i32.lt_u").op("select").set(stop);
      } else {
        f.i32(0).set(base);
        f.i32(looped).set(stop);
      }
      this.#scopes.leaveRoom();
      f.block((done) => {
        if (block) f.get(base).get(stop).op("i32.ge_u").brIf(done);
        f.loop((again) => {
          this.#scopes.inside(() => body(lanesFor(base, 0, turn)));
          f.get(base).i32(turn).op("i32.add").tee(base);
          f.get(stop).op("i32.lt_u").brIf(again);
        });
      });
    }
    if (looped === extent) return;
    const rest = () => {
      this.#scopes.inside(() =>
        body(lanesFor(undefined, looped, extent - looped))
      );
    };
    this.#scopes.leaveRoom();
    if (!block) rest();
    else {
      f.get(block).i32(countBlocks(this.#plan) - 1).op("i32.eq").if(rest);
    }
  }

  /** All passes over the columns for one row, or for some neighbours. */
  #row(rows: readonly (Lanes | undefined)[]): void {
    const { levels: { phases, phase, element }, needed } = this.#plan;
    const { stores, values } = this.#kernel;
    const inPass = (store: Store) =>
      isElementStore(this.#kernel, element, store)
        ? phase[store.value]!
        : undefined;
    for (let pass = 0; pass < phases; pass++) {
      const reductions = values.flatMap((value, id) =>
        value.op === "reduce" && phase[id] === pass + 1 && needed[id]
          ? [new Reduction(this.#f, id, value)]
          : []
      );
      const chosen = stores.filter((store) => inPass(store) === pass);
      if (reductions.length + chosen.length > 0) {
        this.#passNumber = pass;
        this.#pass(rows, reductions, chosen);
      }
    }
    for (const lanes of rows) {
      for (const store of stores) {
        if (inPass(store) === undefined) this.#store(store, lanes);
      }
    }
  }

  #pass(
    rows: readonly (Lanes | undefined)[],
    reductions: readonly Reduction[],
    stores: readonly Store[],
  ): void {
    const { vectorInCols, cols } = this.#plan;
    const kept = this.#plan.kept.filter((one) => one.pass === this.#passNumber);
    const body = (copies: readonly (Lanes | undefined)[]) => {
      for (const lanes of copies) {
        for (const { value, store } of kept) {
          this.#store({ ...store, value }, lanes);
        }
        for (const reduction of reductions) {
          const operand = this.#operand(reduction.argument, lanes);
          reduction.accumulate(operand, lanes);
        }
        for (const store of stores) this.#store(store, lanes);
      }
    };
    const innermost = () => {
      if (vectorInCols) this.#vectorLoop(body);
      else body(rows);
    };
    const loops = (at: number) => {
      const axis = cols[at];
      if (axis) this.#loop(axis, () => loops(at + 1));
      else innermost();
    };
    const vector = vectorInCols || rows[0] !== undefined;
    const copies = vectorInCols ? this.#columnCopies() : rows.length;
    for (const reduction of reductions) {
      reduction.begin(copies, vector, vectorInCols);
    }
    if (this.#kernel.cols.every((axis) => axis.extent > 0)) loops(0);
    for (const reduction of reductions) {
      const { rowDepth } = this.#plan;
      if (vectorInCols) {
        const total = reduction.combineAll();
        this.#scopes.define(rowDepth, valueKey(reduction.id), total);
        continue;
      }
      rows.forEach((lanes, copy) => {
        const total = reduction.totals[copy]!;
        this.#scopes.define(rowDepth, valueKey(reduction.id, lanes), total);
      });
    }
  }

  /** Copies of the body along the columns: in the loop, or behind it. */
  #columnCopies(): number {
    const { vector, unroll } = this.#plan;
    const rest = vector!.extent - this.#loopedElements();
    return Math.max(unroll, Math.ceil(rest / 4));
  }

  /** Elements of the vector axis that a loop takes; the rest stand behind. */
  #loopedElements(block?: Local): number {
    const { vector, unroll } = this.#plan;
    const turn = 4 * unroll;
    const turns = Math.floor(vector!.extent / turn);
    // A single turn needs no loop.
    return !block && turns === 1 ? 0 : turns * turn;
  }

  #store({ buffer, index, value }: Store, lanes: Lanes | undefined): void {
    const f = this.#f;
    const { dtype } = this.#kernel.values[value]!;
    if (!lanes || !this.#indices.varies(index)) {
      this.#memory.storeScalar(buffer, index, this.#scalar(value));
      return;
    }
    let local = this.#vector(value, lanes);
    if (dtype === "bool") {
      const bits = f.local("v128");
      f.get(local).i32x4(1).op("v128.and").set(bits);
      local = bits;
    }
    this.#memory.storeVector(buffer, index, lanes, local);
  }

  /** A local with the value: a vector if there are lanes, else one element. */
  #operand(id: ValueId, lanes: Lanes | undefined): Local {
    return lanes ? this.#vector(id, lanes) : this.#scalar(id);
  }

  #vector(id: ValueId, lanes: Lanes): Local {
    const { varying, depth } = this.#plan;
    const value = this.#kernel.values[id]!;
    if (varying[id]) {
      return this.#scopes.once(
        depth[id]!,
        valueKey(id, lanes),
        "v128",
        () => this.#emitVarying(id, lanes),
      );
    }
    if (value.op === "const") {
      const bits = encode(value.value, value.dtype) | 0;
      const word = value.dtype === "bool" ? -bits : bits;
      return this.#f.constant(word, word, word, word);
    }
    return this.#scopes.once(depth[id]!, `splat ${id}`, "v128", () => {
      this.#f.get(this.#scalar(id));
      emitSplat(this.#f, value.dtype);
    });
  }

  /** Pushes a value that differs between lanes, or loads what a pass left. */
  #emitVarying(id: ValueId, lanes: Lanes): void {
    const value = this.#kernel.values[id]!;
    const kept = this.#plan.kept.find((one) =>
      one.value === id && one.pass < this.#passNumber
    );
    if (!kept) {
      this.#emit(value, lanes);
      return;
    }
    const { buffer, index } = kept.store;
    const { dtype } = value;
    this.#memory.loadVector({ buffer, dtype, index, bounds: [] }, lanes);
  }

  #scalar(id: ValueId): Local {
    const value = this.#kernel.values[id]!;
    return this.#scopes.once(
      this.#plan.depth[id]!,
      valueKey(id),
      localType(value.dtype, false),
      () => this.#emit(value, undefined),
    );
  }

  /** Pushes a value; at its depth. */
  #emit(value: Value, lanes: Lanes | undefined): void {
    const f = this.#f;
    switch (value.op) {
      case "const":
        emitConstant(f, value.value, value.dtype, false);
        return;
      case "param": {
        const offset = 4 * (this.#kernel.buffers.length + value.slot);
        const float = value.dtype === "float32";
        f.get(f.params[0]!).memory(float ? "f32.load" : "i32.load", offset);
        return;
      }
      case "index":
        f.get(
          lanes
            ? this.#indices.vector(value.index, 1, lanes).local
            : this.#indices.uniform(value.index),
        );
        return;
      case "inside":
        this.#memory.inside(value.bounds, lanes);
        return;
      case "load":
      case "gather": {
        const chosen = value.op === "gather"
          ? this.#chosen(value.at, value.stride, value.extent, lanes)
          : undefined;
        const source = { ...value, chosen };
        if (lanes) this.#memory.loadVector(source, lanes);
        else this.#memory.loadScalar(source);
        return;
      }
      case "reduce":
        throw new Error("reduce: computed by its pass over the columns");
      case "threefry": {
        const args = value.args.map((arg) => this.#operand(arg, lanes));
        f.get(this.#threefry(value.args, args, lanes)[value.word]);
        return;
      }
      default: {
        const { values } = this.#kernel;
        const args = argumentsOf(value).map((arg): Operand => {
          const { dtype } = values[arg]!;
          const local = this.#operand(arg, lanes);
          const from = values[arg]!;
          return from.op === "const"
            ? { local, dtype, constant: from.value }
            : { local, dtype };
        });
        emitOperation(f, this.#helpers, value, args, lanes !== undefined);
      }
    }
  }

  #chosen(
    at: ValueId,
    stride: number,
    extent: number,
    lanes: Lanes | undefined,
  ): Chosen {
    const varying = lanes !== undefined && this.#plan.varying[at]!;
    return {
      local: varying ? this.#vector(at, lanes) : this.#scalar(at),
      depth: this.#plan.depth[at]!,
      varying,
      key: varying ? valueKey(at, lanes) : valueKey(at),
      stride,
      extent,
    };
  }

  /** Both words, once for values that take one each. */
  #threefry(
    ids: readonly ValueId[],
    args: readonly Local[],
    lanes: Lanes | undefined,
  ): readonly [Local, Local] {
    const depth = Math.max(...ids.map((id) => this.#plan.depth[id]!));
    const key = `threefry ${ids}${lanes?.key ?? ""}`;
    const [first, second] = [0, 1].map((word) =>
      this.#scopes.find(depth, `${key}.${word}`)
    );
    if (first && second) return [first, second];
    const words = emitThreefry(this.#f, args, lanes !== undefined);
    words.forEach((local, word) =>
      this.#scopes.define(depth, `${key}.${word}`, local)
    );
    return words;
  }
}

function valueKey(id: ValueId, lanes?: Lanes): string {
  return `v${id}${lanes?.key ?? ""}`;
}

/** A reduction while its pass over the columns runs. */
class Reduction {
  readonly #f: FunctionBuilder;
  readonly #reducer: Reducer;
  readonly #dtype: DType;
  readonly id: ValueId;
  readonly argument: ValueId;
  /** One for each copy of the body. */
  totals: readonly Local[] = [];
  #vector = false;
  #acrossLanes = false;

  constructor(
    f: FunctionBuilder,
    id: ValueId,
    value: Extract<Value, { op: "reduce" }>,
  ) {
    this.#f = f;
    this.#reducer = value.reducer;
    this.#dtype = value.dtype;
    this.id = id;
    this.argument = value.args[0];
  }

  /**
   * Sets the totals to the identity.
   *
   * @param copies How many.
   * @param vector Whether each is four elements.
   * @param acrossLanes Whether these are combined in the end.
   */
  begin(copies: number, vector: boolean, acrossLanes: boolean): void {
    const f = this.#f;
    this.#vector = vector;
    this.#acrossLanes = acrossLanes;
    this.totals = Array.from({ length: copies }, () => {
      const total = f.local(localType(this.#dtype, vector));
      this.#identity();
      f.set(total);
      return total;
    });
  }

  accumulate(operand: Local, lanes: Lanes | undefined): void {
    const f = this.#f;
    const total = this.totals[lanes?.copy ?? 0]!;
    f.get(total).get(operand);
    if (this.#acrossLanes && lanes!.count < 4) {
      // Lanes behind the end must not count.
      const mask = [0, 1, 2, 3].map((lane) => lane < lanes!.count ? -1 : 0);
      this.#identity();
      f.get(f.constant(mask[0]!, mask[1]!, mask[2]!, mask[3]!));
      f.op("v128.bitselect");
    }
    this.#combine(this.#vector);
    f.set(total);
  }

  /** Combines all copies and lanes, in a fixed order. */
  combineAll(): Local {
    const f = this.#f;
    let totals = this.totals;
    while (totals.length > 1) {
      const half = Math.ceil(totals.length / 2);
      totals = totals.slice(0, half).map((total, i) => {
        const other = totals[half + i];
        if (!other) return total;
        f.get(total).get(other);
        this.#combine(true);
        f.set(total);
        return total;
      });
    }
    const [total] = totals;
    const result = f.local(localType(this.#dtype, false));
    f.get(total!).get(total!).get(total!).shuffle(2, 3, 0, 1);
    this.#combine(true);
    f.tee(total!).get(total!).get(total!).shuffle(1, 0, 3, 2);
    this.#combine(true);
    emitExtract(f, this.#dtype, 0);
    f.set(result);
    return result;
  }

  #identity(): void {
    const value = identityOf(this.#reducer, this.#dtype);
    emitConstant(this.#f, value, this.#dtype, this.#vector);
  }

  #combine(vector: boolean): void {
    const op = { sum: "add", prod: "mul", max: "max", min: "min" } as const;
    const name = op[this.#reducer];
    const code = (vector ? VECTOR : SCALAR)[name]?.[this.#dtype];
    if (code) {
      this.#f.op(code);
      return;
    }
    // The lesser or greater of two integers has no instruction of its own.
    const f = this.#f;
    const [a, b] = [f.local("i32"), f.local("i32")];
    const sign = this.#dtype === "int32" ? "s" : "u";
    f.set(b).tee(a).get(b).get(a).get(b);
    f.op(name === "max" ? `i32.gt_${sign}` : `i32.lt_${sign}`).op("select");
  }
}
