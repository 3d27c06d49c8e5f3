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
  /** Lanes in which a float extreme has met NaN, which its totals pass by. */
  #nans: readonly Local[] = [];
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
    this.#nans = vector && this.#isFloatExtreme
      ? this.totals.map(() => {
        const nans = f.local("v128");
        f.i32x4(0).set(nans);
        return nans;
      })
      : [];
  }

  /** Adds an argument to the total of its copy. */
  accumulate(argument: Local, lanes: Lanes | undefined): void {
    const f = this.#f;
    const copy = lanes?.copy ?? 0;
    const total = this.totals[copy]!;
    const operand = this.#acrossLanes && lanes!.count < 4
      ? this.#within(argument, lanes!.count)
      : argument;
    const nans = this.#nans[copy];
    f.get(total).get(operand);
    if (nans === undefined) this.#combine(this.#vector);
    else {
      // One instruction, where those that mind NaN take eight in a row.
      f.op(this.#reducer === "max" ? "f32x4.pmax" : "f32x4.pmin");
    }
    f.set(total);
    if (nans === undefined) return;
    f.get(operand).get(operand).op("f32x4.ne");
    f.get(nans).op("v128.or").set(nans);
  }

  /** Makes the totals what they are once the loops are over. */
  finish(): void {
    const f = this.#f;
    this.#nans.forEach((nans, copy) => {
      const total = this.totals[copy]!;
      f.f32x4(NaN).get(total).get(nans).op("v128.bitselect").set(total);
    });
  }

  get #isFloatExtreme(): boolean {
    const isExtreme = this.#reducer === "max" || this.#reducer === "min";
    return isExtreme && this.#dtype === "float32";
  }

  /** An operand whose lanes behind the end do not count. */
  #within(operand: Local, count: number): Local {
    const f = this.#f;
    const mask = [0, 1, 2, 3].map((lane) => lane < count ? -1 : 0);
    f.get(operand);
    this.#identity();
    f.get(f.constant(mask[0]!, mask[1]!, mask[2]!, mask[3]!));
    const within = f.local("v128");
    f.op("v128.bitselect").set(within);
    return within;
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
