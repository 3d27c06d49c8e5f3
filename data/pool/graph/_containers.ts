/** Whether values can be parts of it: an array, a plain object, a map or a set. */
export function isContainer(value: unknown): value is object {
  if (typeof value !== "object" || value === null) return false;
  if (
    Array.isArray(value) || value instanceof Map || value instanceof Set
  ) return true;
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** Its parts; those of a map are keys and values. */
export function partsOf(container: object): Iterable<unknown> {
  if (container instanceof Map) return [...container].flat(1);
  return container instanceof Set ? container : Object.values(container);
}

/**
 * A copy of a container.
 *
 * @param note Called with the copy before it has any parts.
 * @param copy Makes a part of the copy.
 */
export function copyContainer(
  container: object,
  note: (made: object) => void,
  copy: (part: unknown) => unknown,
): object {
  if (container instanceof Map) {
    const map = new Map();
    note(map);
    for (const [key, part] of container) map.set(copy(key), copy(part));
    return map;
  }
  if (container instanceof Set) {
    const set = new Set();
    note(set);
    for (const part of container) set.add(copy(part));
    return set;
  }
  const made = Array.isArray(container) ? new Array(container.length) : {};
  note(made);
  for (const [name, part] of Object.entries(container)) { // holes stay
    Object.defineProperty(made, name, {
      value: copy(part),
      configurable: true,
      enumerable: true,
      writable: true,
    });
  }
  return made;
}
