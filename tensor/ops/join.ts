import * as build from "../graph/build.ts";
import type { Node } from "../graph/node.ts";
import { formatShape, normalizeAxis, sameShape } from "../shape.ts";
import { nodeOf, requireTensor, Tensor } from "../tensor.ts";
import { promote } from "../dtype.ts";

/**
 * Puts tensors one behind the other along an axis.
 *
 * @param tensors At least one; sizes agree on all other axes.
 * @throws {RangeError} If there is none, or shapes do not agree.
 */
export function concat(tensors: readonly Tensor[], axis: number = 0): Tensor {
  requireTensors("concat", tensors);
  const first = tensors[0];
  if (first === undefined) {
    throw new RangeError("concat: needs at least one tensor");
  }
  const at = normalizeAxis("concat", axis, first.shape);
  const agrees = (x: Tensor) =>
    x.rank === first.rank &&
    x.shape.every((extent, i) => i === at || extent === first.shape[i]);
  if (!tensors.every(agrees)) {
    throw new RangeError(
      `concat: shapes differ outside axis ${at}: got ${
        tensors.map((x) => formatShape(x.shape)).join(", ")
      }`,
    );
  }
  const dtype = tensors.map((x) => x.dtype)
    .reduce((a, b) => promote("concat", a, b));
  const parts = tensors.map((x) => build.cast(nodeOf(x), dtype));
  return new Tensor(joinNodes(parts, at));
}

function requireTensors(operation: string, tensors: readonly Tensor[]): void {
  if (!Array.isArray(tensors)) {
    throw new TypeError(
      `${operation}: not an array of tensors: got ${typeof tensors}: pass [a, b]`,
    );
  }
  for (const x of tensors) requireTensor(operation, x);
}

/** Halves of halves, so that each element is chosen in few steps. */
function joinNodes(parts: readonly Node[], axis: number): Node {
  if (parts.length === 1) return parts[0]!;
  const middle = parts.length >> 1;
  const left = joinNodes(parts.slice(0, middle), axis);
  const right = joinNodes(parts.slice(middle), axis);
  const border = left.shape[axis]!;
  const shape = left.shape.map((extent, at) =>
    at === axis ? extent + right.shape[axis]! : extent
  );
  if (border === 0) return right;
  if (border === shape[axis]) return left;
  const zeros = shape.map(() => 0);
  const low = shape.map((_, at) => at === axis ? border : 0);
  const test = build.map("lt", [
    build.positions(shape, axis),
    build.filled(border, shape, "int32"),
  ]);
  const joined = build.map("where", [
    test,
    build.pad(left, zeros, zeros, shape),
    build.pad(right, low, zeros, shape),
  ]);
  const ones = shape.map(() => 1);
  // Parts of the gradient as they are, not of one masked for each side.
  return build.custom(joined, [left, right], (g) => [
    build.slice(g, zeros, ones, left.shape),
    build.slice(g, low, ones, right.shape),
  ]);
}

/**
 * Puts tensors of one shape beside each other along a new axis.
 *
 * @param tensors At least one.
 * @param axis Where the new axis is in the result.
 * @throws {RangeError} If there is none, or shapes differ.
 */
export function stack(tensors: readonly Tensor[], axis: number = 0): Tensor {
  requireTensors("stack", tensors);
  const first = tensors[0];
  if (first === undefined) {
    throw new RangeError("stack: needs at least one tensor");
  }
  if (!tensors.every((x) => sameShape(x.shape, first.shape))) {
    throw new RangeError(
      `stack: shapes differ: got ${
        tensors.map((x) => formatShape(x.shape)).join(", ")
      }`,
    );
  }
  const at = normalizeAxis("stack", axis, [...first.shape, 1]);
  return concat(tensors.map((x) => x.unsqueeze(at)), at);
}

/**
 * Cuts an axis into pieces, without a copy.
 *
 * @param sizes The size of each piece (the last may be smaller), or all sizes.
 * @throws {RangeError} If the sizes do not add up to the axis.
 */
export function split(
  x: Tensor,
  sizes: number | readonly number[],
  axis: number = 0,
): Tensor[] {
  requireTensor("split", x);
  const at = normalizeAxis("split", axis, x.shape);
  const extent = x.shape[at]!;
  const list = typeof sizes === "number" ? equalPieces(sizes, extent) : sizes;
  const total = list.reduce((sum, size) => sum + size, 0);
  const valid = list.every((size) => Number.isInteger(size) && size >= 0);
  if (!valid || total !== extent) {
    throw new RangeError(
      `split: the sizes must add up to ${extent}: got ${
        JSON.stringify(sizes)
      } for axis ${at} of ${formatShape(x.shape)}`,
    );
  }
  let start = 0;
  return list.map((size) => {
    const ranges = x.shape.map((_, i) =>
      i === at ? [start, start + size] as const : null
    );
    start += size;
    return x.slice(...ranges);
  });
}

function equalPieces(size: number, extent: number): number[] {
  if (!Number.isInteger(size) || size < 1) return [size];
  const count = Math.max(1, Math.ceil(extent / size));
  return Array.from(
    { length: count },
    (_, piece) => Math.min(size, extent - piece * size),
  );
}
