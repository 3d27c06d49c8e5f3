import * as build from "../graph/build.ts";
import type { Node } from "../graph/node.ts";
import {
  broadcastShapes,
  checkShape,
  formatShape,
  sameShape,
  type Shape,
  sizeOf,
} from "../shape.ts";
import { currentTrace, requireNoTrace } from "../graph/trace.ts";
import { hostScalar, onEachRun } from "../host.ts";
import { nodeOf, Tensor } from "../tensor.ts";
import { threefry } from "../threefry.ts";
import { KeyTape } from "./_key_tape.ts";
import { like } from "./_operands.ts";

/** The words of a key as scalars of a graph. */
let wordsOf: (key: RandomKey) => readonly Node[];

/**
 * Where random numbers come from: 64 bits that, with the position of an
 * element, give its value. The same key gives the same values, on any device;
 * split it for more.
 *
 * Threefry-2x32 with 20 rounds: Salmon et al. 2011, "Parallel random numbers:
 * as easy as 1, 2, 3".
 */
export class RandomKey {
  /** Set in place where each run of a compiled function has other words. */
  #words: readonly [number, number];
  readonly #isLive: boolean;

  /**
   * Makes a key of two words; {@link randomKey} makes one of a seed.
   *
   * @param words The words, or how each run of a compiled function finds them.
   * @param undo Undoes the finding, where a run fails: see {@link onEachRun}.
   */
  constructor(
    words: readonly [number, number] | (() => readonly [number, number]),
    undo?: () => void,
  ) {
    this.#isLive = typeof words === "function" && currentTrace() !== undefined;
    this.#words = [0, 0];
    const take = ([low, high]: readonly [number, number]) => {
      this.#words = [low >>> 0, high >>> 0];
    };
    if (typeof words !== "function") take(words);
    else onEachRun(() => take(words()), undo);
  }

  /**
   * The two 32-bit words.
   *
   * @throws {Error} While a compiled function is traced, if each run has others.
   */
  get words(): readonly [number, number] {
    if (this.#isLive) requireNoTrace("RandomKey.words");
    return this.#words;
  }

  /** The key of a number: different numbers, unrelated values. */
  fold(data: number): RandomKey {
    const high = Math.floor(data / 2 ** 32);
    const make = () => threefry(...this.#words, data >>> 0, ~high);
    return new RandomKey(this.#isLive ? make : make());
  }

  static {
    wordsOf = (key) =>
      key.#isLive
        ? key.#words.map((_, at) =>
          nodeOf(hostScalar(() => key.#words[at]!, "uint32"))
        )
        : key.#words.map((word) => build.parameter(word, "uint32"));
  }

  /** Keys with values unrelated to each other and to this one's. */
  split(count: number = 2): RandomKey[] {
    return Array.from({ length: count }, (_, at) => this.fold(at));
  }
}

/**
 * The key of a seed.
 *
 * @param seed A whole number from 0 to 2^53 - 1.
 * @throws {RangeError} If it is not one.
 */
export function randomKey(seed: number): RandomKey {
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new RangeError(
      `randomKey: the seed must be a whole number from 0 to 2^53 - 1: got ${seed}`,
    );
  }
  return new RandomKey([seed >>> 0, Math.floor(seed / 2 ** 32)]);
}

/** A sequence of keys, whose place can be saved and restored. */
export class Generator {
  #key: RandomKey;
  #count = 0;
  /** One that a compiled function makes begins anew in each run. */
  readonly #home = currentTrace();

  /** Starts a sequence. */
  constructor(seed: number) {
    this.#key = randomKey(seed);
  }

  /** The next key; a compiled function draws another one in each run. */
  next(): RandomKey {
    return KeyTape.next(() => {
      const draw = () => this.#key.fold(this.#count++);
      const trace = currentTrace();
      if (trace === this.#home) return draw();
      return new RandomKey(() => draw().words, () => this.#count--);
    });
  }

  /** Where the sequence is. */
  state(): GeneratorState {
    return { words: this.#key.words, count: this.#count };
  }

  /** Goes to where a sequence was. */
  restore(state: GeneratorState): void {
    this.#key = new RandomKey(state.words);
    this.#count = state.count;
  }
}

/** The place of a {@link Generator} in its sequence. */
export interface GeneratorState {
  /** Its key. */
  readonly words: readonly [number, number];
  /** Keys given so far. */
  readonly count: number;
}

/** Random bits of each element: word 0 or 1 of its block. */
function bits(
  operation: string,
  key: RandomKey,
  shape: Shape,
  word: 0 | 1,
): Node {
  if (!(key instanceof RandomKey)) {
    throw new TypeError(
      `${operation}: not a key: got ${
        (key as unknown) instanceof Generator ? "a generator" : typeof key
      }: pass randomKey(seed), or generator.next()`,
    );
  }
  checkShape(operation, shape);
  const count = sizeOf(shape);
  const counter = build.cast(build.iota(count), "uint32");
  const [key0, key1] = wordsOf(key).map((word) =>
    build.broadcast(word, [count])
  ) as [Node, Node];
  const zero = like(counter, 0);
  const made = build.map(
    word === 0 ? "threefry0" : "threefry1",
    [key0, key1, counter, zero],
    "uint32",
  );
  return build.reshape(made, [...shape]);
}

/** Multiples of 2^-24 from 0 up to, without, 1. */
function unit(
  operation: string,
  key: RandomKey,
  shape: Shape,
  word: 0 | 1,
): Node {
  const drawn = bits(operation, key, shape, word);
  const top = build.map("shr", [drawn, like(drawn, 8)]);
  const values = build.cast(top, "float32");
  return build.map("mul", [values, like(values, 2 ** -24)]);
}

/** Bounds of {@link uniform}. */
export interface UniformOptions {
  /**
   * Least value.
   * @default 0
   */
  readonly low?: number;
  /**
   * Upper bound, left out.
   * @default 1
   */
  readonly high?: number;
}

/** Parameters of {@link normal}. */
export interface NormalOptions {
  /**
   * Mean.
   * @default 0
   */
  readonly mean?: number;
  /**
   * Standard deviation.
   * @default 1
   */
  readonly std?: number;
}

/** Random uint32 values, all 32 bits. */
export function randomBits(key: RandomKey, shape: Shape): Tensor {
  return new Tensor(bits("randomBits", key, shape, 0));
}

/**
 * float32 values evenly spread over `[low, high)`.
 *
 * @throws {RangeError} If a bound is not finite, or `low` is above `high`.
 *
 * @example The same key, the same values
 * ```ts
 * import { randomKey, uniform } from "@heddle/tensor";
 * import { assertEquals } from "@std/assert";
 *
 * const key = randomKey(7);
 * const a = await uniform(key, [4]).data();
 * assertEquals(await uniform(key, [4]).data(), a);
 * ```
 */
export function uniform(
  key: RandomKey,
  shape: Shape,
  options: UniformOptions = {},
): Tensor {
  const { low = 0, high = 1 } = options;
  if (!(low <= high && Number.isFinite(high - low))) {
    throw new RangeError(
      `uniform: needs finite bounds low <= high: got ${low} and ${high}`,
    );
  }
  const values = new Tensor(unit("uniform", key, shape, 0));
  return values.mul(high - low).add(low);
}

/**
 * float32 values from the normal distribution, by Box and Muller 1958. Devices
 * agree to 1e-5: their logarithm and cosine are not the same.
 *
 * @throws {RangeError} If the mean is not finite, or `std` is not 0 or more.
 */
export function normal(
  key: RandomKey,
  shape: Shape,
  options: NormalOptions = {},
): Tensor {
  const { mean = 0, std = 1 } = options;
  if (!(Number.isFinite(mean) && Number.isFinite(std) && std >= 0)) {
    throw new RangeError(
      `normal: needs a finite mean and std of 0 or more: got ${mean} and ${std}`,
    );
  }
  // 1 - u is never 0, whose logarithm is infinite.
  const first = new Tensor(unit("normal", key, shape, 0)).mul(-1).add(1);
  const angle = new Tensor(unit("normal", key, shape, 1)).mul(2 * Math.PI);
  const radius = first.log().mul(-2).sqrt();
  return radius.mul(angle.cos()).mul(std).add(mean);
}

/**
 * true with probability `p`, as bool.
 *
 * @param p From 0 to 1; a tensor broadcasts to the shape.
 * @throws {RangeError} If a number is not from 0 to 1, or a tensor does not
 * broadcast to the shape.
 */
export function bernoulli(
  key: RandomKey,
  p: number | Tensor,
  shape: Shape,
): Tensor {
  if (typeof p === "number" && !(p >= 0 && p <= 1)) {
    throw new RangeError(`bernoulli: p must be 0 to 1: got ${p}`);
  }
  const drawn = new Tensor(unit("bernoulli", key, shape, 0));
  if (p instanceof Tensor) {
    const met = broadcastShapes("bernoulli", shape, p.shape);
    if (!sameShape(met, shape)) {
      throw new RangeError(
        `bernoulli: p does not broadcast: got ${formatShape(p.shape)} for ${
          formatShape(shape)
        }`,
      );
    }
  }
  return drawn.lt(p);
}

/**
 * int32 values evenly spread over `[low, high)`, up to a part of
 * `(high - low) / 2^32`.
 *
 * @param low Least value, from -2^31.
 * @param high Upper bound, left out; up to 2^31.
 * @throws {RangeError} If they are no such numbers, or there is none in between.
 */
export function randint(
  key: RandomKey,
  shape: Shape,
  low: number,
  high: number,
): Tensor {
  const whole = Number.isInteger(low) && Number.isInteger(high);
  const fits = low >= -(2 ** 31) && high <= 2 ** 31;
  if (!whole || high <= low || !fits) {
    throw new RangeError(
      "randint: needs whole numbers low < high from -2^31 to 2^31: got " +
        `${low} and ${high}`,
    );
  }
  const drawn = bits("randint", key, shape, 0);
  const span = build.broadcast(
    build.parameter(high - low, "uint32"),
    drawn.shape,
  );
  const all = high - low === 2 ** 32;
  const rest = all ? drawn : build.map("rem", [drawn, span]);
  // More than 2^31 - 1 wraps around, and so does the sum.
  return new Tensor(build.map("bitcast", [rest], "int32")).add(low);
}

/** The numbers 0 to n - 1 in random order, int32. */
export function permutation(key: RandomKey, n: number): Tensor {
  return new Tensor(bits("permutation", key, [n], 0)).argsort();
}
