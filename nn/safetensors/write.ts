import {
  type DType,
  realize,
  type Tensor,
  type TensorData,
} from "@heddle/tensor";
import { MAX_HEADER_BYTES, METADATA_NAME } from "./header.ts";
import { quote } from "./error.ts";

/** The types in the order in which they lie in a file, the widest first. */
const STORED: readonly { readonly dtype: DType; readonly stored: string }[] = [
  { dtype: "float32", stored: "F32" },
  { dtype: "int32", stored: "I32" },
  { dtype: "uint32", stored: "U32" },
  { dtype: "bool", stored: "BOOL" },
];

/**
 * Makes a safetensors file. Equal tensors and metadata give equal bytes, in
 * whatever order they are named; values lie on boundaries of their size.
 *
 * @param tensors Tensors by name; what is not computed yet is, in one go.
 * @param metadata Text by name.
 * @returns The whole file.
 * @throws {TypeError} If a piece of metadata is no text.
 * @throws {RangeError} If a name is `__metadata__` or not Unicode, or the
 * header would be longer than readers take.
 *
 * @example
 * ```ts
 * import { Linear, readSafetensors, writeSafetensors } from "@heddle/nn";
 * import { assertEquals } from "@std/assert";
 *
 * const layer = new Linear(2, 3);
 * const bytes = await writeSafetensors(layer.stateDict());
 * const copy = new Linear(2, 3);
 * copy.loadStateDict(readSafetensors(bytes).tensors);
 * assertEquals(await copy.weight.data(), await layer.weight.data());
 * ```
 */
export async function writeSafetensors(
  tensors: Readonly<Record<string, Tensor>>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<Uint8Array> {
  checkNames(Object.keys(tensors), metadata);
  const sorted = STORED.flatMap(({ dtype, stored }) =>
    Object.keys(tensors).filter((name) => tensors[name]!.dtype === dtype)
      .sort().map((name) => ({ name, stored, values: tensors[name]! }))
  );
  const waiting = sorted.map(({ values }) => values)
    .filter((values) => !values.isComputed);
  if (waiting.length > 0) await realize(...waiting);
  // All at once: so they are of one moment, even while a loop trains on.
  const parts = await Promise.all(sorted.map(({ values }) => values.data()));
  let end = 0;
  const entries = sorted.map(({ name, stored, values }, at) => {
    const begin = end;
    end += parts[at]!.byteLength;
    return [name, {
      dtype: stored,
      shape: values.shape,
      data_offsets: [begin, end],
    }] as const;
  });
  const texts = Object.keys(metadata).sort()
    .map((name) => [name, metadata[name]!] as const);
  const header = encodeHeader(Object.fromEntries<unknown>([
    ...texts.length > 0
      ? [[METADATA_NAME, Object.fromEntries(texts)]] as const
      : [],
    ...entries,
  ]));
  return joinBytes(header, parts, end);
}

function checkNames(
  names: readonly string[],
  metadata: Readonly<Record<string, string>>,
): void {
  for (const name of names) {
    if (name !== METADATA_NAME && name.isWellFormed()) continue;
    throw new RangeError(
      `writeSafetensors: ${quote(name)} cannot be the name of a tensor`,
    );
  }
  for (const [name, text] of Object.entries(metadata)) {
    if (typeof text !== "string") {
      throw new TypeError(
        `writeSafetensors: metadata must be text: got ${quote(text)} for ` +
          quote(name),
      );
    }
    if (name.isWellFormed() && text.isWellFormed()) continue;
    throw new RangeError(
      `writeSafetensors: metadata is not Unicode: ${quote(name)}`,
    );
  }
}

/** Length and JSON, filled up with blanks to a multiple of 8 bytes. */
function encodeHeader(header: Readonly<Record<string, unknown>>): Uint8Array {
  const json = new TextEncoder().encode(JSON.stringify(header));
  const length = Math.ceil(json.length / 8) * 8;
  if (length > MAX_HEADER_BYTES) {
    throw new RangeError(
      `writeSafetensors: the header is too long: got ${length} bytes: at most ` +
        `${MAX_HEADER_BYTES}: shorten the metadata or split the file`,
    );
  }
  const bytes = new Uint8Array(8 + length).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true);
  bytes.set(json, 8);
  return bytes;
}

function joinBytes(
  header: Uint8Array,
  parts: readonly TensorData[],
  length: number,
): Uint8Array {
  const file = new Uint8Array(header.length + length);
  file.set(header);
  let at = header.length;
  for (const { buffer, byteOffset, byteLength } of parts) {
    file.set(new Uint8Array(buffer, byteOffset, byteLength), at);
    at += byteLength;
  }
  return file;
}
