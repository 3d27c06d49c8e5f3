/**
 * The values of a kernel in the code of its loops: each is computed once, at
 * the depth at which all it depends on is known.
 *
 * @module
 */

import { encode } from "../dtype.ts";
import {
  argumentsOf,
  type LoopKernel,
  type Store,
  type Value,
  type ValueId,
} from "../kernel/kernel.ts";
import type { FunctionBuilder, Local } from "./assembler.ts";
import type { BoundsCode, Chosen } from "./bounds_code.ts";
import type { Helpers } from "./helpers.ts";
import type { IndexCode } from "./index_code.ts";
import type { Lanes } from "./lanes.ts";
import type { LoopPlan } from "./loop_plan.ts";
import type { MemoryCode } from "./memory_code.ts";
import type { Scopes } from "./scopes.ts";
import { emitThreefry } from "./threefry.ts";
import {
  emitConstant,
  emitOperation,
  emitSplat,
  localType,
  type Operand,
} from "./value_code.ts";

/** What the code of one function is written with. */
export interface LoopContext {
  /** The function. */
  readonly f: FunctionBuilder;
  /** Functions of its module. */
  readonly helpers: Helpers;
  /** What runs, and how. */
  readonly plan: LoopPlan;
  /** What is known where. */
  readonly scopes: Scopes;
  /** Index expressions. */
  readonly indices: IndexCode;
  /** Checks. */
  readonly bounds: BoundsCode;
  /** Loads and stores. */
  readonly memory: MemoryCode;
}

/** Writes the values of one function. */
export class LoopValues {
  readonly #f: FunctionBuilder;
  readonly #helpers: Helpers;
  readonly #plan: LoopPlan;
  readonly #kernel: LoopKernel;
  readonly #scopes: Scopes;
  readonly #indices: IndexCode;
  readonly #bounds: BoundsCode;
  readonly #memory: MemoryCode;
  /** The pass over the columns that is being written. */
  pass = 0;

  /** Begins with no value known. */
  constructor(context: LoopContext) {
    this.#f = context.f;
    this.#helpers = context.helpers;
    this.#plan = context.plan;
    this.#kernel = context.plan.kernel;
    this.#scopes = context.scopes;
    this.#indices = context.indices;
    this.#bounds = context.bounds;
    this.#memory = context.memory;
  }

  /** Computes what a store writes, without writing it yet. */
  prepare({ index, value }: Store, lanes: Lanes | undefined): Local {
    return lanes && this.#indices.varies(index)
      ? this.vector(value, lanes)
      : this.scalar(value);
  }

  /** Writes a value to a place, or to one for each lane. */
  store(store: Store, lanes: Lanes | undefined): void {
    const f = this.#f;
    const { buffer, index, value } = store;
    const { dtype } = this.#kernel.values[value]!;
    let local = this.prepare(store, lanes);
    if (!lanes || !this.#indices.varies(index)) {
      this.#memory.storeScalar(buffer, index, local);
      return;
    }
    if (dtype === "bool") {
      const bits = f.local("v128");
      f.get(local).i32x4(1).op("v128.and").set(bits);
      local = bits;
    }
    this.#memory.storeVector(buffer, index, lanes, local);
  }

  /** A local with the value: a vector if there are lanes, else one element. */
  operand(id: ValueId, lanes: Lanes | undefined): Local {
    return lanes ? this.vector(id, lanes) : this.scalar(id);
  }

  /** A vector with the value. */
  vector(id: ValueId, lanes: Lanes): Local {
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
      this.#f.get(this.scalar(id));
      emitSplat(this.#f, value.dtype);
    });
  }

  /** Pushes a value that differs between lanes, or loads what a pass left. */
  #emitVarying(id: ValueId, lanes: Lanes): void {
    const value = this.#kernel.values[id]!;
    const kept = this.#plan.kept.find((one) =>
      one.value === id && one.pass < this.pass
    );
    if (!kept) {
      this.#emit(value, lanes);
      return;
    }
    const { buffer, index } = kept.store;
    const { dtype } = value;
    this.#memory.loadVector({ buffer, dtype, index, bounds: [] }, lanes);
  }

  /** One element with the value, which is the same in all lanes. */
  scalar(id: ValueId): Local {
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
        this.#bounds.inside(value.bounds, lanes);
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
        const args = value.args.map((arg) => this.operand(arg, lanes));
        f.get(this.#threefry(value.args, args, lanes)[value.word]);
        return;
      }
      default: {
        const { values } = this.#kernel;
        const args = argumentsOf(value).map((arg): Operand => {
          const { dtype } = values[arg]!;
          const local = this.operand(arg, lanes);
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
      local: varying ? this.vector(at, lanes) : this.scalar(at),
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

/** Names a value in the scopes. */
export function valueKey(id: ValueId, lanes?: Lanes): string {
  return `v${id}${lanes?.key ?? ""}`;
}
