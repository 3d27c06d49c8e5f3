import { sizeOf } from "./_host_array.ts";
import { BIG_ENDIAN, swapEnds } from "./_byte_order.ts";
import { gunzip, gunzipLimit, isGzip } from "./_gzip.ts";
import type { HostArray } from "./host_array.ts";

/** The element types that an idx file can hold. */
export type IdxData =
  | Uint8Array
  | Int8Array
  | Int16Array
  | Int32Array
  | Float32Array
  | Float64Array;

/** Element type codes: the third byte of the file. */
const TYPES = {
  0x08: Uint8Array,
  0x09: Int8Array,
  0x0b: Int16Array,
  0x0c: Int32Array,
  0x0d: Float32Array,
  0x0e: Float64Array,
} as const;

interface Header {
  readonly code: keyof typeof TYPES;
  readonly shape: readonly number[];
  /** Bytes before the elements. */
  readonly headerBytes: number;
  /** Bytes of the whole file. */
  readonly totalBytes: number;
}

/**
 * Reads the content of an idx file, plain or gzipped: the format of MNIST.
 *
 * Two zero bytes, a type code, the number of axes, their sizes and the elements
 * row-major, all big-endian. A file that ends early, goes on after its last
 * element or promises more than it can hold is refused before memory is taken.
 *
 * @param bytes The content of the file. Bytes of a plain uint8 file are shared,
 * not copied.
 * @param source What error messages call it. Default "the data".
 * @returns The elements in the type of the file, and their shape.
 * @throws {TypeError} If it is not an idx file or has an unknown type code.
 * @throws {RangeError} If the bytes are fewer or more than the header says.
 *
 * @example A vector of two int16
 * ```ts
 * import { parseIdx } from "@heddle/data";
 * import { assertEquals } from "@std/assert";
 *
 * const bytes = Uint8Array.of(0, 0, 0x0b, 1, 0, 0, 0, 2, 1, 0, 255, 255);
 * const { data, shape } = await parseIdx(bytes);
 * assertEquals(shape, [2]);
 * assertEquals(data, Int16Array.of(256, -1));
 * ```
 */
export async function parseIdx(
  bytes: Uint8Array,
  source: string = "the data",
): Promise<HostArray<IdxData>> {
  if (isGzip(bytes)) return await parseGzipped(bytes, source);
  const header = readHeader(bytes, source);
  if (header === undefined) throw truncated(source, bytes.length, undefined);
  if (bytes.length < header.totalBytes) {
    throw truncated(source, bytes.length, header);
  }
  if (bytes.length > header.totalBytes) throw trailing(source, header);
  return decode(bytes, header);
}

/**
 * Reads an idx file, plain or gzipped: see {@linkcode parseIdx}.
 *
 * @param path The file.
 * @returns The elements in the type of the file, and their shape.
 * @throws {TypeError} If it is not an idx file or has an unknown type code.
 * @throws {RangeError} If the bytes are fewer or more than the header says.
 */
export async function readIdx(path: string): Promise<HostArray<IdxData>> {
  return await parseIdx(await Deno.readFile(path), path);
}

/**
 * Writes an array in the idx format, for {@linkcode parseIdx}.
 *
 * @param array Elements and shape, of at most 255 axes.
 * @returns The content of a file, not compressed.
 * @throws {TypeError} If the element type has no idx code.
 * @throws {RangeError} If the shape does not fit.
 *
 * @example There and back
 * ```ts
 * import { encodeIdx, hostArray, parseIdx } from "@heddle/data";
 * import { assertEquals } from "@std/assert";
 *
 * const labels = hostArray(Uint8Array.of(7, 2, 1));
 * assertEquals((await parseIdx(encodeIdx(labels))).data, labels.data);
 * ```
 */
export function encodeIdx(array: HostArray<IdxData>): Uint8Array<ArrayBuffer> {
  const { data, shape } = array;
  const found = Object.entries(TYPES).find(([, type]) => data instanceof type);
  if (found === undefined) {
    throw new TypeError(
      `encodeIdx: idx files have no type for ${data.constructor.name}`,
    );
  }
  if (shape.length > 255 || sizeOf("encodeIdx", shape) !== data.length) {
    throw new RangeError(
      `encodeIdx: shape [${shape.join(", ")}] does not hold ${data.length} ` +
        `elements on at most 255 axes`,
    );
  }
  const headerBytes = 4 + 4 * shape.length;
  const bytes = new Uint8Array(headerBytes + data.byteLength);
  bytes[2] = Number(found[0]);
  bytes[3] = shape.length;
  const view = new DataView(bytes.buffer);
  shape.forEach((length, axis) => view.setUint32(4 + 4 * axis, length));
  bytes.set(asBytes(data), headerBytes);
  if (!BIG_ENDIAN) {
    swapEnds(bytes.subarray(headerBytes), data.BYTES_PER_ELEMENT);
  }
  return bytes;
}

/** The header, or undefined where `bytes` end before it does. */
function readHeader(bytes: Uint8Array, source: string): Header | undefined {
  if (bytes.length < 4) return undefined;
  const [zero0, zero1, code, rank] = bytes as unknown as number[];
  if (zero0 !== 0 || zero1 !== 0) {
    throw new TypeError(
      `parseIdx: ${source} is not an idx file: it begins with bytes ` +
        `${zero0}, ${zero1}: an idx file begins with two zeros`,
    );
  }
  if (!isCode(code)) {
    throw new TypeError(
      `parseIdx: ${source} has element type code ${code}: known are 8, 9, ` +
        `11, 12, 13 and 14`,
    );
  }
  const headerBytes = 4 + 4 * rank!;
  if (bytes.length < headerBytes) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, headerBytes);
  const shape = Array.from(
    { length: rank! },
    (_, axis) => view.getUint32(4 + 4 * axis),
  );
  const size = sizeOf(`parseIdx: ${source}`, shape);
  const totalBytes = headerBytes + size * TYPES[code].BYTES_PER_ELEMENT;
  return { code, shape, headerBytes, totalBytes };
}

function isCode(code: number | undefined): code is keyof typeof TYPES {
  return code !== undefined && Object.hasOwn(TYPES, code);
}

async function parseGzipped(
  compressed: Uint8Array,
  source: string,
): Promise<HostArray<IdxData>> {
  let header: Header | undefined;
  let bytes = new Uint8Array(0);
  let length = 0;
  for await (const chunk of gunzip("parseIdx", source, compressed)) {
    if (length + chunk.length > bytes.length && header === undefined) {
      const grown = new Uint8Array(length + chunk.length);
      grown.set(bytes.subarray(0, length));
      bytes = grown;
    }
    if (header !== undefined && length + chunk.length > header.totalBytes) {
      throw trailing(source, header);
    }
    bytes.set(chunk, length);
    length += chunk.length;
    if (header !== undefined) continue;
    header = readHeader(bytes.subarray(0, length), source);
    if (header === undefined) continue;
    if (length > header.totalBytes) throw trailing(source, header);
    const limit = gunzipLimit(compressed.length);
    if (header.totalBytes > limit) {
      throw new RangeError(
        `parseIdx: ${source} promises ${header.totalBytes} bytes for shape ` +
          `[${header.shape.join(", ")}]: its ${compressed.length} gzipped ` +
          `bytes hold at most ${limit}: fetch it again`,
      );
    }
    const whole = new Uint8Array(header.totalBytes);
    whole.set(bytes.subarray(0, length));
    bytes = whole;
  }
  if (header === undefined || length < header.totalBytes) {
    throw truncated(source, length, header);
  }
  return decode(bytes, header);
}

function decode(bytes: Uint8Array, header: Header): HostArray<IdxData> {
  const { code, shape, headerBytes } = header;
  const content = bytes.subarray(headerBytes);
  if (code === 0x08) return { data: content, shape };
  // A copy of its own: aligned, and safe to turn around in place.
  const copy = content.slice();
  const ArrayType = TYPES[code];
  if (!BIG_ENDIAN) swapEnds(copy, ArrayType.BYTES_PER_ELEMENT);
  return { data: new ArrayType(copy.buffer), shape };
}

function truncated(
  source: string,
  length: number,
  header: Header | undefined,
): RangeError {
  return new RangeError(
    header === undefined
      ? `parseIdx: ${source} ends inside its header, after ${length} bytes: ` +
        `fetch it again`
      : `parseIdx: ${source} is truncated: shape [${header.shape.join(", ")}]` +
        ` needs ${header.totalBytes} bytes: got ${length}: fetch it again`,
  );
}

function trailing(source: string, header: Header): RangeError {
  return new RangeError(
    `parseIdx: ${source} goes on after its last element: shape ` +
      `[${header.shape.join(", ")}] ends at byte ${header.totalBytes}: ` +
      `fetch it again`,
  );
}

function asBytes(data: IdxData): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}
