/**
 * Graph pieces that gradients and operations share.
 *
 * @module
 */

import { type Shape, sizeOf } from "../shape.ts";
import { expand, permute, reshape, scan, scatter, slice } from "./build.ts";
import type { Node } from "./node.ts";

/** The axes whose flag is set run backwards. */
export function flipped(node: Node, flags: readonly boolean[]): Node {
  if (!flags.includes(true)) return node;
  return slice(
    node,
    flags.map((flag, axis) => flag ? node.shape[axis]! - 1 : 0),
    flags.map((flag) => flag ? -1 : 1),
    node.shape,
  );
}

/** Cumulative sum from the end of an axis. */
export function scanBackwards(node: Node, axis: number): Node {
  const flags = node.shape.map((_, at) => at === axis);
  return flipped(scan(flipped(node, flags), axis), flags);
}

/** The inverse of moving an axis to another place. */
function invert(axes: readonly number[]): number[] {
  const inverse = new Array<number>(axes.length);
  axes.forEach((from, to) => inverse[from] = to);
  return inverse;
}

/**
 * `Σ` of updates at their indices along an axis, in the shape of a result.
 *
 * @param shape The result's shape, equal to that of `indices` elsewhere.
 * @param indices int32, of the shape of `updates`.
 */
export function scatterAlong(
  shape: Shape,
  indices: Node,
  updates: Node,
  axis: number,
): Node {
  const size = shape[axis]!;
  const count = updates.shape[axis]!;
  const others = shape.map((_, at) => at).filter((at) => at !== axis);
  const rest = others.map((at) => shape[at]!);
  const source = indices.op.kind === "move" &&
      indices.op.movement.kind === "expand" && !indices.storage
    ? indices.inputs[0]!
    : indices;
  // One index for whole slices, as in an embedding: sort it once.
  const alone = others.every((at) => source.shape[at] === 1);
  if (alone) {
    const targets = reshape(expandAxis(source, axis, count), [1, count]);
    const front = [axis, ...others];
    const slices = reshape(permute(updates, front), [1, count, sizeOf(rest)]);
    const sum = reshape(scatter(targets, slices, size), [size, ...rest]);
    return permute(sum, invert(front));
  }
  const last = [...others, axis];
  const outer = sizeOf(rest);
  const targets = reshape(permute(indices, last), [outer, count]);
  const single = reshape(permute(updates, last), [outer, count, 1]);
  const sum = reshape(scatter(targets, single, size), [...rest, size]);
  return permute(sum, invert(last));
}

function expandAxis(node: Node, axis: number, count: number): Node {
  return expand(
    node,
    node.shape.map((extent, at) => at === axis ? count : extent),
  );
}
