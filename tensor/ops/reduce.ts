import { isFloat } from "../dtype.ts";
import * as build from "../graph/build.ts";
import type { Node } from "../graph/node.ts";
import type { Reducer } from "../op.ts";
import { formatShape, normalizeAxes, normalizeAxis, sizeOf } from "../shape.ts";
import { nodeOf, requireTensor, Tensor } from "../tensor.ts";
import { floatNode, like } from "./_operands.ts";
import { stopGradient } from "./autograd.ts";
import { isNaN } from "./compare.ts";

/** Which axes a reduction runs over. */
export interface ReduceOptions {
  /**
   * One axis or several; negative ones count from the end.
   * @default all
   */
  readonly axis?: number | readonly number[];
  /**
   * Whether the axes stay, at size 1.
   * @default false
   */
  readonly keepDims?: boolean;
}

/** How {@link variance} counts. */
export interface VarianceOptions extends ReduceOptions {
  /**
   * The divisor is the number of elements less this: 1 for a sample's
   * variance, 0 for a population's.
   * @default 1
   */
  readonly correction?: number;
}

/** Which axis a search runs over. */
export interface ArgOptions {
  /**
   * The axis; without one the tensor is flattened.
   * @default all
   */
  readonly axis?: number;
  /**
   * Whether the axis stays, at size 1.
   * @default false
   */
  readonly keepDims?: boolean;
}

/**
 * The axes that an operation runs over, counted from the front. A scalar counts
 * as one element along an axis.
 *
 * @throws {TypeError} If it is no tensor, or the options are a bare axis.
 */
function axesOf(name: string, x: Tensor, options: ReduceOptions): number[] {
  requireTensor(name, x);
  if (typeof options !== "object") {
    throw new TypeError(
      `${name}: options must be an object: got ${String(options)}: use ` +
        "{ axis, keepDims }",
    );
  }
  if (x.rank > 0) return normalizeAxes(name, options.axis, x.shape);
  normalizeAxes(name, options.axis, [1]);
  return [];
}

function finish(
  node: Node,
  axes: readonly number[],
  keepDims?: boolean,
): Tensor {
  if (keepDims) return new Tensor(node);
  const shape = node.shape.filter((_, axis) => !axes.includes(axis));
  return new Tensor(build.reshape(node, shape));
}

function reduction(
  name: string,
  reducer: Reducer,
  x: Tensor,
  options: ReduceOptions,
  convert: (node: Node) => Node = (node) => node,
): Tensor {
  const axes = axesOf(name, x, options);
  const node = convert(nodeOf(x));
  const count = sizeOf(axes.map((axis) => node.shape[axis]!));
  const extreme = reducer === "max" || reducer === "min";
  if (extreme && count === 0 && node.dtype !== "bool") {
    throw new RangeError(
      `${name}: nothing to choose from: got shape ${
        formatShape(node.shape)
      } over axes ${formatShape(axes)}`,
    );
  }
  return finish(build.reduce(reducer, node, axes), axes, options.keepDims);
}

function counted(node: Node): Node {
  return node.dtype === "bool" ? build.cast(node, "int32") : node;
}

function asBool(node: Node): Node {
  return build.cast(node, "bool");
}

/** Sums over axes; bool counts as int32. An empty sum is 0. */
export function sum(x: Tensor, options: ReduceOptions = {}): Tensor {
  return reduction("sum", "sum", x, options, counted);
}

/** Multiplies over axes; bool counts as int32. An empty product is 1. */
export function prod(x: Tensor, options: ReduceOptions = {}): Tensor {
  return reduction("prod", "prod", x, options, counted);
}

/**
 * The greatest over axes, NaN if there is one; equal ones share the gradient.
 *
 * @throws {RangeError} If there is nothing to choose from.
 */
export function max(x: Tensor, options: ReduceOptions = {}): Tensor {
  return reduction("max", "max", x, options);
}

/**
 * The least over axes, NaN if there is one; equal ones share the gradient.
 *
 * @throws {RangeError} If there is nothing to choose from.
 */
export function min(x: Tensor, options: ReduceOptions = {}): Tensor {
  return reduction("min", "min", x, options);
}

/** Whether any over axes is not 0. */
export function any(x: Tensor, options: ReduceOptions = {}): Tensor {
  return reduction("any", "max", x, options, asBool);
}

/** Whether all over axes are not 0. */
export function all(x: Tensor, options: ReduceOptions = {}): Tensor {
  return reduction("all", "min", x, options, asBool);
}

/** The mean over axes as float32; of nothing it is NaN. */
export function mean(x: Tensor, options: ReduceOptions = {}): Tensor {
  const axes = axesOf("mean", x, options);
  const node = floatNode(x);
  const count = sizeOf(axes.map((axis) => node.shape[axis]!));
  const total = build.reduce("sum", node, axes);
  // Not 0 / 0: a GPU may take that for 0.
  const result = count > 0
    ? scaled(total, 1 / count)
    : build.map("add", [total, like(total, NaN)]);
  return finish(result, axes, options.keepDims);
}

function scaled(node: Node, factor: number): Node {
  const scale = build.parameter(factor, "float32");
  return build.map("mul", [node, build.broadcast(scale, node.shape)]);
}

/**
 * The variance over axes as float32: the mean square distance from the mean,
 * in two passes, so that a large mean costs no digits.
 */
export function variance(x: Tensor, options: VarianceOptions = {}): Tensor {
  return varianceOf("variance", x, options);
}

function varianceOf(
  name: string,
  x: Tensor,
  options: VarianceOptions,
): Tensor {
  const axes = axesOf(name, x, options);
  const node = floatNode(x);
  const count = sizeOf(axes.map((axis) => node.shape[axis]!));
  const center = scaled(build.reduce("sum", node, axes), 1 / count);
  const apart = build.map("sub", [node, build.expand(center, node.shape)]);
  const squares = build.map("mul", [apart, apart]);
  const total = build.reduce("sum", squares, axes);
  const divisor = Math.max(0, count - (options.correction ?? 1));
  return finish(scaled(total, 1 / divisor), axes, options.keepDims);
}

/** The square root of {@link variance}. */
export function std(x: Tensor, options: VarianceOptions = {}): Tensor {
  return varianceOf("std", x, options).sqrt();
}

/**
 * The Euclidean norm over axes as float32: the root of the sum of squares. Its
 * gradient where it is 0 is 0.
 */
export function norm(x: Tensor, options: ReduceOptions = {}): Tensor {
  const axes = axesOf("norm", x, options);
  const node = floatNode(x);
  const squares = build.reduce("sum", build.map("mul", [node, node]), axes);
  const result: Node = build.custom(
    build.map("sqrt", [squares]),
    [node],
    (g) => {
      const isZero = build.map("eq", [result, like(result, 0)]);
      const safe = build.map("where", [isZero, like(result, 1), result]);
      const share = build.expand(build.map("div", [g, safe]), node.shape);
      return [build.map("mul", [share, node])];
    },
  );
  return finish(result, axes, options.keepDims);
}

/**
 * `log Σ exp(x)` over axes, without overflow: the maximum is taken out first.
 * Over nothing it is -Infinity.
 */
export function logSumExp(x: Tensor, options: ReduceOptions = {}): Tensor {
  const axes = axesOf("logSumExp", x, options);
  const node = floatNode(x);
  const values = new Tensor(node);
  const over = { axis: axes, keepDims: true };
  if (axes.some((axis) => x.shape[axis] === 0)) {
    return finish(nodeOf(values.sum(over).log()), axes, options.keepDims);
  }
  // Kept finite: an infinity less itself would be NaN.
  const top = stopGradient(max(values, over)).maximum(-3e38).minimum(3e38);
  const total = values.sub(top).exp().sum(over).log().add(top);
  return finish(nodeOf(total), axes, options.keepDims);
}

function arg(
  name: string,
  x: Tensor,
  greatest: boolean,
  options: ArgOptions,
): Tensor {
  axesOf(name, x, options);
  const flat = options.axis === undefined || x.rank === 0;
  const values = flat ? x.reshape([-1]) : x;
  const axis = flat ? 0 : normalizeAxis(name, options.axis!, values.shape);
  const node = x.dtype === "bool"
    ? build.cast(nodeOf(values), "int32")
    : nodeOf(values);
  const extent = node.shape[axis]!;
  if (extent === 0) {
    throw new RangeError(
      `${name}: nothing to choose from: got shape ${formatShape(x.shape)}`,
    );
  }
  const best = build.reduce(greatest ? "max" : "min", node, [axis]);
  let hit = build.map("eq", [node, build.expand(best, node.shape)]);
  if (isFloat(node.dtype)) {
    // NaN counts as the best, and equals nothing, itself included.
    hit = build.map("or", [hit, nodeOf(isNaN(new Tensor(node)))]);
  }
  const place = build.positions(node.shape, axis);
  const none = like(place, extent);
  const first = build.reduce(
    "min",
    build.map("where", [hit, place, none]),
    [axis],
  );
  if (flat && options.keepDims) {
    return new Tensor(build.reshape(first, x.shape.map(() => 1)));
  }
  return finish(first, [axis], options.keepDims);
}

/**
 * Where the greatest is, as int32; the first of equal ones, or the first NaN.
 *
 * @throws {RangeError} If there is nothing to choose from.
 */
export function argmax(x: Tensor, options: ArgOptions = {}): Tensor {
  return arg("argmax", x, true, options);
}

/**
 * Where the least is, as int32; the first of equal ones, or the first NaN.
 *
 * @throws {RangeError} If there is nothing to choose from.
 */
export function argmin(x: Tensor, options: ArgOptions = {}): Tensor {
  return arg("argmin", x, false, options);
}
