import * as build from "../graph/build.ts";
import type { Node } from "../graph/node.ts";
import { formatShape, sameShape, sizeOf } from "../shape.ts";
import { requireTensor, Tensor } from "../tensor.ts";
import { floatNode } from "./_operands.ts";

/** What {@link layerNorm} scales by. */
export interface LayerNormOptions {
  /**
   * Multiplies the result; of the shape of the normalized axes.
   * @default none
   */
  readonly weight?: Tensor;
  /**
   * Added to the result; of the shape of the normalized axes.
   * @default none
   */
  readonly bias?: Tensor;
  /**
   * How many of the last axes are normalized together.
   * @default 1
   */
  readonly axes?: number;
  /**
   * Added to the variance.
   * @default 1e-5
   */
  readonly eps?: number;
}

/**
 * Mean 0 and variance 1 over the last axes: Ba et al. 2016,
 * https://arxiv.org/abs/1607.06450.
 *
 * `(x - mean) / sqrt(variance + eps) * weight + bias`, with the variance of a
 * population.
 *
 * @param x float32 of any shape.
 * @returns The same shape.
 * @throws {RangeError} If `weight` or `bias` has another shape, or there are
 * fewer axes than asked for.
 */
export function layerNorm(x: Tensor, options: LayerNormOptions = {}): Tensor {
  const { weight, bias, axes = 1, eps = 1e-5 } = options;
  requireTensor("layerNorm", x);
  if (!Number.isInteger(axes) || axes < 1 || axes > x.rank) {
    throw new RangeError(
      `layerNorm: axes must be 1 to ${x.rank}: got ${axes} for ${
        formatShape(x.shape)
      }`,
    );
  }
  const inner = x.shape.slice(-axes);
  for (const [name, value] of [["weight", weight], ["bias", bias]] as const) {
    if (value && !sameShape(value.shape, inner)) {
      throw new RangeError(
        `layerNorm: ${name} must be ${formatShape(inner)}: got ${
          formatShape(value.shape)
        }`,
      );
    }
  }
  let result = new Tensor(normalized(floatNode(x), axes, eps));
  if (weight) result = result.mul(weight);
  return bias ? result.add(bias) : result;
}

function normalized(x: Node, count: number, eps: number): Node {
  const rank = x.shape.length;
  const axes = x.shape.map((_, axis) => axis).slice(rank - count);
  const scale = build.constant(1 / sizeOf(x.shape.slice(-count)));
  const mean = (value: Node): Node => {
    const total = build.reduce("sum", value, axes);
    return build.map("mul", [total, build.broadcast(scale, total.shape)]);
  };
  const wide = (value: Node) => build.expand(value, x.shape);
  const apart = build.map("sub", [x, wide(mean(x))]);
  const variance = mean(build.map("mul", [apart, apart]));
  const one = build.filled(1, variance.shape, "float32");
  const safe = build.map("add", [
    variance,
    build.broadcast(build.constant(eps), variance.shape),
  ]);
  const inverse = build.map("div", [one, build.map("sqrt", [safe])]);
  const value = build.map("mul", [apart, wide(inverse)]);
  const result: Node = build.custom(value, [x], (g) => {
    // dx = (g - mean(g) - y mean(g y)) / deviation
    const along = mean(build.map("mul", [g, result]));
    const rest = build.map("sub", [g, wide(mean(g))]);
    const slope = build.map("mul", [result, wide(along)]);
    return [build.map("mul", [build.map("sub", [rest, slope]), wide(inverse)])];
  });
  return result;
}
