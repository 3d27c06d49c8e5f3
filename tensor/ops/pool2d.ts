import * as build from "../graph/build.ts";
import type { Node } from "../graph/node.ts";
import { formatShape, sizeOf } from "../shape.ts";
import { nodeOf, requireTensor, Tensor } from "../tensor.ts";
import { like } from "./_operands.ts";
import { type Pair, pairOf, windowCount } from "./conv2d.ts";

/** How a pooling window moves. */
export interface PoolOptions {
  /**
   * Distance between windows, in elements.
   * @default the window's size
   */
  readonly stride?: Pair;
  /**
   * Elements around the input that count as absent, on each side.
   * @default 0
   */
  readonly padding?: Pair;
}

/** How {@link avgPool2d} counts. */
export interface AvgPoolOptions extends PoolOptions {
  /**
   * Whether padding counts as zeros in the mean.
   * @default true
   */
  readonly countIncludePad?: boolean;
}

/** Windows over the last two axes, `[..., outHeight, outWidth, i, j]`. */
function windowsOf(
  operation: string,
  x: Tensor,
  size: Pair,
  options: PoolOptions,
  fill: number,
): Node {
  if (x.rank < 2) {
    throw new RangeError(
      `${operation}: needs at least two axes: got ${formatShape(x.shape)}`,
    );
  }
  const [height, width] = pairOf(operation, "the size", size, 1);
  const stride = pairOf(operation, "stride", options.stride ?? size, 1);
  const padding = pairOf(operation, "padding", options.padding ?? 0, 0);
  if (padding[0] * 2 > height || padding[1] * 2 > width) {
    throw new RangeError(
      `${operation}: padding must be at most half the window: got ${
        formatShape(padding)
      } for ${formatShape([height, width])}`,
    );
  }
  const y = x.rank - 2;
  const widths = x.shape.map((_, axis): [number, number] => {
    const at = axis - y;
    return at < 0 ? [0, 0] : [padding[at]!, padding[at]!];
  });
  const padded = nodeOf(x.pad(widths, fill));
  windowCount(operation, padded.shape[y]!, height, stride[0], 1);
  windowCount(operation, padded.shape[y + 1]!, width, stride[1], 1);
  const rows = build.windows(padded, y, height, stride[0], 1);
  const both = build.windows(rows, y + 2, width, stride[1], 1);
  const lead = x.shape.slice(0, y).map((_, axis) => axis);
  return build.permute(both, [...lead, y, y + 2, y + 1, y + 3]);
}

/**
 * The greatest of each window over the last two axes; windows that would pass
 * the edge are left out. The first of equal ones gets the gradient.
 *
 * @param x float32 `[..., height, width]`.
 * @param size The window.
 * @returns `[..., outHeight, outWidth]`, with `outHeight =
 * floor((height + 2 padding - size) / stride) + 1`.
 * @throws {RangeError} If the window does not fit, or the padding is more than
 * half of it.
 */
export function maxPool2d(
  x: Tensor,
  size: Pair,
  options: PoolOptions = {},
): Tensor {
  requireTensor("maxPool2d", x);
  // Less than all but -Infinity, which WGSL may assume never to occur.
  const seen = windowsOf(
    "maxPool2d",
    x.cast("float32"),
    size,
    options,
    -3.4e38,
  );
  const rank = seen.shape.length;
  const axes = [rank - 2, rank - 1];
  const best = build.reduce("max", seen, axes);
  const [height, width] = seen.shape.slice(-2) as [number, number];
  const flat = [...seen.shape.slice(0, -2), height * width];
  const place = build.reshape(build.positions(flat, rank - 2), seen.shape);
  const hit = build.map("eq", [seen, build.expand(best, seen.shape)]);
  const first = build.reduce(
    "min",
    build.map("where", [hit, place, like(place, height * width)]),
    axes,
  );
  const result = build.custom(best, [seen], (g) => {
    const chosen = build.map("eq", [place, build.expand(first, seen.shape)]);
    const spread = build.expand(g, seen.shape);
    return [build.map("where", [chosen, spread, like(spread, 0)])];
  });
  return new Tensor(build.reshape(result, seen.shape.slice(0, -2)));
}

/**
 * The mean of each window over the last two axes; windows that would pass the
 * edge are left out.
 *
 * @param x float32 `[..., height, width]`.
 * @param size The window.
 * @returns `[..., outHeight, outWidth]`, with `outHeight =
 * floor((height + 2 padding - size) / stride) + 1`.
 * @throws {RangeError} If the window does not fit, or the padding is more than
 * half of it.
 */
export function avgPool2d(
  x: Tensor,
  size: Pair,
  options: AvgPoolOptions = {},
): Tensor {
  const { countIncludePad = true, ...rest } = options;
  requireTensor("avgPool2d", x);
  const values = x.cast("float32");
  const seen = windowsOf("avgPool2d", values, size, rest, 0);
  const rank = seen.shape.length;
  const axes = [rank - 2, rank - 1];
  const shape = seen.shape.slice(0, -2);
  const total = new Tensor(
    build.reshape(build.reduce("sum", seen, axes), shape),
  );
  if (countIncludePad) return total.mul(1 / sizeOf(seen.shape.slice(-2)));
  const present = new Tensor(build.filled(1, x.shape, "float32"));
  const counts = windowsOf("avgPool2d", present, size, rest, 0);
  const count = build.reshape(build.reduce("sum", counts, axes), shape);
  return total.div(new Tensor(count));
}
