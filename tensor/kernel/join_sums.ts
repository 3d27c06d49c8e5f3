/**
 * Sums of the squares of several values, added up, become one sum over all of
 * them end to end: the norm of all gradients is one reduction, not one for each
 * parameter.
 *
 * @module
 */

import * as build from "../graph/build.ts";
import { Node, topological } from "../graph/node.ts";
import { sizeOf } from "../shape.ts";
import { arenaExtent, intoShards } from "./arena.ts";
import { underReshapes } from "./group.ts";
import type { Program } from "./program.ts";

/** Nodes between a sum and what is squared: splits and reshapes. */
const MOST_STEPS = 16;

/** A chain of additions of scalars. */
interface Total {
  /** The last addition. */
  readonly root: Node;
  /** Values whose squares it sums up. */
  readonly squared: readonly Node[];
  /** The other summands. */
  readonly others: readonly Node[];
}

/**
 * Joins sums of squares.
 *
 * @param most Most elements that may lie end to end.
 * @returns The program, not in canonical form, or undefined if there are none.
 */
export function joinSums(program: Program, most: number): Program | undefined {
  const totals = new Map(totalsOf(program).map((total) => [total.root, total]));
  const made = new Map<Node, Node>();
  const taken = new Set(program.roots.map(underReshapes));
  let joined = 0;
  for (const node of program.order) {
    const total = totals.get(node);
    const free = new Set(total?.squared.filter((base) => !taken.has(base)));
    if (free.size > 1) {
      joined++;
      for (const base of free) taken.add(base);
      made.set(node, join(total!, free, most, made));
      continue;
    }
    const inputs = node.inputs.map((input) => made.get(input)!);
    const same = inputs.every((input, at) => input === node.inputs[at]);
    made.set(
      node,
      same ? node : new Node(node.op, inputs, node.shape, node.dtype),
    );
  }
  if (joined === 0) return undefined;
  const roots = program.roots.map((root) => made.get(root)!);
  return { ...program, order: topological(roots), roots };
}

function join(
  { root, squared, others }: Total,
  free: ReadonlySet<Node>,
  most: number,
  made: ReadonlyMap<Node, Node>,
): Node {
  const sumOfSquares = (flat: Node) =>
    build.reduce("sum", build.map("mul", [flat, flat]), [0]);
  const extent = ({ shape }: Node) => sizeOf(shape);
  const sums = [
    ...intoShards([...free], extent, most)
      .map((shard) => concat(shard.map((base) => made.get(base)!))),
    ...squared.filter((base) => !free.has(base))
      .map((base) => build.reshape(made.get(base)!, [extent(base)])),
  ].map(sumOfSquares);
  const sum = [...sums, ...others.map((other) => made.get(other)!)]
    .map((summand) => build.reshape(summand, []))
    .reduce((a, b) => build.map("add", [a, b]));
  return build.reshape(sum, root.shape);
}

/** Values end to end. */
function concat(nodes: readonly Node[]): Node {
  const size = nodes.reduce(
    (sum, { shape }) => sum + arenaExtent(sizeOf(shape)),
    0,
  );
  return new Node({ kind: "concat" }, nodes, [size], nodes[0]!.dtype);
}

/** The longest chains of additions that sum up squares. */
function totalsOf({ order }: Program): Total[] {
  const totals: Total[] = [];
  const inside = new Set<Node>();
  for (const node of order.toReversed()) {
    if (!isScalarAddition(node) || inside.has(node)) continue;
    const squared = new Set<Node>();
    const others: Node[] = [];
    const todo = [node];
    for (let at = todo.pop(); at !== undefined; at = todo.pop()) {
      const summand = underReshapes(at);
      const base = squaredIn(summand);
      if (isScalarAddition(summand)) {
        inside.add(summand);
        todo.push(...summand.inputs.toReversed());
      } else if (base !== undefined && !squared.has(base)) squared.add(base);
      else others.push(at);
    }
    if (squared.size > 1) {
      totals.push({ root: node, squared: [...squared], others });
    }
  }
  return totals;
}

function isScalarAddition({ op, shape, dtype }: Node): boolean {
  return op.kind === "map" && op.op === "add" && dtype === "float32" &&
    sizeOf(shape) === 1;
}

/** The computed value whose squares a scalar is the sum of, all of them. */
function squaredIn(node: Node): Node | undefined {
  let summed = false;
  for (let steps = 0; steps < MOST_STEPS; steps++) {
    const { op, inputs: [input] } = node;
    if (op.kind === "reduce" && op.reducer === "sum") summed = true;
    else if (!isRearrangement(node)) break;
    node = input!;
  }
  const { op, inputs: [a, b] } = node;
  if (!summed || op.kind !== "map" || op.op !== "mul" || a !== b) {
    return undefined;
  }
  let base = a!;
  while (isRearrangement(base)) base = base.inputs[0]!;
  const isComputed = base.inputs.length > 0 && base.op.kind !== "move" &&
    base.dtype === "float32" && sizeOf(base.shape) > 0;
  return isComputed ? base : undefined;
}

/** Whether a node has each element of its input once. */
function isRearrangement({ op }: Node): boolean {
  if (op.kind === "fence") return true;
  if (op.kind !== "move") return false;
  const { kind } = op.movement;
  return kind === "reshape" || kind === "permute";
}
