import {
  bernoulli,
  type RandomKey,
  scaledDotProductAttention,
  softmax,
  type Tensor,
  where,
} from "@heddle/tensor";
import { formatShape, requireFloat, sameShape } from "./_check.ts";
import { allowedBy, FORBIDDEN, type MaskOptions, masksOf } from "./_mask.ts";

/** How {@link dotProductAttention} scores, masks and drops. */
export interface AttentionOptions extends MaskOptions {
  /**
   * Multiplies the products of queries and keys.
   * @default 1 / √headDim
   */
  readonly scale?: number;
  /**
   * Probability, from 0 to 1, that a weight is dropped; the others are divided
   * by `1 - dropoutRate`. Leave it out in evaluation.
   * @default 0
   */
  readonly dropoutRate?: number;
  /**
   * Decides what is dropped; needed with a `dropoutRate`.
   * @default none
   */
  readonly dropoutKey?: RandomKey;
}

/** What {@link attend} gives. */
export interface Attended {
  /** One mixture of values a query. */
  readonly output: Tensor;
  /** How much of each value is in it, `[..., querySeqLen, keySeqLen]`. */
  readonly weights: Tensor;
}

/**
 * Mixes `value` rows by how well each query matches each key.
 *
 * `softmax(scale Q Kᵀ) V`, softmax over keys: Vaswani et al. 2017, eq. 1,
 * https://arxiv.org/abs/1706.03762. A query that may attend to no key gets
 * zeros, and passes no gradient on. The weights are not stored, so that memory
 * grows with the lengths, not with their product; with dropout they are.
 *
 * @param query float32 `[..., querySeqLen, headDim]`, as a rule
 * `[batch, heads, querySeqLen, headDim]`.
 * @param key float32 `[..., keySeqLen, headDim]`, with the same first axes.
 * @param value float32 `[..., keySeqLen, valueDim]`, with the same first axes.
 * @param options Scale, masks, dropout.
 * @returns float32 `[..., querySeqLen, valueDim]`.
 * @throws {TypeError} If a tensor or mask has a wrong type.
 * @throws {RangeError} If the first axes, headDim or keySeqLen disagree, or a
 * mask does not fit.
 *
 * @example Equal keys average the values
 * ```ts
 * import { dotProductAttention } from "@heddle/attention";
 * import { ones, tensor } from "@heddle/tensor";
 * import { assertEquals } from "@std/assert";
 *
 * const query = ones([1, 1, 1, 1]);
 * const key = ones([1, 1, 2, 1]);
 * const value = tensor([2, 4], { shape: [1, 1, 2, 1] });
 * assertEquals([...(await dotProductAttention(query, key, value).data())], [3]);
 * ```
 *
 * @example Each token sees itself and those before
 * ```ts
 * import { dotProductAttention } from "@heddle/attention";
 * import { tensor, zeros } from "@heddle/tensor";
 * import { assertEquals } from "@std/assert";
 *
 * const value = tensor([[2], [4], [9]]);
 * const same = zeros([3, 1]);
 * const mixed = dotProductAttention(same, same, value, { causal: true });
 * assertEquals(await mixed.round().toArray(), [[2], [3], [5]]);
 * ```
 */
export function dotProductAttention(
  query: Tensor,
  key: Tensor,
  value: Tensor,
  options: AttentionOptions = {},
): Tensor {
  return mixtures("dotProductAttention", query, key, value, options);
}

/**
 * {@link dotProductAttention}, with its weights. They cost nothing unless they
 * are read.
 *
 * @param query float32 `[..., querySeqLen, headDim]`.
 * @param key float32 `[..., keySeqLen, headDim]`, with the same first axes.
 * @param value float32 `[..., keySeqLen, valueDim]`, with the same first axes.
 * @param options Scale, masks, dropout.
 * @returns The mixtures, and the weights after dropout.
 * @throws {TypeError} If a tensor or mask has a wrong type.
 * @throws {RangeError} If the first axes, headDim or keySeqLen disagree, or a
 * mask does not fit.
 *
 * @example
 * ```ts
 * import { attend } from "@heddle/attention";
 * import { tensor, zeros } from "@heddle/tensor";
 * import { assertEquals } from "@std/assert";
 *
 * const attentionMask = tensor([[true, false], [false, false]]);
 * const same = zeros([2, 3]);
 * const { weights } = attend(same, same, same, { attentionMask });
 * assertEquals(await weights.toArray(), [[1, 0], [0, 0]]);
 * ```
 */
export function attend(
  query: Tensor,
  key: Tensor,
  value: Tensor,
  options: AttentionOptions = {},
): Attended {
  return mix("attend", query, key, value, options);
}

/** {@link dotProductAttention}, under the name that errors give. */
export function mixtures(
  operation: string,
  query: Tensor,
  key: Tensor,
  value: Tensor,
  options: AttentionOptions,
): Tensor {
  checkInputs(operation, query, key, value);
  // What is dropped is drawn for each weight, so the weights are made.
  if (checkDropout(operation, options)) {
    return weigh(operation, query, key, options).matmul(value);
  }
  return fused(operation, query, key, value, options);
}

/** {@link attend}, under the name that errors give. */
export function mix(
  operation: string,
  query: Tensor,
  key: Tensor,
  value: Tensor,
  options: AttentionOptions,
): Attended {
  checkInputs(operation, query, key, value);
  const weights = weigh(operation, query, key, options);
  const output = checkDropout(operation, options)
    ? weights.matmul(value)
    : fused(operation, query, key, value, options);
  return { output, weights };
}

/** In memory that does not grow with the product of the lengths. */
function fused(
  operation: string,
  query: Tensor,
  key: Tensor,
  value: Tensor,
  options: AttentionOptions,
): Tensor {
  const { scale, causal, queryOffset } = options;
  const shape = [...query.shape.slice(0, -1), key.shape.at(-2)!];
  return scaledDotProductAttention(query, key, value, {
    ...scale === undefined ? {} : { scale },
    ...causal === undefined ? {} : { causal },
    ...queryOffset === undefined ? {} : { queryOffset },
    masks: masksOf(operation, shape, options),
  });
}

/** The weights, after dropout. */
function weigh(
  operation: string,
  query: Tensor,
  key: Tensor,
  options: AttentionOptions,
): Tensor {
  const { scale = 1 / Math.sqrt(query.shape.at(-1)!), attentionMask } = options;
  let scores = query.matmul(key.transpose()).mul(scale);
  const allowed = allowedBy(operation, scores.shape, options);
  if (attentionMask?.dtype === "float32") scores = scores.add(attentionMask);
  const weights = masked(scores, allowed);
  return checkDropout(operation, options) ? drop(weights, options) : weights;
}

/** Softmax over what is allowed; zeros where nothing is. */
function masked(scores: Tensor, allowed: Tensor | undefined): Tensor {
  if (!allowed) return softmax(scores);
  // Not -Infinity: WGSL may assume that infinities never occur.
  const weights = softmax(where(allowed, scores, FORBIDDEN));
  // Of equal scores softmax makes equal weights, also where all are forbidden.
  return where(allowed, weights, 0);
}

/** Whether weights are dropped. */
function checkDropout(
  operation: string,
  { dropoutRate = 0, dropoutKey }: AttentionOptions,
): boolean {
  if (!(dropoutRate >= 0 && dropoutRate <= 1)) {
    throw new RangeError(
      `${operation}: dropoutRate must be 0 to 1: got ${dropoutRate}`,
    );
  }
  if (dropoutRate === 0) return false;
  if (!dropoutKey) {
    throw new TypeError(
      `${operation}: dropout needs a key: got a dropoutRate of ${dropoutRate} ` +
        "alone: pass dropoutKey",
    );
  }
  return true;
}

function drop(
  weights: Tensor,
  { dropoutRate = 0, dropoutKey }: AttentionOptions,
): Tensor {
  const keepRate = 1 - dropoutRate;
  const keep = bernoulli(dropoutKey!, keepRate, weights.shape);
  return where(keep, keepRate > 0 ? weights.mul(1 / keepRate) : weights, 0);
}

function checkInputs(
  operation: string,
  query: Tensor,
  key: Tensor,
  value: Tensor,
): void {
  requireFloat(operation, { query, key, value });
  const shapes = `got ${
    [query, key, value].map(({ shape }) => formatShape(shape)).join(", ")
  }`;
  if (Math.min(query.rank, key.rank, value.rank) < 2) {
    throw new RangeError(
      `${operation}: query, key and value need at least two axes: ${shapes}: ` +
        "use [..., seqLen, headDim]",
    );
  }
  const lead = query.shape.slice(0, -2);
  const agrees = (x: Tensor) => sameShape(x.shape.slice(0, -2), lead);
  if (!agrees(key) || !agrees(value)) {
    throw new RangeError(
      `${operation}: query, key and value differ in their first axes: ${shapes}`,
    );
  }
  if (query.shape.at(-1) !== key.shape.at(-1)) {
    throw new RangeError(
      `${operation}: query and key differ in headDim: ${shapes}`,
    );
  }
  if (query.shape.at(-1) === 0) {
    throw new RangeError(`${operation}: headDim must be at least 1: ${shapes}`);
  }
  if (key.shape.at(-2) !== value.shape.at(-2)) {
    throw new RangeError(
      `${operation}: key and value differ in keySeqLen: ${shapes}`,
    );
  }
}
