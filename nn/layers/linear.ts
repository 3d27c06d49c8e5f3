import type { Generator, Tensor } from "@heddle/tensor";
import { generatorOptions, requireSizes, requireTensor } from "../_check.ts";
import { formatShape } from "../_fit.ts";
import { defaultUniform } from "../init.ts";
import { Module } from "../module.ts";

/** How a {@link Linear} is made. */
export interface LinearOptions {
  /**
   * Whether something is added to each output.
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
 * An affine map of the last axis: `x Wᵀ + b`.
 *
 * Weight and bias begin uniform over ±`1 / √inFeatures`, as in PyTorch.
 *
 * @example
 * ```ts
 * import { Linear } from "@heddle/nn";
 * import { ones } from "@heddle/tensor";
 * import { assertEquals } from "@std/assert";
 *
 * const layer = new Linear(3, 5);
 * assertEquals(layer.forward(ones([2, 7, 3])).shape, [2, 7, 5]);
 * ```
 */
export class Linear extends Module {
  /** Size of the last axis of the input. */
  readonly inFeatures: number;
  /** Size of the last axis of the output. */
  readonly outFeatures: number;
  /** float32 `[outFeatures, inFeatures]`. */
  weight: Tensor;
  /** float32 `[outFeatures]`, or null if there is none. */
  bias: Tensor | null;

  /**
   * Draws the initial weights.
   *
   * @throws {RangeError} If a size is not a whole number from 1.
   */
  constructor(
    inFeatures: number,
    outFeatures: number,
    options: LinearOptions = {},
  ) {
    super();
    requireSizes("Linear", { inFeatures, outFeatures });
    this.inFeatures = inFeatures;
    this.outFeatures = outFeatures;
    const from = generatorOptions(options.generator);
    const draw = (shape: number[]) =>
      defaultUniform(shape, inFeatures, from).asVariable();
    this.weight = draw([outFeatures, inFeatures]);
    this.bias = options.bias ?? true ? draw([outFeatures]) : null;
  }

  /**
   * Computes the outputs.
   *
   * @param input float32 `[..., inFeatures]`.
   * @returns `[..., outFeatures]`.
   * @throws {RangeError} If the last axis has another size.
   */
  override forward(input: Tensor): Tensor {
    requireTensor("Linear", input);
    if (input.shape.at(-1) !== this.inFeatures) {
      throw new RangeError(
        `Linear: the last axis must be of size ${this.inFeatures}: got ${
          formatShape(input.shape)
        }`,
      );
    }
    const product = input.matmul(this.weight.transpose());
    return this.bias ? product.add(this.bias) : product;
  }

  /** What `toString` shows. */
  protected override describe(): string {
    return `${this.inFeatures}, ${this.outFeatures}` +
      (this.bias ? "" : ", without bias");
  }
}
