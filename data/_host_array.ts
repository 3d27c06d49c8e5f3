import type { HostArray, NumericArray } from "./host_array.ts";

/** The number of elements in `shape`; refuses sizes past 2^53. */
export function sizeOf(operation: string, shape: readonly number[]): number {
  let size = 1;
  for (const length of shape) {
    if (!Number.isSafeInteger(length) || length < 0) {
      throw new RangeError(
        `${operation}: a size must be a whole number from 0: got ${length}`,
      );
    }
    // Zero wins over an overflow, as in NumPy.
    size = length === 0 || size === 0 ? 0 : size * length;
  }
  if (!Number.isSafeInteger(size)) {
    throw new RangeError(
      `${operation}: shape [${shape.join(", ")}] holds too many elements`,
    );
  }
  return size;
}

/** Whether `value` is one of the arrays of {@linkcode NumericArray}. */
export function isNumericArray(value: unknown): value is NumericArray {
  return ArrayBuffer.isView(value) && !(value instanceof DataView) &&
    !(value instanceof Uint8ClampedArray);
}

/** Whether `value` has the two fields of a {@linkcode HostArray}. */
export function isHostArray(value: unknown): value is HostArray {
  return typeof value === "object" && value !== null && "data" in value &&
    "shape" in value && isNumericArray(value.data) &&
    Array.isArray(value.shape);
}

/** An array of the same type as `like`. */
export function emptyLike<Data extends NumericArray>(
  like: Data,
  length: number,
): Data {
  const ArrayType = like.constructor as new (length: number) => Data;
  return new ArrayType(length);
}

/** The part of `array` at one index of its first axis, without a copy. */
export function rowOf<Data extends NumericArray>(
  array: HostArray<Data>,
  index: number,
): HostArray<Data> {
  const shape = array.shape.slice(1);
  const size = shape.reduce((product, length) => product * length, 1);
  const data = array.data.subarray(index * size, (index + 1) * size) as Data;
  return { data, shape };
}
