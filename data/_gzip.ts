/** Whether the bytes begin as a gzip stream does. */
export function isGzip(bytes: Uint8Array): boolean {
  return bytes.length >= 2 && bytes[0] === 0x1f && bytes[1] === 0x8b;
}

/**
 * The most bytes that a gzip stream of this length can hold: a deflate block
 * spends at least two bits on 258 bytes. A header that promises more lies.
 */
export function gunzipLimit(compressedBytes: number): number {
  return compressedBytes * 1032 + 1032;
}

/** The content of a gzip stream in pieces, so that a reader can stop early. */
export async function* gunzip(
  operation: string,
  source: string,
  bytes: Uint8Array,
): AsyncGenerator<Uint8Array> {
  const plain = new Blob([bytes as Uint8Array<ArrayBuffer>]).stream()
    .pipeThrough(new DecompressionStream("gzip"));
  try {
    for await (const chunk of plain) yield chunk;
  } catch (cause) {
    throw new RangeError(
      `${operation}: ${source} is not a whole gzip file: ` +
        `${(cause as Error).message}: fetch it again`,
      { cause },
    );
  }
}

/** The pieces that a stream gives, as one array. */
export function concatBytes(chunks: readonly Uint8Array[]): Uint8Array {
  const length = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  const all = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}
