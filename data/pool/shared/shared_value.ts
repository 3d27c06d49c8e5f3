import { handleOf } from "./_handle.ts";
import {
  SharedArray,
  type SharedArrayHandle,
  type SharedDtype,
  type SharedElement,
} from "./shared_array.ts";

/**
 * One number in memory that threads share: a {@linkcode SharedArray} of one.
 *
 * @typeParam Dtype The type of the number.
 *
 * @example A counter
 * ```ts
 * import { SharedValue } from "@heddle/data/pool";
 * import { assertEquals } from "@std/assert";
 *
 * const done = new SharedValue("int32");
 * done.add(2);
 * assertEquals(done.value, 2);
 * ```
 */
export class SharedValue<Dtype extends SharedDtype = SharedDtype> {
  /** Its memory, for messages. */
  readonly handle: SharedArrayHandle<Dtype>;
  readonly #array: SharedArray<Dtype>;

  /**
   * A new value.
   *
   * @param dtype The type of the number; or the memory of another value, to be
   * the same.
   * @param value What it is at first.
   * @default value 0
   * @throws {TypeError} If `dtype` is unknown.
   */
  constructor(
    dtype: Dtype | SharedArrayHandle<Dtype>,
    value?: SharedElement<Dtype>,
  ) {
    this.#array = new SharedArray(dtype, value === undefined ? 1 : [value]);
    this.handle = { ...this.#array.handle, kind: "SharedValue" };
  }

  /**
   * The value that another thread sent.
   *
   * @param clone What arrived.
   * @returns The same value, for this thread.
   * @throws {TypeError} If it was no shared value.
   */
  static from<Dtype extends SharedDtype>(
    clone: { readonly handle: SharedArrayHandle<Dtype> },
  ): SharedValue<Dtype> {
    return new SharedValue(handleOf("SharedValue", clone));
  }

  /** The type of the number. */
  get dtype(): Dtype {
    return this.handle.dtype;
  }

  /** The number; `value += 1` is two steps: use `add(1)`. */
  get value(): SharedElement<Dtype> {
    return this.#array.get(0);
  }

  /** Writes the number. */
  set value(value: SharedElement<Dtype>) {
    this.#array.set(0, value);
  }

  /**
   * Adds to it.
   *
   * @param value What to add.
   * @returns The number before.
   */
  add(value: SharedElement<Dtype>): SharedElement<Dtype> {
    return this.#array.add(0, value);
  }

  /**
   * Writes it.
   *
   * @param value The new number.
   * @returns The number before.
   */
  exchange(value: SharedElement<Dtype>): SharedElement<Dtype> {
    return this.#array.exchange(0, value);
  }

  /**
   * Writes it if it has a certain value.
   *
   * @param expected The value it must have.
   * @param value The new number.
   * @returns The number before: `expected` if it was written.
   */
  compareExchange(
    expected: SharedElement<Dtype>,
    value: SharedElement<Dtype>,
  ): SharedElement<Dtype> {
    return this.#array.compareExchange(0, expected, value);
  }
}
