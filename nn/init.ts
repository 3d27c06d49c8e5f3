/**
 * Initial weights: lazy tensors of a shape, ready for `asVariable()` or
 * `parameter.assign(...)`.
 *
 * @module
 */

import {
  type Generator,
  normal,
  type Shape,
  type Tensor,
  uniform,
} from "@heddle/tensor";
import { formatShape } from "./_fit.ts";
import { defaultGenerator } from "./random.ts";

/** Where random weights come from. */
export interface InitOptions {
  /**
   * Gives the key; one call takes one.
   * @default defaultGenerator()
   */
  readonly generator?: Generator;
}

/** What follows the weights, for {@link calculateGain}. */
export type Nonlinearity =
  | "linear"
  | "sigmoid"
  | "tanh"
  | "relu"
  | "leakyRelu"
  | "selu";

/** How {@link kaimingUniform} and {@link kaimingNormal} scale. */
export interface KaimingOptions extends InitOptions {
  /**
   * The slope below 0 of the `leakyRelu` that follows.
   * @default 0
   */
  readonly slope?: number;
  /**
   * Which size keeps its variance: of the inputs going forward, or of the
   * outputs going backward.
   * @default "fanIn"
   */
  readonly mode?: "fanIn" | "fanOut";
  /**
   * What follows.
   * @default "leakyRelu"
   */
  readonly nonlinearity?: Nonlinearity;
}

/** How {@link xavierUniform} and {@link xavierNormal} scale. */
export interface XavierOptions extends InitOptions {
  /**
   * Multiplies the standard deviation.
   * @default 1
   */
  readonly gain?: number;
}

/**
 * By how much a nonlinearity shrinks the standard deviation, inverted; as in
 * PyTorch.
 *
 * @param slope Of a `leakyRelu` below 0.
 */
export function calculateGain(
  nonlinearity: Nonlinearity,
  slope: number = 0.01,
): number {
  switch (nonlinearity) {
    case "linear":
    case "sigmoid":
      return 1;
    case "tanh":
      return 5 / 3;
    case "relu":
      return Math.SQRT2;
    case "leakyRelu":
      return Math.sqrt(2 / (1 + slope ** 2));
    case "selu":
      return 3 / 4;
    default:
      return nonlinearity satisfies never;
  }
}

/**
 * Inputs and outputs of a weight `[outputs, inputs, ...window]`.
 *
 * @throws {RangeError} If there are fewer than two axes.
 */
export function fans(
  shape: Shape,
): { readonly fanIn: number; readonly fanOut: number } {
  if (shape.length < 2) {
    throw new RangeError(
      `fans: a weight has at least two axes: got ${formatShape(shape)}`,
    );
  }
  const [outputs, inputs, ...window] = shape as [number, number, ...number[]];
  const places = window.reduce((product, extent) => product * extent, 1);
  return { fanIn: inputs * places, fanOut: outputs * places };
}

function kaimingDeviation(shape: Shape, options: KaimingOptions): number {
  const { slope = 0, mode = "fanIn", nonlinearity = "leakyRelu" } = options;
  return calculateGain(nonlinearity, slope) / Math.sqrt(fans(shape)[mode]);
}

function xavierDeviation(shape: Shape, options: XavierOptions): number {
  const { fanIn, fanOut } = fans(shape);
  return (options.gain ?? 1) * Math.sqrt(2 / (fanIn + fanOut));
}

/**
 * Uniform over ±`√3 gain / √fan`: He et al. 2015,
 * https://arxiv.org/abs/1502.01852.
 *
 * @param shape `[outputs, inputs, ...window]`.
 * @throws {RangeError} If there are fewer than two axes.
 *
 * @example Weights of another distribution
 * ```ts
 * import { kaimingUniform, Linear } from "@heddle/nn";
 * import { assert } from "@std/assert";
 *
 * const { weight } = new Linear(6, 2);
 * weight.assign(kaimingUniform(weight.shape, { nonlinearity: "relu" }));
 * assert((await weight.abs().max().item()) <= 1);
 * ```
 */
export function kaimingUniform(
  shape: Shape,
  options: KaimingOptions = {},
): Tensor {
  const bound = Math.sqrt(3) * kaimingDeviation(shape, options);
  return uniformWithin(shape, bound, options);
}

/**
 * Normal with deviation `gain / √fan`: He et al. 2015,
 * https://arxiv.org/abs/1502.01852.
 *
 * @param shape `[outputs, inputs, ...window]`.
 * @throws {RangeError} If there are fewer than two axes.
 */
export function kaimingNormal(
  shape: Shape,
  options: KaimingOptions = {},
): Tensor {
  return normalWith(shape, kaimingDeviation(shape, options), options);
}

/**
 * Uniform over ±`gain √(6 / (fanIn + fanOut))`: Glorot and Bengio 2010.
 *
 * @param shape `[outputs, inputs, ...window]`.
 * @throws {RangeError} If there are fewer than two axes.
 */
export function xavierUniform(
  shape: Shape,
  options: XavierOptions = {},
): Tensor {
  const bound = Math.sqrt(3) * xavierDeviation(shape, options);
  return uniformWithin(shape, bound, options);
}

/**
 * Normal with deviation `gain √(2 / (fanIn + fanOut))`: Glorot and Bengio 2010.
 *
 * @param shape `[outputs, inputs, ...window]`.
 * @throws {RangeError} If there are fewer than two axes.
 */
export function xavierNormal(
  shape: Shape,
  options: XavierOptions = {},
): Tensor {
  return normalWith(shape, xavierDeviation(shape, options), options);
}

/** Uniform over `[-bound, bound)`. */
export function uniformWithin(
  shape: Shape,
  bound: number,
  options: InitOptions = {},
): Tensor {
  const key = (options.generator ?? defaultGenerator()).next();
  return uniform(key, shape, { low: -bound, high: bound });
}

/** Normal around 0. */
export function normalWith(
  shape: Shape,
  std: number,
  options: InitOptions = {},
): Tensor {
  const key = (options.generator ?? defaultGenerator()).next();
  return normal(key, shape, { std });
}

/**
 * What PyTorch gives linear and convolution layers: uniform over
 * ±`1 / √fanIn`, which is Kaiming's with slope √5.
 *
 * @param fanIn Inputs of one output; with none the values are 0.
 */
export function defaultUniform(
  shape: Shape,
  fanIn: number,
  options: InitOptions = {},
): Tensor {
  return uniformWithin(shape, fanIn > 0 ? 1 / Math.sqrt(fanIn) : 0, options);
}
