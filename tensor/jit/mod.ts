/**
 * Numeric functions with loops, compiled to WebAssembly as Numba compiles those
 * of Python.
 *
 * @example Monte Carlo π
 * ```ts
 * import { jit, Random } from "@heddle/tensor/jit";
 * import { assert } from "@std/assert";
 *
 * const pi = jit((points: number, random: Random) => {
 *   let inside = 0;
 *   for (let i = 0; i < points; i++) {
 *     const x = random.next();
 *     const y = random.next();
 *     if (x * x + y * y < 1) inside++;
 *   }
 *   return 4 * inside / points;
 * });
 * assert(Math.abs(pi(1_000_000, new Random(1)) - Math.PI) < 0.01);
 * ```
 *
 * @module
 */

export {
  jit,
  type JitMethods,
  type JitOptions,
  type Jitted,
  type Rest,
} from "./jit.ts";
export {
  jitArray,
  type JitArrayClass,
  type LastingArray,
} from "./jit_array.ts";
export { setJitThreads } from "./memory.ts";
export { JitError } from "./jit_error.ts";
export { Random, type RandomState } from "./random.ts";
export type { ArgumentType, JitArray } from "./signature.ts";
export type { ArrayElement } from "./ir.ts";
export type { AnyFunction } from "./source.ts";
export type { JitNames } from "./lower.ts";
