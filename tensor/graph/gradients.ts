/**
 * Reverse-mode differentiation, graph to graph: the gradient of each operation
 * is made of the same operations, so it fuses with the rest and can itself be
 * differentiated.
 *
 * @module
 */

import { isFloat } from "../dtype.ts";
import { type Shape, sizeOf } from "../shape.ts";
import type { Movement } from "../view.ts";
import {
  broadcast,
  cast,
  expand,
  filled,
  gather,
  iota,
  map,
  pad,
  permute,
  reduce,
  reshape,
  slice,
  sort,
  unwindow,
  windows,
} from "./build.ts";
import { type Node, topological } from "./node.ts";
import { flipped, scanBackwards, scatterAlong } from "./structured.ts";

/**
 * The gradients of `Σ roots * seeds` with respect to some nodes, each taken for
 * a leaf: what one was made from has no part in another's.
 *
 * @param roots float32.
 * @param seeds One for each root, of its shape.
 * @param targets What to differentiate by.
 * @returns One for each target; null where the roots do not depend on it.
 */
export function gradients(
  roots: readonly Node[],
  seeds: readonly Node[],
  targets: readonly Node[],
): (Node | null)[] {
  const wanted = new Set(targets);
  // What a target was made from is no concern of these gradients.
  const order = topological(
    roots,
    (node) => !node.needsGrad || wanted.has(node),
  );
  const reaches = new Set<Node>();
  for (const node of order) {
    if (
      wanted.has(node) ||
      (node.needsGrad && node.inputs.some((input) => reaches.has(input)))
    ) reaches.add(node);
  }
  const found = new Map<Node, Node>();
  const accumulate = (node: Node, gradient: Node) => {
    const present = found.get(node);
    found.set(node, present ? map("add", [present, gradient]) : gradient);
  };
  roots.forEach((root, at) => {
    if (reaches.has(root)) accumulate(root, seeds[at]!);
  });
  for (const node of order.reverse()) {
    const gradient = found.get(node);
    if (gradient === undefined || !node.needsGrad) continue;
    if (wanted.has(node) || node.inputs.length === 0) continue;
    vjp(node, gradient).forEach((part, at) => {
      const input = node.inputs[at]!;
      if (part !== null && reaches.has(input)) accumulate(input, part);
    });
  }
  return targets.map((target) => found.get(target) ?? null);
}

/** The gradient of each input, given that of the result. */
function vjp(node: Node, g: Node): readonly (Node | null)[] {
  const { op, inputs } = node;
  switch (op.kind) {
    case "map":
      return mapVjp(node, g);
    case "move":
      return [moveVjp(op.movement, inputs[0]!.shape, g)];
    case "reduce":
      return [reduceVjp(node, g)];
    case "gather": {
      const [x, indices] = inputs as [Node, Node];
      return [scatterAlong(x.shape, indices, g, op.axis), null];
    }
    case "scan":
      return [scanBackwards(g, op.axis)];
    case "sort": {
      if (op.output === "order") return [null];
      // Each element's gradient goes back to where the element came from.
      const order = sort(inputs[0]!, op.descending).order;
      return [scatterAlong(node.shape, order, g, node.shape.length - 1)];
    }
    case "scatter": {
      const [sorted, order, updates] = inputs as [Node, Node, Node];
      return [null, null, scatterVjp(sorted, order, updates, g)];
    }
    case "attention":
    case "attentionGradient":
      throw new Error(`${op.kind}: only the custom node around it has one`);
    case "concat":
      throw new Error("concat: plans, which make it, have no gradients");
    case "custom":
      return [null, ...op.vjp!(g)];
    case "fence":
      return [g];
    case "source":
    case "const":
    case "iota":
      return [];
    default:
      return op satisfies never;
  }
}

function mul(a: Node, b: Node): Node {
  return map("mul", [a, b]);
}

function neg(a: Node): Node {
  return map("neg", [a]);
}

/** 1 where the condition holds, else 0, as float32. */
function indicator(condition: Node): Node {
  return cast(condition, "float32");
}

function mapVjp(node: Node, g: Node): readonly (Node | null)[] {
  const { op, inputs } = node;
  if (op.kind !== "map") return [];
  const [a, b] = inputs as [Node, Node];
  switch (op.op) {
    case "neg":
      return [neg(g)];
    case "abs": {
      const zero = filled(0, a.shape, "float32");
      const positive = indicator(map("lt", [zero, a]));
      const negative = indicator(map("lt", [a, zero]));
      return [mul(g, map("sub", [positive, negative]))];
    }
    case "exp":
      return [mul(g, node)];
    case "log":
      return [map("div", [g, a])];
    case "sqrt":
      return [map("div", [mul(g, filled(0.5, a.shape, "float32")), node])];
    case "sin":
      return [mul(g, map("cos", [a]))];
    case "cos":
      return [neg(mul(g, map("sin", [a])))];
    case "add":
      return [g, g];
    case "sub":
      return [g, neg(g)];
    case "mul":
      return [mul(g, b), mul(g, a)];
    case "div": {
      const byA = map("div", [g, b]);
      return [byA, neg(mul(byA, node))];
    }
    case "rem":
      return [g, neg(mul(g, map("trunc", [map("div", [a, b])])))];
    case "min":
    case "max": {
      // Equal operands share the gradient.
      const half = mul(
        indicator(map("eq", [a, b])),
        filled(0.5, a.shape, "float32"),
      );
      const less = indicator(map("lt", [a, b]));
      const more = indicator(map("lt", [b, a]));
      const [first, second] = op.op === "max" ? [more, less] : [less, more];
      return [
        mul(g, map("add", [first, half])),
        mul(g, map("add", [second, half])),
      ];
    }
    case "where": {
      const zero = filled(0, g.shape, "float32");
      return [
        null,
        map("where", [a, g, zero]),
        map("where", [a, zero, g]),
      ];
    }
    case "cast":
      return [isFloat(a.dtype) && isFloat(node.dtype) ? g : null];
    default:
      // Steps, comparisons and integers have no slope.
      return inputs.map(() => null);
  }
}

function moveVjp(movement: Movement, input: Shape, g: Node): Node {
  switch (movement.kind) {
    case "reshape":
      return reshape(g, input);
    case "permute": {
      const inverse = new Array<number>(movement.axes.length);
      movement.axes.forEach((from, to) => inverse[from] = to);
      return permute(g, inverse);
    }
    case "expand": {
      const axes = input.flatMap((extent, axis) =>
        extent === 1 && g.shape[axis] !== 1 ? [axis] : []
      );
      return reduce("sum", g, axes);
    }
    case "slice": {
      const { starts, steps } = movement;
      const forwards = flipped(g, steps.map((step) => step < 0));
      const low = starts.map((start, axis) =>
        steps[axis]! < 0 ? start + steps[axis]! * (g.shape[axis]! - 1) : start
      );
      if (sizeOf(g.shape) === 0) return filled(0, input, g.dtype);
      return pad(forwards, low, steps.map((step) => Math.abs(step) - 1), input);
    }
    case "pad": {
      const steps = movement.interior.map((between) => between + 1);
      return slice(g, movement.low, steps, input);
    }
    case "windows": {
      const { axis, stride, dilation } = movement;
      const spread = unwindow(g, axis, input[axis]!, stride, dilation);
      const sum = reduce("sum", spread, [axis + 1]);
      return reshape(sum, input);
    }
    case "unwindow": {
      // Element (n, k) came from ((n - k * dilation) / stride, k): the diagonal
      // of the windows of g, whose own k must be that same k.
      const { axis, stride, dilation } = movement;
      const size = input[axis + 1]!;
      const seen = windows(
        padTo(g, axis, (input[axis]! - 1) * stride + (size - 1) * dilation + 1),
        axis,
        size,
        stride,
        dilation,
      ); // [..., out, k, size, ...]
      const diagonal = broadcast(
        reshape(identityMatrix(size), [
          size,
          size,
          ...new Array<number>(input.length - axis - 2).fill(1),
        ]),
        seen.shape,
      );
      const picked = reduce("sum", mul(seen, diagonal), [axis + 2]);
      return reshape(picked, input);
    }
    default:
      return movement satisfies never;
  }
}

/** Zeros behind an axis, or a cut, so that it has `extent` elements. */
function padTo(node: Node, axis: number, extent: number): Node {
  const shape = [...node.shape];
  shape[axis] = extent;
  const zeros = shape.map(() => 0);
  return extent < node.shape[axis]!
    ? slice(node, zeros, shape.map(() => 1), shape)
    : pad(node, zeros, zeros, shape);
}

function identityMatrix(n: number): Node {
  const row = iota(n);
  const rows = expand(reshape(row, [n, 1]), [n, n]);
  const cols = expand(reshape(row, [1, n]), [n, n]);
  return indicator(map("eq", [rows, cols]));
}

function reduceVjp(node: Node, g: Node): Node {
  const { op } = node;
  const x = node.inputs[0]!;
  if (op.kind !== "reduce") return g;
  const spread = (value: Node) => expand(value, x.shape);
  switch (op.reducer) {
    case "sum":
      return spread(g);
    case "max":
    case "min": {
      // Equal extremes share the gradient, so that it stays one subgradient.
      const chosen = indicator(map("eq", [x, spread(node)]));
      const shares = reduce("sum", chosen, op.axes);
      return mul(chosen, spread(map("div", [g, shares])));
    }
    case "prod": {
      // The product of the others: with one zero it is left to that zero alone.
      const zero = filled(0, x.shape, "float32");
      const one = filled(1, x.shape, "float32");
      const isZero = map("eq", [x, zero]);
      const safe = map("where", [isZero, one, x]);
      const zeros = reduce("sum", indicator(isZero), op.axes);
      const others = spread(reduce("prod", safe, op.axes));
      const none = map("eq", [spread(zeros), zero]);
      const single = map("eq", [spread(zeros), one]);
      const alone = map("where", [
        map("and", [single, isZero]),
        others,
        zero,
      ]);
      const share = map("where", [none, map("div", [others, safe]), alone]);
      return mul(spread(g), share);
    }
    default:
      return op.reducer satisfies never;
  }
}

/** Each update has the gradient of the target that it was added to. */
function scatterVjp(sorted: Node, order: Node, updates: Node, g: Node): Node {
  const [outer, count] = updates.shape as readonly [number, number, number];
  const wide = (node: Node) =>
    expand(reshape(node, [outer, count, 1]), updates.shape);
  // The order of an order is its inverse: where each update was sorted to.
  const place = sort(order, false).order;
  const targets = gather(sorted, place, 1);
  return gather(g, wide(targets), 1);
}
