import * as build from "../graph/build.ts";
import type { Node } from "../graph/node.ts";
import { normalizeAxis } from "../shape.ts";
import { requireTensor, Tensor } from "../tensor.ts";
import { floatNode, like } from "./_operands.ts";

/** `x` less its maximum along an axis, which no gradient needs to pass. */
function shifted(node: Node, axis: number): Node {
  // Subtract the maximum first: exp(89) overflows float32. It is not below
  // -3e38, so that a row of -Infinity gives 0/0 and not a device's guess.
  const top = build.reduce("max", node, [axis]);
  const bounded = build.map("max", [top, like(top, -3e38)]);
  return build.map("sub", [node, build.expand(bounded, node.shape)]);
}

/**
 * Positive values that sum to one along an axis.
 *
 * `exp(x_i) / Σ exp(x_j)`. A row of nothing but -Infinity gives NaN.
 *
 * @param x Logits of any shape; a scalar counts as one element along an axis.
 * @param axis The axis that sums to one.
 * @returns Probabilities, in the shape of `x`.
 * @throws {RangeError} If the axis is out of range.
 *
 * @example Equal logits
 * ```ts
 * import { softmax, tensor } from "@heddle/tensor";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(await softmax(tensor([7, 7])).toArray(), [0.5, 0.5]);
 * ```
 */
export function softmax(x: Tensor, axis: number = -1): Tensor {
  requireTensor("softmax", x);
  if (x.rank === 0) return softmax(x.reshape([1]), axis).reshape([]);
  const node = floatNode(x);
  const at = normalizeAxis("softmax", axis, node.shape);
  const powers = build.map("exp", [shifted(node, at)]);
  const total = build.expand(build.reduce("sum", powers, [at]), node.shape);
  const result: Node = build.custom(
    build.map("div", [powers, total]),
    [node],
    (g) => {
      const inner = build.reduce("sum", build.map("mul", [g, result]), [at]);
      const rest = build.map("sub", [g, build.expand(inner, node.shape)]);
      return [build.map("mul", [result, rest])];
    },
  );
  return new Tensor(result);
}

/**
 * The logarithm of {@link softmax}, right also where that is 0 in float32.
 *
 * `x_i - log Σ exp(x_j)`.
 *
 * @param x Logits of any shape.
 * @param axis The axis whose exponentials sum to one.
 * @returns Log-probabilities, in the shape of `x`, in nats.
 * @throws {RangeError} If the axis is out of range.
 */
export function logSoftmax(x: Tensor, axis: number = -1): Tensor {
  requireTensor("logSoftmax", x);
  if (x.rank === 0) return logSoftmax(x.reshape([1]), axis).reshape([]);
  const node = floatNode(x);
  const at = normalizeAxis("logSoftmax", axis, node.shape);
  const apart = shifted(node, at);
  const total = build.reduce("sum", build.map("exp", [apart]), [at]);
  const logs = build.expand(build.map("log", [total]), node.shape);
  const result: Node = build.custom(
    build.map("sub", [apart, logs]),
    [node],
    (g) => {
      const inner = build.expand(build.reduce("sum", g, [at]), node.shape);
      const probs = build.map("exp", [result]);
      return [build.map("sub", [g, build.map("mul", [probs, inner])])];
    },
  );
  return new Tensor(result);
}
