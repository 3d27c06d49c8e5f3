/**
 * Attention functions and transformer layers.
 *
 * Masks: in `attentionMask` true = may attend, in `keyPaddingMask` true =
 * padding, ignored.
 *
 * @example Token ids to contextual vectors
 * ```ts
 * import { PositionalEmbedding, TransformerEncoder } from "@heddle/attention";
 * import { tensor } from "@heddle/tensor";
 * import { assertEquals } from "@std/assert";
 *
 * const embedding = new PositionalEmbedding(100, 8, { paddingIndex: 0 });
 * const encoder = new TransformerEncoder(2, 8, 2, { feedForwardDim: 32 });
 * const tokenIds = tensor([[5, 7, 0], [9, 3, 2]], { dtype: "int32" });
 * const hidden = encoder.forward(embedding.forward(tokenIds), {
 *   keyPaddingMask: tokenIds.eq(0),
 * });
 * assertEquals(hidden.shape, [2, 3, 8]);
 * ```
 *
 * @module
 */

export {
  attend,
  type Attended,
  type AttentionOptions,
  dotProductAttention,
} from "./dot_product_attention.ts";
export * from "./from_torch_state_dict.ts";
export * from "./multi_head_attention.ts";
export * from "./positional_embedding.ts";
export * from "./sinusoidal_positions.ts";
export * from "./transformer_encoder.ts";
export * from "./transformer_encoder_layer.ts";
export type { MaskOptions } from "./_mask.ts";
