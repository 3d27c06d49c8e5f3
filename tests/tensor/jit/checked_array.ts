import type { JitArray } from "@heddle/tensor/jit";

/** A view of an array that throws where a compiled function does. */
export function checkedArray<A extends JitArray>(array: A): A {
  const check = (key: string | symbol) => {
    if (typeof key !== "string" || key === "length") return;
    const at = Number(key);
    if (Number.isInteger(at) && at >= 0 && at < array.length) return;
    throw new RangeError(`index ${key} is out of range`);
  };
  return new Proxy(array, {
    get: (_, key) => {
      check(key);
      const value = Reflect.get(array, key);
      return typeof value === "function" ? value.bind(array) : value;
    },
    set: (_, key, to) => {
      check(key);
      return Reflect.set(array, key, to);
    },
  });
}
