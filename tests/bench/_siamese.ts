/**
 * The training step of the siamese network that benches compare: two images of
 * 14 x 14, one branch for both, and whether the first digit is the lesser.
 *
 * A branch is conv 3x3 to 24 channels, conv 3x3 to 48, max pooling 2x2, 300
 * hidden units and 10 logits; the head takes both logits through 256 and 256
 * units to one probability. LeakyReLU 0.01, dropout 0.2, Adam. The loss is
 * a quarter of each branch's cross entropy and half the binary one.
 *
 * @module
 */

import { initial, input } from "./_compare.ts";
import type { Input } from "./_peers.ts";
import { seeded } from "../seeded.ts";

/** What the network and its training are made with. */
export const SIDE = 14;
export const CHANNELS = 24;
export const HIDDEN = 300;
export const DIGITS = 10;
export const HEAD = 256;
export const DROPOUT = 0.2;

/** Elements of an image after both convolutions and the pooling. */
export const FEATURES: number = 2 * CHANNELS * ((SIDE - 4) / 2) ** 2;

/** Weight, bias, weight, … of the branch, then of the head. */
const SHAPES: readonly (readonly number[])[] = [
  [CHANNELS, 1, 3, 3],
  [CHANNELS],
  [2 * CHANNELS, CHANNELS, 3, 3],
  [2 * CHANNELS],
  [FEATURES, HIDDEN],
  [HIDDEN],
  [HIDDEN, DIGITS],
  [DIGITS],
  [2 * DIGITS, HEAD],
  [HEAD],
  [HEAD, HEAD],
  [HEAD],
  [HEAD, 1],
  [1],
];

/** Number of parameters; the batch follows them in the inputs. */
export const PARAMETERS: number = SHAPES.length;

/** What Adam reads and writes: 7 numbers of 4 bytes for each parameter. */
export const SIAMESE_ADAM_BYTES: number = SHAPES
  .map((shape) => 28 * shape.reduce((a, b) => a * b))
  .reduce((a, b) => a + b);

/** The tensors of a step, by name. */
export interface Step<T> {
  readonly branch: readonly T[];
  readonly head: readonly T[];
  /** `[batch, 1, 14, 14]` each. */
  readonly images: readonly [T, T];
  /** int32 `[batch]` each. */
  readonly digits: readonly [T, T];
  /** `[batch, 1]`, 1 where the first digit <= the second. */
  readonly target: T;
}

/** Gives the inputs of a step their names. */
export function named<T>(inputs: readonly T[]): Step<T> {
  const [first, second, a, b, target] = inputs.slice(PARAMETERS) as [
    T,
    T,
    T,
    T,
    T,
  ];
  return {
    branch: inputs.slice(0, 8),
    head: inputs.slice(8, PARAMETERS),
    images: [first, second],
    digits: [a, b],
    target,
  };
}

/** The parameters, and one batch of noise with random digits. */
export function siameseInputs(batch: number): Input[] {
  const parameters = initial(SHAPES);
  const images = [100, 101].map((seed) =>
    input([batch, 1, SIDE, SIDE], seed, { low: 0 })
  );
  const numbers = seeded(102);
  const [a, b] = [0, 1].map(() =>
    new Int32Array(batch).map(() => numbers.integer(0, DIGITS))
  ) as [Int32Array, Int32Array];
  const target = new Float32Array(batch).map((_, at) =>
    a[at]! <= b[at]! ? 1 : 0
  );
  return [
    ...parameters,
    ...images,
    { shape: [batch], values: a },
    { shape: [batch], values: b },
    { shape: [batch, 1], values: target },
  ];
}
