/**
 * Matrix products that do the same to different values become one: two branches
 * with shared weights run as one of twice the batch, and what both add to a
 * gradient is one sum.
 *
 * @module
 */

import * as build from "../graph/build.ts";
import { Node, topological } from "../graph/node.ts";
import { type Shape, sizeOf } from "../shape.ts";
import { underReshapes } from "./group.ts";
import { opText } from "./op_text.ts";
import type { Program } from "./program.ts";

/** Nodes that one look for a twin may visit; it is given up beyond. */
const MOST_VISITS = 512;

/** Products of one form that another is compared with; it is alone beyond. */
const MOST_TRIES = 32;

/** Products for each element of an input that is stacked, at least. */
const LEAST_PRODUCTS = 16;

/** Two nodes that become one with an axis of 2 in front. */
interface Pair {
  readonly first: Node;
  readonly second: Node;
}

/**
 * Merges twins. Both of a pair lie at one distance from the leaves, so that a
 * pair never comes to depend on itself.
 *
 * @returns The program, not in canonical form, or undefined if there are none.
 */
export function mergeTwins(program: Program): Program | undefined {
  const pairs = findTwins(program);
  return pairs.size > 0 ? new Merger(program, pairs).run() : undefined;
}

function depthsOf(order: readonly Node[]): Map<Node, number> {
  const depths = new Map<Node, number>();
  for (const node of order) {
    let depth = 0;
    for (const input of node.inputs) {
      depth = Math.max(depth, depths.get(input)! + 1);
    }
    depths.set(node, depth);
  }
  return depths;
}

/** Numbers that are equal for twins, and for little else. */
function formsOf(order: readonly Node[]): ReadonlyMap<Node, number> {
  const depths = depthsOf(order);
  const forms = new Map<Node, number>();
  const numbers = new Map<string, number>();
  for (const node of order) {
    const inputs = node.inputs.map((input) => forms.get(input));
    // Of any other node, none but itself is a twin.
    const kind = kindOf(node) ?? `${forms.size}th`;
    const text = `${kind} ${inputs} ${node.dtype} ${node.shape} ${
      depths.get(node)
    }`;
    let form = numbers.get(text);
    if (form === undefined) numbers.set(text, form = numbers.size);
    forms.set(node, form);
  }
  return forms;
}

/** What twins have in common beside their inputs. */
function kindOf(node: Node): string | undefined {
  const { op } = node;
  if (isScalar(node)) return "scalar";
  if (isInput(node)) return "input";
  // Neighbours begin at different elements.
  if (op.kind === "move" && op.movement.kind === "slice") return "slice";
  return op.kind === "map" || op.kind === "move" || op.kind === "reduce"
    ? opText(op)
    : undefined;
}

function findTwins(program: Program): ReadonlyMap<Node, Pair> {
  const forms = formsOf(program.order);
  const pairs = new Map<Node, Pair>();
  const waiting = new Map<number, Set<Node>>();
  const tryPair = (one: Node, other: Node): boolean => {
    // Which of them is first follows from what they are made of.
    const found = new Search(forms, pairs).match(one, other) ??
      new Search(forms, pairs).match(other, one);
    if (found === undefined || !isWorthIt(one, found)) return false;
    for (const pair of found) {
      pairs.set(pair.first, pair);
      pairs.set(pair.second, pair);
    }
    return true;
  };
  const findTwin = (node: Node, others: Set<Node>): boolean => {
    let tries = 0;
    for (const other of others) {
      const isPaired = pairs.has(other);
      if (!isPaired && ++tries > MOST_TRIES) return false;
      const isTwin = !isPaired && tryPair(other, node);
      if (isPaired || isTwin) others.delete(other);
      if (isTwin) return true;
    }
    return false;
  };
  for (const node of program.order) {
    const { op, inputs: [a, b] } = node;
    if (op.kind === "map" && op.op === "add" && isSum(a!) && isSum(b!)) {
      if (a !== b) tryPair(a!, b!);
    }
    if (op.kind !== "reduce" || op.reducer !== "sum" || !isProduct(a!)) {
      continue;
    }
    if (pairs.has(node)) continue;
    const form = forms.get(node)!;
    const others = waiting.get(form) ?? new Set();
    waiting.set(form, others);
    if (!findTwin(node, others)) others.add(node);
  }
  return pairs;
}

/** Whether what is read twice, once in vain, is little beside what is computed. */
function isWorthIt(sum: Node, pairs: Iterable<Pair>): boolean {
  let inputs = 0;
  for (const { first } of pairs) {
    if (isInput(first)) inputs += sizeOf(first.shape);
  }
  const { inputs: [products] } = underReshapes(sum);
  return LEAST_PRODUCTS * inputs <= sizeOf(products!.shape);
}

/** A sum, or one in another shape. */
function isSum(node: Node): boolean {
  const { op } = underReshapes(node);
  return op.kind === "reduce" && op.reducer === "sum";
}

/** Compares two nodes with all that they are computed from. */
class Search {
  readonly #forms: ReadonlyMap<Node, number>;
  readonly #known: ReadonlyMap<Node, Pair>;
  readonly #found = new Map<Node, Pair>();
  #visits = 0;

  constructor(
    forms: ReadonlyMap<Node, number>,
    known: ReadonlyMap<Node, Pair>,
  ) {
    this.#forms = forms;
    this.#known = known;
  }

  /** The pairs that make two nodes twins, or undefined if they are none. */
  match(first: Node, second: Node): Set<Pair> | undefined {
    return this.#match(first, second, 0)
      ? new Set(this.#found.values())
      : undefined;
  }

  #match(first: Node, second: Node, level: number): boolean {
    if (first === second) return true;
    const pair = this.#known.get(first) ?? this.#found.get(first);
    const other = this.#known.get(second) ?? this.#found.get(second);
    if (pair !== undefined || other !== undefined) {
      return pair === other && pair!.first === first;
    }
    if (++this.#visits > MOST_VISITS || level > MOST_VISITS) return false;
    if (this.#forms.get(first) !== this.#forms.get(second)) return false;
    if (!isFreeStack(first, second)) {
      // Slices of one form may yet be of different elements.
      if (opText(first.op) !== opText(second.op)) return false;
      const matches = first.inputs.every((input, at) =>
        this.#match(input, second.inputs[at]!, level + 1)
      );
      if (!matches) return false;
    }
    const made = { first, second };
    this.#found.set(first, made);
    this.#found.set(second, made);
    return true;
  }
}

/** Whether two leaves can be read as one: scalars, parts of a value, inputs. */
function isFreeStack(first: Node, second: Node): boolean {
  if (isScalar(first) && isScalar(second)) return true;
  if (isInput(first) && isInput(second)) return true;
  return neighbours(first, second) !== undefined;
}

/** Values from outside that are not trained: each weight has its own products. */
function isInput({ op, needsGrad }: Node): boolean {
  return op.kind === "source" && !needsGrad;
}

function isScalar({ op }: Node): boolean {
  return op.kind === "const" && !op.structural;
}

/** The axis along which the second slice begins where the first one ends. */
function neighbours(first: Node, second: Node): number | undefined {
  const [a, b] = [first.op, second.op];
  if (a.kind !== "move" || b.kind !== "move") return undefined;
  const [m, n] = [a.movement, b.movement];
  if (m.kind !== "slice" || n.kind !== "slice") return undefined;
  if (first.inputs[0] !== second.inputs[0]) return undefined;
  const plain = [...m.steps, ...n.steps].every((step) => step === 1);
  const apart = m.starts.flatMap((start, axis) =>
    start === n.starts[axis] ? [] : [axis]
  );
  const [axis] = apart;
  if (!plain || apart.length !== 1) return undefined;
  return m.starts[axis!]! + first.shape[axis!]! === n.starts[axis!]
    ? axis
    : undefined;
}

/** Builds the program with pairs as one. */
class Merger {
  readonly #program: Program;
  readonly #pairs: ReadonlyMap<Node, Pair>;
  readonly #made = new Map<Node, Node>();
  readonly #stacks = new Map<Pair, Node>();

  constructor(program: Program, pairs: ReadonlyMap<Node, Pair>) {
    this.#program = program;
    this.#pairs = pairs;
  }

  run(): Program {
    const { order, roots } = this.#program;
    const depths = depthsOf(order);
    // Stable: so that all that a pair needs is there before either of it.
    const byDepth = [...order].sort((a, b) => depths.get(a)! - depths.get(b)!);
    for (const node of byDepth) this.#made.set(node, this.#remake(node));
    const newRoots = roots.map((root) => this.#made.get(root)!);
    return { ...this.#program, order: topological(newRoots), roots: newRoots };
  }

  #remake(node: Node): Node {
    const pair = this.#pairs.get(node);
    if (pair) return part(this.#stack(pair), node === pair.first ? 0 : 1);
    const { op, inputs, shape, dtype } = node;
    if (inputs.length === 0) return node;
    const [a, b] = inputs.map((input) => this.#pairs.get(input));
    if (op.kind === "map" && op.op === "add" && a && a === b) {
      if (inputs[0] !== inputs[1]) {
        const sum = build.reduce("sum", this.#stack(a), [0]);
        return build.reshape(sum, shape);
      }
    }
    const remade = inputs.map((input) => this.#made.get(input)!);
    const same = remade.every((input, at) => input === inputs[at]);
    return same ? node : new Node(op, remade, shape, dtype);
  }

  /** Both of a pair, the first in front: `[2, ...shape]`. */
  #stack(pair: Pair): Node {
    let stack = this.#stacks.get(pair);
    if (!stack) this.#stacks.set(pair, stack = this.#makeStack(pair));
    return stack;
  }

  #makeStack({ first, second }: Pair): Node {
    if (isScalar(first) || isInput(first)) return stackBoth(first, second);
    const axis = neighbours(first, second);
    if (axis !== undefined) return this.#stackSlices(first, axis);
    const { op, dtype } = first;
    const shape = [2, ...first.shape];
    const inputs = first.inputs.map((input, at) =>
      this.#stacked(input, second.inputs[at]!)
    );
    const [input] = inputs as [Node];
    switch (op.kind) {
      case "map":
        return build.map(op.op, inputs, dtype);
      case "reduce":
        return build.reduce(
          op.reducer,
          input,
          op.axes.map((axis) => axis + 1),
        );
      case "move":
        return moveBehind(first, input, shape);
      default:
        throw new Error(`twins: ${op.kind} has no twin`);
    }
  }

  #stacked(first: Node, second: Node): Node {
    const pair = this.#pairs.get(first);
    if (pair && first !== second) return this.#stack(pair);
    const one = this.#made.get(first)!;
    const shape = [1, ...first.shape];
    return build.expand(build.reshape(one, shape), [2, ...first.shape]);
  }

  #stackSlices(first: Node, axis: number): Node {
    const { op, inputs, shape } = first;
    if (op.kind !== "move" || op.movement.kind !== "slice") return first;
    const { starts, steps } = op.movement;
    const extent = shape[axis]!;
    const both = shape.with(axis, 2 * extent);
    const whole = build.slice(this.#made.get(inputs[0]!)!, starts, steps, both);
    const split = build.reshape(whole, shape.toSpliced(axis, 1, 2, extent));
    const rest = split.shape.map((_, at) => at).filter((at) => at !== axis);
    return build.permute(split, [axis, ...rest]);
  }
}

/** Two values that lie apart, chosen by position. */
function stackBoth(first: Node, second: Node): Node {
  const shape = [2, ...first.shape];
  const zero = build.filled(0, shape, "int32");
  const isFirst = build.map("eq", [build.positions(shape, 0), zero]);
  const both = [first, second].map((node) => build.broadcast(node, shape));
  return build.map("where", [isFirst, ...both]);
}

/** One of a stack. */
function part(stack: Node, at: 0 | 1): Node {
  const shape = stack.shape.slice(1);
  const starts = stack.shape.map((_, axis) => axis === 0 ? at : 0);
  const steps = stack.shape.map(() => 1);
  return build.reshape(build.slice(stack, starts, steps, [1, ...shape]), shape);
}

/** The movement of a node with one more axis in front, which stays. */
function moveBehind({ op, dtype }: Node, input: Node, shape: Shape): Node {
  if (op.kind !== "move") return input;
  const { movement } = op;
  switch (movement.kind) {
    case "reshape":
      return build.reshape(input, shape);
    case "expand":
      return build.expand(input, shape);
    case "permute":
      return build.permute(
        input,
        [0, ...movement.axes.map((axis) => axis + 1)],
      );
    case "slice": {
      const { starts, steps } = movement;
      return build.slice(input, [0, ...starts], [1, ...steps], shape);
    }
    case "pad": {
      const { low, interior } = movement;
      return build.pad(input, [0, ...low], [0, ...interior], shape);
    }
    case "windows":
    case "unwindow": {
      const moved = { ...movement, axis: movement.axis + 1 };
      return new Node({ kind: "move", movement: moved }, [input], shape, dtype);
    }
    default:
      return movement satisfies never;
  }
}

/** Whether a node is a product, which a sum may make a matrix product. */
export function isProduct(node: Node): boolean {
  while (node.op.kind === "move") node = node.inputs[0]!;
  return node.op.kind === "map" && node.op.op === "mul";
}
