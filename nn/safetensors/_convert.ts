import type { DType } from "@heddle/tensor";
import { fail, quote } from "./error.ts";

/** Values as a tensor takes them. */
export interface Converted {
  /** In the bits of the type. */
  readonly values: Float32Array | Int32Array | Uint32Array | Uint8Array;
  /** Element type of the tensor. */
  readonly dtype: DType;
}

/** Values of `name`, of a type of the format, in the nearest type that we have. */
export function convert(
  name: string,
  dtype: string,
  bytes: Uint8Array,
): Converted {
  switch (dtype) {
    case "F32":
      return { values: viewAs(Float32Array, bytes), dtype: "float32" };
    case "I32":
      return { values: viewAs(Int32Array, bytes), dtype: "int32" };
    case "U32":
      return { values: viewAs(Uint32Array, bytes), dtype: "uint32" };
    case "BOOL":
      return { values: booleans(name, bytes), dtype: "bool" };
    case "F64":
      return { values: doubles(name, bytes), dtype: "float32" };
    case "F16":
      return floats(viewAs(Uint16Array, bytes), halfBits);
    case "BF16":
      return floats(viewAs(Uint16Array, bytes), (bits) => bits << 16);
    case "F8_E5M2":
      // A half float without its last eight bits.
      return floats(bytes, (bits) => halfBits(bits << 8));
    case "F8_E4M3":
      return floats(bytes, quarterBits);
    case "I64":
      return { values: longs(name, bytes), dtype: "int32" };
    case "U64":
      return { values: unsignedLongs(name, bytes), dtype: "uint32" };
    case "I16":
      return integers(viewAs(Int16Array, bytes));
    case "U16":
      return integers(viewAs(Uint16Array, bytes));
    case "I8":
      return integers(viewAs(Int8Array, bytes));
    case "U8":
      return integers(bytes);
    default:
      return fail(
        `${quote(name)}: ${dtype} has no tensor type: leave it out by \`only\``,
      );
  }
}

interface ArrayType<T> {
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBufferLike, offset: number, length: number): T;
}

/** The same bytes as numbers; copied if they do not lie on a boundary. */
function viewAs<T>(type: ArrayType<T>, bytes: Uint8Array): T {
  const size = type.BYTES_PER_ELEMENT;
  const { buffer, byteOffset, byteLength } = byteOffsetFits(bytes, size)
    ? bytes
    : bytes.slice();
  return new type(buffer, byteOffset, byteLength / size);
}

function byteOffsetFits(bytes: Uint8Array, size: number): boolean {
  return bytes.byteOffset % size === 0;
}

function integers(values: ArrayLike<number>): Converted {
  return { values: Int32Array.from(values), dtype: "int32" };
}

function booleans(name: string, bytes: Uint8Array): Uint8Array {
  const wrong = bytes.findIndex((byte) => byte > 1);
  if (wrong >= 0) {
    fail(`${quote(name)}: a BOOL must be 0 or 1: got ${bytes[wrong]}`);
  }
  return bytes;
}

function doubles(name: string, bytes: Uint8Array): Float32Array {
  return Float32Array.from(viewAs(Float64Array, bytes), (value) => {
    const rounded = Math.fround(value);
    if (Number.isFinite(value) && !Number.isFinite(rounded)) {
      fail(`${quote(name)}: ${value} is too large for float32`);
    }
    return rounded;
  });
}

/** int64 as two words, the low one first. */
function longs(name: string, bytes: Uint8Array): Int32Array {
  const words = viewAs(Int32Array, bytes);
  return Int32Array.from({ length: words.length / 2 }, (_, at) => {
    const low = words[2 * at]!;
    if (words[2 * at + 1] !== low >> 31) {
      const value = new DataView(bytes.buffer, bytes.byteOffset + 8 * at)
        .getBigInt64(0, true);
      fail(`${quote(name)}: ${value} does not fit int32`);
    }
    return low;
  });
}

function unsignedLongs(name: string, bytes: Uint8Array): Uint32Array {
  const words = viewAs(Uint32Array, bytes);
  return Uint32Array.from({ length: words.length / 2 }, (_, at) => {
    if (words[2 * at + 1] !== 0) {
      const value = new DataView(bytes.buffer, bytes.byteOffset + 8 * at)
        .getBigUint64(0, true);
      fail(`${quote(name)}: ${value} does not fit uint32`);
    }
    return words[2 * at]!;
  });
}

/** Narrow floats by the bits of the float32 that has the same value. */
function floats(
  narrow: Uint8Array | Uint16Array,
  widen: (bits: number) => number,
): Converted {
  const bits = new Uint32Array(narrow.length);
  for (let at = 0; at < narrow.length; at++) bits[at] = widen(narrow[at]!);
  return { values: new Float32Array(bits.buffer), dtype: "float32" };
}

/** 1 sign, 5 exponent and 10 fraction bits. */
function halfBits(bits: number): number {
  const sign = (bits & 0x8000) << 16;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign | floatBits(fraction * 2 ** -24);
  const wide = exponent === 0x1f ? 0xff : exponent - 15 + 127;
  return sign | (wide << 23) | (fraction << 13);
}

/** 1 sign, 4 exponent and 3 fraction bits; no infinity, one NaN. */
function quarterBits(bits: number): number {
  const sign = (bits & 0x80) << 24;
  const exponent = (bits >> 3) & 0xf;
  const fraction = bits & 0x7;
  if (exponent === 0) return sign | floatBits(fraction * 2 ** -9);
  if (exponent === 0xf && fraction === 0x7) return sign | 0x7fc00000;
  return sign | ((exponent - 7 + 127) << 23) | (fraction << 20);
}

const word = new DataView(new ArrayBuffer(4));

function floatBits(value: number): number {
  word.setFloat32(0, value);
  return word.getUint32(0);
}
