import { copyContainer, isContainer } from "./_containers.ts";

/**
 * A copy whose typed arrays lie in shared memory, as deep as arrays, plain
 * objects, maps and sets go. What lies there already stays itself; what is the
 * same in two places is so in the copy.
 */
export function shareArrays<Value>(value: Value): Value {
  const copies = new Map<unknown, unknown>();
  const share = (part: unknown): unknown => {
    if (copies.has(part)) return copies.get(part);
    const note = (made: object) => void copies.set(part, made);
    if (ArrayBuffer.isView(part)) {
      const shared = shareView(part);
      note(shared);
      return shared;
    }
    const isCopied = isContainer(part) && Object.getPrototypeOf(part) !== null;
    return isCopied ? copyContainer(part, note, share) : part;
  };
  return share(value) as Value;
}

function shareView(view: ArrayBufferView): ArrayBufferView {
  const { buffer, byteOffset, byteLength } = view;
  if (buffer instanceof SharedArrayBuffer) return view;
  const shared = new SharedArrayBuffer(byteLength);
  new Uint8Array(shared).set(new Uint8Array(buffer, byteOffset, byteLength));
  const View = view.constructor as {
    new (buffer: SharedArrayBuffer): ArrayBufferView;
  };
  return new View(shared);
}
