import type { Block } from "../wasm/allocator.ts";
import { jitMemory } from "./memory.ts";
import { describe, isJitArrayClass, type JitArray } from "./signature.ts";

/** The classes of arrays that compiled functions take. */
export type JitArrayClass =
  | Float64ArrayConstructor
  | Float32ArrayConstructor
  | Int32ArrayConstructor
  | Uint32ArrayConstructor
  | Int16ArrayConstructor
  | Uint16ArrayConstructor
  | Int8ArrayConstructor
  | Uint8ArrayConstructor;

/** An array in the memory of compiled functions, until it is disposed of. */
export type LastingArray<C extends JitArrayClass> =
  & InstanceType<C>
  & Disposable;

/**
 * A typed array that compiled functions use where it lies: others are copied
 * for each call, and back if the function writes to them.
 *
 * It takes up memory until it is disposed of; it and parts of it must not be
 * used after that. Where memory cannot be shared, as in a page that is not
 * isolated, it is an array like any other.
 *
 * @param type `Float64Array`, or another class.
 * @param values How many elements, which are then 0, or the elements.
 * @throws {TypeError} If the class is another one, or there are no values.
 * @throws {RangeError} If there is not enough memory.
 *
 * @example A sum without a copy
 * ```ts
 * import { jit, jitArray } from "@heddle/tensor/jit";
 * import { assertEquals } from "@std/assert";
 *
 * const scale = jit((x: Float64Array, by: number) => {
 *   for (let i = 0; i < x.length; i++) x[i]! *= by;
 * });
 * using x = jitArray(Float64Array, [1, 2, 3]);
 * scale(x, 2);
 * assertEquals([...x], [2, 4, 6]);
 * ```
 */
export function jitArray<C extends JitArrayClass>(
  type: C,
  values: number | Iterable<number> | ArrayLike<number>,
): LastingArray<C> {
  if (!isJitArrayClass(type)) {
    throw new TypeError(
      `jitArray: not a class of arrays that are compiled for: got ${
        typeof type === "function" ? type.name : describe(type)
      }: pass Float64Array or another one`,
    );
  }
  if (values === null || values === undefined) {
    throw new TypeError(
      `jitArray: neither a length nor elements: got ${values}: pass one of both`,
    );
  }
  const memory = jitMemory();
  const list = typeof values === "number" ? undefined : Array.from(values);
  const length = list ? list.length : values as number;
  if (!Number.isInteger(length) || length < 0) {
    throw new RangeError(
      `jitArray: the length must be a whole number from 0: got ${
        describe(length)
      }`,
    );
  }
  let block: Block | undefined;
  let array: JitArray;
  if (memory.shared) {
    block = memory.take(length * type.BYTES_PER_ELEMENT);
    const View = type as new (
      buffer: ArrayBufferLike,
      byteOffset: number,
      length: number,
    ) => JitArray;
    array = new View(memory.memory.buffer, block.address, length);
    array.fill(0);
  } else array = new type(length);
  if (list) array.set(list);
  return Object.defineProperty(array, Symbol.dispose, {
    value: () => {
      if (block) memory.release(block);
      block = undefined;
    },
  }) as LastingArray<C>;
}
