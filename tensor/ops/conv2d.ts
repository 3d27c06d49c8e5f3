import * as build from "../graph/build.ts";
import { formatShape } from "../shape.ts";
import { nodeOf, requireTensor, Tensor } from "../tensor.ts";

/** One number for both axes, or `[height, width]`. */
export type Pair = number | readonly [number, number];

/** How a convolution moves over its input. */
export interface ConvOptions {
  /**
   * Added to each output channel, `[outChannels]`.
   * @default none
   */
  readonly bias?: Tensor;
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
}

/** Both numbers of a pair. */
export function pairOf(
  operation: string,
  name: string,
  pair: Pair,
  least: number,
): [number, number] {
  const both: [number, number] = typeof pair === "number"
    ? [pair, pair]
    : [pair[0], pair[1]];
  if (!both.every((value) => Number.isInteger(value) && value >= least)) {
    throw new RangeError(
      `${operation}: ${name} must be whole and at least ${least}: got ${
        JSON.stringify(pair)
      }`,
    );
  }
  return both;
}

/** Elements after a window of `size` has moved over `extent` elements. */
export function windowCount(
  operation: string,
  extent: number,
  size: number,
  stride: number,
  dilation: number,
): number {
  const reach = (size - 1) * dilation + 1;
  if (reach > extent) {
    throw new RangeError(
      `${operation}: the window does not fit: got ${reach} elements for ${extent}, padding included`,
    );
  }
  return Math.floor((extent - reach) / stride) + 1;
}

/**
 * The cross-correlation that networks call convolution, over the last two axes.
 *
 * `out[n, o, y, x] = bias[o] + Σ input[n, c, y*s + i*d - p, x*s + j*d - p]
 * weight[o, c, i, j]`.
 *
 * @param input float32 `[batch, channels, height, width]`.
 * @param weight float32 `[outChannels, channels / groups, kernelHeight,
 * kernelWidth]`.
 * @returns `[batch, outChannels, outHeight, outWidth]`, with
 * `outHeight = floor((height + 2 padding - dilation (kernelHeight - 1) - 1) /
 * stride) + 1`.
 * @throws {RangeError} If a shape does not fit, or the window is larger than
 * the padded input.
 *
 * @example
 * ```ts
 * import { conv2d, ones } from "@heddle/tensor";
 * import { assertEquals } from "@std/assert";
 *
 * const sums = conv2d(ones([1, 1, 3, 3]), ones([1, 1, 2, 2]));
 * assertEquals(await sums.toArray(), [[[[4, 4], [4, 4]]]]);
 * ```
 */
export function conv2d(
  input: Tensor,
  weight: Tensor,
  options: ConvOptions = {},
): Tensor {
  const { bias, groups = 1 } = options;
  const stride = pairOf("conv2d", "stride", options.stride ?? 1, 1);
  const padding = pairOf("conv2d", "padding", options.padding ?? 0, 0);
  const dilation = pairOf("conv2d", "dilation", options.dilation ?? 1, 1);
  checkShapes(input, weight, bias, groups);
  const [batch, channels, height, width] = input.shape as Quad;
  const [out, part, kernelHeight, kernelWidth] = weight.shape as Quad;
  windowCount(
    "conv2d",
    height + 2 * padding[0],
    kernelHeight,
    stride[0],
    dilation[0],
  );
  windowCount(
    "conv2d",
    width + 2 * padding[1],
    kernelWidth,
    stride[1],
    dilation[1],
  );
  const padded = nodeOf(
    input.cast("float32").pad([
      [0, 0],
      [0, 0],
      [padding[0], padding[0]],
      [padding[1], padding[1]],
    ]),
  );
  const rows = build.windows(padded, 2, kernelHeight, stride[0], dilation[0]);
  const patches = build.windows(rows, 4, kernelWidth, stride[1], dilation[1]);
  const [, , outHeight, , outWidth] = patches.shape as number[];
  const domain = [
    batch,
    groups,
    out / groups,
    outHeight!,
    outWidth!,
    part,
    kernelHeight,
    kernelWidth,
  ];
  const seen = build.permute(
    build.reshape(patches, [
      batch,
      groups,
      1,
      channels / groups,
      outHeight!,
      kernelHeight,
      outWidth!,
      kernelWidth,
    ]),
    [0, 1, 2, 4, 6, 3, 5, 7],
  ); // [batch, groups, 1, outHeight, outWidth, part, kernelHeight, kernelWidth]
  const kernel = build.reshape(nodeOf(weight.cast("float32")), [
    1,
    groups,
    out / groups,
    1,
    1,
    part,
    kernelHeight,
    kernelWidth,
  ]);
  const products = build.map("mul", [
    build.expand(seen, domain),
    build.expand(kernel, domain),
  ]);
  const sum = build.reduce("sum", products, [5, 6, 7]);
  const result = new Tensor(
    build.reshape(sum, [batch, out, outHeight!, outWidth!]),
  );
  return bias ? result.add(bias.reshape([out, 1, 1])) : result;
}

type Quad = readonly [number, number, number, number];

function checkShapes(
  input: Tensor,
  weight: Tensor,
  bias: Tensor | undefined,
  groups: number,
): void {
  for (const operand of [input, weight, ...bias ? [bias] : []]) {
    requireTensor("conv2d", operand);
  }
  const got = `got ${formatShape(input.shape)} with weight ${
    formatShape(weight.shape)
  }`;
  if (input.rank !== 4 || weight.rank !== 4) {
    throw new RangeError(`conv2d: needs four axes each: ${got}`);
  }
  const [out, part] = weight.shape as Quad;
  const channels = input.shape[1]!;
  const whole = Number.isInteger(groups) && groups >= 1;
  if (!whole || out % groups !== 0 || part * groups !== channels) {
    throw new RangeError(
      `conv2d: the channels do not fit: ${got} in ${groups} groups: the ` +
        "weight's second axis must be channels / groups, and groups divide its first",
    );
  }
  if (bias && (bias.rank !== 1 || bias.size !== out)) {
    throw new RangeError(
      `conv2d: the bias does not fit: got ${
        formatShape(bias.shape)
      } for ${out} channels`,
    );
  }
}
