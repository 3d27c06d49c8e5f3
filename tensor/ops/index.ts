import * as build from "../graph/build.ts";
import type { Node } from "../graph/node.ts";
import { scatterAlong } from "../graph/structured.ts";
import { checkShape, formatShape, normalizeAxis, sizeOf } from "../shape.ts";
import { nodeOf, requireTensor, Tensor } from "../tensor.ts";
import { requireType } from "./_operands.ts";

function indexNode(operation: string, indices: Tensor): Node {
  requireTensor(operation, indices);
  requireType(operation, indices, ["int32", "uint32"], "indices are integers");
  return build.cast(nodeOf(indices), "int32");
}

function checkAlong(
  operation: string,
  x: Tensor,
  indices: Tensor,
  at: number,
): void {
  requireTensor(operation, indices);
  const fits = indices.rank === x.rank &&
    indices.shape.every((extent, axis) =>
      axis === at || extent <= x.shape[axis]!
    );
  if (!fits) {
    throw new RangeError(
      `${operation}: the indices' shape does not fit: got ${
        formatShape(indices.shape)
      } for ${formatShape(x.shape)} along axis ${at}`,
    );
  }
}

/**
 * Takes along an axis: `result[i][j] = x[indices[i][j]][j]` for axis 0.
 *
 * An index that is out of range gives 0, and no gradient.
 *
 * @param indices int32 or uint32, of the rank of `x`, and on the other axes no
 * larger.
 * @throws {TypeError} If the indices are not integers.
 * @throws {RangeError} If their shape does not fit.
 */
export function gather(x: Tensor, indices: Tensor, axis: number): Tensor {
  requireTensor("gather", x);
  const at = normalizeAxis("gather", axis, x.shape);
  checkAlong("gather", x, indices, at);
  const chosen = indexNode("gather", indices);
  const kept = x.shape.map((extent, i) =>
    i === at ? extent : indices.shape[i]!
  );
  const starts = kept.map(() => 0);
  const part = build.slice(nodeOf(x), starts, kept.map(() => 1), kept);
  return new Tensor(build.gather(part, chosen, at));
}

/**
 * Takes whole slices: the axis is replaced by the axes of `indices`, as an
 * embedding table's rows are by token ids.
 *
 * An index that is out of range gives zeros, and no gradient.
 *
 * @param indices int32 or uint32, of any shape.
 * @throws {TypeError} If the indices are not integers.
 */
export function take(x: Tensor, indices: Tensor, axis: number = 0): Tensor {
  requireTensor("take", x);
  const at = normalizeAxis("take", axis, x.shape);
  const chosen = indexNode("take", indices);
  const count = indices.size;
  const lone = x.shape.map((_, i) => i === at ? count : 1);
  const wide = x.shape.map((extent, i) => i === at ? count : extent);
  const spread = build.expand(build.reshape(chosen, lone), wide);
  const taken = build.gather(nodeOf(x), spread, at);
  return new Tensor(
    build.reshape(taken, [
      ...x.shape.slice(0, at),
      ...indices.shape,
      ...x.shape.slice(at + 1),
    ]),
  );
}

/**
 * Adds updates at their indices along an axis:
 * `result[indices[i][j]][j] += updates[i][j]` for axis 0. Equal indices add up,
 * always in the same order. What is out of range is dropped.
 *
 * @param indices int32 or uint32, of the rank of `x`, and on the other axes no
 * larger.
 * @param updates Of the shape of `indices` and the type of `x`.
 * @throws {TypeError} If the indices are not integers, the types differ, or
 * they are bool.
 * @throws {RangeError} If a shape does not fit.
 */
export function scatterAdd(
  x: Tensor,
  indices: Tensor,
  updates: Tensor,
  axis: number,
): Tensor {
  for (const operand of [x, updates]) requireTensor("scatterAdd", operand);
  const at = normalizeAxis("scatterAdd", axis, x.shape);
  checkAlong("scatterAdd", x, indices, at);
  if (x.dtype === "bool") {
    throw new TypeError("scatterAdd: bool has no sums: cast it first");
  }
  if (updates.dtype !== x.dtype) {
    throw new TypeError(
      `scatterAdd: types differ: got ${updates.dtype} for ${x.dtype}`,
    );
  }
  if (formatShape(updates.shape) !== formatShape(indices.shape)) {
    throw new RangeError(
      `scatterAdd: updates and indices differ: got ${
        formatShape(updates.shape)
      } and ${formatShape(indices.shape)}`,
    );
  }
  const chosen = indexNode("scatterAdd", indices);
  const reached = x.shape.map((extent, i) =>
    i === at ? extent : indices.shape[i]!
  );
  if (sizeOf(indices.shape) === 0) return x;
  const sum = scatterAlong(reached, chosen, nodeOf(updates), at);
  const zeros = reached.map(() => 0);
  const whole = build.pad(sum, zeros, zeros, x.shape);
  return new Tensor(build.map("add", [nodeOf(x), whole]));
}

/**
 * 1 at each index, else 0, on a new last axis, as float32. An index that is out
 * of range gives zeros.
 *
 * @param indices int32 or uint32.
 * @param classes Size of the new axis.
 * @throws {TypeError} If the indices are not integers.
 * @throws {RangeError} If `classes` is not a whole number >= 0.
 */
export function oneHot(indices: Tensor, classes: number): Tensor {
  const chosen = indexNode("oneHot", indices);
  const shape = [...indices.shape, classes];
  checkShape("oneHot", shape);
  const spread = build.expand(
    build.reshape(chosen, [...indices.shape, 1]),
    shape,
  );
  const same = build.map("eq", [spread, build.positions(shape, indices.rank)]);
  return new Tensor(build.cast(same, "float32"));
}

function triangle(
  x: Tensor,
  offset: number,
  lower: boolean,
  name: string,
): Tensor {
  if (x.rank < 2) {
    throw new RangeError(
      `${name}: needs at least two axes: got ${formatShape(x.shape)}`,
    );
  }
  const rows = build.positions(x.shape, x.rank - 2);
  const cols = build.positions(x.shape, x.rank - 1);
  const border = build.filled(offset, x.shape, "int32");
  const distance = build.map("sub", [cols, rows]);
  const keep = lower
    ? build.map("le", [distance, border])
    : build.map("le", [border, distance]);
  const zero = build.filled(0, x.shape, x.dtype);
  return new Tensor(build.map("where", [keep, nodeOf(x), zero]));
}

/** Zeros above the diagonal `offset` places to the right of the main one. */
export function tril(x: Tensor, offset: number = 0): Tensor {
  return triangle(x, offset, true, "tril");
}

/** Zeros below the diagonal `offset` places to the right of the main one. */
export function triu(x: Tensor, offset: number = 0): Tensor {
  return triangle(x, offset, false, "triu");
}
