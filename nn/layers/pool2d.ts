import type { AvgPoolOptions, Pair, PoolOptions, Tensor } from "@heddle/tensor";
import { pairText } from "../_check.ts";
import { Module } from "../module.ts";

/**
 * The greatest of each window over the last two axes: see `maxPool2d` of
 * `@heddle/tensor`.
 *
 * @example
 * ```ts
 * import { MaxPool2d } from "@heddle/nn";
 * import { tensor } from "@heddle/tensor";
 * import { assertEquals } from "@std/assert";
 *
 * const image = tensor([[1, 2, 3], [4, 5, 6]]);
 * assertEquals(await new MaxPool2d(2).forward(image).toArray(), [[5]]);
 * ```
 */
export class MaxPool2d extends Module {
  /** The window. */
  readonly kernelSize: Pair;
  /** Stride and padding. */
  readonly options: PoolOptions;

  /** Takes the window, and how it moves. */
  constructor(kernelSize: Pair, options: PoolOptions = {}) {
    super();
    this.kernelSize = kernelSize;
    this.options = { ...options };
  }

  /**
   * Computes the outputs.
   *
   * @param input float32 `[..., height, width]`.
   * @returns `[..., outHeight, outWidth]`.
   * @throws {RangeError} If a window does not fit.
   */
  override forward(input: Tensor): Tensor {
    return input.maxPool2d(this.kernelSize, this.options);
  }

  /** What `toString` shows. */
  protected override describe(): string {
    return describePool(this.kernelSize, this.options);
  }
}

/**
 * The mean of each window over the last two axes: see `avgPool2d` of
 * `@heddle/tensor`.
 *
 * @example
 * ```ts
 * import { AvgPool2d } from "@heddle/nn";
 * import { tensor } from "@heddle/tensor";
 * import { assertEquals } from "@std/assert";
 *
 * const image = tensor([[1, 2, 3], [4, 5, 6]]);
 * assertEquals(await new AvgPool2d(2).forward(image).toArray(), [[3]]);
 * ```
 */
export class AvgPool2d extends Module {
  /** The window. */
  readonly kernelSize: Pair;
  /** Stride, padding and how padding counts. */
  readonly options: AvgPoolOptions;

  /** Takes the window, and how it moves and counts. */
  constructor(kernelSize: Pair, options: AvgPoolOptions = {}) {
    super();
    this.kernelSize = kernelSize;
    this.options = { ...options };
  }

  /**
   * Computes the outputs.
   *
   * @param input float32 `[..., height, width]`.
   * @returns `[..., outHeight, outWidth]`.
   * @throws {RangeError} If a window does not fit.
   */
  override forward(input: Tensor): Tensor {
    return input.avgPool2d(this.kernelSize, this.options);
  }

  /** What `toString` shows. */
  protected override describe(): string {
    return describePool(this.kernelSize, this.options);
  }
}

function describePool(size: Pair, options: PoolOptions): string {
  const { stride, padding } = options;
  return pairText(size) +
    (stride === undefined ? "" : `, stride ${pairText(stride)}`) +
    (padding === undefined ? "" : `, padding ${pairText(padding)}`);
}
