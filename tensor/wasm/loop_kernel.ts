/**
 * A nest of loops as a WebAssembly function.
 *
 * @module
 */

import {
  isElementStore,
  type LoopKernel,
  type Store,
} from "../kernel/kernel.ts";
import type { Axis } from "../view.ts";
import type {
  Callable,
  FunctionBuilder,
  Local,
  ModuleBuilder,
} from "./assembler.ts";
import { BoundsCode } from "./bounds_code.ts";
import type { Helpers } from "./helpers.ts";
import { IndexCode } from "./index_code.ts";
import { type Lanes, lanesFor } from "./lanes.ts";
import { type LoopPlan, planLoop } from "./loop_plan.ts";
import { LoopValues, valueKey } from "./loop_values.ts";
import { MemoryCode } from "./memory_code.ts";
import { Reduction } from "./reduction.ts";
import { Scopes } from "./scopes.ts";

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
  readonly #plan: LoopPlan;
  readonly #kernel: LoopKernel;
  readonly #scopes: Scopes;
  readonly #indices: IndexCode;
  readonly #values: LoopValues;

  constructor(
    f: FunctionBuilder,
    helpers: Helpers,
    plan: LoopPlan,
    addressParams: readonly number[],
  ) {
    this.#f = f;
    this.#plan = plan;
    this.#kernel = plan.kernel;
    const scopes = new Scopes(f);
    const { axisDepth, vector } = plan;
    const indices = new IndexCode(f, scopes, axisDepth, vector);
    const bounds = new BoundsCode(f, scopes, indices);
    const memory = new MemoryCode(f, scopes, indices, bounds, (buffer) => {
      const param = addressParams.indexOf(buffer);
      if (param >= 0) f.get(f.params[3 + param]!);
      else f.get(f.params[0]!).memory("i32.load", 4 * buffer);
    });
    this.#scopes = scopes;
    this.#indices = indices;
    this.#values = new LoopValues({
      f,
      helpers,
      plan,
      scopes,
      indices,
      bounds,
      memory,
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
        this.#values.pass = pass;
        this.#pass(rows, reductions, chosen);
      }
    }
    const behind = stores.filter((store) => inPass(store) === undefined);
    for (const lanes of rows) this.#store(behind, lanes);
  }

  #pass(
    rows: readonly (Lanes | undefined)[],
    reductions: readonly Reduction[],
    stores: readonly Store[],
  ): void {
    const { vectorInCols, cols } = this.#plan;
    const kept = this.#plan.kept.filter((one) =>
      one.pass === this.#values.pass
    );
    const body = (copies: readonly (Lanes | undefined)[]) => {
      for (const lanes of copies) {
        for (const { value, store } of kept) {
          this.#values.store({ ...store, value }, lanes);
        }
        for (const reduction of reductions) {
          const operand = this.#values.operand(reduction.argument, lanes);
          reduction.accumulate(operand, lanes);
        }
        this.#store(stores, lanes);
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
      reduction.finish();
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

  #store(stores: readonly Store[], lanes: Lanes | undefined): void {
    // First all values: what they need may lie, or be kept, where one is
    // written.
    const { kept } = this.#plan;
    const inPlace = this.#kernel.buffers.some(({ overwrites }) =>
      overwrites !== undefined
    );
    if (kept.length > 0 || inPlace) {
      for (const store of stores) this.#values.prepare(store, lanes);
    }
    for (const store of stores) this.#values.store(store, lanes);
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
}
