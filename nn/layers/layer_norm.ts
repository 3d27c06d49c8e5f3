import { ones, type Shape, type Tensor, zeros } from "@heddle/tensor";
import { requireSizes, requireTensor, requireWithin } from "../_check.ts";
import { formatShape, sameShape } from "../_fit.ts";
import { Module } from "../module.ts";

/** How a {@link LayerNorm} is made. */
export interface LayerNormModuleOptions {
  /**
   * Added to the variance.
   * @default 1e-5
   */
  readonly eps?: number;
  /**
   * Whether the result is scaled and shifted by parameters.
   * @default true
   */
  readonly affine?: boolean;
  /**
   * Whether it is shifted, if it is scaled.
   * @default true
   */
  readonly bias?: boolean;
}

/**
 * Mean 0 and variance 1 over the last axes: see `layerNorm` of
 * `@heddle/tensor`. The weight begins at 1, the bias at 0.
 *
 * @example
 * ```ts
 * import { LayerNorm } from "@heddle/nn";
 * import { tensor } from "@heddle/tensor";
 * import { assertEquals } from "@std/assert";
 *
 * const norm = new LayerNorm(2, { eps: 0 });
 * assertEquals(await norm.forward(tensor([[1, 3]])).toArray(), [[-1, 1]]);
 * ```
 */
export class LayerNorm extends Module {
  /** Sizes of the axes that are normalized together. */
  readonly normalizedShape: Shape;
  /** Added to the variance. */
  readonly eps: number;
  /** float32 `normalizedShape`, or null if there is none. */
  weight: Tensor | null;
  /** float32 `normalizedShape`, or null if there is none. */
  bias: Tensor | null;

  /**
   * Takes the sizes of the last axes.
   *
   * @throws {RangeError} If there is no axis or a size is not a whole number
   * from 1, or `eps` is negative.
   */
  constructor(
    normalizedShape: number | Shape,
    options: LayerNormModuleOptions = {},
  ) {
    super();
    const { eps = 1e-5, affine = true, bias = true } = options;
    const shape = typeof normalizedShape === "number"
      ? [normalizedShape]
      : [...normalizedShape];
    if (shape.length === 0) {
      throw new RangeError("LayerNorm: needs at least one axis: got []");
    }
    for (const size of shape) requireSizes("LayerNorm", { size });
    requireWithin("LayerNorm", "eps", eps, 0);
    this.normalizedShape = shape;
    this.eps = eps;
    this.weight = affine ? ones(shape).asVariable() : null;
    this.bias = affine && bias ? zeros(shape).asVariable() : null;
  }

  /**
   * Computes the outputs.
   *
   * @param input float32 `[..., ...normalizedShape]`.
   * @returns The same shape.
   * @throws {RangeError} If the last axes have other sizes.
   */
  override forward(input: Tensor): Tensor {
    requireTensor("LayerNorm", input);
    const { normalizedShape: shape, eps, weight, bias } = this;
    if (!sameShape(input.shape.slice(-shape.length), shape)) {
      throw new RangeError(
        `LayerNorm: the last axes must be ${formatShape(shape)}: got ${
          formatShape(input.shape)
        }`,
      );
    }
    return input.layerNorm({
      axes: shape.length,
      eps,
      ...weight ? { weight } : {},
      ...bias ? { bias } : {},
    });
  }

  /** What `toString` shows. */
  protected override describe(): string {
    return formatShape(this.normalizedShape) +
      (this.weight ? this.bias ? "" : ", without bias" : ", not affine");
  }
}
