/**
 * A reduction over columns, in accumulators that its pass adds to.
 *
 * @module
 */

import type { DType } from "../dtype.ts";
import { identityOf } from "../kernel/kernel.ts";
import type { Reducer, Value, ValueId } from "../kernel/kernel.ts";
import type { FunctionBuilder, Local } from "./assembler.ts";
import { SCALAR, VECTOR } from "./instructions.ts";
import type { Lanes } from "./lanes.ts";
import { emitConstant, emitExtract, localType } from "./value_code.ts";

/** A reduction while its pass over the columns runs. */
export class Reduction {
  readonly #f: FunctionBuilder;
  readonly #reducer: Reducer;
  readonly #dtype: DType;
  /** Its value. */
  readonly id: ValueId;
  /** What it combines. */
  readonly argument: ValueId;
  /** One for each copy of the body. */
  totals: readonly Local[] = [];
  #vector = false;
  #acrossLanes = false;

  /** For the value `id` of a kernel. */
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

  /** Adds an argument to the total of its copy. */
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
