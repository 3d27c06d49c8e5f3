/**
 * Element types and how they mix.
 *
 * @module
 */

/** The element type of a tensor. A bool is stored as a 32-bit 0 or 1. */
export type DType = "float32" | "int32" | "uint32" | "bool";

/** What `data()` gives for each type: a bool reads back as bytes of 0 and 1. */
export interface TypedArrays {
  /** 32-bit floats. */
  float32: Float32Array;
  /** 32-bit signed integers. */
  int32: Int32Array;
  /** 32-bit unsigned integers. */
  uint32: Uint32Array;
  /** One byte an element, 0 or 1. */
  bool: Uint8Array;
}

/** Any array that `data()` can give. */
export type TensorData = TypedArrays[DType];

/** Bytes that one stored element takes on a device. */
export const BYTES_PER_ELEMENT = 4;

/** Bytes of a buffer of so many elements; a device has none without any. */
export function bufferBytes(size: number): number {
  return Math.max(size, 1) * BYTES_PER_ELEMENT;
}

const ORDER: readonly DType[] = ["bool", "uint32", "int32", "float32"];

/**
 * Checks a type that came from outside.
 *
 * @throws {TypeError} If there is no such type.
 */
export function checkDType(operation: string, dtype: DType): void {
  if (ORDER.includes(dtype)) return;
  throw new TypeError(
    `${operation}: no such type: got ${dtype}: use ${ORDER.join(", ")}`,
  );
}

/** Whether gradients flow through values of this type. */
export function isFloat(dtype: DType): boolean {
  return dtype === "float32";
}

/** Whether the type is int32 or uint32. */
export function isInteger(dtype: DType): boolean {
  return dtype === "int32" || dtype === "uint32";
}

/**
 * The type in which two operands meet: bool < uint32, int32 < float32.
 *
 * @throws {TypeError} If int32 meets uint32: neither holds the other.
 */
export function promote(operation: string, a: DType, b: DType): DType {
  if (a === b) return a;
  if (isInteger(a) && isInteger(b)) {
    throw new TypeError(
      `${operation}: int32 and uint32 do not mix: cast one of them first`,
    );
  }
  return ORDER.indexOf(a) > ORDER.indexOf(b) ? a : b;
}

/** The value as it is after a store to `dtype`: rounded, wrapped or tested. */
export function toDType(value: number, dtype: DType): number {
  switch (dtype) {
    case "float32":
      return Math.fround(value);
    case "int32":
      return saturate(value, -0x80000000, 0x7fffffff);
    case "uint32":
      return saturate(value, 0, 0xffffffff);
    case "bool":
      return value !== 0 ? 1 : 0;
    default:
      return dtype satisfies never;
  }
}

function saturate(value: number, low: number, high: number): number {
  if (Number.isNaN(value)) return 0;
  return Math.min(high, Math.max(low, Math.trunc(value)));
}

const words = new DataView(new ArrayBuffer(4));

/** The 32 bits that store `value` as `dtype`. */
export function encode(value: number, dtype: DType): number {
  if (dtype === "float32") {
    words.setFloat32(0, value);
    return words.getUint32(0);
  }
  return toDType(value, dtype) >>> 0;
}

/** The value that 32 stored bits hold as `dtype`. */
export function decode(bits: number, dtype: DType): number {
  if (dtype === "float32") {
    words.setUint32(0, bits);
    return words.getFloat32(0);
  }
  return dtype === "int32" ? bits | 0 : bits >>> 0;
}
