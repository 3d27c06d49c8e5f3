/**
 * A graph in canonical form: equal nodes are one, identities are gone, values
 * that are there already and scalars that change are numbered. Graphs of one
 * form have one key, so what is worked out for the first serves the others.
 *
 * @module
 */

import type { DType } from "../dtype.ts";
import * as build from "../graph/build.ts";
import { Node, topological, withoutGrad } from "../graph/node.ts";
import type { BinaryOp, Reducer } from "../op.ts";
import { formatShape, type Shape, sizeOf } from "../shape.ts";
import { opText } from "./op_text.ts";
import { joinSums } from "./join_sums.ts";
import { isProduct, mergeTwins } from "./twins.ts";

/** What a key is made from, before anything is rewritten. */
export interface Signature {
  /** Equal for graphs that run the same kernels. */
  readonly key: string;
  /** The values that are there already, by slot. */
  readonly sources: readonly Node[];
  /** Which of them are variables, or computed from some. */
  readonly trained: ReadonlySet<number>;
  /** The scalars that are passed in, by slot. */
  readonly params: readonly Node[];
  /** The graph, inputs first. */
  readonly order: readonly Node[];
  /** What is to be computed. */
  readonly roots: readonly Node[];
}

/** The canonical graph. */
export interface Program {
  /** All nodes, inputs first. */
  readonly order: readonly Node[];
  /** What each root of the signature became. */
  readonly roots: readonly Node[];
  /** The slot of each source. */
  readonly sourceSlots: ReadonlyMap<Node, number>;
  /** The slot of each scalar that is passed in. */
  readonly paramSlots: ReadonlyMap<Node, number>;
}

/** Numbers the nodes that the roots still have to be computed from. */
export function signatureOf(roots: readonly Node[]): Signature {
  const order = topological(roots, (node) => node.storage !== undefined);
  const ids = new Map<Node, number>();
  const byKey = new Map<string, number>();
  const sources: Node[] = [];
  const trained = new Set<number>();
  const slots = new Map<string, number>();
  const params: Node[] = [];
  const fences = new Map<number, number>();
  const parts: string[] = [];
  for (const node of order) {
    let text: string;
    if (node.storage !== undefined) {
      // One storage under two shapes is two slots: a plan never sees aliases.
      text = `s${storageId(node)}${node.dtype}${formatShape(node.shape)}`;
      if (!slots.has(text)) slots.set(text, sources.push(node) - 1);
      if (node.needsGrad) trained.add(slots.get(text)!);
    } else if (node.freed) {
      throw new Error(
        "compute: an input has been freed: it was disposed of, it left its " +
          "scope, or its value was replaced since: keep it with scope.keep, " +
          "or compute this sooner",
      );
    } else if (node.op.kind === "const" && !node.op.structural) {
      text = `p${params.length}${node.dtype}`;
      params.push(node);
    } else if (node.op.kind === "custom") {
      ids.set(node, ids.get(node.inputs[0]!)!);
      continue;
    } else {
      if (node.op.kind === "fence" && !fences.has(node.op.id)) {
        fences.set(node.op.id, fences.size);
      }
      const op = node.op.kind === "fence"
        ? `fence${fences.get(node.op.id)}`
        : opText(node.op);
      const args = node.inputs.map((input) => ids.get(input));
      text = `${op}(${args})${node.dtype}${formatShape(node.shape)}`;
    }
    let id = byKey.get(text);
    if (id === undefined) {
      id = byKey.size;
      byKey.set(text, id);
      parts.push(
        node.storage === undefined
          ? text
          : `s${sources.length - 1}${node.dtype}${formatShape(node.shape)}`,
      );
    }
    ids.set(node, id);
  }
  parts.push(`trained ${[...trained]}`);
  parts.push(`-> ${roots.map((root) => ids.get(root))}`);
  return { key: parts.join("\n"), sources, trained, params, order, roots };
}

const storageIds = new WeakMap<object, number>();
let storages = 0;

function storageId(node: Node): number {
  let id = storageIds.get(node.storage!);
  if (id === undefined) storageIds.set(node.storage!, id = storages++);
  return id;
}

/** How long reductions of few rows are cut, and which sums are joined. */
export interface Rewrites {
  /** Reductions of fewer rows than this are split in two. */
  readonly minRows: number;
  /** Unless they are shorter than this: then it is not worth a second kernel. */
  readonly longReduction: number;
  /**
   * If they are longer than this they are split, whatever their rows.
   * @default Infinity
   */
  readonly maxReduction?: number;
  /**
   * Elements that may lie end to end, for sums of squares of several values to
   * become one; 0 for none.
   * @default 0
   */
  readonly maxArena?: number;
}

/** Rewrites a graph into canonical form. */
export function canonicalize(
  signature: Signature,
  rewrites: Rewrites,
): Program {
  return withoutGrad(() => {
    const { leaves, ...slots } = leavesOf(signature);
    const canonical = (graph: Graph): Program => ({
      ...slots,
      ...new Canonicalizer(graph, leaves, rewrites).run(),
    });
    let program = canonical(signature);
    for (const leaf of [...leaves.values()]) leaves.set(leaf, leaf);
    const { maxArena = 0 } = rewrites;
    const passes = [mergeTwins, (from: Program) => joinSums(from, maxArena)];
    for (const pass of maxArena > 0 ? passes : [mergeTwins]) {
      const rewritten = pass(program);
      if (rewritten) program = canonical(rewritten);
    }
    return program;
  });
}

/** Nodes in order, inputs first, and those wanted of them. */
type Graph = Pick<Program, "order" | "roots">;

/** Nodes of a program for the values that it is given. */
function leavesOf({ order, sources, trained, params }: Signature) {
  const leaves = new Map<Node, Node>();
  const sourceSlots = new Map<Node, number>();
  const paramSlots = new Map<Node, number>();
  const bySource = new Map<string, Node>();
  sources.forEach((source, slot) => {
    const { shape, dtype } = source;
    const leaf = new Node(
      { kind: "source" },
      [],
      shape,
      dtype,
      trained.has(slot),
    );
    bySource.set(sourceKey(source), leaf);
    sourceSlots.set(leaf, slot);
  });
  for (const node of order) {
    if (node.storage === undefined) continue;
    leaves.set(node, bySource.get(sourceKey(node))!);
  }
  params.forEach((param, slot) => {
    const leaf = new Node(param.op, [], [], param.dtype);
    leaves.set(param, leaf);
    paramSlots.set(leaf, slot);
  });
  return { leaves, sourceSlots, paramSlots };
}

class Canonicalizer {
  readonly #graph: Graph;
  readonly #leaves: ReadonlyMap<Node, Node>;
  readonly #rewrites: Rewrites;
  readonly #interned = new Map<string, Node>();
  readonly #ids = new Map<Node, number>();
  readonly #uses = new Map<Node, number>();

  /** @param leaves What stands for the nodes that are not computed. */
  constructor(
    graph: Graph,
    leaves: ReadonlyMap<Node, Node>,
    rewrites: Rewrites,
  ) {
    this.#graph = graph;
    this.#leaves = leaves;
    this.#rewrites = rewrites;
  }

  run(): Graph {
    const { order, roots } = this.#graph;
    const mapped = new Map(this.#leaves);
    for (const leaf of new Set(this.#leaves.values())) {
      this.#ids.set(leaf, this.#ids.size);
    }
    for (const node of order) {
      for (const input of mapped.has(node) ? [] : node.inputs) {
        this.#uses.set(input, (this.#uses.get(input) ?? 0) + 1);
      }
    }
    for (const node of order) {
      if (mapped.has(node)) continue;
      const inputs = node.inputs.map((input) => mapped.get(input)!);
      mapped.set(node, this.#rebuild(node, inputs));
    }
    const newRoots = roots.map((root) => mapped.get(root)!);
    return { order: topological(newRoots), roots: newRoots };
  }

  #rebuild(node: Node, inputs: readonly Node[]): Node {
    const { op } = node;
    const [first] = inputs as [Node];
    // Nothing to compute, and no position to divide by a size of 0.
    if (sizeOf(node.shape) === 0) {
      return this.#intern(build.filled(0, node.shape, node.dtype));
    }
    switch (op.kind) {
      case "custom":
      case "fence":
        // A fence has done its work: the graphs behind it were numbered apart.
        return op.kind === "custom" ? first : this.#intern(build.fence(first));
      case "move":
        switch (op.movement.kind) {
          case "reshape":
            return this.#intern(build.reshape(first, node.shape));
          case "permute":
            return this.#intern(build.permute(first, op.movement.axes));
          case "expand":
            return this.#intern(build.expand(first, node.shape));
          case "slice": {
            const sunk = this.#sinkSlice(node, first);
            if (sunk !== undefined) return this.#intern(sunk);
            return this.#intern(new Node(op, inputs, node.shape, node.dtype));
          }
          default:
            return this.#intern(new Node(op, inputs, node.shape, node.dtype));
        }
      case "map":
        return this.#intern(build.map(op.op, inputs, node.dtype));
      case "reduce":
        return this.#reduce(node, first);
      default:
        return this.#intern(new Node(op, inputs, node.shape, node.dtype));
    }
  }

  /** The one node with this operation and these inputs; interns what is new. */
  #intern(node: Node): Node {
    if (this.#ids.has(node)) return node;
    if (node.op.kind === "fence") {
      this.#ids.set(node, this.#ids.size);
      return node;
    }
    const inputs = node.inputs.map((input) => this.#intern(input));
    const ids = inputs.map((input) => this.#ids.get(input));
    const key = `${opText(node.op)}(${ids})${node.dtype}${
      formatShape(node.shape)
    }`;
    const present = this.#interned.get(key);
    if (present !== undefined) return present;
    const same = inputs.every((input, at) => input === node.inputs[at]);
    const made = same
      ? node
      : new Node(node.op, inputs, node.shape, node.dtype);
    this.#interned.set(key, made);
    this.#ids.set(made, this.#ids.size);
    return made;
  }

  /**
   * A part of a reduction is the reduction of a part: the gradient of a padded
   * convolution does not compute the padding's.
   */
  #sinkSlice(original: Node, input: Node): Node | undefined {
    const { op } = original;
    if (op.kind !== "move" || op.movement.kind !== "slice") return undefined;
    let below = original.inputs[0]!;
    let base = input;
    while (base.op.kind === "move" && base.op.movement.kind === "reshape") {
      if ((this.#uses.get(below) ?? 0) > 1) return undefined;
      base = base.inputs[0]!;
      below = below.inputs[0] ?? below;
    }
    if (base.op.kind !== "reduce" || (this.#uses.get(below) ?? 0) > 1) {
      return undefined;
    }
    const long = (shape: Shape) =>
      shape.flatMap((extent, axis) => extent === 1 ? [] : [axis]);
    const outer = long(input.shape);
    const inner = long(base.shape);
    const aligned = outer.length === inner.length &&
      outer.every((axis, at) => input.shape[axis] === base.shape[inner[at]!]);
    if (!aligned || original.shape.includes(0)) return undefined;
    const x = base.inputs[0]!;
    const { starts, steps } = op.movement;
    const place = (axis: number) => outer[inner.indexOf(axis)];
    const pick = (from: Shape, other: number | Shape) =>
      x.shape.map((_, axis) => {
        const at = place(axis);
        if (at !== undefined) return from[at]!;
        return typeof other === "number" ? other : other[axis]!;
      });
    const part = this.#intern(
      build.slice(
        x,
        pick(starts, 0),
        pick(steps, 1),
        pick(original.shape, x.shape),
      ),
    );
    const sum = build.reduce(base.op.reducer, part, base.op.axes);
    return build.reshape(this.#intern(sum), original.shape);
  }

  #reduce(original: Node, input: Node): Node {
    const { op } = original;
    if (op.kind !== "reduce") return original;
    if (op.reducer === "sum") {
      const merged = this.#mergeSums(original, input, op.axes);
      if (merged !== undefined) return merged;
    }
    const split = this.#split(input, op.reducer, op.axes);
    return this.#intern(split ?? build.reduce(op.reducer, input, op.axes));
  }

  /**
   * A sum of a sum is one sum, also if elements were moved about in between:
   * the gradient of a convolution by its input becomes one matrix product
   * instead of one for each place of the kernel.
   */
  #mergeSums(
    original: Node,
    input: Node,
    axes: readonly number[],
  ): Node | undefined {
    const moves: Node[] = [];
    let inner = input;
    let outer = original.inputs[0]!;
    while (inner.op.kind === "move") {
      const kind = inner.op.movement.kind;
      // These repeat elements, and so would repeat the inner sum's work.
      if (kind === "expand" || kind === "windows" || kind === "pad") {
        return undefined;
      }
      if ((this.#uses.get(outer) ?? 0) > 1) return undefined;
      moves.push(inner);
      inner = inner.inputs[0]!;
      outer = outer.inputs[0] ?? outer;
    }
    if (inner.op.kind !== "reduce" || inner.op.reducer !== "sum") {
      return undefined;
    }
    if ((this.#uses.get(outer) ?? 0) > 1) return undefined;
    const summed = inner.op.axes;
    const x = inner.inputs[0]!;
    const kept = x.shape.map((_, axis) => axis)
      .filter((axis) => !summed.includes(axis));
    const tail = summed.map((axis) => x.shape[axis]!);
    const split = this.#intern(build.permute(x, [...kept, ...summed]));
    let value = this.#intern(build.reshape(split, [...inner.shape, ...tail]));
    for (const moveNode of moves.reverse()) {
      value = this.#liftMove(moveNode, value, tail);
    }
    const rank = input.shape.length;
    const all = [...axes, ...tail.map((_, at) => rank + at)];
    const sum = this.#split(value, "sum", all) ??
      build.reduce("sum", value, all);
    return this.#intern(build.reshape(this.#intern(sum), original.shape));
  }

  /** The same movement with more axes behind, which stay as they are. */
  #liftMove(node: Node, input: Node, tail: readonly number[]): Node {
    const { op } = node;
    if (op.kind !== "move") return input;
    const rank = node.shape.length;
    const movement = op.movement;
    const shape = [...node.shape, ...tail];
    switch (movement.kind) {
      case "reshape":
        return this.#intern(build.reshape(input, shape));
      case "permute": {
        const more = tail.map((_, at) => rank + at);
        return this.#intern(build.permute(input, [...movement.axes, ...more]));
      }
      case "slice": {
        const starts = [...movement.starts, ...tail.map(() => 0)];
        const steps = [...movement.steps, ...tail.map(() => 1)];
        return this.#intern(build.slice(input, starts, steps, shape));
      }
      default:
        return this.#intern(new Node(op, [input], shape, node.dtype));
    }
  }

  /**
   * Two reductions in place of a long one with too few rows, or several in
   * place of one that is longer than a kernel may be.
   */
  #split(
    input: Node,
    reducer: "sum" | "prod" | "max" | "min",
    axes: readonly number[],
  ): Node | undefined {
    const cols = axes.reduce((size, axis) => size * input.shape[axis]!, 1);
    const total = input.shape.reduce((size, extent) => size * extent, 1);
    const rows = total / Math.max(cols, 1);
    const { minRows, longReduction, maxReduction = Infinity } = this.#rewrites;
    const isTooLong = cols > maxReduction;
    if (!isTooLong) {
      if (rows >= minRows || cols < longReduction) return undefined;
      // Sums of products are matrix products: those split over their own tiles.
      if (isProduct(input) && rows > 1) return undefined;
    }
    const parts = 64;
    const axis = axes.find((at) => input.shape[at]! % parts === 0) ??
      axes.find((at) => divisor(input.shape[at]!) > 1);
    if (axis === undefined) {
      return isTooLong ? this.#splitUnevenly(input, reducer, axes) : undefined;
    }
    const extent = input.shape[axis]!;
    const count = extent % parts === 0 ? parts : divisor(extent);
    const shape = [...input.shape];
    shape.splice(axis, 1, count, extent / count);
    const shifted = axes.map((at) => at < axis ? at : at + 1);
    const cut = this.#intern(build.reshape(input, shape));
    const partial = this.#intern(
      (isTooLong ? this.#split(cut, reducer, shifted) : undefined) ??
        build.reduce(reducer, cut, shifted),
    );
    const whole = this.#intern(build.reduce(reducer, partial, [axis]));
    const final = input.shape.map((size, at) => axes.includes(at) ? 1 : size);
    return build.reshape(whole, final);
  }

  /** The same where no axis divides: most of the longest one, and the rest. */
  #splitUnevenly(
    input: Node,
    reducer: Reducer,
    axes: readonly number[],
  ): Node {
    const { shape } = input;
    const axis = axes.reduce((a, b) => shape[b]! > shape[a]! ? b : a);
    const extent = shape[axis]!;
    const most = extent < 128 ? extent >> 1 : extent - extent % 64;
    const steps = shape.map(() => 1);
    const part = (start: number, size: number) => {
      const place = (base: readonly number[], value: number) =>
        base.map((other, at) => at === axis ? value : other);
      const zeros = shape.map(() => 0);
      const cut = this.#intern(
        build.slice(input, place(zeros, start), steps, place(shape, size)),
      );
      return this.#intern(
        this.#split(cut, reducer, axes) ?? build.reduce(reducer, cut, axes),
      );
    };
    const parts = [part(0, most), part(most, extent - most)];
    return build.map(combine(reducer, input.dtype), parts);
  }
}

/** How two parts of a reduction become one. */
function combine(reducer: Reducer, dtype: DType): BinaryOp {
  if (dtype === "bool") return reducer === "max" ? "or" : "and";
  return reducer === "sum" ? "add" : reducer === "prod" ? "mul" : reducer;
}

/** The greatest divisor from 8 to 256, or 1. */
function divisor(n: number): number {
  for (let by = Math.min(256, n - 1); by >= 8; by--) {
    if (n % by === 0) return by;
  }
  return 1;
}

function sourceKey(node: Node): string {
  return `${storageId(node)}${node.dtype}${formatShape(node.shape)}`;
}
