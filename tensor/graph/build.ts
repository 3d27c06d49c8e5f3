/**
 * Makes nodes: shapes are worked out and trivial ones vanish. Arguments are
 * taken to be right; operations check them first, in words of their own.
 *
 * @module
 */

import { type DType, toDType } from "../dtype.ts";
import { sameShape, type Shape } from "../shape.ts";
import type { Movement } from "../view.ts";
import type { Reducer } from "../op.ts";
import { type AttentionRule, type MapOp, Node, type NodeVjp } from "./node.ts";

/** A scalar that is part of the program. */
export function constant(value: number, dtype: DType = "float32"): Node {
  const stored = toDType(value, dtype);
  return new Node(
    { kind: "const", value: stored, structural: true },
    [],
    [],
    dtype,
  );
}

/** A scalar that is passed to the program. */
export function parameter(value: number, dtype: DType): Node {
  const stored = toDType(value, dtype);
  return new Node(
    { kind: "const", value: stored, structural: false },
    [],
    [],
    dtype,
  );
}

/** A scalar that each run of a compiled function reads anew. */
export function liveParameter(read: () => number, dtype: DType): Node {
  const op = { kind: "const", value: 0, structural: false, read } as const;
  return new Node(op, [], [], dtype);
}

/** `value` in every element. */
export function filled(value: number, shape: Shape, dtype: DType): Node {
  return broadcast(constant(value, dtype), shape);
}

/** `0, 1, …, n - 1` as int32. */
export function iota(n: number): Node {
  return new Node({ kind: "iota" }, [], [n], "int32");
}

/** The position along one axis of a shape, int32, in all of that shape. */
export function positions(shape: Shape, axis: number): Node {
  const lone = shape.map((extent, at) => at === axis ? extent : 1);
  return expand(reshape(iota(shape[axis]!), lone), shape);
}

/** The movement of a node that is still to be computed from its input. */
function openMovement(node: Node): Movement["kind"] | undefined {
  return node.op.kind === "move" && node.storage === undefined && !node.freed
    ? node.op.movement.kind
    : undefined;
}

/** The value of a node that is the same constant everywhere. */
export function constantValue(node: Node): number | undefined {
  for (;;) {
    const kind = openMovement(node);
    if (kind === "pad" || kind === "unwindow") return undefined;
    if (kind === undefined) break;
    node = node.inputs[0]!;
  }
  return node.op.kind === "const" && node.op.structural
    ? node.op.value
    : undefined;
}

const COMPARISONS: ReadonlySet<string> = new Set(["lt", "le", "eq", "ne"]);

/** An elementwise operation on inputs of one shape. */
export function map(op: MapOp, inputs: readonly Node[], dtype?: DType): Node {
  const [a, b] = inputs;
  const plain = inputs.every((node) => !node.needsGrad);
  if (op === "mul") {
    if (constantValue(b!) === 1) return a!;
    if (constantValue(a!) === 1) return b!;
  } else if (op === "div") {
    if (constantValue(b!) === 1) return a!;
  } else if (op === "add") {
    // x + 0 is x but for -0, which no gradient tells from 0.
    if (constantValue(b!) === 0) return a!;
    if (constantValue(a!) === 0) return b!;
  } else if (op === "sub") {
    if (constantValue(b!) === 0) return a!;
  } else if (op === "where" && plain) {
    const chosen = constantValue(a!);
    if (chosen !== undefined) return inputs[chosen !== 0 ? 1 : 2]!;
  } else if (op === "cast" && a!.dtype === dtype) {
    return a!;
  }
  const result = COMPARISONS.has(op)
    ? "bool"
    : dtype ?? inputs[op === "where" ? 1 : 0]!.dtype;
  return new Node({ kind: "map", op }, inputs, a!.shape, result);
}

/** To another element type. */
export function cast(node: Node, dtype: DType): Node {
  return map("cast", [node], dtype);
}

function move(movement: Movement, node: Node, shape: Shape): Node {
  return new Node({ kind: "move", movement }, [node], shape, node.dtype);
}

/** The same elements under another shape. */
export function reshape(node: Node, shape: Shape): Node {
  while (
    openMovement(node) === "reshape"
  ) {
    node = node.inputs[0]!;
  }
  if (sameShape(node.shape, shape)) return node;
  return move({ kind: "reshape" }, node, shape);
}

/** Axis `a` of the result is axis `axes[a]`. */
export function permute(node: Node, axes: readonly number[]): Node {
  const { op } = node;
  if (
    op.kind === "move" && op.movement.kind === "permute" && openMovement(node)
  ) {
    const inner = op.movement.axes;
    return permute(node.inputs[0]!, axes.map((axis) => inner[axis]!));
  }
  if (axes.every((axis, at) => axis === at)) return node;
  const shape = axes.map((axis) => node.shape[axis]!);
  return move({ kind: "permute", axes }, node, shape);
}

/** Repeats axes of size 1. */
export function expand(node: Node, shape: Shape): Node {
  if (sameShape(node.shape, shape)) return node;
  if (
    openMovement(node) === "expand"
  ) {
    node = node.inputs[0]!;
  }
  return move({ kind: "expand" }, node, shape);
}

/** Expands by NumPy's rule: new axes go in front. */
export function broadcast(node: Node, shape: Shape): Node {
  if (sameShape(node.shape, shape)) return node;
  const lead = new Array<number>(shape.length - node.shape.length).fill(1);
  return expand(reshape(node, [...lead, ...node.shape]), shape);
}

/** Element `start + step * i` along each axis. */
export function slice(
  node: Node,
  starts: readonly number[],
  steps: readonly number[],
  shape: Shape,
): Node {
  const whole = starts.every((start) => start === 0) &&
    steps.every((step, axis) => step === 1 || shape[axis]! <= 1) &&
    sameShape(shape, node.shape);
  return whole ? node : move({ kind: "slice", starts, steps }, node, shape);
}

/** Zeros around and between the elements. */
export function pad(
  node: Node,
  low: readonly number[],
  interior: readonly number[],
  shape: Shape,
): Node {
  if (sameShape(shape, node.shape)) return node;
  return move({ kind: "pad", low, interior }, node, shape);
}

/** Splits an axis into windows that may overlap: `[..., out, size, ...]`. */
export function windows(
  node: Node,
  axis: number,
  size: number,
  stride: number,
  dilation: number,
): Node {
  const reach = (size - 1) * dilation + 1;
  const out = Math.floor((node.shape[axis]! - reach) / stride) + 1;
  const shape = [...node.shape];
  if (stride === size && dilation === 1) {
    // Side by side they are a reshape, whose gradient adds nothing up.
    shape[axis] = out * size;
    const zeros = shape.map(() => 0);
    const whole = slice(node, zeros, shape.map(() => 1), shape);
    return reshape(whole, shape.toSpliced(axis, 1, out, size));
  }
  shape.splice(axis, 1, out, size);
  return move({ kind: "windows", axis, stride, dilation }, node, shape);
}

/** The way back from windows: `[..., out, size, ...]` to `[..., n, size, ...]`. */
export function unwindow(
  node: Node,
  axis: number,
  n: number,
  stride: number,
  dilation: number,
): Node {
  const shape = [...node.shape];
  shape[axis] = n;
  return move({ kind: "unwindow", axis, stride, dilation }, node, shape);
}

/** Combines all elements along axes, which stay at size 1. */
export function reduce(
  reducer: Reducer,
  node: Node,
  axes: readonly number[],
): Node {
  const idempotent = axes.every((axis) => node.shape[axis] === 1);
  if (idempotent) return node;
  const shape = node.shape.map((extent, axis) =>
    axes.includes(axis) ? 1 : extent
  );
  return new Node({ kind: "reduce", reducer, axes }, [node], shape, node.dtype);
}

/** Sums a gradient of a broadcast value back to the value's shape. */
export function sumTo(node: Node, shape: Shape): Node {
  if (sameShape(node.shape, shape)) return node;
  const lead = node.shape.length - shape.length;
  const axes = node.shape.flatMap((extent, axis) =>
    axis < lead || (shape[axis - lead] === 1 && extent !== 1) ? [axis] : []
  );
  return reshape(reduce("sum", node, axes), shape);
}

/** `x` at `indices` along an axis; the shapes agree elsewhere. */
export function gather(x: Node, indices: Node, axis: number): Node {
  return new Node(
    { kind: "gather", axis },
    [x, indices],
    indices.shape,
    x.dtype,
  );
}

/** Cumulative sum along an axis. */
export function scan(node: Node, axis: number): Node {
  return new Node({ kind: "scan", axis }, [node], node.shape, node.dtype);
}

/** Sorts the last axis; both results come from one kernel. */
export function sort(
  node: Node,
  descending: boolean,
): { values: Node; order: Node } {
  const make = (output: "values" | "order", dtype: DType) =>
    new Node({ kind: "sort", descending, output }, [node], node.shape, dtype);
  return { values: make("values", node.dtype), order: make("order", "int32") };
}

/**
 * Sums `updates [outer, count, inner]` into zeros `[outer, size, inner]` at
 * targets `[outer, count]`, int32; equal targets add up in their order.
 */
export function scatter(targets: Node, updates: Node, size: number): Node {
  const [outer, , inner] = updates.shape as readonly [number, number, number];
  const { values, order } = sort(targets, false);
  return new Node(
    { kind: "scatter", size },
    [values, order, updates],
    [outer, size, inner],
    updates.dtype,
  );
}

/**
 * Attention without a gradient of its own: `custom` has to give it one.
 *
 * @param inputs Query `[..., queries, dim]`, key `[..., keys, dim]`, value
 * `[..., keys, features]` and masks of the same rank, each of whose axes is
 * that of the scores or 1.
 */
export function attention(
  inputs: readonly Node[],
  rule: AttentionRule,
): { mixtures: Node; logSums: Node } {
  const [query, , value] = inputs as [Node, Node, Node];
  const rows = query.shape.slice(0, -1);
  const make = (output: "mixtures" | "logSums", features: number) =>
    new Node(
      { kind: "attention", rule, output },
      inputs,
      [...rows, features],
      "float32",
    );
  return {
    mixtures: make("mixtures", value.shape.at(-1)!),
    logSums: make("logSums", 1),
  };
}

/**
 * The gradients of {@link attention} by query, key and value, which one kernel
 * computes.
 *
 * @param inputs Query, key, value; the mixtures' gradient; the `logSums`; for
 * each query the product of mixture and gradient; the masks.
 */
export function attentionGradient(
  inputs: readonly Node[],
  rule: AttentionRule,
): Node[] {
  return (["query", "key", "value"] as const).map((output, at) =>
    new Node(
      { kind: "attentionGradient", rule, output },
      inputs,
      inputs[at]!.shape,
      "float32",
    )
  );
}

/** `result` with the gradient `vjp` towards `inputs`; null stops it. */
export function custom(
  result: Node,
  inputs: readonly Node[],
  vjp: NodeVjp | null,
): Node {
  return new Node(
    { kind: "custom", vjp },
    [result, ...inputs],
    result.shape,
    result.dtype,
    vjp === null ? false : undefined,
  );
}

let fences = 0;

/**
 * The same value, kept apart from all equal ones.
 *
 * @param needsGrad Whether gradients are wanted for it; its input's if left out.
 */
export function fence(node: Node, needsGrad?: boolean): Node {
  const op = { kind: "fence", id: ++fences } as const;
  return new Node(op, [node], node.shape, node.dtype, needsGrad);
}
