import { checkDType, type DType } from "../dtype.ts";
import * as build from "../graph/build.ts";
import { flipped } from "../graph/structured.ts";
import {
  broadcastShapes,
  checkShape,
  formatShape,
  normalizeAxes,
  normalizeAxis,
  requireList,
  sameShape,
  type Shape,
  sizeOf,
} from "../shape.ts";
import { nodeOf, Tensor } from "../tensor.ts";
import { scalarNode } from "./_operands.ts";

/** To another type: floats truncate and saturate, bool is `!= 0`. */
export function cast(x: Tensor, dtype: DType): Tensor {
  checkDType("cast", dtype);
  return new Tensor(build.cast(nodeOf(x), dtype));
}

/**
 * The same elements, row by row, under another shape.
 *
 * @param shape Sizes; one may be -1, and is worked out.
 * @throws {RangeError} If the number of elements differs.
 */
export function reshape(x: Tensor, shape: Shape): Tensor {
  requireList("reshape", shape);
  const open = shape.filter((extent) => extent === -1).length;
  const known = sizeOf(shape.filter((extent) => extent !== -1));
  const fill = open === 1 && known > 0 ? x.size / known : -1;
  const full = shape.map((extent) => extent === -1 ? fill : extent);
  const valid = open <= 1 &&
    full.every((extent) => Number.isInteger(extent) && extent >= 0);
  if (!valid || sizeOf(full) !== x.size) {
    throw new RangeError(
      `reshape: the sizes do not fit: got ${formatShape(shape)} for ${
        formatShape(x.shape)
      } with ${x.size} elements`,
    );
  }
  return new Tensor(build.reshape(nodeOf(x), full));
}

/**
 * Reorders the axes: axis `a` of the result is axis `axes[a]`.
 *
 * @throws {RangeError} If `axes` does not name each axis once.
 */
export function permute(x: Tensor, axes: readonly number[]): Tensor {
  if (!Array.isArray(axes)) {
    throw new TypeError(
      `permute: the axes are an array: got ${String(axes)}: use [1, 0]`,
    );
  }
  const order = axes.map((axis) => normalizeAxis("permute", axis, x.shape));
  if (order.length !== x.rank || new Set(order).size !== x.rank) {
    throw new RangeError(
      `permute: every axis must be named once: got ${formatShape(axes)} for ${
        formatShape(x.shape)
      }`,
    );
  }
  return new Tensor(build.permute(nodeOf(x), order));
}

/** Swaps two axes, the last two if none are given. */
export function transpose(x: Tensor, a: number = -2, b: number = -1): Tensor {
  const first = normalizeAxis("transpose", a, x.shape);
  const second = normalizeAxis("transpose", b, x.shape);
  const axes = x.shape.map((_, axis) => axis);
  axes[first] = second;
  axes[second] = first;
  return new Tensor(build.permute(nodeOf(x), axes));
}

/**
 * Repeats axes of size 1, and puts new ones in front, without a copy.
 *
 * @param shape Sizes; -1 keeps that of the tensor.
 * @throws {RangeError} If the tensor does not broadcast to it.
 */
export function expand(x: Tensor, shape: Shape): Tensor {
  requireList("expand", shape);
  const lead = shape.length - x.rank;
  const full = shape.map((extent, axis) =>
    extent === -1 ? x.shape[axis - lead] ?? -1 : extent
  );
  checkShape("expand", full);
  if (lead < 0 || !sameShape(broadcastShapes("expand", x.shape, full), full)) {
    throw new RangeError(
      `expand: the shape does not broadcast: got ${formatShape(shape)} for ${
        formatShape(x.shape)
      }`,
    );
  }
  return new Tensor(build.broadcast(nodeOf(x), full));
}

/**
 * Drops axes of size 1, all of them if none are named.
 *
 * @throws {RangeError} If a named axis has another size.
 */
export function squeeze(x: Tensor, axis?: number | readonly number[]): Tensor {
  const axes = axis === undefined
    ? x.shape.flatMap((extent, at) => extent === 1 ? [at] : [])
    : normalizeAxes("squeeze", axis, x.shape);
  const wrong = axes.find((at) => x.shape[at] !== 1);
  if (wrong !== undefined) {
    throw new RangeError(
      `squeeze: axis ${wrong} is not of size 1: got ${formatShape(x.shape)}`,
    );
  }
  const shape = x.shape.filter((_, at) => !axes.includes(at));
  return new Tensor(build.reshape(nodeOf(x), shape));
}

/** Puts an axis of size 1 in front of `axis`; -1 puts it last. */
export function unsqueeze(x: Tensor, axis: number): Tensor {
  const at = normalizeAxis("unsqueeze", axis, [...x.shape, 1]);
  const shape = [...x.shape];
  shape.splice(at, 0, 1);
  return new Tensor(build.reshape(nodeOf(x), shape));
}

/** Joins the axes from `startAxis` to `endAxis`, both included, to one. */
export function flatten(
  x: Tensor,
  startAxis: number = 0,
  endAxis: number = -1,
): Tensor {
  if (x.rank === 0) return new Tensor(build.reshape(nodeOf(x), [1]));
  const start = normalizeAxis("flatten", startAxis, x.shape);
  const end = normalizeAxis("flatten", endAxis, x.shape);
  if (start > end) {
    throw new RangeError(
      `flatten: startAxis comes after endAxis: got ${startAxis} and ${endAxis}`,
    );
  }
  const joined = sizeOf(x.shape.slice(start, end + 1));
  const shape = [
    ...x.shape.slice(0, start),
    joined,
    ...x.shape.slice(end + 1),
  ];
  return new Tensor(build.reshape(nodeOf(x), shape));
}

/**
 * What to take of an axis: null for all, a number for one element (which drops
 * the axis), or `[start, end, step]` as in NumPy: negative positions count
 * from the end, null is the edge, a negative step runs backwards.
 */
export type SliceRange =
  | null
  | number
  | readonly [start: number | null, end: number | null]
  | readonly [start: number | null, end: number | null, step: number];

/**
 * A part of a tensor, without a copy.
 *
 * @param ranges One for each axis from the front; axes left out are whole.
 * @throws {RangeError} If there are too many ranges, an element is out of
 * range, or a step is 0.
 *
 * @example Every other column, backwards
 * ```ts
 * import { slice, tensor } from "@heddle/tensor";
 * import { assertEquals } from "@std/assert";
 *
 * const x = tensor([[0, 1, 2, 3], [4, 5, 6, 7]]);
 * const part = slice(x, null, [null, null, -2]);
 * assertEquals(await part.toArray(), [[3, 1], [7, 5]]);
 * ```
 */
export function slice(x: Tensor, ...ranges: readonly SliceRange[]): Tensor {
  if (ranges.length > x.rank) {
    throw new RangeError(
      `slice: too many ranges: got ${ranges.length} for shape ${
        formatShape(x.shape)
      }`,
    );
  }
  const starts: number[] = [];
  const steps: number[] = [];
  const shape: number[] = [];
  const dropped: number[] = [];
  x.shape.forEach((extent, axis) => {
    const range = ranges[axis] ?? null;
    const picked = pickRange(range, extent, axis);
    starts.push(picked.start);
    steps.push(picked.step);
    shape.push(picked.count);
    if (typeof range === "number") dropped.push(axis);
  });
  const part = build.slice(nodeOf(x), starts, steps, shape);
  const rest = shape.filter((_, axis) => !dropped.includes(axis));
  return new Tensor(build.reshape(part, rest));
}

function pickRange(
  range: SliceRange,
  extent: number,
  axis: number,
): { start: number; step: number; count: number } {
  if (range === null) return { start: 0, step: 1, count: extent };
  if (typeof range === "number") {
    if (!Number.isInteger(range) || range < -extent || range >= extent) {
      throw new RangeError(
        `slice: element ${range} is out of range on axis ${axis} of size ${extent}`,
      );
    }
    return { start: range < 0 ? range + extent : range, step: 1, count: 1 };
  }
  if (range.length !== 2 && range.length !== 3) {
    throw new RangeError(
      `slice: a range is [start, end] or [start, end, step]: got ${
        JSON.stringify(range)
      } on axis ${axis}`,
    );
  }
  const [from, to, step = 1] = range;
  const whole = [from ?? 0, to ?? 0, step].every(Number.isInteger);
  if (step === 0 || !whole) {
    throw new RangeError(
      `slice: needs whole numbers and a step that is not 0: got [${
        range.join(", ")
      }] on axis ${axis}`,
    );
  }
  const [least, most] = step > 0 ? [0, extent] : [-1, extent - 1];
  const place = (at: number | null, edge: number) =>
    at === null
      ? edge
      : Math.min(most, Math.max(least, at < 0 ? at + extent : at));
  const start = place(from, step > 0 ? least : most);
  const end = place(to, step > 0 ? most : least);
  const count = Math.max(0, Math.ceil((end - start) / step));
  return { start: count === 0 ? 0 : start, step, count };
}

/**
 * Puts `value` around the elements.
 *
 * @param widths `[before, after]` for each axis; negative widths cut.
 * @param value What to put there.
 * @throws {RangeError} If there is not one pair an axis, or less than nothing
 * would be left.
 */
export function pad(
  x: Tensor,
  widths: readonly (readonly [before: number, after: number])[],
  value: number = 0,
): Tensor {
  const shape = x.shape.map((extent, axis) => {
    const [before, after] = widths[axis] ?? [0, 0];
    return extent + before + after;
  });
  const valid = widths.length === x.rank &&
    widths.flat().every(Number.isInteger) &&
    shape.every((extent) => extent >= 0);
  if (!valid) {
    throw new RangeError(
      `pad: needs two whole numbers for each axis: got ${
        JSON.stringify(widths)
      } for ${formatShape(x.shape)}`,
    );
  }
  const starts = widths.map(([before]) => Math.max(0, -before));
  const kept = x.shape.map((extent, axis) => {
    const [before, after] = widths[axis]!;
    return Math.max(0, extent + Math.min(0, before) + Math.min(0, after));
  });
  const ones = shape.map(() => 1);
  const node = build.slice(nodeOf(x), starts, ones, kept);
  const low = widths.map(([before]) => Math.max(0, before));
  const zeros = shape.map(() => 0);
  const padded = build.pad(node, low, zeros, shape);
  if (value === 0) return new Tensor(padded);
  const inside = build.pad(build.filled(1, kept, "bool"), low, zeros, shape);
  const around = build.cast(scalarNode("pad", value, x.dtype), x.dtype);
  return new Tensor(
    build.map("where", [inside, padded, build.broadcast(around, shape)]),
  );
}

/** Runs axes backwards, without a copy; all of them if none are named. */
export function flip(x: Tensor, axes?: number | readonly number[]): Tensor {
  const chosen = normalizeAxes("flip", axes, x.shape);
  const flags = x.shape.map((_, axis) => chosen.includes(axis));
  return new Tensor(flipped(nodeOf(x), flags));
}
