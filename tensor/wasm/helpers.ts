/**
 * Functions inside a module for what takes more than a few instructions:
 * integer division that never traps, and the exact remainder of floats.
 *
 * @module
 */

import type { DType } from "../dtype.ts";
import type { Callable, FunctionBuilder, ModuleBuilder } from "./assembler.ts";
import type { Target } from "./math.ts";

/** Makes the functions that a module needs, each at its first use. */
export class Helpers {
  /** What the engine can do. */
  readonly target: Target;
  readonly #module: ModuleBuilder;
  readonly #made = new Map<string, Callable>();

  /** Puts functions into `module`. */
  constructor(module: ModuleBuilder, target: Target) {
    this.#module = module;
    this.target = target;
  }

  /** `a / b` of int32 or uint32, towards zero; 0 where b is 0. */
  integerDivision(dtype: DType): Callable {
    const signed = dtype === "int32";
    return this.#make(`idiv ${signed}`, "i32", (f) => {
      const [a, b] = f.params;
      f.get(b!).op("i32.eqz").if(() => f.i32(0).op("return"));
      if (signed) {
        // -2^31 / -1 traps; as a negation it wraps.
        f.get(b!).i32(-1).op("i32.eq");
        f.if(() => f.i32(0).get(a!).op("i32.sub").op("return"));
      }
      f.get(a!).get(b!).op(signed ? "i32.div_s" : "i32.div_u");
    });
  }

  /** `a - b * trunc(a / b)`; for integers 0 where b is 0. */
  remainder(dtype: DType): Callable {
    if (dtype === "float32") return this.#make("fmod", "f32", emitFloatModulo);
    const signed = dtype === "int32";
    return this.#make(`rem ${signed}`, "i32", (f) => {
      const [a, b] = f.params;
      f.get(b!).op("i32.eqz").if(() => f.i32(0).op("return"));
      f.get(a!).get(b!).op(signed ? "i32.rem_s" : "i32.rem_u");
    });
  }

  #make(
    key: string,
    type: "i32" | "f32",
    body: (f: FunctionBuilder) => void,
  ): Callable {
    const present = this.#made.get(key);
    if (present) return present;
    const made = this.#module.function(undefined, [type, type], [type], body);
    this.#made.set(key, made);
    return made;
  }
}

/**
 * Long division in float64, 24 bits of the quotient a step: each product and
 * difference is exact, so the result is.
 */
function emitFloatModulo(f: FunctionBuilder): void {
  const [a, b] = f.params;
  const rest = f.local("f64");
  const by = f.local("f64");
  const step = f.local("f64");
  const STEP = 2 ** 24;
  f.get(a!).op("f32.abs").op("f64.promote_f32").set(rest);
  f.get(b!).op("f32.abs").op("f64.promote_f32").set(by);
  // NaN, an infinite dividend and a zero divisor give NaN.
  f.get(rest).f64(Infinity).op("f64.lt").get(by).f64(0).op("f64.gt");
  f.op("i32.and").op("i32.eqz").if(() => f.f32(NaN).op("return"));
  f.block((done) => {
    f.loop((again) => {
      f.get(rest).get(by).op("f64.lt").brIf(done);
      f.get(by).set(step);
      f.loop((larger) => {
        f.get(rest).get(step).f64(STEP).op("f64.mul").op("f64.ge");
        f.if(() => f.get(step).f64(STEP).op("f64.mul").set(step).br(larger));
      });
      f.get(rest).get(rest).get(step).op("f64.div").op("f64.trunc");
      f.get(step).op("f64.mul").op("f64.sub").set(rest);
      // The quotient may have been rounded up to a whole number.
      f.get(rest).f64(0).op("f64.lt");
      f.if(() => f.get(rest).get(step).op("f64.add").set(rest));
      f.br(again);
    });
  });
  f.get(rest).op("f32.demote_f64").get(a!).op("f32.copysign");
}
