import type { Generator, Pair, Tensor } from "@heddle/tensor";
import {
  generatorOptions,
  pairText,
  requireSizes,
  requireTensor,
} from "../_check.ts";
import { formatShape } from "../_fit.ts";
import { defaultUniform } from "../init.ts";
import { Module } from "../module.ts";

/** How a {@link Conv2d} is made. */
export interface Conv2dOptions {
  /**
   * Distance between windows, in elements.
   * @default 1
   */
  readonly stride?: Pair;
  /**
   * Zeros around the input, in elements on each side.
   * @default 0
   */
  readonly padding?: Pair;
  /**
   * Distance between the elements of a window.
   * @default 1
   */
  readonly dilation?: Pair;
  /**
   * Into how many groups the channels are split; each sees only its own.
   * @default 1
   */
  readonly groups?: number;
  /**
   * Whether something is added to each output channel.
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
 * Convolves the last two axes: see `conv2d` of `@heddle/tensor`.
 *
 * Weight and bias begin uniform over ±`1 / √fanIn`, with
 * `fanIn = inChannels / groups * kernelHeight * kernelWidth`, as in PyTorch.
 *
 * @example
 * ```ts
 * import { Conv2d } from "@heddle/nn";
 * import { ones } from "@heddle/tensor";
 * import { assertEquals } from "@std/assert";
 *
 * const layer = new Conv2d(3, 8, 5, { stride: 2, padding: 2 });
 * assertEquals(layer.forward(ones([4, 3, 32, 32])).shape, [4, 8, 16, 16]);
 * ```
 */
export class Conv2d extends Module {
  /** Channels of the input. */
  readonly inChannels: number;
  /** Channels of the output. */
  readonly outChannels: number;
  /** The window, `[height, width]`. */
  readonly kernelSize: readonly [number, number];
  /** Distance between windows. */
  readonly stride: Pair;
  /** Zeros around the input. */
  readonly padding: Pair;
  /** Distance between the elements of a window. */
  readonly dilation: Pair;
  /** Groups of channels. */
  readonly groups: number;
  /** float32 `[outChannels, inChannels / groups, height, width]`. */
  weight: Tensor;
  /** float32 `[outChannels]`, or null if there is none. */
  bias: Tensor | null;

  /**
   * Draws the initial weights.
   *
   * @param kernelSize One number for both axes, or `[height, width]`.
   * @throws {RangeError} If a size is not a whole number from 1, or `groups`
   * does not divide both numbers of channels.
   */
  constructor(
    inChannels: number,
    outChannels: number,
    kernelSize: Pair,
    options: Conv2dOptions = {},
  ) {
    super();
    const { stride = 1, padding = 0, dilation = 1, groups = 1 } = options;
    const [height, width] = typeof kernelSize === "number"
      ? [kernelSize, kernelSize]
      : kernelSize;
    requireSizes("Conv2d", { inChannels, outChannels, groups });
    requireSizes("Conv2d", { kernelHeight: height, kernelWidth: width });
    if (inChannels % groups !== 0 || outChannels % groups !== 0) {
      throw new RangeError(
        `Conv2d: groups must divide both numbers of channels: got ${groups} ` +
          `for ${inChannels} and ${outChannels}`,
      );
    }
    this.inChannels = inChannels;
    this.outChannels = outChannels;
    this.kernelSize = [height, width];
    this.stride = stride;
    this.padding = padding;
    this.dilation = dilation;
    this.groups = groups;
    const from = generatorOptions(options.generator);
    const part = inChannels / groups;
    const draw = (shape: number[]) =>
      defaultUniform(shape, part * height * width, from).asVariable();
    this.weight = draw([outChannels, part, height, width]);
    this.bias = options.bias ?? true ? draw([outChannels]) : null;
  }

  /**
   * Computes the outputs.
   *
   * @param input float32 `[batch, inChannels, height, width]`, or one image
   * without the first axis.
   * @returns `[batch, outChannels, outHeight, outWidth]`, or without the first
   * axis.
   * @throws {RangeError} If the channels differ or a window does not fit.
   */
  override forward(input: Tensor): Tensor {
    requireTensor("Conv2d", input);
    const { stride, padding, dilation, groups, bias } = this;
    const lone = input.rank === 3;
    const batch = lone ? input.unsqueeze(0) : input;
    if (batch.rank !== 4 || batch.shape[1] !== this.inChannels) {
      throw new RangeError(
        `Conv2d: the input must be [batch, ${this.inChannels}, height, ` +
          `width]: got ${formatShape(input.shape)}`,
      );
    }
    const result = batch.conv2d(this.weight, {
      stride,
      padding,
      dilation,
      groups,
      ...bias ? { bias } : {},
    });
    return lone ? result.squeeze(0) : result;
  }

  /** What `toString` shows. */
  protected override describe(): string {
    const { inChannels, outChannels, kernelSize, groups } = this;
    return `${inChannels}, ${outChannels}, ${pairText(kernelSize)}` +
      `, stride ${pairText(this.stride)}, padding ${pairText(this.padding)}` +
      (pairText(this.dilation) === "1"
        ? ""
        : `, dilation ${pairText(this.dilation)}`) +
      (groups === 1 ? "" : `, groups ${groups}`) +
      (this.bias ? "" : ", without bias");
  }
}
