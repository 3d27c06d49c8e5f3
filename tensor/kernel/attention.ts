/**
 * Attention as a kernel of its own, which keeps no scores: both ways compute
 * the weights tile by tile, the backward one again from the logarithms of the
 * sums that the forward one stored. Dao et al. 2022,
 * https://arxiv.org/abs/2205.14135; Dao 2023, https://arxiv.org/abs/2307.08691.
 *
 * @module
 */

import type { BufferSlot } from "./kernel.ts";

/** Scores at and below it count as forbidden. */
export const FORBIDDEN = -3e38;

/** The part of a position that one axis of a mask is indexed by. */
export interface MaskTerm {
  /** The batch number is divided by this, */
  readonly by: number;
  /** the remainder by this is taken, */
  readonly extent: number;
  /** and counts so many elements. */
  readonly stride: number;
}

/**
 * Which keys a query may attend to, or what is added to its scores: element
 * `Σ terms + query * queryStride + key * keyStride` of a buffer. A bool is true
 * where it may; a float32 is added, and forbids at and below `FORBIDDEN`.
 */
export interface AttentionMask {
  /** Position in the kernel's buffers. */
  readonly slot: number;
  /** For the batch number. */
  readonly terms: readonly MaskTerm[];
  /** 0 where all queries share a row. */
  readonly queryStride: number;
  /** 0 where all keys share an element, else 1. */
  readonly keyStride: 0 | 1;
}

/** Sizes, and how scores are made. */
export interface AttentionSizes {
  /** Independent problems: examples times heads. */
  readonly batch: number;
  /** Rows of the query and of the result. */
  readonly queries: number;
  /** Rows of key and value. */
  readonly keys: number;
  /** Columns of query and key. */
  readonly dim: number;
  /** Columns of value and result. */
  readonly features: number;
  /** Multiplies the products of queries and keys. */
  readonly scale: number;
  /** Query `q` sees key `k` only if `k <= q + causalOffset`; null for all. */
  readonly causalOffset: number | null;
  /** All must allow a key; all that are added are added. */
  readonly masks: readonly AttentionMask[];
}

/**
 * `softmax(scale query keyᵀ + added) value` over what is allowed, on
 * contiguous `[batch, queries, dim]`, `[batch, keys, dim]` and
 * `[batch, keys, features]`; 0 where nothing is allowed. No size is 0.
 */
export interface AttentionKernel extends AttentionSizes {
  /** Tells the kinds of kernel apart. */
  readonly kind: "attention";
  /** For messages and profiles. */
  readonly name: string;
  /**
   * Query, key, value, masks, all but the bool masks float32; then the result
   * `[batch, queries, features]` and, if it is wanted, for each query the
   * logarithm of the sum of the exponentials of its scores, 0 where nothing is
   * allowed.
   */
  readonly buffers: readonly BufferSlot[];
}

/**
 * Gradients of {@link AttentionKernel}: with `P` the weights,
 * `dP = gradient valueᵀ` and `dS = P (dP - delta)`, they are `scale dS key`,
 * `scale dSᵀ query` and `Pᵀ gradient`.
 */
export interface AttentionGradientKernel extends AttentionSizes {
  /** Tells the kinds of kernel apart. */
  readonly kind: "attentionGradient";
  /** For messages and profiles. */
  readonly name: string;
  /**
   * Query, key, value, the result's gradient, the logarithms of the sums,
   * `delta` (for each query the product of result and gradient), masks; then
   * the gradients by query, key and value.
   */
  readonly buffers: readonly BufferSlot[];
}

/** Either way. */
export type AnyAttentionKernel = AttentionKernel | AttentionGradientKernel;

/** Inputs before the masks. */
export const FORWARD_INPUTS = 3;
/** The same of the gradient. */
export const GRADIENT_INPUTS = 6;

/** A text that is equal for equal sizes, rules and masks. */
export function attentionKey(kernel: AnyAttentionKernel): string {
  const { batch, queries, keys, dim, features, scale, causalOffset, masks } =
    kernel;
  const texts = masks.map(({ slot, terms, queryStride, keyStride }) =>
    `b${slot}[${
      terms.map(({ by, extent, stride }) => `/${by}%${extent}*${stride}`)
    } ${queryStride} ${keyStride}]`
  );
  return [
    [batch, queries, keys, dim, features],
    scale,
    causalOffset,
    ...texts,
  ].join(" ");
}

/** The element of a mask where the rows of one problem begin. */
export function maskStart({ terms }: AttentionMask, batch: number): number {
  return terms.reduce(
    (sum, { by, extent, stride }) =>
      sum + Math.floor(batch / by) % extent * stride,
    0,
  );
}
