/**
 * Types and constants as WGSL writes them.
 *
 * @module
 */

import { type DType, encode, toDType } from "../dtype.ts";

/** The type of a value in code. */
export function typeOf(dtype: DType): string {
  switch (dtype) {
    case "float32":
      return "f32";
    case "int32":
      return "i32";
    case "uint32":
      return "u32";
    case "bool":
      return "bool";
    default:
      return dtype satisfies never;
  }
}

/** The type of an element in memory: a bool is a u32 there. */
export function storedTypeOf(dtype: DType): string {
  return dtype === "bool" ? "u32" : typeOf(dtype);
}

/** Least normal float32: literals below it may be flushed or refused. */
const LEAST_NORMAL = 2 ** -126;

/**
 * The text that parses back to the same 32 bits, or undefined where WGSL has
 * none: infinities, NaN, -0 and subnormals.
 */
export function literal(value: number, dtype: DType): string | undefined {
  const stored = toDType(value, dtype);
  switch (dtype) {
    case "float32":
      if (!Number.isFinite(stored) || Object.is(stored, -0)) return undefined;
      if (stored !== 0 && Math.abs(stored) < LEAST_NORMAL) return undefined;
      // The shortest text of the double rounds to the float that it came from.
      return `${stored}f`;
    case "int32":
      return stored < 0 ? `i32(${stored})` : `${stored}i`;
    case "uint32":
      return `${stored}u`;
    case "bool":
      return stored !== 0 ? "true" : "false";
    default:
      return dtype satisfies never;
  }
}

/** The bits of a constant that has no {@link literal}. */
export function bitsOf(value: number): number {
  return encode(value, "float32");
}
