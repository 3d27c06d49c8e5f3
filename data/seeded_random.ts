import { philox } from "./_philox.ts";

/** Where a {@linkcode SeededRandom} stands: JSON-safe. */
export interface SeededRandomState {
  /** The two 32-bit words of the key. */
  readonly key: readonly [number, number];
  /** How many 32-bit words were drawn. */
  readonly position: number;
}

/**
 * Random numbers on the host for shuffles, folds and drawn data.
 *
 * Philox-4x32 with 10 rounds: Salmon et al. 2011, "Parallel random numbers: as
 * easy as 1, 2, 3", https://doi.org/10.1145/2063384.2063405. It is
 * counter-based: draw `i` is a function of the seed and `i`, so that a state is
 * three numbers and a run that resumes goes on with the same draws. For random
 * tensors use the generator of `@heddle/tensor`. Not for secrets.
 *
 * @example The same seed, the same order
 * ```ts
 * import { SeededRandom } from "@heddle/data";
 * import { assertEquals } from "@std/assert";
 *
 * const random = new SeededRandom(7);
 * const first = random.permutation(5);
 * assertEquals(new SeededRandom(7).permutation(5), first);
 * assertEquals([...first].sort(), [0, 1, 2, 3, 4]);
 * ```
 */
export class SeededRandom {
  #key: readonly [number, number];
  #position = 0;
  readonly #block: Uint32Array = new Uint32Array(4);
  #blockIndex = -1;

  /**
   * Begins the sequence of a seed.
   *
   * @param seed A whole number; each gives its own sequence.
   * @throws {RangeError} If `seed` is not a safe integer.
   */
  constructor(seed: number) {
    this.#key = words("SeededRandom", seed);
  }

  /**
   * A generator that goes on where `state` was taken.
   *
   * @param state What {@linkcode SeededRandom.state} gave.
   * @returns A new generator.
   * @throws {RangeError} If a word of the state is out of range.
   */
  static from(state: SeededRandomState): SeededRandom {
    const random = new SeededRandom(0);
    random.restore(state);
    return random;
  }

  /**
   * Where the sequence stands.
   *
   * @returns A JSON-safe copy, for {@linkcode SeededRandom.restore}.
   */
  state(): SeededRandomState {
    return { key: [...this.#key], position: this.#position };
  }

  /**
   * Goes on where `state` was taken.
   *
   * @param state What {@linkcode SeededRandom.state} gave.
   * @throws {RangeError} If a word of the state is out of range.
   */
  restore(state: SeededRandomState): void {
    const [key0, key1] = state.key;
    for (const word of [key0, key1]) {
      if (!Number.isInteger(word) || word < 0 || word > 0xffffffff) {
        throw new RangeError(
          `SeededRandom: a key word must be from 0 to 2^32 - 1: got ${word}`,
        );
      }
    }
    if (!Number.isSafeInteger(state.position) || state.position < 0) {
      throw new RangeError(
        `SeededRandom: a position must be a whole number from 0: got ` +
          `${state.position}`,
      );
    }
    this.#key = [key0, key1];
    this.#position = state.position;
    this.#blockIndex = -1;
  }

  /**
   * An independent sequence, named by a number: one per epoch, image, fold.
   *
   * It depends on the seed and `name` only, not on what was drawn.
   *
   * @param name A whole number.
   * @returns A new generator at its first draw.
   * @throws {RangeError} If `name` is not a safe integer.
   */
  fold(name: number): SeededRandom {
    const [low, high] = words("SeededRandom", name);
    // The last word is 0 in every block that draws, so no block is used twice.
    const block = new Uint32Array(4);
    philox(low, high, 0, 0xffffffff, this.#key, block);
    const folded = new SeededRandom(0);
    folded.#key = [block[0]!, block[1]!];
    return folded;
  }

  /**
   * The next 32 bits.
   *
   * @returns A whole number from 0 to 2^32 - 1.
   */
  uint32(): number {
    const index = Math.floor(this.#position / 4);
    if (index !== this.#blockIndex) {
      const high = Math.floor(index / 2 ** 32);
      philox(index >>> 0, high, 0, 0, this.#key, this.#block);
      this.#blockIndex = index;
    }
    return this.#block[this.#position++ % 4]!;
  }

  /**
   * A number from an even distribution; 53 random bits.
   *
   * @param low The least value. Default 0.
   * @param high The bound, not reached. Default 1.
   * @returns A number in `[low, high)`.
   */
  uniform(low: number = 0, high: number = 1): number {
    const bits = (this.uint32() >>> 5) * 2 ** 26 + (this.uint32() >>> 6);
    return low + (high - low) * (bits / 2 ** 53);
  }

  /**
   * A number from the bell curve: Box and Muller 1958.
   *
   * @param mean Default 0.
   * @param std Standard deviation. Default 1.
   * @returns One draw; takes two uniform ones.
   */
  normal(mean: number = 0, std: number = 1): number {
    // 1 - u is in (0, 1]: the logarithm stays finite.
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    return mean + std * radius * Math.cos(2 * Math.PI * this.uniform());
  }

  /**
   * A whole number below a limit, each equally likely.
   *
   * @param limit From 1 to 2^32.
   * @returns A whole number from 0 to `limit - 1`.
   * @throws {RangeError} If `limit` is out of range.
   */
  integer(limit: number): number {
    if (!Number.isInteger(limit) || limit < 1 || limit > 2 ** 32) {
      throw new RangeError(
        `SeededRandom.integer: the limit must be from 1 to 2^32: got ${limit}`,
      );
    }
    // Draws past the last whole multiple would favour small numbers.
    const bound = 2 ** 32 - (2 ** 32 % limit);
    let draw = this.uint32();
    while (draw >= bound) draw = this.uint32();
    return draw % limit;
  }

  /**
   * Brings `items` into random order, in place: Fisher and Yates 1938.
   *
   * @param items An array or typed array.
   * @returns The same array.
   */
  shuffle<Items extends { length: number; [index: number]: unknown }>(
    items: Items,
  ): Items {
    const swap: { [index: number]: unknown } = items;
    for (let last = items.length - 1; last > 0; last--) {
      const other = this.integer(last + 1);
      const kept = swap[last];
      swap[last] = swap[other];
      swap[other] = kept;
    }
    return items;
  }

  /**
   * The numbers 0 to `count - 1` in random order.
   *
   * @param count How many.
   * @returns Each number once.
   * @throws {RangeError} If `count` is not from 0 to 2^32.
   */
  permutation(count: number): Uint32Array {
    if (!Number.isInteger(count) || count < 0 || count > 2 ** 32) {
      throw new RangeError(
        `SeededRandom.permutation: the count must be from 0 to 2^32: got ` +
          `${count}`,
      );
    }
    return this.shuffle(Uint32Array.from({ length: count }, (_, i) => i));
  }
}

/** A safe integer as its low and high 32 bits. */
function words(operation: string, value: number): [number, number] {
  if (!Number.isSafeInteger(value)) {
    throw new RangeError(
      `${operation}: a seed must be a whole number below 2^53: got ${value}`,
    );
  }
  return [value >>> 0, Math.floor(value / 2 ** 32) >>> 0];
}
