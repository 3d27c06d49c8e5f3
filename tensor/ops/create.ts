import { checkDType, type DType, type TensorData, toDType } from "../dtype.ts";
import { hostSource } from "../device/runtime.ts";
import {
  broadcast,
  cast,
  constant,
  iota,
  map,
  parameter,
  positions,
} from "../graph/build.ts";
import { checkShape, formatShape, type Shape, sizeOf } from "../shape.ts";
import { requireTensor, Tensor } from "../tensor.ts";

/** What `tensor` takes: numbers or booleans, nested or in a typed array. */
export type TensorValues =
  | number
  | boolean
  | readonly TensorValues[]
  | TensorData
  | Float64Array
  | Int8Array
  | Int16Array
  | Uint16Array
  | Uint8ClampedArray;

/** How a tensor is made from values. */
export interface TensorOptions {
  /**
   * Sizes of the axes.
   * @default the nesting of the values
   */
  readonly shape?: Shape;
  /**
   * Element type.
   * @default float32 for numbers, bool for booleans, that of a 32-bit typed
   * array, int32 for narrower integers
   */
  readonly dtype?: DType;
  /**
   * Whether `backward()` leaves its gradient in `grad`.
   * @default false
   */
  readonly requiresGrad?: boolean;
}

/** The type of a created tensor. */
export interface TypeOptions {
  /**
   * Element type.
   * @default "float32"
   */
  readonly dtype?: DType;
}

type NumberArray = Exclude<
  TensorValues,
  number | boolean | readonly TensorValues[]
>;

function isTypedArray(values: unknown): values is NumberArray {
  return ArrayBuffer.isView(values) && !(values instanceof DataView);
}

/**
 * Makes a tensor from values, which are copied.
 *
 * @param values A number, nested arrays of equal lengths, or a typed array.
 * @param options Shape, type, and whether it is a variable.
 * @returns The tensor, not yet on a device.
 * @throws {RangeError} If nested arrays are ragged, or the shape has another
 * number of elements.
 * @throws {TypeError} If a value is no number or boolean, or a variable is not
 * float32.
 *
 * @example Nested arrays and typed arrays
 * ```ts
 * import { tensor } from "@heddle/tensor";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(tensor([[1, 2, 3], [4, 5, 6]]).shape, [2, 3]);
 * assertEquals(tensor(new Int32Array([1, 2])).dtype, "int32");
 * ```
 */
export function tensor(
  values: TensorValues,
  options: TensorOptions = {},
): Tensor {
  const found = flattenValues(values);
  const dtype = options.dtype ?? found.dtype;
  checkDType("tensor", dtype);
  const shape = [...options.shape ?? found.shape];
  checkShape("tensor", shape);
  if (sizeOf(shape) !== found.values.length) {
    throw new RangeError(
      `tensor: the shape does not fit the values: got ${
        formatShape(shape)
      } for ${found.values.length} values`,
    );
  }
  if (options.requiresGrad && dtype !== "float32") {
    throw new TypeError(
      `tensor: only float32 has gradients: got ${dtype} with requiresGrad`,
    );
  }
  const words = encodeWords(found.values, dtype);
  const result = new Tensor(hostSource(words, shape, dtype));
  return options.requiresGrad ? result.asVariable() : result;
}

function flattenValues(
  values: TensorValues,
): { values: ArrayLike<number>; shape: number[]; dtype: DType } {
  if (isTypedArray(values)) {
    return { values, shape: [values.length], dtype: typeOfArray(values) };
  }
  const shape: number[] = [];
  for (let at: unknown = values; Array.isArray(at); at = at[0]) {
    shape.push(at.length);
    if (at.length === 0) break;
  }
  const flat: number[] = [];
  let booleans = 0;
  const visit = (value: unknown, axis: number): void => {
    if (Array.isArray(value) && axis < shape.length) {
      if (value.length !== shape[axis]) {
        throw new RangeError(
          `tensor: ragged nesting: got ${value.length} values beside ${
            shape[axis]
          } on axis ${axis}`,
        );
      }
      for (const part of value) visit(part, axis + 1);
      return;
    }
    if (axis < shape.length || Array.isArray(value)) {
      throw new RangeError(
        `tensor: ragged nesting: some values lie deeper than others`,
      );
    }
    if (typeof value === "boolean") booleans++;
    else if (typeof value !== "number") {
      throw new TypeError(
        `tensor: values must be numbers or booleans: got ${
          value === null ? "null" : typeof value
        }`,
      );
    }
    flat.push(Number(value));
  };
  visit(values, 0);
  const dtype = booleans > 0 && booleans === flat.length ? "bool" : "float32";
  return { values: flat, shape, dtype };
}

function typeOfArray(values: NumberArray): DType {
  if (values instanceof Float32Array || values instanceof Float64Array) {
    return "float32";
  }
  return values instanceof Uint32Array ? "uint32" : "int32";
}

function encodeWords(values: ArrayLike<number>, dtype: DType): ArrayBufferView {
  if (dtype === "float32") return Float32Array.from(values);
  const words = dtype === "int32"
    ? new Int32Array(values.length)
    : new Uint32Array(values.length);
  for (let at = 0; at < values.length; at++) {
    words[at] = toDType(values[at]!, dtype);
  }
  return words;
}

/**
 * One value everywhere; takes no memory until it is needed.
 *
 * @param shape Sizes of the axes.
 * @param value The value.
 * @param options Element type.
 * @throws {RangeError} If the shape is not one.
 */
export function full(
  shape: Shape,
  value: number,
  options: TypeOptions = {},
): Tensor {
  return filledWith("full", shape, value, options);
}

function filledWith(
  operation: string,
  shape: Shape,
  value: number,
  options: TypeOptions,
): Tensor {
  checkShape(operation, shape);
  const dtype = options.dtype ?? "float32";
  checkDType(operation, dtype);
  const whole = Number.isInteger(value) && Math.abs(value) <= 16;
  const node = whole ? constant(value, dtype) : parameter(value, dtype);
  return new Tensor(broadcast(node, [...shape]));
}

/** Zeros of a shape. */
export function zeros(shape: Shape, options: TypeOptions = {}): Tensor {
  return filledWith("zeros", shape, 0, options);
}

/** Ones of a shape. */
export function ones(shape: Shape, options: TypeOptions = {}): Tensor {
  return filledWith("ones", shape, 1, options);
}

/** One value in the shape and type of another tensor. */
export function fullLike(x: Tensor, value: number): Tensor {
  return likeOf("fullLike", x, value);
}

/** Zeros in the shape and type of another tensor. */
export function zerosLike(x: Tensor): Tensor {
  return likeOf("zerosLike", x, 0);
}

/** Ones in the shape and type of another tensor. */
export function onesLike(x: Tensor): Tensor {
  return likeOf("onesLike", x, 1);
}

function likeOf(operation: string, x: Tensor, value: number): Tensor {
  requireTensor(operation, x);
  return filledWith(operation, x.shape, value, { dtype: x.dtype });
}

/**
 * Evenly spaced values from `start` up to, without, `end`; with one argument
 * from 0 up to it.
 *
 * @param start First value, or the end if it stands alone.
 * @param end Where to stop; itself left out.
 * @param step Distance, not 0.
 * @param options Element type; int32 if all three are whole numbers.
 * @throws {RangeError} If the step is 0 or a number is not finite.
 */
export function arange(
  start: number,
  end?: number,
  step: number = 1,
  options: TypeOptions = {},
): Tensor {
  const [from, to] = end === undefined ? [0, start] : [start, end];
  if (step === 0 || ![from, to, step].every(Number.isFinite)) {
    throw new RangeError(
      `arange: needs finite numbers and a step that is not 0: got ${from}, ${to}, ${step}`,
    );
  }
  const count = Math.max(0, Math.ceil((to - from) / step));
  checkShape("arange", [count]);
  const whole = [from, to, step].every(Number.isInteger);
  const dtype = options.dtype ?? (whole ? "int32" : "float32");
  const inner = whole ? "int32" : "float32";
  const spread = (value: number) => broadcast(parameter(value, inner), [count]);
  const index = cast(iota(count), inner);
  const values = map("add", [map("mul", [index, spread(step)]), spread(from)]);
  return new Tensor(cast(values, dtype));
}

/**
 * `count` evenly spaced float32 values from `start` to `end`, both included; a
 * single one is `start`.
 *
 * @throws {RangeError} If the count is not a whole number >= 0.
 */
export function linspace(start: number, end: number, count: number): Tensor {
  checkShape("linspace", [count]);
  const step = count > 1 ? (end - start) / (count - 1) : 0;
  const spread = (value: number) =>
    broadcast(parameter(value, "float32"), [count]);
  const index = cast(iota(count), "float32");
  // From both ends, so that the last value is exactly `end`.
  const back = map("sub", [index, spread(count - 1)]);
  const low = map("add", [map("mul", [index, spread(step)]), spread(start)]);
  const high = map("add", [map("mul", [back, spread(step)]), spread(end)]);
  const half = map("le", [map("add", [index, index]), spread(count - 1)]);
  return new Tensor(map("where", [half, low, high]));
}

/** The identity matrix, or its first `cols` columns, as float32. */
export function eye(rows: number, cols: number = rows): Tensor {
  checkShape("eye", [rows, cols]);
  const same = map("eq", [
    positions([rows, cols], 0),
    positions([rows, cols], 1),
  ]);
  return new Tensor(cast(same, "float32"));
}
