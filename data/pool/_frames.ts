/**
 * Messages over pipes: a length in four bytes, whom it is for in one, then the
 * structured clone.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { DefaultSerializer, deserialize } from "node:v8";

const LENGTH_BYTES = 4;
const HEADER_BYTES = LENGTH_BYTES + 1;

/** Whom a frame is for: the worker, or what hosts it. */
export type FrameKind = "worker" | "host";

const KINDS: readonly FrameKind[] = ["worker", "host"];

/** Node's, whose other methods its types do not name. */
interface Serializer {
  writeHeader(): void;
  writeValue(value: unknown): boolean;
  releaseBuffer(): Uint8Array;
  _writeHostObject(view: ArrayBufferView): void;
}

/** Node's would copy shared memory, and nobody would see it change. */
class FrameSerializer
  extends (DefaultSerializer as unknown as new () => Serializer) {
  override _writeHostObject(view: ArrayBufferView): void {
    if (view.buffer instanceof SharedArrayBuffer) {
      throw new TypeError("shared memory does not reach another process");
    }
    super._writeHostObject(view);
  }
}

/**
 * A message and its header.
 *
 * @throws {Error} If it holds what cannot be cloned, such as shared memory.
 */
export function toFrame(
  message: unknown,
  kind: FrameKind = "worker",
): Uint8Array<ArrayBuffer> {
  const serializer = new FrameSerializer();
  serializer.writeHeader();
  serializer.writeValue(message);
  const bytes = serializer.releaseBuffer();
  const frame = new Uint8Array(HEADER_BYTES + bytes.length);
  new DataView(frame.buffer).setUint32(0, bytes.length, true);
  frame[LENGTH_BYTES] = KINDS.indexOf(kind);
  frame.set(bytes, HEADER_BYTES);
  return frame;
}

/** The message of a frame without its header. */
export function fromFrame(bytes: Uint8Array): unknown {
  return deserialize(
    Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
  );
}

/** Takes bytes as they come and calls `onFrame` with whole ones. */
export function splitFrames(
  onFrame: (bytes: Uint8Array<ArrayBuffer>, kind: FrameKind) => void,
): (bytes: Uint8Array) => void {
  const header = new Uint8Array(HEADER_BYTES);
  let filled = 0;
  let body: Uint8Array<ArrayBuffer> | undefined;
  return (bytes) => {
    while (bytes.length > 0 || body?.length === filled) {
      const into: Uint8Array = body ?? header;
      const part = bytes.subarray(0, into.length - filled);
      into.set(part, filled);
      filled += part.length;
      bytes = bytes.subarray(part.length);
      if (filled < into.length) return;
      filled = 0;
      if (body) {
        onFrame(body, KINDS[header[LENGTH_BYTES]!]!);
        body = undefined;
      } else {
        body = new Uint8Array(new DataView(header.buffer).getUint32(0, true));
      }
    }
  };
}
