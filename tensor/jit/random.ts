import { DRAWS } from "./draws.ts";

/** The state itself, for who runs the generator elsewhere. */
export let wordsOf: (random: Random) => Uint32Array;

/** The place of a {@link Random} in its sequence: eight 32-bit words. */
export type RandomState = readonly number[];

/**
 * Random numbers from a seed: the same in plain JavaScript and in a compiled
 * function that gets it as an argument, bit for bit.
 *
 * xoshiro256+, its upper 53 bits: Blackman and Vigna 2021, "Scrambled linear
 * pseudorandom number generators". The state is filled by splitmix64.
 *
 * @example The same numbers again
 * ```ts
 * import { Random } from "@heddle/tensor/jit";
 * import { assertEquals } from "@std/assert";
 *
 * const random = new Random(7);
 * const before = random.state();
 * const number = random.next();
 * random.restore(before);
 * assertEquals(random.next(), number);
 * ```
 */
export class Random {
  /** Low and high halves of the four words, in turn. */
  #words: Uint32Array = new Uint32Array(8);

  /**
   * Begins a sequence.
   *
   * @param seed A whole number from 0 to 2^53 - 1.
   * @throws {RangeError} If it is not one.
   */
  constructor(seed: number) {
    if (!Number.isSafeInteger(seed) || seed < 0) {
      throw new RangeError(
        "Random: the seed must be a whole number from 0 to 2^53 - 1: " +
          `got ${seed}`,
      );
    }
    this.#words.set(fill(BigInt(seed)));
  }

  static {
    wordsOf = (random) => random.#words;
  }

  /** The next number: a multiple of 2^-53 from 0 up to, without, 1. */
  next(): number {
    const s = this.#words;
    const [a0, a1, b0, b1] = [s[0]!, s[1]!, s[2]!, s[3]!];
    const [c0, c1, d0, d1] = [s[4]!, s[5]!, s[6]!, s[7]!];
    const low = a0 + d0;
    const high = (a1 + d1 + (low > 0xffffffff ? 1 : 0)) >>> 0;
    const [e0, e1] = [c0 ^ a0, c1 ^ a1];
    const [f0, f1] = [d0 ^ b0, d1 ^ b1];
    s[2] = b0 ^ e0;
    s[3] = b1 ^ e1;
    s[0] = a0 ^ f0;
    s[1] = a1 ^ f1;
    s[4] = e0 ^ (b0 << 17);
    s[5] = e1 ^ ((b1 << 17) | (b0 >>> 15));
    // By 45 to the left: halves change places, then by 13.
    s[6] = (f1 << 13) | (f0 >>> 19);
    s[7] = (f0 << 13) | (f1 >>> 19);
    return (high * 2097152 + ((low >>> 11) & 0x1fffff)) * 2 ** -53;
  }

  /**
   * A whole number from 0 up to, without, `n`. Each is as likely as the others
   * up to a relative error of `n / 2^53`.
   */
  integer(n: number): number {
    return DRAWS.integer(this, n);
  }

  /** A normal number, of mean 0 and deviation 1. */
  normal(): number {
    return DRAWS.normal(this);
  }

  /**
   * Another generator, whose numbers are unrelated to this one's. Each index
   * gives another one; this one stays where it is.
   *
   * @param index A whole number from 0 to 2^31 - 1.
   * @throws {RangeError} If it is not one.
   */
  split(index: number): Random {
    if (!Number.isInteger(index) || index < 0 || index > 0x7fffffff) {
      throw new RangeError(
        "Random.split: the index must be a whole number from 0 to 2^31 - 1: " +
          `got ${index}`,
      );
    }
    const words = new BigUint64Array(this.#words.buffer);
    const other = new Random(0);
    words.forEach((word, at) => {
      const mixed = mix(word + GOLDEN * BigInt(4 * index + at + 1));
      other.#words[2 * at] = Number(mixed & 0xffffffffn);
      other.#words[2 * at + 1] = Number(mixed >> 32n);
    });
    return other;
  }

  /** Where the sequence is. */
  state(): RandomState {
    return [...this.#words];
  }

  /**
   * Goes to where a sequence was.
   *
   * @throws {RangeError} If it is no state.
   */
  restore(state: RandomState): void {
    if (state.length !== 8 || state.every((word) => word === 0)) {
      throw new RangeError(
        `Random.restore: not a state: got [${state}]: pass what state() gave`,
      );
    }
    this.#words.set(state);
  }
}

/**
 * Checks that arguments are different generators: each goes on from its own
 * copy of its state.
 *
 * @throws {TypeError} If one is there twice.
 */
export function checkRandoms(name: string, args: readonly unknown[]): void {
  const randoms = args.filter((arg) => arg instanceof Random);
  if (new Set(randoms).size === randoms.length) return;
  throw new TypeError(
    `jit: ${name}: the same Random is passed twice: pass it once, or one of ` +
      "its split()",
  );
}

/** The golden ratio, as splitmix64 counts by it. */
export const GOLDEN = 0x9e3779b97f4a7c15n;

/** What its finalizer multiplies by. */
export const MIX: readonly [bigint, bigint] = [
  0xbf58476d1ce4e5b9n,
  0x94d049bb133111ebn,
];

/** The finalizer of splitmix64: Steele, Lea and Flood 2014. */
function mix(z: bigint): bigint {
  z = BigInt.asUintN(64, z);
  z = BigInt.asUintN(64, (z ^ (z >> 30n)) * MIX[0]);
  z = BigInt.asUintN(64, (z ^ (z >> 27n)) * MIX[1]);
  return z ^ (z >> 31n);
}

function fill(seed: bigint): Uint32Array {
  const words = new BigUint64Array(4);
  words.forEach((_, at) => words[at] = mix(seed + GOLDEN * BigInt(at + 1)));
  return new Uint32Array(words.buffer);
}
