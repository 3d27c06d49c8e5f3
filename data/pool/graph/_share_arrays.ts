/**
 * A copy whose typed arrays lie in shared memory, as deep as arrays, plain
 * objects, maps and sets go. What lies there already stays itself; what is the
 * same in two places is so in the copy.
 */
export function shareArrays<Value>(value: Value): Value {
  const copies = new Map<unknown, unknown>();
  /** Known before it has its parts, which may have it as a part. */
  const made = <Copy>(part: object, copy: Copy): Copy => {
    copies.set(part, copy);
    return copy;
  };
  const share = (part: unknown): unknown => {
    if (typeof part !== "object" || part === null) return part;
    if (copies.has(part)) return copies.get(part);
    if (ArrayBuffer.isView(part)) return made(part, shareView(part));
    if (part instanceof Map) {
      const map = made(part, new Map());
      for (const [key, inner] of part) map.set(share(key), share(inner));
      return map;
    }
    if (part instanceof Set) {
      const set = made(part, new Set());
      for (const inner of part) set.add(share(inner));
      return set;
    }
    if (Array.isArray(part)) {
      const list: unknown[] = made(part, new Array(part.length));
      part.forEach((inner, at) => list[at] = share(inner)); // holes stay
      return list;
    }
    if (Object.getPrototypeOf(part) !== Object.prototype) return part;
    const copy = made(part, {});
    for (const [name, inner] of Object.entries(part)) {
      Object.defineProperty(copy, name, {
        value: share(inner),
        configurable: true,
        enumerable: true,
        writable: true,
      });
    }
    return copy;
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
