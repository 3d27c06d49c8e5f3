import { type DType, type Tensor, tensor } from "@heddle/tensor";
import { isHostArray } from "./_host_array.ts";
import type { HostArray, NumericArray } from "./host_array.ts";

/** How a host array becomes a tensor. */
export interface ToTensorOptions {
  /**
   * The element type of the tensor.
   *
   * @default float32 for Float32Array and Float64Array, uint32 for Uint32Array,
   * bool for booleans of NumPy, else int32
   */
  readonly dtype?: DType | undefined;
}

/**
 * Makes a tensor of a host array.
 *
 * @param array Elements and shape; the elements are copied.
 * @param options The element type.
 * @returns A tensor of that shape.
 * @throws {RangeError} If a 64-bit integer does not fit in int32.
 *
 * @example Bytes as floats
 * ```ts
 * import { hostArray, toTensor } from "@heddle/data";
 * import { assertEquals } from "@std/assert";
 *
 * const pixels = toTensor(hostArray(Uint8Array.of(0, 51, 255)), {
 *   dtype: "float32",
 * });
 * assertEquals(await pixels.data(), Float32Array.of(0, 51, 255));
 * ```
 */
export function toTensor(
  array: HostArray,
  options: ToTensorOptions = {},
): Tensor {
  const { data, shape } = array;
  const dtype = options.dtype ?? dtypeOf(array);
  return tensor(isBig(data) ? fromBig(data) : data, { shape, dtype });
}

/** A batch with tensors in place of its host arrays. */
export type Tensors<Batch> = {
  readonly [Name in keyof Batch]: Batch[Name] extends HostArray ? Tensor
    : Batch[Name];
};

/**
 * Makes tensors of all host arrays of a batch; other fields stay as they are.
 *
 * @param batch A record, as a loader gives.
 * @returns A record with the same fields.
 * @throws {RangeError} If a 64-bit integer does not fit in int32.
 *
 * @example A loader of tensors
 * ```ts
 * import {
 *   columns,
 *   DataLoader,
 *   defaultCollate,
 *   hostArray,
 *   toTensors,
 * } from "@heddle/data";
 * import { assertEquals } from "@std/assert";
 *
 * const data = columns({
 *   x: hostArray(Float32Array.of(1, 2, 3, 4), [2, 2]),
 *   y: Int32Array.of(0, 1),
 * });
 * const loader = new DataLoader(data, {
 *   batchSize: 2,
 *   collate: (items) => toTensors(defaultCollate(items)),
 * });
 * for await (const { x, y } of loader) {
 *   assertEquals(x.shape, [2, 2]);
 *   assertEquals(y.dtype, "int32");
 * }
 * ```
 */
export function toTensors<Batch extends object>(batch: Batch): Tensors<Batch> {
  return Object.fromEntries(
    Object.entries(batch).map(([name, field]) => [
      name,
      isHostArray(field) ? toTensor(field) : field,
    ]),
  ) as Tensors<Batch>;
}

function dtypeOf(array: HostArray): DType {
  const { data } = array;
  if (data instanceof Float32Array || data instanceof Float64Array) {
    return "float32";
  }
  if (data instanceof Uint32Array) return "uint32";
  return "dtype" in array && array.dtype === "bool" ? "bool" : "int32";
}

type BigArray = BigInt64Array | BigUint64Array;

function isBig(data: NumericArray): data is BigArray {
  return data instanceof BigInt64Array || data instanceof BigUint64Array;
}

function fromBig(data: BigArray): Int32Array {
  const values = new Int32Array(data.length);
  for (const [index, value] of data.entries()) {
    if (value !== BigInt.asIntN(32, value)) {
      throw new RangeError(
        `toTensor: element ${index} does not fit in int32: got ${value}`,
      );
    }
    values[index] = Number(value);
  }
  return values;
}
