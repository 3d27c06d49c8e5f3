/**
 * Types of arguments: as they are written, and as they are found.
 *
 * @module
 */

import type { ArrayElement } from "./ir.ts";
import { Random } from "./random.ts";
import {
  ANY,
  ANY_BOOLEAN,
  ANY_INT,
  ANY_SINGLE,
  ANY_UINT,
  INT_MAX,
  integers,
  type Value,
} from "./values.ts";

/**
 * What an argument is: a number, as `f64` or of fewer values; a boolean; a
 * typed array by its elements; a {@link Random}. `u31` is a whole number from 0
 * to 2^31 - 1, `u15` one to 2^15 - 1: products of two of these fit 32 bits.
 */
export type ArgumentType =
  | "f64"
  | "f32"
  | "i32"
  | "u32"
  | "u31"
  | "u15"
  | "bool"
  | "random"
  | `${ArrayElement}[]`;

/** A typed array that compiled functions read and write. */
export type JitArray =
  | Float64Array<ArrayBufferLike>
  | Float32Array<ArrayBufferLike>
  | Int32Array<ArrayBufferLike>
  | Uint32Array<ArrayBufferLike>
  | Int16Array<ArrayBufferLike>
  | Uint16Array<ArrayBufferLike>
  | Int8Array<ArrayBufferLike>
  | Uint8Array<ArrayBufferLike>;

const ARRAYS = {
  f64: Float64Array,
  f32: Float32Array,
  i32: Int32Array,
  u32: Uint32Array,
  i16: Int16Array,
  u16: Uint16Array,
  i8: Int8Array,
  u8: Uint8Array,
} as const;

const NUMBERS = {
  f64: ANY,
  f32: ANY_SINGLE,
  i32: ANY_INT,
  u32: ANY_UINT,
  u31: integers(0, INT_MAX),
  u15: integers(0, 32767),
  bool: ANY_BOOLEAN,
} as const;

const TYPES: readonly string[] = [
  ...Object.keys(NUMBERS),
  "random",
  ...Object.keys(ARRAYS).map((element) => `${element}[]`),
];

/** The class of arrays of an element. */
export function arrayClass(
  element: ArrayElement,
): new (length: number) => JitArray {
  return ARRAYS[element];
}

/** Whether something is a class of arrays that functions are compiled for. */
export function isJitArrayClass(type: unknown): boolean {
  return Object.values<unknown>(ARRAYS).includes(type);
}

/** The element of an array type; undefined of another type. */
export function elementOf(type: ArgumentType): ArrayElement | undefined {
  return type.endsWith("[]") ? type.slice(0, -2) as ArrayElement : undefined;
}

/** What a scalar of a type can be. */
export function valuesOf(type: ArgumentType): Value {
  return NUMBERS[type as keyof typeof NUMBERS];
}

/**
 * A signature from its readable form: a list, or a text such as
 * `"f64, i32, f64[]"`.
 *
 * @throws {TypeError} If it names a type that there is not.
 */
export function parseSignature(
  signature: string | readonly ArgumentType[],
): ArgumentType[] {
  const parts = typeof signature === "string"
    ? signature.trim().replace(/^\(|\)$/g, "").split(",")
      .map((part) => part.trim()).filter((part) => part !== "")
    : signature;
  if (!Array.isArray(parts)) {
    throw new TypeError(
      `jit: the signature is not a text or a list: got ${describe(signature)}`,
    );
  }
  return parts.map((part) => {
    if (TYPES.includes(part)) return part as ArgumentType;
    throw new TypeError(
      `jit: no such type in the signature: got "${part}": ` +
        `use ${TYPES.join(", ")}`,
    );
  });
}

/** The type of an argument, the narrowest; undefined if there is none. */
export function typeOfArgument(argument: unknown): ArgumentType | undefined {
  switch (typeof argument) {
    case "number":
      if ((argument | 0) !== argument || Object.is(argument, -0)) return "f64";
      return argument < 0 ? "i32" : argument < 32768 ? "u15" : "u31";
    case "boolean":
      return "bool";
    case "object":
      for (const [element, type] of Object.entries(ARRAYS)) {
        if (argument instanceof type) return `${element as ArrayElement}[]`;
      }
      return argument instanceof Random ? "random" : undefined;
    default:
      return undefined;
  }
}

/** Whether an argument is of a type; numbers may be narrower. */
export function accepts(type: ArgumentType, argument: unknown): boolean {
  if (type === "f64" || type === "f32") return typeof argument === "number";
  const value = NUMBERS[type as keyof typeof NUMBERS];
  if (value === undefined || value.kind === "boolean") {
    return typeOfArgument(argument) === type;
  }
  return typeof argument === "number" && Number.isInteger(argument) &&
    !Object.is(argument, -0) && argument >= value.lo && argument <= value.hi;
}

/** A few words on what was passed instead. */
export function describe(argument: unknown): string {
  if (typeof argument === "number") return `${argument}`;
  if (argument === null || argument === undefined) return `${argument}`;
  if (typeof argument !== "object") return `a ${typeof argument}`;
  return argument.constructor?.name ?? "an object";
}
