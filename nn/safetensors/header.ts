/**
 * The header of a safetensors file: the number of bytes that it takes as 64
 * bits, little-endian, then JSON with type, shape and place of each tensor.
 * The data follow without gaps.
 *
 * @module
 */

import type { Shape } from "@heddle/tensor";
import { isRecord, parseStrictJson } from "./_strict_json.ts";
import { fail, quote } from "./error.ts";

/** What a file says about one tensor. */
export interface SafetensorsInfo {
  /** Element type, as the format names it: `F32`, `BF16`, `I64`, … */
  readonly dtype: string;
  /** Sizes of the axes. */
  readonly shape: Shape;
  /** Where the values are: first byte and the one behind the last. */
  readonly range: readonly [begin: number, end: number];
}

/** What a file says about itself. */
export interface SafetensorsHeader {
  /** Type, shape and place of each tensor, by name. */
  readonly tensors: Readonly<Record<string, SafetensorsInfo>>;
  /** Text by name. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** More than this no reader of the format takes. */
export const MAX_HEADER_BYTES = 100_000_000;
/** The name that stands for no tensor. */
export const METADATA_NAME = "__metadata__";
const LENGTH_BYTES = 8;

/** Bits of an element of each type that the format knows. */
const BITS: ReadonlyMap<string, number> = new Map([
  ["BOOL", 8],
  ["F4", 4],
  ["F6_E2M3", 6],
  ["F6_E3M2", 6],
  ["U8", 8],
  ["I8", 8],
  ["F8_E5M2", 8],
  ["F8_E4M3", 8],
  ["F8_E8M0", 8],
  ["I16", 16],
  ["U16", 16],
  ["F16", 16],
  ["BF16", 16],
  ["I32", 32],
  ["U32", 32],
  ["F32", 32],
  ["C64", 64],
  ["F64", 64],
  ["I64", 64],
  ["U64", 64],
]);

/**
 * Reads and checks the header of a safetensors file, without its values.
 *
 * @param bytes The whole file.
 * @throws {SafetensorsError} If the file is damaged in any way.
 *
 * @example
 * ```ts
 * import { readSafetensorsHeader, writeSafetensors } from "@heddle/nn";
 * import { ones } from "@heddle/tensor";
 * import { assertEquals } from "@std/assert";
 *
 * const bytes = await writeSafetensors({ weight: ones([2, 3]) });
 * const { weight } = readSafetensorsHeader(bytes).tensors;
 * assertEquals([weight!.dtype, weight!.shape], ["F32", [2, 3]]);
 * ```
 */
export function readSafetensorsHeader(bytes: Uint8Array): SafetensorsHeader {
  const { record, dataBegin } = parseHeader(bytes);
  const { [METADATA_NAME]: metadata = {}, ...entries } = record;
  const tensors = Object.entries(entries).map(([name, entry]) => {
    if (!name.isWellFormed()) fail(`a name is not Unicode: ${quote(name)}`);
    return [name, readInfo(name, entry)] as const;
  });
  checkLayout(tensors, bytes.length - dataBegin);
  const placed = tensors.map(([name, { range: [begin, end], ...info }]) =>
    [name, { ...info, range: [dataBegin + begin, dataBegin + end] }] as const
  );
  return {
    tensors: Object.fromEntries<SafetensorsInfo>(placed),
    metadata: readMetadata(metadata),
  };
}

function parseHeader(
  bytes: Uint8Array,
): { record: Record<string, unknown>; dataBegin: number } {
  if (bytes.length < LENGTH_BYTES) {
    fail(
      `the file is cut off: got ${bytes.length} bytes: the length of the ` +
        `header alone takes ${LENGTH_BYTES}`,
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = view.getBigUint64(0, true);
  if (length > MAX_HEADER_BYTES) {
    fail(
      `the header is too long: got ${length} bytes: at most ` +
        `${MAX_HEADER_BYTES}: it may be no safetensors file`,
    );
  }
  const dataBegin = LENGTH_BYTES + Number(length);
  if (dataBegin > bytes.length) {
    fail(
      `the file is cut off: its header takes ${length} bytes: ` +
        `${bytes.length - LENGTH_BYTES} are there`,
    );
  }
  const text = decodeUtf8(bytes.subarray(LENGTH_BYTES, dataBegin));
  if (!text.startsWith("{")) {
    fail(`the header does not begin with {: got ${quote(text.slice(0, 8))}`);
  }
  return { record: parseStrictJson(text), dataBegin };
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
      .decode(bytes);
  } catch {
    return fail("the header is not UTF-8");
  }
}

function readMetadata(metadata: unknown): Record<string, string> {
  if (!isRecord(metadata)) {
    fail(`${METADATA_NAME} is no object: got ${quote(metadata)}`);
  }
  const entries = Object.entries(metadata).map(([name, text]) => {
    if (typeof text !== "string") {
      fail(`${METADATA_NAME}: ${quote(name)} is no text: got ${quote(text)}`);
    }
    return [name, text] as const;
  });
  return Object.fromEntries(entries);
}

/** What the header says of a tensor; its place is that among the data. */
function readInfo(name: string, entry: unknown): SafetensorsInfo {
  const wrong = (problem: string) => fail(`${quote(name)}: ${problem}`);
  if (!isRecord(entry)) return wrong(`is no object: got ${quote(entry)}`);
  const { dtype, shape, data_offsets: offsets } = entry;
  const bits = typeof dtype === "string" ? BITS.get(dtype) : undefined;
  if (typeof dtype !== "string" || bits === undefined) {
    return wrong(`unknown dtype: got ${quote(dtype)}`);
  }
  if (!isSizes(shape)) {
    return wrong(`the shape must be whole numbers >= 0: got ${quote(shape)}`);
  }
  if (!isSizes(offsets) || offsets.length !== 2) {
    return wrong(
      `data_offsets must be two whole numbers >= 0: got ${quote(offsets)}`,
    );
  }
  const [begin, end] = offsets as unknown as readonly [number, number];
  if (begin > end) wrong(`data_offsets are reversed: got ${quote(offsets)}`);
  const size = shape.includes(0) ? 0 : shape.reduce((a, b) => a * b, 1);
  const bytes = size * bits / 8;
  if (!Number.isSafeInteger(size * bits)) {
    wrong(`the shape is too large: got ${quote(shape)}`);
  }
  if (end - begin !== bytes) {
    wrong(
      `${dtype} of shape ${quote(shape)} takes ${bytes} bytes: got ` +
        `${end - begin} by data_offsets`,
    );
  }
  return { dtype, shape, range: [begin, end] };
}

function isSizes(value: unknown): value is readonly number[] {
  return Array.isArray(value) &&
    value.every((size) => Number.isSafeInteger(size) && size >= 0);
}

/** The tensors must cover the data, each byte once. */
function checkLayout(
  tensors: readonly (readonly [string, SafetensorsInfo])[],
  length: number,
): void {
  const sorted = [...tensors].sort(([, { range: a }], [, { range: b }]) =>
    a[0] - b[0] || a[1] - b[1]
  );
  let covered = 0;
  for (const [name, { range: [begin, end] }] of sorted) {
    if (begin < covered) fail(`${quote(name)} overlaps another tensor`);
    if (begin > covered) {
      fail(`there is a gap of ${begin - covered} bytes before ${quote(name)}`);
    }
    if (end > length) {
      fail(
        `${quote(name)} ends at byte ${end} of ${length} bytes of data: the ` +
          "file is cut off, or its offsets are wrong",
      );
    }
    covered = end;
  }
  if (covered < length) {
    fail(`${length - covered} bytes behind the last tensor belong to none`);
  }
}
