/**
 * A copy whose typed arrays lie in shared memory, as deep as arrays, plain
 * objects, maps and sets go. What lies there already stays itself.
 */
export function shareArrays<Value>(value: Value): Value {
  return share(value) as Value;
}

function share(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (ArrayBuffer.isView(value)) return shareView(value);
  if (Array.isArray(value)) return value.map(share);
  if (value instanceof Map) {
    return new Map([...value].map(([key, part]) => [share(key), share(part)]));
  }
  if (value instanceof Set) return new Set([...value].map(share));
  if (Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, part]) => [name, share(part)]),
  );
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
