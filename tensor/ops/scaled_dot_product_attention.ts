import * as build from "../graph/build.ts";
import { gradients } from "../graph/gradients.ts";
import type { AttentionRule, Node } from "../graph/node.ts";
import { formatShape, sameShape, type Shape, sizeOf } from "../shape.ts";
import { nodeOf, requireTensor, Tensor } from "../tensor.ts";
import {
  attentionByParts,
  gradientsByParts,
  leavesOf,
  scoresShape,
} from "./_attention_parts.ts";
import { requireType } from "./_operands.ts";

/** How {@link scaledDotProductAttention} scores. */
export interface ScaledDotProductAttentionOptions {
  /**
   * Multiplies the products of queries and keys. It is part of the program:
   * for one that changes, multiply the query.
   * @default 1 / √headDim
   */
  readonly scale?: number;
  /**
   * Each broadcasts to `[..., querySeqLen, keySeqLen]`. A key is seen if all
   * bool masks are true; float32 masks are added to the scores, and forbid
   * where they are -Infinity (-3e38 or less).
   * @default []
   */
  readonly masks?: readonly Tensor[];
  /**
   * Whether a query sees only the keys up to its own position.
   * @default false
   */
  readonly causal?: boolean;
  /**
   * Position of the first query among the keys, for `causal`.
   * @default 0
   */
  readonly queryOffset?: number;
}

type Inputs = readonly [Node, Node, Node, ...Node[]];

/**
 * Mixes `value` rows by how well each query matches each key, in memory that
 * grows with the lengths, not with their product.
 *
 * `softmax(scale Q Kᵀ + masks) V`, softmax over keys (Vaswani et al. 2017,
 * eq. 1, https://arxiv.org/abs/1706.03762), computed tile by tile; the backward
 * pass computes the weights again (Dao et al. 2022,
 * https://arxiv.org/abs/2205.14135). A query that sees no key gets zeros, and
 * passes no gradient on. Second derivatives, and the gradient by a float32
 * mask, do store the weights.
 *
 * @param query float32 `[..., querySeqLen, headDim]`, as a rule
 * `[batch, heads, querySeqLen, headDim]`.
 * @param key float32 `[..., keySeqLen, headDim]`, with the same first axes.
 * @param value float32 `[..., keySeqLen, valueDim]`, with the same first axes.
 * @param options Scale and masks.
 * @returns float32 `[..., querySeqLen, valueDim]`.
 * @throws {TypeError} If a tensor or mask has a wrong type.
 * @throws {RangeError} If the first axes, headDim or keySeqLen disagree, a mask
 * does not fit, or scale or queryOffset is no such number.
 *
 * @example Each token sees itself and those before
 * ```ts
 * import { scaledDotProductAttention, tensor, zeros } from "@heddle/tensor";
 * import { assertEquals } from "@std/assert";
 *
 * const value = tensor([[2], [4], [9]]);
 * const same = zeros([3, 1]);
 * const mixed = scaledDotProductAttention(same, same, value, { causal: true });
 * assertEquals(await mixed.round().toArray(), [[2], [3], [5]]);
 * ```
 */
export function scaledDotProductAttention(
  query: Tensor,
  key: Tensor,
  value: Tensor,
  options: ScaledDotProductAttentionOptions = {},
): Tensor {
  const rule = ruleOf(query, key, value, options);
  const [q, k, v] = [nodeOf(query), nodeOf(key), nodeOf(value)];
  const shape = scoresShape(q, k);
  const masks = (options.masks ?? []).map((mask) => maskNode(mask, shape));
  const inputs: Inputs = [q, k, v, ...masks];
  if (sizeOf(shape) * v.shape.at(-1)! === 0) {
    return new Tensor(attentionByParts(inputs, rule));
  }
  return new Tensor(fused(inputs, rule));
}

/** The kernel, with its gradients. */
function fused(inputs: Inputs, rule: AttentionRule): Node {
  const [query, key, value, ...masks] = inputs;
  const { mixtures, logSums } = build.attention(inputs, rule);
  const result: Node = build.custom(mixtures, inputs, (gradient) => {
    const along = build.map("mul", [gradient, result]);
    const delta = build.reduce("sum", along, [along.shape.length - 1]);
    const parts = build.attentionGradient(
      [query, key, value, gradient, logSums, delta, ...masks],
      rule,
    );
    const learned = masks.some((mask) => mask.needsGrad)
      ? gradientsByParts(leavesOf(inputs), rule, gradient).slice(3)
      : masks.map(() => null);
    return [
      ...parts.map((part, at) =>
        build.custom(part, [gradient, ...inputs], (second) => {
          const [g, ...leaves] = leavesOf([gradient, ...inputs] as const);
          const plain = gradientsByParts(leaves, rule, g)[at]!;
          return gradients([plain], [second], [g, ...leaves]);
        })
      ),
      ...learned,
    ];
  });
  return result;
}

/** A mask with as many axes as the scores, none of them repeated in memory. */
function maskNode(mask: Tensor, shape: Shape): Node {
  requireTensor("scaledDotProductAttention", mask);
  requireType(
    "scaledDotProductAttention",
    mask,
    ["bool", "float32"],
    "use bool with true = may attend, or float32 to add",
  );
  const lead = shape.length - mask.rank;
  const fits = lead >= 0 &&
    mask.shape.every((extent, axis) =>
      extent === 1 || extent === shape[lead + axis]
    );
  if (!fits) {
    throw new RangeError(
      `scaledDotProductAttention: a mask does not broadcast: got ${
        formatShape(mask.shape)
      } for scores ${formatShape(shape)}`,
    );
  }
  let node = nodeOf(mask);
  const { op } = node;
  if (
    op.kind === "move" && op.movement.kind === "expand" &&
    node.storage === undefined && !node.freed
  ) node = node.inputs[0]!;
  const ones = new Array<number>(lead).fill(1);
  return build.reshape(node, [...ones, ...node.shape]);
}

function ruleOf(
  query: Tensor,
  key: Tensor,
  value: Tensor,
  options: ScaledDotProductAttentionOptions,
): AttentionRule {
  const name = "scaledDotProductAttention";
  const tensors = [query, key, value];
  for (const x of tensors) {
    requireTensor(name, x);
    requireType(name, x, ["float32"], "cast it first");
  }
  const shapes = `got ${
    tensors.map(({ shape }) => formatShape(shape)).join(", ")
  }`;
  if (tensors.some(({ rank }) => rank < 2)) {
    throw new RangeError(
      `${name}: query, key and value need at least two axes: ${shapes}: use ` +
        "[..., seqLen, headDim]",
    );
  }
  const lead = query.shape.slice(0, -2);
  if (!tensors.every(({ shape }) => sameShape(shape.slice(0, -2), lead))) {
    throw new RangeError(
      `${name}: query, key and value differ in their first axes: ${shapes}`,
    );
  }
  const headDim = query.shape.at(-1)!;
  if (headDim !== key.shape.at(-1) || headDim === 0) {
    throw new RangeError(
      `${name}: query and key need one headDim of at least 1: ${shapes}`,
    );
  }
  if (key.shape.at(-2) !== value.shape.at(-2)) {
    throw new RangeError(
      `${name}: key and value differ in keySeqLen: ${shapes}`,
    );
  }
  const { scale = 1 / Math.sqrt(headDim), causal = false, queryOffset = 0 } =
    options;
  if (!Number.isFinite(scale)) {
    throw new RangeError(
      `${name}: scale must be a finite number: got ${scale}`,
    );
  }
  if (!Number.isSafeInteger(queryOffset)) {
    throw new RangeError(
      `${name}: queryOffset must be a whole number: got ${queryOffset}`,
    );
  }
  // Farther away it would make no difference, but leave 32 bits.
  const limit = query.shape.at(-2)! + key.shape.at(-2)!;
  const causalOffset = Math.max(-limit, Math.min(queryOffset, limit));
  return { scale, causalOffset: causal ? causalOffset : null };
}
