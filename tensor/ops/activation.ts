import { broadcast, custom, map, parameter } from "../graph/build.ts";
import type { Node } from "../graph/node.ts";
import { nodeOf, Tensor } from "../tensor.ts";
import { floatNode, like } from "./_operands.ts";
import { erf, log1p, sigmoid, tanh } from "./unary.ts";

/** `max(x, 0)`; the gradient at 0 is 0. */
export function relu(x: Tensor): Tensor {
  const node = floatNode(x);
  const zero = like(node, 0);
  return new Tensor(map("where", [map("lt", [zero, node]), node, zero]));
}

/**
 * `x` where it is above 0, else `slope * x`: Maas et al. 2013.
 *
 * @param slope Steepness below 0.
 */
export function leakyRelu(x: Tensor, slope: number = 0.01): Tensor {
  const node = floatNode(x);
  const small = broadcast(parameter(slope, "float32"), node.shape);
  const positive = map("lt", [like(node, 0), node]);
  const factor = map("where", [positive, like(node, 1), small]);
  return new Tensor(
    custom(
      map("where", [positive, node, map("mul", [node, small])]),
      [node],
      (g) => [map("mul", [g, factor])],
    ),
  );
}

/** How {@link gelu} is computed. */
export interface GeluOptions {
  /**
   * `none` for `x Φ(x)` itself, `tanh` for its approximation.
   * @default "none"
   */
  readonly approximate?: "none" | "tanh";
}

/**
 * `x Φ(x)`, Φ the normal distribution function: Hendrycks and Gimpel 2016,
 * https://arxiv.org/abs/1606.08415.
 */
export function gelu(x: Tensor, options: GeluOptions = {}): Tensor {
  const half = x.mul(0.5);
  if (options.approximate === "tanh") {
    const cubic = x.mul(x).mul(x).mul(0.044715);
    return half.mul(tanh(x.add(cubic).mul(Math.sqrt(2 / Math.PI))).add(1));
  }
  return half.mul(erf(x.mul(Math.SQRT1_2)).add(1));
}

/** `x * sigmoid(x)`. */
export function silu(x: Tensor): Tensor {
  return x.mul(sigmoid(x));
}

/** `log(1 + exp(x))`, without overflow. */
export function softplus(x: Tensor): Tensor {
  const node = floatNode(x);
  const decay = new Tensor(map("exp", [map("neg", [map("abs", [node])])]));
  const top = map("max", [node, like(node, 0)]);
  const value: Tensor = new Tensor(top).add(log1p(decay));
  return new Tensor(
    custom(nodeOf(value), [node], (g) => {
      const slope: Node = nodeOf(sigmoid(new Tensor(node)));
      return [map("mul", [g, slope])];
    }),
  );
}
