import { Dropout, Linear, Module, xavierUniform } from "@heddle/nn";
import { type Generator, type Tensor, zeros } from "@heddle/tensor";
import { formatShape, requireFloat, requireSizes } from "./_check.ts";
import type { MaskOptions } from "./_mask.ts";
import {
  type Attended,
  type AttentionOptions,
  mix,
  mixtures,
} from "./dot_product_attention.ts";

/** How a {@link MultiHeadAttention} is made. */
export interface MultiHeadAttentionOptions {
  /**
   * Size of the last axis of the keys that it is given.
   * @default modelDim
   */
  readonly keyDim?: number;
  /**
   * Size of the last axis of the values that it is given.
   * @default modelDim
   */
  readonly valueDim?: number;
  /**
   * Whether the four projections add something.
   * @default true
   */
  readonly bias?: boolean;
  /**
   * Probability that a weight is dropped in training.
   * @default 0
   */
  readonly dropoutRate?: number;
  /**
   * Where the initial weights come from.
   * @default defaultGenerator()
   */
  readonly generator?: Generator;
}

/**
 * Attention by several heads, each on a part of the projected features:
 * Vaswani et al. 2017, section 3.2.2, https://arxiv.org/abs/1706.03762.
 *
 * Its layers are `query`, `key`, `value` (to `modelDim`) and `output`; head `h`
 * has features `h * headDim` to `(h + 1) * headDim - 1`, as in PyTorch, whose
 * states `fromTorchStateDict` translates. They begin as PyTorch's do: projections
 * by Xavier's rule, biases at 0.
 *
 * @example Self-attention over a batch with padding
 * ```ts
 * import { MultiHeadAttention } from "@heddle/attention";
 * import { ones, tensor } from "@heddle/tensor";
 * import { assertEquals } from "@std/assert";
 *
 * const attention = new MultiHeadAttention(8, 2);
 * const hidden = ones([2, 3, 8]);
 * const keyPaddingMask = tensor([[false, false, true], [false, true, true]]);
 * const mixed = attention.forward(hidden, hidden, hidden, { keyPaddingMask });
 * assertEquals(mixed.shape, [2, 3, 8]);
 * ```
 */
export class MultiHeadAttention extends Module {
  /** Size of the last axis of queries and of the result. */
  readonly modelDim: number;
  /** How many heads. */
  readonly heads: number;
  /** Projects the queries. */
  readonly query: Linear;
  /** Projects the keys. */
  readonly key: Linear;
  /** Projects the values. */
  readonly value: Linear;
  /** Projects the joined heads. */
  readonly output: Linear;
  /** Drops weights in training. */
  readonly dropout: Dropout;

  /**
   * Draws the initial weights.
   *
   * @param modelDim Size of the last axis of queries and of the result.
   * @param heads How many heads; a divisor of `modelDim`.
   * @throws {RangeError} If a size is not a whole number from 1, `heads` does
   * not divide `modelDim`, or the rate is not from 0 to 1.
   */
  constructor(
    modelDim: number,
    heads: number,
    options: MultiHeadAttentionOptions = {},
  ) {
    super();
    const { keyDim = modelDim, valueDim = modelDim, bias = true } = options;
    requireSizes("MultiHeadAttention", { modelDim, heads, keyDim, valueDim });
    if (modelDim % heads !== 0) {
      throw new RangeError(
        `MultiHeadAttention: heads must divide modelDim: got ${heads} for ${modelDim}`,
      );
    }
    this.modelDim = modelDim;
    this.heads = heads;
    const { generator } = options;
    const from = { bias, ...generator ? { generator } : {} };
    const linear = (inputs: number) => new Linear(inputs, modelDim, from);
    this.query = linear(modelDim);
    this.key = linear(keyDim);
    this.value = linear(valueDim);
    this.output = linear(modelDim);
    this.dropout = new Dropout(options.dropoutRate ?? 0);
    // PyTorch draws equal sizes as one matrix of 3 * modelDim outputs.
    const joint = keyDim === modelDim && valueDim === modelDim;
    const gain = joint ? Math.SQRT1_2 : 1;
    for (const layer of [this.query, this.key, this.value]) {
      const drawn = xavierUniform(layer.weight.shape, { ...from, gain });
      layer.weight = drawn.asVariable();
    }
    for (const layer of [this.query, this.key, this.value, this.output]) {
      if (layer.bias) layer.bias = zeros([modelDim]).asVariable();
    }
  }

  /**
   * Computes the mixtures.
   *
   * @param query float32 `[batch, querySeqLen, modelDim]`, or one sequence
   * without the first axis.
   * @param key float32 `[batch, keySeqLen, keyDim]`; the queries if left out.
   * @param value float32 `[batch, keySeqLen, valueDim]`; the keys if left out.
   * @param options Masks: an `attentionMask` is `[querySeqLen, keySeqLen]` or
   * broadcasts to `[batch, heads, querySeqLen, keySeqLen]`.
   * @returns float32 in the shape of `query`.
   * @throws {TypeError} If a tensor or mask has a wrong type.
   * @throws {RangeError} If a shape does not fit.
   */
  override forward(
    query: Tensor,
    key: Tensor = query,
    value: Tensor = key,
    options: MaskOptions = {},
  ): Tensor {
    const [q, k, v, rest] = this.#project(query, key, value, options);
    return this.#join(query, mixtures("MultiHeadAttention", q, k, v, rest));
  }

  /**
   * {@link MultiHeadAttention.forward}, with the weights of each head,
   * `[batch, heads, querySeqLen, keySeqLen]`. They cost nothing unless they are
   * read.
   *
   * @param query float32 `[batch, querySeqLen, modelDim]`.
   * @param key float32 `[batch, keySeqLen, keyDim]`.
   * @param value float32 `[batch, keySeqLen, valueDim]`.
   * @param options Masks.
   * @throws {TypeError} If a tensor or mask has a wrong type.
   * @throws {RangeError} If a shape does not fit.
   */
  attend(
    query: Tensor,
    key: Tensor = query,
    value: Tensor = key,
    options: MaskOptions = {},
  ): Attended {
    const [q, k, v, rest] = this.#project(query, key, value, options);
    const { output, weights } = mix("MultiHeadAttention", q, k, v, rest);
    return {
      output: this.#join(query, output),
      weights: query.rank === 2 ? weights.squeeze(0) : weights,
    };
  }

  /** The heads of query, key and value; one sequence is a batch of one. */
  #project(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    options: MaskOptions,
  ): [Tensor, Tensor, Tensor, AttentionOptions] {
    this.#check(query, key, value, options);
    const one = query.rank === 2;
    const heads = (layer: Linear, x: Tensor) =>
      this.#split(layer.forward(one ? x.unsqueeze(0) : x));
    const { keyPaddingMask: padding } = options;
    return [
      heads(this.query, query),
      heads(this.key, key),
      heads(this.value, value),
      {
        ...options,
        ...one && padding ? { keyPaddingMask: padding.unsqueeze(0) } : {},
        ...this.#dropping(),
      },
    ];
  }

  /** The heads side by side, projected, in the shape of the query. */
  #join(query: Tensor, output: Tensor): Tensor {
    return this.output.forward(
      output.permute([0, 2, 1, 3]).reshape(query.shape),
    );
  }

  /** `[batch, seqLen, modelDim]` to `[batch, heads, seqLen, headDim]`. */
  #split(projected: Tensor): Tensor {
    const [batch, seqLen] = projected.shape as [number, number, number];
    const headDim = this.modelDim / this.heads;
    return projected.reshape([batch, seqLen, this.heads, headDim])
      .permute([0, 2, 1, 3]);
  }

  #dropping() {
    const { dropoutRate, generator, training } = this.dropout;
    if (!training || dropoutRate === 0) return {};
    return { dropoutRate, dropoutKey: generator.next() };
  }

  #check(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    { attentionMask }: MaskOptions,
  ): void {
    requireFloat("MultiHeadAttention", { query, key, value });
    const dims = [
      this.modelDim,
      this.key.inFeatures,
      this.value.inFeatures,
    ];
    const inputs = [query, key, value];
    const fits = inputs.every(({ rank, shape }, at) =>
      rank === query.rank && shape.at(-1) === dims[at] &&
      (rank === 2 || shape[0] === query.shape[0])
    );
    if (!fits || query.rank < 2 || query.rank > 3) {
      throw new RangeError(
        "MultiHeadAttention: query, key and value must be " +
          `${dims.map((dim) => `[batch, seqLen, ${dim}]`).join(", ")}: got ${
            inputs.map(({ shape }) => formatShape(shape)).join(", ")
          }`,
      );
    }
    if (attentionMask?.rank === 3 && query.rank === 3) {
      // It would broadcast as [heads, ...]: right only by chance.
      throw new RangeError(
        "MultiHeadAttention: an attentionMask of three axes is ambiguous: got " +
          `${
            formatShape(attentionMask.shape)
          }: unsqueeze axis 1 for one mask ` +
          "an example, axis 0 for one a head",
      );
    }
  }

  /** What `toString` shows. */
  protected override describe(): string {
    return `${this.modelDim}, ${this.heads} heads`;
  }
}
