/**
 * Nodes of the lazy graph: what is to be computed, with no word on how.
 *
 * @module
 */

import { type DType, isFloat } from "../dtype.ts";
import type { Shape } from "../shape.ts";
import type { Movement } from "../view.ts";
import type { BinaryOp, CompareOp, Reducer, UnaryOp } from "../op.ts";

/** An operation of each element on its own. */
export type MapOp =
  | UnaryOp
  | BinaryOp
  | CompareOp
  | "where"
  | "cast"
  | "bitcast"
  | "threefry0"
  | "threefry1";

/** The gradient of a {@link custom} node: one for each input, null for none. */
export type NodeVjp = (gradient: Node) => readonly (Node | null)[];

/** How attention scores, beside its masks. */
export interface AttentionRule {
  /** Multiplies the products of queries and keys. */
  readonly scale: number;
  /**
   * Query `q` sees key `k` only if `k <= q + causalOffset`; null where it sees
   * all.
   */
  readonly causalOffset: number | null;
}

/** What a node does with its inputs. Reductions keep their axes at size 1. */
export type NodeOp =
  /** Values that are there already, on a device or the host. */
  | { readonly kind: "source" }
  /**
   * A scalar. A structural one is part of the program; any other is passed to
   * it, so that a learning rate that changes does not make a new program.
   */
  | {
    readonly kind: "const";
    readonly value: number;
    readonly structural: boolean;
    /** Gives the value of each run of a compiled function. */
    readonly read?: () => number;
  }
  /** `0, 1, 2, …` as int32 `[n]`. */
  | { readonly kind: "iota" }
  | { readonly kind: "map"; readonly op: MapOp }
  | { readonly kind: "move"; readonly movement: Movement }
  | {
    readonly kind: "reduce";
    readonly reducer: Reducer;
    readonly axes: readonly number[];
  }
  /** `x[..., indices[...], ...]` along an axis, all other positions equal. */
  | { readonly kind: "gather"; readonly axis: number }
  /** Cumulative sum along an axis. */
  | { readonly kind: "scan"; readonly axis: number }
  /** Sorts the last axis: the values, or the positions they had. */
  | {
    readonly kind: "sort";
    readonly descending: boolean;
    readonly output: "values" | "order";
  }
  /** Inputs sorted, order, updates: see `ScatterKernel`. */
  | { readonly kind: "scatter"; readonly size: number }
  /**
   * Inputs query, key, value, masks: the mixtures, or the logarithms of the
   * sums that their weights were divided by. See `AttentionKernel`.
   */
  | {
    readonly kind: "attention";
    readonly rule: AttentionRule;
    readonly output: "mixtures" | "logSums";
  }
  /** One of its gradients: see `AttentionGradientKernel`. */
  | {
    readonly kind: "attentionGradient";
    readonly rule: AttentionRule;
    readonly output: "query" | "key" | "value";
  }
  /**
   * All inputs end to end as one row, with gaps of 0. Only plans make it, for
   * values to be computed where they are then read: see `kernel/arena.ts`.
   */
  | { readonly kind: "concat" }
  /** The first input, with a gradient of its own (none for a detached one). */
  | { readonly kind: "custom"; readonly vjp: NodeVjp | null }
  /** The input; equal fences are not merged, so what is behind is recomputed. */
  | { readonly kind: "fence"; readonly id: number };

/** Where a device keeps a node's values. Only the device looks inside. */
export interface Storage {
  /** Bytes held. */
  readonly byteLength: number;
}

/**
 * One value of the graph. Its operation and shape never change. Once it is
 * computed it has a storage, and no longer needs its inputs.
 */
export class Node {
  /** What it does. */
  readonly op: NodeOp;
  /** Sizes of the result. */
  readonly shape: Shape;
  /** Type of the result. */
  readonly dtype: DType;
  /** What it is computed from; empty for a leaf. */
  inputs: readonly Node[];
  /**
   * Whether gradients flow into it: it, or an input, is a variable. Whole
   * numbers have none.
   */
  readonly needsGrad: boolean;
  /** The computed values. */
  storage: Storage | undefined;
  /** Tensors that show it and were not disposed of. */
  handles = 0;
  /** Whether the values were there and have been given back. */
  freed = false;
  /** Whether another node has been made of it. */
  used = false;

  /** Makes a node; the functions of `build.ts` check and simplify. */
  constructor(
    op: NodeOp,
    inputs: readonly Node[],
    shape: Shape,
    dtype: DType,
    // Through other types no gradient passes: better none than one of zeros.
    needsGrad: boolean = gradEnabled && isFloat(dtype) &&
      inputs.some((node) => node.needsGrad),
  ) {
    this.op = op;
    this.inputs = inputs;
    this.shape = shape;
    this.dtype = dtype;
    this.needsGrad = needsGrad;
    for (const input of inputs) input.used = true;
  }
}

let gradEnabled = true;

/** Runs `f`; the nodes made meanwhile have no gradient. */
export function withoutGrad<T>(f: () => T): T {
  const before = gradEnabled;
  gradEnabled = false;
  try {
    return f();
  } finally {
    gradEnabled = before;
  }
}

/** Runs `f`; the nodes made meanwhile have gradients even inside `withoutGrad`. */
export function withGrad<T>(f: () => T): T {
  const before = gradEnabled;
  gradEnabled = true;
  try {
    return f();
  } finally {
    gradEnabled = before;
  }
}

/** Whether nodes made now take part in gradients. */
export function isGradEnabled(): boolean {
  return gradEnabled;
}

/** All nodes that the roots are computed from, inputs first. */
export function topological(
  roots: readonly Node[],
  stop: (node: Node) => boolean = () => false,
): Node[] {
  const order: Node[] = [];
  const seen = new Set<Node>();
  const stack: { node: Node; next: number }[] = [];
  for (const root of roots) {
    if (seen.has(root)) continue;
    seen.add(root);
    stack.push({ node: root, next: 0 });
    // A stack, not recursion: a graph may be deeper than the call stack.
    while (stack.length > 0) {
      const top = stack.at(-1)!;
      const input = stop(top.node) ? undefined : top.node.inputs[top.next++];
      if (input === undefined) {
        order.push(top.node);
        stack.pop();
      } else if (!seen.has(input)) {
        seen.add(input);
        stack.push({ node: input, next: 0 });
      }
    }
  }
  return order;
}
