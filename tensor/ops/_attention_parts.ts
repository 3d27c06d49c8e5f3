/**
 * Attention made of basic operations: the oracle of the kernel, and what
 * gradients of its gradients go through.
 *
 * @module
 */

import * as build from "../graph/build.ts";
import { type AttentionRule, type Node, withGrad } from "../graph/node.ts";
import { gradients } from "../graph/gradients.ts";
import type { Shape } from "../shape.ts";
import { nodeOf, Tensor } from "../tensor.ts";
import { where } from "./compare.ts";
import { matmul } from "./matmul.ts";
import { softmax } from "./softmax.ts";

/** Scores at and below it count as forbidden; -Infinity is one of them. */
export const FORBIDDEN = -3e38;

/** `[..., queries, keys]`. */
export function scoresShape(query: Node, key: Node): Shape {
  return [...query.shape.slice(0, -1), key.shape.at(-2)!];
}

/** What the masks and the order of keys allow; undefined for all. */
function allowedBy(
  masks: readonly Node[],
  { causalOffset }: AttentionRule,
  shape: Shape,
): Tensor | undefined {
  const parts = masks.map((mask) => {
    const tensor = new Tensor(mask);
    return mask.dtype === "bool" ? tensor : tensor.gt(FORBIDDEN);
  });
  if (causalOffset !== null) {
    const last = shape.slice(-2);
    const query = new Tensor(build.positions(last, 0));
    const key = new Tensor(build.positions(last, 1));
    parts.push(key.le(query.add(causalOffset)));
  }
  return parts.reduce<Tensor | undefined>(
    (all, part) => all ? all.logicalAnd(part) : part,
    undefined,
  );
}

/**
 * `softmax(scale query keyᵀ + added)`; 0 where nothing is allowed.
 *
 * @param inputs Query, key, and the masks.
 */
export function attentionWeights(
  [query, key, ...masks]: readonly [Node, Node, ...Node[]],
  rule: AttentionRule,
): Tensor {
  const shape = scoresShape(query, key);
  const products = matmul(new Tensor(query), new Tensor(key).transpose());
  const added = masks.filter((mask) => mask.dtype === "float32");
  const scores = added.reduce(
    (sum, mask) => sum.add(new Tensor(mask)),
    products.mul(rule.scale),
  );
  const allowed = allowedBy(masks, rule, shape);
  if (!allowed) return softmax(scores);
  // Not -Infinity: WGSL may assume that infinities never occur.
  const weights = softmax(where(allowed, scores, FORBIDDEN));
  // Of equal scores softmax makes equal weights, also where all are forbidden.
  return where(allowed, weights, 0);
}

/** The mixtures. */
export function attentionByParts(
  [query, key, value, ...masks]: readonly [Node, Node, Node, ...Node[]],
  rule: AttentionRule,
): Node {
  const weights = attentionWeights([query, key, ...masks], rule);
  return nodeOf(matmul(weights, new Tensor(value)));
}

/**
 * The gradients of {@link attentionByParts} by its inputs; null for none.
 *
 * @param inputs None may be a movement that another one would swallow: see
 * {@link leavesOf}.
 */
export function gradientsByParts(
  inputs: readonly [Node, Node, Node, ...Node[]],
  rule: AttentionRule,
  gradient: Node,
): (Node | null)[] {
  return withGrad(() =>
    gradients([attentionByParts(inputs, rule)], [gradient], inputs)
  );
}

/** The same values, to differentiate by: movements would merge with others. */
export function leavesOf<T extends readonly Node[]>(nodes: T): T {
  return nodes.map((node) =>
    node.dtype === "float32" ? build.fence(node, true) : node
  ) as unknown as T;
}
