/**
 * Random movements, as nodes.
 *
 * @module
 */

import { Node } from "../../tensor/graph/node.ts";
import { sizeOf } from "../../tensor/shape.ts";
import type { Movement } from "../../tensor/view.ts";
import type { Seeded } from "../seeded.ts";

const MAX_SIZE = 400;

/** Sizes whose product is `size`, in random order. */
function factorize(size: number, random: Seeded): number[] {
  const factors: number[] = [];
  for (let rest = size, by = 2; rest > 1;) {
    if (rest % by === 0) {
      factors.push(by);
      rest /= by;
    } else by++;
  }
  const mixed = random.shuffle(factors);
  const shape: number[] = random.next() < 0.3 ? [1] : [];
  while (mixed.length > 0) {
    const count = random.integer(1, Math.min(3, mixed.length) + 1);
    shape.push(mixed.splice(0, count).reduce((a, b) => a * b));
    if (random.next() < 0.2) shape.push(1);
  }
  return shape;
}

/** A movement of `shape` and the shape that it makes, or undefined. */
function pick(
  shape: readonly number[],
  random: Seeded,
): [Movement, number[]] | undefined {
  const axes = shape.map((_, axis) => axis);
  const axis = random.integer(0, Math.max(1, shape.length));
  switch (random.integer(0, 8)) {
    case 0:
    case 1: {
      return [{ kind: "reshape" }, factorize(sizeOf(shape), random)];
    }
    case 2: {
      const order = random.shuffle(axes);
      return [
        { kind: "permute", axes: order },
        order.map((from) => shape[from]!),
      ];
    }
    case 3: {
      const to = shape.map((extent) =>
        extent === 1 && random.next() < 0.5 ? random.integer(1, 5) : extent
      );
      return [{ kind: "expand" }, to];
    }
    case 4: {
      const steps = shape.map(() => random.pick([1, 1, 2, 3, -1, -2]));
      const starts: number[] = [];
      const to = shape.map((extent, at) => {
        const start = random.integer(0, extent);
        starts.push(start);
        const room = steps[at]! > 0 ? extent - 1 - start : start;
        const most = Math.floor(room / Math.abs(steps[at]!)) + 1;
        return random.integer(1, most + 1);
      });
      return [{ kind: "slice", starts, steps }, to];
    }
    case 5: {
      const low = shape.map(() => random.integer(0, 3));
      const interior = shape.map(() => random.pick([0, 0, 1, 2]));
      const to = shape.map((extent, at) =>
        low[at]! + (extent - 1) * (interior[at]! + 1) + 1 + random.integer(0, 3)
      );
      return [{ kind: "pad", low, interior }, to];
    }
    case 6: {
      if (shape.length === 0) return undefined;
      const stride = random.integer(1, 4);
      const dilation = random.integer(1, 3);
      const size = random.integer(1, 4);
      const room = shape[axis]! - (size - 1) * dilation - 1;
      if (room < 0) return undefined;
      const to = [...shape];
      to.splice(axis, 1, Math.floor(room / stride) + 1, size);
      return [{ kind: "windows", axis, stride, dilation }, to];
    }
    default: {
      if (shape.length < 2) return undefined;
      const at = random.integer(0, shape.length - 1);
      const stride = random.integer(1, 4);
      const dilation = random.integer(1, 3);
      const to = [...shape];
      to[at] = (shape[at]! - 1) * stride + (shape[at + 1]! - 1) * dilation + 1 +
        random.integer(0, 3);
      return [{ kind: "unwindow", axis: at, stride, dilation }, to];
    }
  }
}

/** A random movement of a node. */
export function randomMove(node: Node, random: Seeded): Node {
  for (;;) {
    const picked = pick(node.shape, random);
    if (picked === undefined) continue;
    const [movement, shape] = picked;
    if (sizeOf(shape) > MAX_SIZE || shape.length > 6) continue;
    return new Node({ kind: "move", movement }, [node], shape, node.dtype);
  }
}
