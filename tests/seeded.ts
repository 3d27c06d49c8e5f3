/**
 * Numbers for tests, the same in every run.
 *
 * @module
 */

import { Values } from "./values.ts";

/** Where the numbers lie. */
export interface Spread {
  /**
   * Least.
   * @default -1
   */
  readonly low?: number;
  /**
   * Upper bound, left out.
   * @default 1
   */
  readonly high?: number;
}

/** A sequence of numbers that a seed decides. */
export class Seeded {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** The next number of `[0, 1)`: a counter, mixed by MurmurHash3's finalizer. */
  next(): number {
    this.#state = (this.#state + 0x9e3779b9) >>> 0;
    let x = this.#state;
    x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
    x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
    return ((x ^ (x >>> 16)) >>> 0) / 2 ** 32;
  }

  /** A whole number of `[low, high)`. */
  integer(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low));
  }

  /** One of a list. */
  pick<T>(list: readonly T[]): T {
    return list[this.integer(0, list.length)]!;
  }

  /** The list in another order. */
  shuffle<T>(list: readonly T[]): T[] {
    const result = [...list];
    for (let at = result.length - 1; at > 0; at--) {
      const other = this.integer(0, at + 1);
      [result[at], result[other]] = [result[other]!, result[at]!];
    }
    return result;
  }

  /** float32 numbers of `[low, high)`. */
  values(shape: readonly number[], spread: Spread = {}): Values {
    const { low = -1, high = 1 } = spread;
    return Values.of(
      shape,
      () => Math.fround(low + this.next() * (high - low)),
    );
  }

  /**
   * float32 numbers of `(-high, -low]` and `[low, high)`: no closer than `low`
   * to 0, where many functions have a kink or a pole.
   */
  apartFromZero(shape: readonly number[], low = 0.1, high = 1): Values {
    return this.values(shape, { low, high })
      .map((value) => this.next() < 0.5 ? -value : value);
  }

  /** Distinct numbers, at least `gap` apart: no ties for max or sort. */
  distinct(shape: readonly number[], gap = 0.125): Values {
    const size = shape.reduce((product, extent) => product * extent, 1);
    const ranks = this.shuffle(Array.from({ length: size }, (_, at) => at));
    const middle = (size - 1) / 2;
    return new Values(shape, ranks.map((rank) => (rank - middle) * gap));
  }

  /** Whole numbers of `[low, high)`. */
  integers(shape: readonly number[], low: number, high: number): Values {
    return Values.of(shape, () => this.integer(low, high));
  }
}

/** Starts a sequence. */
export function seeded(seed: number): Seeded {
  return new Seeded(seed);
}
