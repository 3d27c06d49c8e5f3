/**
 * Where layers take random numbers from unless they are given a generator.
 *
 * @module
 */

import { Generator, type RandomKey } from "@heddle/tensor";

// The same in every run until somebody seeds it: runs repeat by default.
const shared = new Generator(0);

/**
 * Seeds the generator that initial weights and dropout draw from by default.
 *
 * @param seed A whole number from 0 to 2^53 - 1.
 * @throws {RangeError} If it is not one.
 *
 * @example The same seed, the same weights
 * ```ts
 * import { Linear, manualSeed } from "@heddle/nn";
 * import { assertEquals } from "@std/assert";
 *
 * manualSeed(7);
 * const first = await new Linear(2, 3).weight.data();
 * manualSeed(7);
 * assertEquals(await new Linear(2, 3).weight.data(), first);
 * ```
 */
export function manualSeed(seed: number): void {
  shared.restore(new Generator(seed).state());
}

/**
 * The generator that {@link manualSeed} seeds: seed 0 if it was never called.
 * Its state is part of a checkpoint.
 */
export function defaultGenerator(): Generator {
  return shared;
}

/** A generator of its own for a layer, seeded from another one. */
export function childGenerator(from: Generator): Generator {
  return new Generator(seedOf(from.next()));
}

/** A seed made of the bits of a key: 53 of its 64. */
function seedOf({ words: [low, high] }: RandomKey): number {
  return low + (high % 2 ** 21) * 2 ** 32;
}
