import { Dropout, LayerNorm, Linear, Module } from "@heddle/nn";
import type { Generator, Tensor } from "@heddle/tensor";
import type { MaskOptions } from "./_mask.ts";
import type { Attended } from "./dot_product_attention.ts";
import { MultiHeadAttention } from "./multi_head_attention.ts";

/** How a {@link TransformerEncoderLayer} is made. */
export interface TransformerEncoderLayerOptions {
  /**
   * Features between the two linear layers.
   * @default 2048
   */
  readonly feedForwardDim?: number;
  /**
   * Probability, in training, that a weight of attention, an output of
   * attention, a feature between the linear layers, or an output is dropped.
   * @default 0.1
   */
  readonly dropoutRate?: number;
  /**
   * What is between the linear layers: a name, or a function of each element.
   * @default "relu"
   */
  readonly activation?: "relu" | "gelu" | ((x: Tensor) => Tensor);
  /**
   * Whether each part normalizes its input (pre-norm: Xiong et al. 2020,
   * https://arxiv.org/abs/2002.04745) and not the sum that it is added to.
   * @default false
   */
  readonly normFirst?: boolean;
  /**
   * Added to the variance by the norms.
   * @default 1e-5
   */
  readonly eps?: number;
  /**
   * Whether linear layers, projections and norms add something.
   * @default true
   */
  readonly bias?: boolean;
  /**
   * Where the initial weights come from.
   * @default defaultGenerator()
   */
  readonly generator?: Generator;
}

/**
 * Self-attention and two linear layers, each with a residual connection and a
 * norm: Vaswani et al. 2017, section 3.1, https://arxiv.org/abs/1706.03762.
 *
 * With `A` attention and `F` the linear layers, both followed by dropout:
 * `y = norm1(x + A(x))`, `norm2(y + F(y))`; with `normFirst`
 * `y = x + A(norm1(x))`, `y + F(norm2(y))`.
 *
 * @example
 * ```ts
 * import { TransformerEncoderLayer } from "@heddle/attention";
 * import { ones } from "@heddle/tensor";
 * import { assertEquals } from "@std/assert";
 *
 * const layer = new TransformerEncoderLayer(8, 2, { feedForwardDim: 16 });
 * const hidden = layer.forward(ones([4, 5, 8]), { causal: true });
 * assertEquals(hidden.shape, [4, 5, 8]);
 * ```
 */
export class TransformerEncoderLayer extends Module {
  /** Mixes positions. */
  readonly selfAttention: MultiHeadAttention;
  /** From `modelDim` to `feedForwardDim`. */
  readonly linear1: Linear;
  /** Back to `modelDim`. */
  readonly linear2: Linear;
  /** The norm of attention. */
  readonly norm1: LayerNorm;
  /** The norm of the linear layers. */
  readonly norm2: LayerNorm;
  /** Drops between the linear layers. */
  readonly dropout: Dropout;
  /** Drops outputs of attention. */
  readonly dropout1: Dropout;
  /** Drops outputs of the linear layers. */
  readonly dropout2: Dropout;
  /** Whether each part normalizes its input. */
  readonly normFirst: boolean;
  readonly #activation: (x: Tensor) => Tensor;

  /**
   * Draws the initial weights.
   *
   * @param modelDim Size of the last axis.
   * @param heads How many heads; a divisor of `modelDim`.
   * @throws {RangeError} If a size is not a whole number from 1, `heads` does
   * not divide `modelDim`, there is no such activation, or the rate is not from
   * 0 to 1.
   */
  constructor(
    modelDim: number,
    heads: number,
    options: TransformerEncoderLayerOptions = {},
  ) {
    super();
    const { feedForwardDim = 2048, dropoutRate = 0.1, bias = true } = options;
    const { activation = "relu", normFirst = false, eps = 1e-5 } = options;
    const { generator } = options;
    const from = { bias, ...generator ? { generator } : {} };
    this.selfAttention = new MultiHeadAttention(modelDim, heads, {
      ...from,
      dropoutRate,
    });
    this.linear1 = new Linear(modelDim, feedForwardDim, from);
    this.linear2 = new Linear(feedForwardDim, modelDim, from);
    this.norm1 = new LayerNorm(modelDim, { eps, bias });
    this.norm2 = new LayerNorm(modelDim, { eps, bias });
    this.dropout = new Dropout(dropoutRate);
    this.dropout1 = new Dropout(dropoutRate);
    this.dropout2 = new Dropout(dropoutRate);
    this.normFirst = normFirst;
    this.#activation = activationOf(activation);
  }

  /**
   * Computes the outputs.
   *
   * @param hidden float32 `[batch, seqLen, modelDim]`, or one sequence without
   * the first axis.
   * @param options Masks.
   * @returns The same shape.
   * @throws {TypeError} If the input or a mask has a wrong type.
   * @throws {RangeError} If a shape does not fit.
   */
  override forward(hidden: Tensor, options: MaskOptions = {}): Tensor {
    return this.attend(hidden, options).output;
  }

  /**
   * {@link TransformerEncoderLayer.forward}, with the attention weights,
   * `[batch, heads, seqLen, seqLen]`. They cost nothing unless they are read.
   *
   * @param hidden float32 `[batch, seqLen, modelDim]`.
   * @param options Masks.
   * @throws {TypeError} If the input or a mask has a wrong type.
   * @throws {RangeError} If a shape does not fit.
   */
  attend(hidden: Tensor, options: MaskOptions = {}): Attended {
    const before = this.normFirst ? this.norm1.forward(hidden) : hidden;
    const { output, weights } = this.selfAttention
      .attend(before, before, before, options);
    const mixed = hidden.add(this.dropout1.forward(output));
    if (this.normFirst) {
      const fed = this.#feedForward(this.norm2.forward(mixed));
      return { output: mixed.add(fed), weights };
    }
    const between = this.norm1.forward(mixed);
    const fed = between.add(this.#feedForward(between));
    return { output: this.norm2.forward(fed), weights };
  }

  #feedForward(x: Tensor): Tensor {
    const inner = this.#activation(this.linear1.forward(x));
    return this.dropout2.forward(
      this.linear2.forward(this.dropout.forward(inner)),
    );
  }

  /** What `toString` shows. */
  protected override describe(): string {
    return this.normFirst ? "norm first" : "";
  }
}

function activationOf(
  activation: "relu" | "gelu" | ((x: Tensor) => Tensor),
): (x: Tensor) => Tensor {
  if (typeof activation === "function") return activation;
  if (activation === "relu") return (x) => x.relu();
  if (activation === "gelu") return (x) => x.gelu();
  throw new RangeError(
    `TransformerEncoderLayer: no such activation: got "${activation}": ` +
      "use relu, gelu or a function",
  );
}
