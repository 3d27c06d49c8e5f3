import { LayerNorm, Module } from "@heddle/nn";
import type { Tensor } from "@heddle/tensor";
import { requireSizes } from "./_check.ts";
import type { MaskOptions } from "./_mask.ts";
import {
  TransformerEncoderLayer,
  type TransformerEncoderLayerOptions,
} from "./transformer_encoder_layer.ts";

/** How a {@link TransformerEncoder} is made. */
export interface TransformerEncoderOptions
  extends TransformerEncoderLayerOptions {
  /**
   * Whether the output of the last layer is normalized.
   * @default normFirst
   */
  readonly finalNorm?: boolean;
}

/** What {@link TransformerEncoder.attend} gives. */
export interface EncoderAttended {
  /** The output of the last layer. */
  readonly output: Tensor;
  /** Of each layer, `[batch, heads, seqLen, seqLen]`. */
  readonly weights: readonly Tensor[];
}

/**
 * Layers one after the other, each with weights of its own.
 *
 * @example
 * ```ts
 * import { TransformerEncoder } from "@heddle/attention";
 * import { ones, tensor } from "@heddle/tensor";
 * import { assertEquals } from "@std/assert";
 *
 * const encoder = new TransformerEncoder(2, 8, 4, {
 *   feedForwardDim: 16,
 *   normFirst: true,
 * });
 * const keyPaddingMask = tensor([[false, false, true]]);
 * const { output, weights } = encoder.attend(ones([1, 3, 8]), { keyPaddingMask });
 * assertEquals(output.shape, [1, 3, 8]);
 * assertEquals(weights.map(({ shape }) => shape), [[1, 4, 3, 3], [1, 4, 3, 3]]);
 * ```
 */
export class TransformerEncoder extends Module {
  /** The layers, in order. */
  readonly layers: readonly TransformerEncoderLayer[];
  /** Normalizes the last output; null if there is none. */
  readonly norm: LayerNorm | null;

  /**
   * Draws the initial weights.
   *
   * @param layerCount How many layers.
   * @param modelDim Size of the last axis.
   * @param heads How many heads a layer; a divisor of `modelDim`.
   * @param options Of each layer, and the last norm.
   * @throws {RangeError} If a size is not a whole number from 1, `heads` does
   * not divide `modelDim`, there is no such activation, or the rate is not from
   * 0 to 1.
   */
  constructor(
    layerCount: number,
    modelDim: number,
    heads: number,
    options: TransformerEncoderOptions = {},
  ) {
    super();
    requireSizes("TransformerEncoder", { layerCount });
    this.layers = Array.from(
      { length: layerCount },
      () => new TransformerEncoderLayer(modelDim, heads, options),
    );
    const { normFirst = false, finalNorm = normFirst } = options;
    const { eps = 1e-5, bias = true } = options;
    this.norm = finalNorm ? new LayerNorm(modelDim, { eps, bias }) : null;
  }

  /**
   * Computes the outputs.
   *
   * @param hidden float32 `[batch, seqLen, modelDim]`, or one sequence without
   * the first axis.
   * @param options Masks, the same for all layers.
   * @returns The same shape.
   * @throws {TypeError} If the input or a mask has a wrong type.
   * @throws {RangeError} If a shape does not fit.
   */
  override forward(hidden: Tensor, options: MaskOptions = {}): Tensor {
    return this.attend(hidden, options).output;
  }

  /**
   * {@link TransformerEncoder.forward}, with the attention weights of each
   * layer. They cost nothing unless they are read.
   *
   * @param hidden float32 `[batch, seqLen, modelDim]`.
   * @param options Masks, the same for all layers.
   * @throws {TypeError} If the input or a mask has a wrong type.
   * @throws {RangeError} If a shape does not fit.
   */
  attend(hidden: Tensor, options: MaskOptions = {}): EncoderAttended {
    let output = hidden;
    const weights = this.layers.map((layer) => {
      const attended = layer.attend(output, options);
      output = attended.output;
      return attended.weights;
    });
    return { output: this.norm?.forward(output) ?? output, weights };
  }
}
