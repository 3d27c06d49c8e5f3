import { sizeOf } from "./_host_array.ts";

/** The typed arrays that files and batches are made of. */
export type NumericArray =
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | Float32Array
  | Float64Array
  | BigInt64Array
  | BigUint64Array;

/**
 * Numbers in the memory of the host with their shape, row-major.
 *
 * Loaders give these and not tensors, so that reading, shuffling and batching
 * need no device; {@linkcode toTensor} turns one into a tensor.
 */
export interface HostArray<Data extends NumericArray = NumericArray> {
  /** The elements, row-major; as many as the product of `shape`. */
  readonly data: Data;
  /** Sizes along the axes; `[]` for a single number. */
  readonly shape: readonly number[];
}

/**
 * Joins elements and a shape, and checks that they agree.
 *
 * The elements are not copied.
 *
 * @param data The elements, row-major.
 * @param shape Sizes along the axes. Default: one axis, of `data`'s length.
 * @returns Both as one value.
 * @throws {RangeError} If a size is not a count, or the product of the sizes
 * is not the number of elements.
 *
 * @example Two rows of three
 * ```ts
 * import { hostArray } from "@heddle/data";
 * import { assertEquals } from "@std/assert";
 *
 * const rows = hostArray(Float32Array.of(1, 2, 3, 4, 5, 6), [2, 3]);
 * assertEquals(rows.shape, [2, 3]);
 * ```
 */
export function hostArray<Data extends NumericArray>(
  data: Data,
  shape: readonly number[] = [data.length],
): HostArray<Data> {
  const size = sizeOf("hostArray", shape);
  if (size !== data.length) {
    throw new RangeError(
      `hostArray: shape [${shape.join(", ")}] holds ${size} elements: got ` +
        `${data.length}: give sizes whose product is the number of elements`,
    );
  }
  return { data, shape: [...shape] };
}
