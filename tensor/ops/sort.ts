import * as build from "../graph/build.ts";
import { formatShape, normalizeAxis } from "../shape.ts";
import { nodeOf, requireTensor, Tensor } from "../tensor.ts";

/** How {@link sort} orders. */
export interface SortOptions {
  /**
   * The axis.
   * @default -1
   */
  readonly axis?: number;
  /**
   * Greatest first.
   * @default false
   */
  readonly descending?: boolean;
}

/** Sorted values, and where they were. */
export interface Sorted {
  /** In order; gradients flow back to where the values were. */
  readonly values: Tensor;
  /** Their positions along the axis, int32. */
  readonly indices: Tensor;
}

/**
 * Sorts along an axis. Equal values keep their order, NaN comes last. A scalar
 * counts as one element along an axis.
 *
 * @throws {RangeError} If the axis is out of range.
 */
export function sort(x: Tensor, options: SortOptions = {}): Sorted {
  return sortAs("sort", x, options);
}

function sortAs(operation: string, x: Tensor, options: SortOptions): Sorted {
  requireTensor(operation, x);
  if (x.rank === 0) {
    const { values, indices } = sortAs(operation, x.reshape([1]), options);
    return { values: values.reshape([]), indices: indices.reshape([]) };
  }
  const at = normalizeAxis(operation, options.axis ?? -1, x.shape);
  return sortAxis(x, at, options.descending ?? false);
}

function sortAxis(x: Tensor, at: number, descending: boolean): Sorted {
  const axes = x.shape.map((_, axis) => axis).filter((axis) => axis !== at);
  axes.push(at);
  const last = build.permute(nodeOf(x), axes);
  const { values, order } = build.sort(last, descending);
  const back = new Array<number>(axes.length);
  axes.forEach((from, to) => back[from] = to);
  return {
    values: new Tensor(build.permute(values, back)),
    indices: new Tensor(build.permute(order, back)),
  };
}

/**
 * The positions that would sort an axis, int32: see {@link sort}.
 *
 * @throws {RangeError} If the axis is out of range.
 */
export function argsort(x: Tensor, options: SortOptions = {}): Tensor {
  return sortAs("argsort", x, options).indices;
}

/**
 * The `k` greatest along an axis, greatest first; of equal ones the first.
 *
 * @throws {RangeError} If `k` is not 0 to the size of the axis.
 */
export function topK(
  x: Tensor,
  k: number,
  options: { readonly axis?: number } = {},
): Sorted {
  requireTensor("topK", x);
  const at = normalizeAxis("topK", options.axis ?? -1, x.shape);
  if (!Number.isInteger(k) || k < 0 || k > x.shape[at]!) {
    throw new RangeError(
      `topK: k must be 0 to ${x.shape[at]}: got ${k} for ${
        formatShape(x.shape)
      }`,
    );
  }
  const { values, indices } = sortAxis(x, at, true);
  const first = x.shape.map((_, axis) => axis === at ? [0, k] as const : null);
  return { values: values.slice(...first), indices: indices.slice(...first) };
}

/**
 * Sums of all elements up to each one along an axis; bool counts as int32.
 *
 * @throws {RangeError} If the axis is out of range.
 */
export function cumsum(x: Tensor, axis: number = -1): Tensor {
  requireTensor("cumsum", x);
  if (x.rank === 0) return cumsum(x.reshape([1]), axis).reshape([]);
  const at = normalizeAxis("cumsum", axis, x.shape);
  const node = nodeOf(x);
  const counted = x.dtype === "bool" ? build.cast(node, "int32") : node;
  return new Tensor(build.scan(counted, at));
}
