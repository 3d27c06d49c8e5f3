import { handleOf } from "./_handle.ts";

/** The typed array of each type of element, over shared memory. */
export interface SharedTypedArrays {
  /** 8 bits, signed. */
  int8: Int8Array<SharedArrayBuffer>;
  /** 8 bits, from 0. */
  uint8: Uint8Array<SharedArrayBuffer>;
  /** 16 bits, signed. */
  int16: Int16Array<SharedArrayBuffer>;
  /** 16 bits, from 0. */
  uint16: Uint16Array<SharedArrayBuffer>;
  /** 32 bits, signed. */
  int32: Int32Array<SharedArrayBuffer>;
  /** 32 bits, from 0. */
  uint32: Uint32Array<SharedArrayBuffer>;
  /** 64 bits, signed: bigint. */
  int64: BigInt64Array<SharedArrayBuffer>;
  /** 64 bits, from 0: bigint. */
  uint64: BigUint64Array<SharedArrayBuffer>;
  /** Floating point of 32 bits. */
  float32: Float32Array<SharedArrayBuffer>;
  /** Floating point of 64 bits. */
  float64: Float64Array<SharedArrayBuffer>;
}

/** What the elements of a {@linkcode SharedArray} are. */
export type SharedDtype = keyof SharedTypedArrays;

/** The value of one element. */
export type SharedElement<Dtype extends SharedDtype> = Dtype extends
  "int64" | "uint64" ? bigint : number;

/** The memory of a {@linkcode SharedArray}: what a message carries of it. */
export interface SharedArrayHandle<Dtype extends SharedDtype> {
  /** The name of its class. */
  readonly kind: "SharedArray" | "SharedValue";
  /** The type of its elements. */
  readonly dtype: Dtype;
  /** Its elements. */
  readonly data: SharedTypedArrays[Dtype];
}

/** An integer view, whose operations are atomic, and how to go through it. */
interface Cells {
  readonly bits: Int32Array | BigInt64Array;
  toBits(value: number | bigint): number | bigint;
  fromBits(bits: number | bigint): number | bigint;
}

const CONSTRUCTORS: {
  readonly [Dtype in SharedDtype]: {
    new (buffer: SharedArrayBuffer): SharedTypedArrays[Dtype];
    readonly BYTES_PER_ELEMENT: number;
  };
} = {
  int8: Int8Array,
  uint8: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int64: BigInt64Array,
  uint64: BigUint64Array,
  float32: Float32Array,
  float64: Float64Array,
};

/**
 * Numbers in memory that threads share.
 *
 * It goes to a pool's function as an argument, without a copy. A plain `Worker`
 * gets it by `postMessage(array)` and makes it one again with
 * `SharedArray.from()`.
 *
 * The methods are atomic: no thread sees half of a number, and no `add()` is
 * lost. `data` is the bare typed array, which is faster, for loops in which
 * threads keep apart, by a {@linkcode Lock} or by parts of their own.
 *
 * Integers wrap as in a typed array. `add()` on floats tries until no other
 * thread came between, so that sums depend on the order by their rounding.
 *
 * @typeParam Dtype The type of the elements.
 *
 * @example Counts of several threads
 * ```ts
 * import { SharedArray } from "@heddle/data/pool";
 * import { assertEquals } from "@std/assert";
 *
 * const counts = new SharedArray("int32", 3);
 * assertEquals(counts.add(1, 5), 0); // what was there before
 * const same = SharedArray.from(structuredClone(counts));
 * same.add(1, 2);
 * assertEquals([...counts.data], [0, 7, 0]);
 * ```
 */
export class SharedArray<Dtype extends SharedDtype = SharedDtype> {
  /** Its memory, for messages. */
  readonly handle: SharedArrayHandle<Dtype>;
  readonly #cells: Cells;

  /**
   * A new array.
   *
   * @param dtype The type of the elements; or the memory of another array, to
   * be the same.
   * @param from How many zeros, or the values.
   * @throws {TypeError} If `dtype` is unknown.
   * @throws {RangeError} If the length is out of range.
   */
  constructor(
    dtype: Dtype | SharedArrayHandle<Dtype>,
    from: number | ArrayLike<SharedElement<Dtype>> = 0,
  ) {
    this.handle = typeof dtype === "object" && dtype !== null ? dtype : {
      kind: "SharedArray",
      dtype,
      data: makeData("SharedArray", dtype, from),
    };
    this.#cells = cellsOf(this.handle.data);
  }

  /**
   * The array that another thread sent.
   *
   * @param clone What arrived.
   * @returns The same array, for this thread.
   * @throws {TypeError} If it was no shared array.
   */
  static from<Dtype extends SharedDtype>(
    clone: { readonly handle: SharedArrayHandle<Dtype> },
  ): SharedArray<Dtype> {
    return new SharedArray(handleOf("SharedArray", clone));
  }

  /** The type of the elements. */
  get dtype(): Dtype {
    return this.handle.dtype;
  }

  /** How many elements there are. */
  get length(): number {
    return this.handle.data.length;
  }

  /** The elements themselves. */
  get data(): SharedTypedArrays[Dtype] {
    return this.handle.data;
  }

  /**
   * Reads an element.
   *
   * @param index From 0.
   * @returns Its value.
   * @throws {RangeError} If `index` is out of range.
   */
  get(index: number): SharedElement<Dtype> {
    this.#checkIndex("get", index);
    const { bits, fromBits } = this.#cells;
    return fromBits(Atomics.load(bits as Int32Array, index)) as SharedElement<
      Dtype
    >;
  }

  /**
   * Writes an element.
   *
   * @param index From 0.
   * @param value Its new value.
   * @throws {RangeError} If `index` is out of range.
   */
  set(index: number, value: SharedElement<Dtype>): void {
    this.#checkIndex("set", index);
    const { bits, toBits } = this.#cells;
    Atomics.store(bits as Int32Array, index, toBits(value) as number);
  }

  /**
   * Adds to an element.
   *
   * @param index From 0.
   * @param value What to add.
   * @returns Its value before.
   * @throws {RangeError} If `index` is out of range.
   */
  add(index: number, value: SharedElement<Dtype>): SharedElement<Dtype> {
    this.#checkIndex("add", index);
    const { data } = this.handle;
    if (!(data instanceof Float32Array || data instanceof Float64Array)) {
      return Atomics.add(
        data as Int32Array,
        index,
        value as number,
      ) as SharedElement<Dtype>;
    }
    return this.#update(
      index,
      (before) =>
        (before as number) + (value as number) as SharedElement<Dtype>,
    );
  }

  /**
   * Writes an element.
   *
   * @param index From 0.
   * @param value Its new value.
   * @returns Its value before.
   * @throws {RangeError} If `index` is out of range.
   */
  exchange(index: number, value: SharedElement<Dtype>): SharedElement<Dtype> {
    this.#checkIndex("exchange", index);
    return this.#update(index, () => value);
  }

  /**
   * Writes an element if it has a certain value. Floats are compared by their
   * bits: `NaN` is itself, `-0` is not `0`.
   *
   * @param index From 0.
   * @param expected The value it must have.
   * @param value Its new value.
   * @returns Its value before: `expected` if it was written.
   * @throws {RangeError} If `index` is out of range.
   */
  compareExchange(
    index: number,
    expected: SharedElement<Dtype>,
    value: SharedElement<Dtype>,
  ): SharedElement<Dtype> {
    this.#checkIndex("compareExchange", index);
    const { bits, toBits, fromBits } = this.#cells;
    const before = Atomics.compareExchange(
      bits as Int32Array,
      index,
      toBits(expected) as number,
      toBits(value) as number,
    );
    return fromBits(before) as SharedElement<Dtype>;
  }

  /** Tries until no other thread came between reading and writing. */
  #update(
    index: number,
    next: (before: SharedElement<Dtype>) => SharedElement<Dtype>,
  ): SharedElement<Dtype> {
    const { bits, toBits, fromBits } = this.#cells;
    for (;;) {
      const there = Atomics.load(bits as Int32Array, index);
      const before = fromBits(there) as SharedElement<Dtype>;
      const after = toBits(next(before)) as number;
      const { compareExchange } = Atomics;
      if (compareExchange(bits as Int32Array, index, there, after) === there) {
        return before;
      }
    }
  }

  #checkIndex(method: string, index: number): void {
    if (Number.isInteger(index) && index >= 0 && index < this.length) return;
    throw new RangeError(
      `SharedArray.${method}: index ${index} is out of range for ` +
        `${this.length} elements`,
    );
  }
}

function makeData<Dtype extends SharedDtype>(
  operation: string,
  dtype: Dtype,
  from: number | ArrayLike<SharedElement<Dtype>>,
): SharedTypedArrays[Dtype] {
  const Data = CONSTRUCTORS[dtype];
  if (!Object.hasOwn(CONSTRUCTORS, dtype)) {
    throw new TypeError(
      `${operation}: unknown type of elements: got ${JSON.stringify(dtype)}: ` +
        `use one of ${Object.keys(CONSTRUCTORS).join(", ")}`,
    );
  }
  const length = typeof from === "number" ? from : from?.length;
  if (!Number.isSafeInteger(length) || length < 0) {
    throw new RangeError(
      `${operation}: expected a length from 0, or values: got ${from}`,
    );
  }
  const buffer = new SharedArrayBuffer(length * Data.BYTES_PER_ELEMENT);
  const data = new Data(buffer);
  if (typeof from !== "number") data.set(from as never);
  return data;
}

const float32 = new Float32Array(1);
const float32Bits = new Int32Array(float32.buffer);
const float64 = new Float64Array(1);
const float64Bits = new BigInt64Array(float64.buffer);
const same = <T>(value: T): T => value;

function cellsOf(data: SharedTypedArrays[SharedDtype]): Cells {
  const { buffer, byteOffset, length } = data;
  if (data instanceof Float32Array) {
    return {
      bits: new Int32Array(buffer, byteOffset, length),
      toBits: (value) => (float32[0] = value as number, float32Bits[0]!),
      fromBits: (bits) => (float32Bits[0] = bits as number, float32[0]!),
    };
  }
  if (data instanceof Float64Array) {
    return {
      bits: new BigInt64Array(buffer, byteOffset, length),
      toBits: (value) => (float64[0] = value as number, float64Bits[0]!),
      fromBits: (bits) => (float64Bits[0] = bits as bigint, float64[0]!),
    };
  }
  return { bits: data as Int32Array, toBits: same, fromBits: same };
}
