import { BIG_ENDIAN, swapEnds } from "./_byte_order.ts";
import { sizeOf } from "./_host_array.ts";
import { type HostArray, hostArray, type NumericArray } from "./host_array.ts";

/** The element types of NumPy that are read; float16 becomes float32. */
export type NpyDtype =
  | "bool"
  | "int8"
  | "uint8"
  | "int16"
  | "uint16"
  | "int32"
  | "uint32"
  | "int64"
  | "uint64"
  | "float16"
  | "float32"
  | "float64";

/** An array of a NumPy file, row-major. */
export interface NpyArray extends HostArray {
  /** Its element type in the file; of bool the data are 0 and 1. */
  readonly dtype: NpyDtype;
}

interface ArrayType {
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBuffer): NumericArray | Float16Array;
}

/** NumPy's code, without the byte order, and the array that holds it. */
const TYPES: Readonly<Record<NpyDtype, readonly [string, ArrayType]>> = {
  bool: ["b1", Uint8Array],
  int8: ["i1", Int8Array],
  uint8: ["u1", Uint8Array],
  int16: ["i2", Int16Array],
  uint16: ["u2", Uint16Array],
  int32: ["i4", Int32Array],
  uint32: ["u4", Uint32Array],
  int64: ["i8", BigInt64Array],
  uint64: ["u8", BigUint64Array],
  float16: ["f2", Float16Array],
  float32: ["f4", Float32Array],
  float64: ["f8", Float64Array],
};

const MAGIC = "\x93NUMPY";

/**
 * Reads the content of an `.npy` file: an array as NumPy's `save` writes it.
 *
 * Format versions 1 to 3, both byte orders, both orders of axes (a
 * column-major array is brought into row-major order):
 * https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html.
 * Pickled objects and records are refused.
 *
 * @param bytes The content of the file.
 * @param source What error messages call it. Default "the data".
 * @returns Elements, shape and element type.
 * @throws {TypeError} If it is not such a file, or of another element type.
 * @throws {RangeError} If the bytes are fewer or more than the header says.
 *
 * @example There and back
 * ```ts
 * import { encodeNpy, hostArray, parseNpy } from "@heddle/data";
 * import { assertEquals } from "@std/assert";
 *
 * const array = hostArray(Float32Array.of(1, 2, 3, 4), [2, 2]);
 * assertEquals(parseNpy(encodeNpy(array)), { ...array, dtype: "float32" });
 * ```
 */
export function parseNpy(
  bytes: Uint8Array,
  source: string = "the data",
): NpyArray {
  const { descr, columnMajor, shape, headerBytes } = readHeader(bytes, source);
  const dtype = dtypeOf(descr, source);
  const [, Type] = TYPES[dtype];
  const needed = sizeOf(`parseNpy: ${source}`, shape) * Type.BYTES_PER_ELEMENT;
  const got = bytes.length - headerBytes;
  if (got !== needed) {
    throw new RangeError(
      `parseNpy: ${source} has ${got} bytes of elements: ${dtype} ` +
        `[${shape.join(", ")}] needs ${needed}: fetch it again`,
    );
  }
  // A copy of its own: aligned, and safe to turn around in place.
  const content = bytes.slice(headerBytes) as Uint8Array<ArrayBuffer>;
  const storedBigEndian = descr.startsWith(">") ||
    (BIG_ENDIAN && !descr.startsWith("<"));
  if (storedBigEndian !== BIG_ENDIAN) swapEnds(content, Type.BYTES_PER_ELEMENT);
  const stored = new Type(content.buffer);
  const elements: NumericArray = stored instanceof Float16Array
    ? Float32Array.from(stored)
    : stored;
  if (dtype === "bool") {
    elements.forEach((value, index) => elements[index] = Number(value !== 0));
  }
  const data = columnMajor && shape.length > 1
    ? toRowMajor(elements, shape)
    : elements;
  return { data, shape, dtype };
}

/**
 * Writes an array as NumPy's `save` does, for `numpy.load` and
 * {@linkcode parseNpy}.
 *
 * @param array Elements and shape; `dtype: "bool"` marks a Uint8Array of 0 and 1
 * as booleans.
 * @returns The content of an `.npy` file.
 * @throws {TypeError} If `dtype` is "bool" for another array than a Uint8Array.
 * @throws {RangeError} If the shape does not fit the elements.
 */
export function encodeNpy(
  array: HostArray & { readonly dtype?: NpyDtype | undefined },
): Uint8Array<ArrayBuffer> {
  const { data, shape } = hostArray(array.data, array.shape);
  const bool = array.dtype === "bool";
  if (bool && !(data instanceof Uint8Array)) {
    throw new TypeError(
      `encodeNpy: booleans must be a Uint8Array: got ${data.constructor.name}`,
    );
  }
  const entry = bool
    ? TYPES.bool
    : Object.values(TYPES).find(([code, type]) =>
      code !== "b1" && data.constructor === type
    );
  if (entry === undefined) {
    throw new TypeError(
      `encodeNpy: NumPy has no element type for ${data.constructor.name}`,
    );
  }
  const order = data.BYTES_PER_ELEMENT === 1 ? "|" : BIG_ENDIAN ? ">" : "<";
  const sizes = shape.map((length) => `${length},`).join(" ");
  const tuple = shape.length === 1 ? `(${sizes})` : `(${sizes.slice(0, -1)})`;
  const dict = `{'descr': '${order}${entry[0]}', 'fortran_order': False, ` +
    `'shape': ${tuple}, }`;
  // Version 2 has a longer length field: shapes of thousands of axes need it.
  const lengthBytes = dict.length < 65_000 ? 2 : 4;
  const prefix = MAGIC.length + 2 + lengthBytes;
  const headerBytes = Math.ceil((prefix + dict.length + 1) / 64) * 64;
  const bytes = new Uint8Array(headerBytes + data.byteLength);
  const text = MAGIC + (lengthBytes === 2 ? "\x01" : "\x02") + "\x00" +
    "\x00".repeat(lengthBytes) + dict.padEnd(headerBytes - prefix - 1) + "\n";
  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at);
  const view = new DataView(bytes.buffer);
  const at = MAGIC.length + 2;
  if (lengthBytes === 2) view.setUint16(at, headerBytes - prefix, true);
  else view.setUint32(at, headerBytes - prefix, true);
  const content = bytes.subarray(headerBytes);
  content.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  return bytes;
}

function readHeader(bytes: Uint8Array, source: string): {
  descr: string;
  columnMajor: boolean;
  shape: readonly number[];
  headerBytes: number;
} {
  const latin1 = (from: number, to: number) =>
    String.fromCharCode(...bytes.subarray(from, to));
  if (latin1(0, 6) !== MAGIC || bytes.length < 12) {
    throw new TypeError(
      `parseNpy: ${source} is not an .npy file: it does not begin with NUMPY`,
    );
  }
  const version = bytes[6]!;
  if (version < 1 || version > 3) {
    throw new TypeError(
      `parseNpy: ${source} has format version ${version}: known are 1 to 3`,
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const begin = version === 1 ? 10 : 12;
  const length = version === 1
    ? view.getUint16(8, true)
    : view.getUint32(8, true);
  const headerBytes = begin + length;
  // NumPy itself refuses longer ones, as a guard against forged files.
  if (headerBytes > bytes.length || length > 100_000) {
    throw new RangeError(
      `parseNpy: ${source} has a header of ${length} bytes: the file has ` +
        `${bytes.length}, and a header at most 100000`,
    );
  }
  let text = "";
  for (let at = begin; at < headerBytes; at++) {
    text += String.fromCharCode(bytes[at]!);
  }
  const dict =
    /^\{'descr': '([^']*)', 'fortran_order': (True|False), 'shape': \(([\d, L]*)\),? *\}\s*$/
      .exec(text.replaceAll('"', "'"));
  if (dict === null) {
    throw new TypeError(
      `parseNpy: ${source} has a header that is not read: ` +
        `${text.trim().slice(0, 200)}: save plain numbers, no records`,
    );
  }
  const shape = dict[3]!.split(",").map((part) => part.replace("L", "").trim())
    .filter((part) => part !== "").map(Number);
  return {
    descr: dict[1]!,
    columnMajor: dict[2] === "True",
    shape,
    headerBytes,
  };
}

function dtypeOf(descr: string, source: string): NpyDtype {
  const code = /^[<>|=]/.test(descr) ? descr.slice(1) : descr;
  for (const [dtype, [known]] of Object.entries(TYPES)) {
    if (code === known) return dtype as NpyDtype;
  }
  throw new TypeError(
    `parseNpy: ${source} has element type ${descr}: save it as numbers of 8 ` +
      `to 64 bits, or booleans`,
  );
}

/** Turns an array whose first axis moves fastest into row-major order. */
function toRowMajor(
  data: NumericArray,
  shape: readonly number[],
): NumericArray {
  const moved = data.slice();
  const strides = shape.map((_, axis) =>
    shape.slice(0, axis).reduce((product, length) => product * length, 1)
  );
  const index = new Array<number>(shape.length).fill(0);
  let from = 0;
  for (let to = 0; to < data.length; to++) {
    moved[to] = data[from]!;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += strides[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      from -= strides[axis]! * shape[axis]!;
      index[axis] = 0;
    }
  }
  return moved;
}
