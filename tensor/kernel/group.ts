/**
 * Fusion: which nodes are computed together, and which of them are written to
 * memory. Elementwise operations join the kernel of an operand; a reduction
 * joins its prologue's; what follows a reduction row by row joins it too, so
 * that a softmax is one kernel. Sums of products become matrix products.
 *
 * @module
 */

import type { Node } from "../graph/node.ts";
import { sameShape, type Shape, sizeOf } from "../shape.ts";
import {
  axesOf,
  type Axis,
  axisIndex,
  type Bound,
  constantIndex,
  flatten,
  type Index,
  indexKey,
  mapIndices,
  unflatten,
} from "../view.ts";
import { BitSet } from "./bit_set.ts";
import type { Program } from "./program.ts";

/** Where in a group a node's elements are: one an iteration, or one a row. */
export type Level = "full" | "row";

/** One factor of a matrix product, seen from the product's loops. */
export interface Factor {
  /** Its node. */
  readonly node: Node;
  /** Which of its elements. */
  readonly indices: readonly Index[];
  /** Outside of them it counts as 0. */
  readonly bounds: readonly Bound[];
}

/** A sum of products over the loops of its group. */
export interface Product {
  /** The reduction. */
  readonly node: Node;
  /** Axes of both, of the left factors, of the right factors, and summed. */
  readonly batch: readonly Axis[];
  readonly m: readonly Axis[];
  readonly n: readonly Axis[];
  readonly k: readonly Axis[];
  /** All that are not summed, in the order of the result. */
  readonly kept: readonly Axis[];
  readonly left: readonly Factor[];
  readonly right: readonly Factor[];
}

/** Nodes that one kernel computes. */
export class Group {
  /** Position in the order of making. */
  readonly id: number;
  /**
   * A map has one element an iteration; rows also have reductions; a product
   * is a matrix product with what follows; a single is a node of a kind of its
   * own (scan, sort, scatter, attention), or of none (concat).
   */
  kind: "map" | "rows" | "product" | "single";
  /** The loops. */
  axes: readonly Axis[] = [];
  /** Which of the loops are reduced. */
  reduced: ReadonlySet<Axis> = new Set();
  /** The nodes, inputs first. */
  readonly members: Node[] = [];
  /** Nodes of other groups, and sources, that the members are computed from. */
  readonly uses: Set<Node> = new Set();
  /** Numbers of the groups that must run before, and of some merged into them. */
  readonly ancestors: BitSet = new BitSet();
  /**
   * Groups that use it: whatever else must run behind it follows one of them.
   * A group that was merged into another has that one here.
   */
  followers: Set<Group> = new Set();
  /** The matrix product. */
  product: Product | undefined;
  /** Too few rows for elementwise work on all elements to join. */
  closed = false;
  /** Only nodes of this part may join: see {@link FusionLimits.parts}. */
  part = 0;
  /** What the loops give, worked out once. */
  readonly #indices = new Map<string, readonly Index[]>();
  readonly #flat = new Map<Level, Index>();

  constructor(id: number, kind: Group["kind"], shape: Shape) {
    this.id = id;
    this.kind = kind;
    this.setLoops(shape, []);
  }

  /** Sets the loops anew, from a shape and the axes of it that are reduced. */
  setLoops(shape: Shape, reduced: readonly number[]): void {
    const axes = shape.map((extent, id) => ({ id, extent }));
    this.setAxes(axes, reduced.map((axis) => axes[axis]!));
  }

  /** The same, from loops that something else refers to. */
  setAxes(axes: readonly Axis[], reduced: readonly Axis[] = []): void {
    this.axes = axes;
    this.reduced = new Set(reduced);
    this.#indices.clear();
    this.#flat.clear();
  }

  /** The axes at a level. */
  axesAt(level: Level): readonly Axis[] {
    return level === "full"
      ? this.axes
      : this.axes.filter((axis) => !this.reduced.has(axis));
  }

  /** Number of elements at a level. */
  sizeAt(level: Level): number {
    return sizeOf(this.axesAt(level).map(({ extent }) => extent));
  }

  /** Row-major position at a level. */
  flatAt(level: Level): Index {
    let flat = this.#flat.get(level);
    if (flat === undefined) {
      const axes = this.axesAt(level);
      flat = flatten(axes.map(axisIndex), axes.map(({ extent }) => extent));
      this.#flat.set(level, flat);
    }
    return flat;
  }

  /** The element of `shape` that an iteration at a level computes. */
  indicesAt(level: Level, shape: Shape): readonly Index[] {
    const key = `${level} ${shape}`;
    let indices = this.#indices.get(key);
    if (indices === undefined) {
      indices = unflatten(this.flatAt(level), shape);
      this.#indices.set(key, indices);
    }
    return indices;
  }
}

/** What fusion decided. */
export interface Grouping {
  /** The groups in the order in which they must run. */
  readonly groups: readonly Group[];
  /** The group that computes a node. */
  readonly home: ReadonlyMap<Node, Group>;
  /** The level at which it does. */
  readonly level: ReadonlyMap<Node, Level>;
  /** The nodes that are written to memory. */
  readonly stored: ReadonlySet<Node>;
  /** What each node of a group is computed from. */
  readonly uses: ReadonlyMap<Node, readonly Node[]>;
}

/** What a device can take. */
export interface FusionLimits {
  /** Most buffers that one kernel may name. */
  readonly maxBuffers: number;
  /** Reductions of fewer rows keep the device too idle to do more than reduce. */
  readonly minRows: number;
  /** Up to this size, one row after another is no loss. */
  readonly longReduction: number;
  /**
   * The most work, in simple operations an element, for which a value is
   * computed again in each kernel that needs it instead of stored.
   */
  readonly recompute: number;
  /** Whether operations share kernels at all. */
  readonly fuse: boolean;
  /** Whether random numbers that several kernels need are stored. */
  readonly storeRandom: boolean;
  /** Nodes of different parts never share a kernel; 0 for all not named. */
  readonly parts: ReadonlyMap<Node, number>;
  /** Stored, not computed again, if other kernels need them. */
  readonly kept: ReadonlySet<Node>;
}

/** Nodes a kernel may compute. */
const MAX_MEMBERS = 192;
/** Factors of a matrix product; each may bring a buffer. */
const MAX_FACTORS = 6;
/** Reshapes that are worked out as one movement. */
const MAX_RESHAPES = 8;
/** Operations on constants that each kernel computes anew. */
const MAX_CONSTANT_DEPTH = 64;

/** Kinds of node that have a kernel of their own, or none, and read by address. */
const SINGLES: ReadonlySet<string> = new Set([
  "scan",
  "sort",
  "scatter",
  "attention",
  "attentionGradient",
  "concat",
]);

/** The node whose storage holds this one's elements in order, seen as it is. */
export function underReshapes(node: Node): Node {
  while (
    (node.op.kind === "move" && node.op.movement.kind === "reshape") ||
    node.op.kind === "fence"
  ) node = node.inputs[0]!;
  return node;
}

/** An element of a node, as the element of another that it shows. */
export interface Seen {
  /** What is shown. */
  readonly node: Node;
  /** Which of its elements. */
  readonly indices: readonly Index[];
  /** Outside of them it is 0. */
  readonly bounds: readonly Bound[];
}

/**
 * What lies under the movements of a node. They may be many: a loop, not
 * recursion.
 *
 * @param ends Where to stop, if not at the first node that is no movement.
 */
export function seenThrough(
  node: Node,
  indices: readonly Index[],
  ends?: { has(node: Node): boolean },
): Seen {
  const bounds: Bound[] = [];
  do {
    const input = node.inputs[0]!;
    if (node.op.kind === "move") {
      const { movement } = node.op;
      const mapped = mapIndices(movement, indices, input.shape, node.shape);
      indices = mapped.indices;
      bounds.push(...mapped.bounds);
    }
    node = input;
  } while (showsOther(node) && !ends?.has(node));
  return { node, indices, bounds };
}

/** Whether a node only shows elements of another. */
function showsOther({ op }: Node): boolean {
  return op.kind === "move" || op.kind === "fence";
}

/** Groups the nodes of a program. */
export function groupNodes(program: Program, limits: FusionLimits): Grouping {
  return new Grouper(program, limits).run();
}

type Visit = (
  node: Node,
  indices: readonly Index[],
  guarded: boolean,
) => void;

/** Nodes visited at each element, so that shared operands are visited once. */
type Visited = Map<readonly Index[], Set<Node>>;

function isNew(seen: Visited, node: Node, indices: readonly Index[]): boolean {
  const nodes = seen.get(indices) ?? new Set();
  seen.set(indices, nodes);
  if (nodes.has(node)) return false;
  nodes.add(node);
  return true;
}

class Grouper {
  readonly #program: Program;
  readonly #limits: FusionLimits;
  readonly #groups: Group[] = [];
  readonly #home = new Map<Node, Group>();
  /** Reshapes behind each other since the last value that has a group. */
  readonly #reshapes = new Map<Node, number>();
  /** Operations behind each other in values made of constants alone. */
  readonly #constantDepth = new Map<Node, number>();
  readonly #level = new Map<Node, Level>();
  /** Wanted in memory: results, and what is read by address. */
  readonly #addressed = new Set<Node>();
  /** The groups of nodes with several outputs. */
  readonly #joint = new Map<string, Group>();
  /** What each node of a group is computed from. */
  readonly #uses = new Map<Node, readonly Node[]>();
  readonly #positions: ReadonlyMap<Node, number>;
  readonly #roots: ReadonlySet<Node>;
  #fanOut: Map<Node, number> | undefined;

  constructor(program: Program, limits: FusionLimits) {
    this.#program = program;
    this.#limits = limits;
    this.#positions = new Map(program.order.map((node, at) => [node, at]));
    this.#roots = new Set(program.roots);
  }

  run(): Grouping {
    const { order, roots } = this.#program;
    for (const root of roots) this.#addressed.add(underReshapes(root));
    for (const node of order) {
      const { kind } = node.op;
      const read = kind === "gather" ? node.inputs.slice(0, 1) : node.inputs;
      if (kind !== "gather" && !SINGLES.has(kind)) continue;
      for (const input of read) this.#addressed.add(underReshapes(input));
    }
    for (const node of order) {
      this.#place(node);
      // Before anything that uses it is placed, so that it will be loaded.
      if (this.#addressed.has(node)) this.#materialize(node);
    }
    if (this.#limits.fuse) this.#mergeSiblings();
    const stored = this.#chooseStores();
    return {
      groups: this.#sorted(),
      home: this.#home,
      level: this.#level,
      stored,
      uses: this.#uses,
    };
  }

  #place(node: Node): void {
    switch (node.op.kind) {
      case "map":
      case "gather":
        return this.#placeMap(node);
      case "reduce":
        return this.#placeReduce(node);
      case "scan":
      case "scatter":
      case "sort":
      case "attention":
      case "attentionGradient":
      case "concat":
        return this.#placeSingle(node);
      case "move":
      case "fence":
        return this.#placeMove(node);
      default:
        return;
    }
  }

  /** Visits what a value is computed from: members of groups, and sources. */
  #trace(
    node: Node,
    indices: readonly Index[],
    visit: Visit,
    guarded: boolean = false,
    seen: Visited = new Map(),
  ): void {
    if (!isNew(seen, node, indices)) return;
    if (this.#home.has(node) || node.op.kind === "source") {
      return visit(node, indices, guarded);
    }
    this.#traceInputs(node, indices, visit, guarded, seen);
  }

  #traceInputs(
    node: Node,
    indices: readonly Index[],
    visit: Visit,
    guarded: boolean = false,
    seen: Visited = new Map(),
  ): void {
    if (showsOther(node)) {
      const under = seenThrough(node, indices, this.#home);
      const outside = guarded || under.bounds.length > 0;
      return this.#trace(under.node, under.indices, visit, outside, seen);
    }
    const inputs = node.op.kind === "gather" ? [node.inputs[1]!] : node.inputs;
    for (const input of inputs) {
      this.#trace(input, indices, visit, guarded, seen);
    }
  }

  #newGroup(kind: Group["kind"], shape: Shape): Group {
    const group = new Group(this.#groups.length, kind, shape);
    this.#groups.push(group);
    return group;
  }

  #partOf(node: Node): number {
    return this.#limits.parts.get(node) ?? 0;
  }

  #join(node: Node, group: Group, level: Level, uses: Iterable<Node>): void {
    if (group.members.length === 0) group.part = this.#partOf(node);
    group.members.push(node);
    this.#uses.set(node, [...uses]);
    this.#home.set(node, group);
    this.#level.set(node, level);
    for (const used of uses) {
      const other = this.#home.get(used);
      if (other === group) continue;
      group.uses.add(used);
      if (other !== undefined) this.#addAncestor(group, other);
    }
  }

  #addAncestor(group: Group, other: Group): void {
    if (group.ancestors.has(other.id)) return;
    other.followers.add(group);
    const todo = [group];
    for (let below = todo.pop(); below !== undefined; below = todo.pop()) {
      // What has it has its ancestors too, and so has all behind.
      if (below.ancestors.has(other.id)) continue;
      below.ancestors.addAll(other.ancestors);
      below.ancestors.add(other.id);
      todo.push(...below.followers);
    }
  }

  #placeMap(node: Node): void {
    const found: Node[] = [];
    const plain = node.shape.map(() => constantIndex(0));
    this.#traceInputs(node, plain, (used) => found.push(used));
    if (found.length === 0 && node.op.kind === "map") {
      return this.#placeConstant(node);
    }
    if (!this.#limits.fuse && this.#isTableOfProducts(node)) return;
    if (node.op.kind === "gather") {
      found.push(underReshapes(node.inputs[0]!));
    }
    const candidates = new Set<Group>();
    for (const used of found) {
      const group = this.#home.get(used);
      if (group !== undefined) candidates.add(group);
    }
    if (!this.#limits.fuse) candidates.clear();
    // What a reduction or product is computed with can be computed with it;
    // a map is soon computed anywhere.
    const byWorth = [...candidates].sort((a, b) =>
      Number(a.kind === "map") - Number(b.kind === "map") || b.id - a.id
    );
    for (const group of byWorth) {
      let level = this.#levelIn(node, group, found);
      if (level === undefined) continue;
      const merged = byWorth.filter((other) => this.#merge(group, other));
      if (merged.length > 0) level = this.#levelIn(node, group, found);
      if (level === undefined) continue;
      this.#join(node, group, level, found);
      return this.#adoptRandom(node, group, level);
    }
    const group = this.#newGroup("map", node.shape);
    this.#join(node, group, "full", found);
    this.#adoptRandom(node, group, "full");
  }

  /**
   * The kernel that first needs random numbers may store them for others: it
   * takes over an operand that is drawn, if that has more uses.
   */
  #adoptRandom(node: Node, group: Group, level: Level): void {
    if (!this.#limits.storeRandom || !this.#limits.fuse) return;
    for (const input of node.inputs) {
      const isFree = input.op.kind === "map" && !this.#home.has(input) &&
        sameShape(input.shape, node.shape);
      if (!isFree || !this.#isShared(input)) continue;
      if (this.#drawn(input)) this.#join(input, group, level, []);
    }
  }

  /**
   * What a matrix product or a convolution sums: far more elements than there
   * are factors, so that even unfused they are not stored.
   */
  #isTableOfProducts(node: Node): boolean {
    const { op, inputs, shape } = node;
    if (op.kind !== "map" || op.op !== "mul") return false;
    if (this.#isShared(node) || this.#addressed.has(node)) return false;
    return inputs.every((input) => {
      while (showsOther(input)) input = input.inputs[0]!;
      return 4 * sizeOf(input.shape) <= sizeOf(shape);
    });
  }

  /** Whether other nodes need it as well. */
  #isShared(node: Node): boolean {
    this.#fanOut ??= this.#countUses();
    return (this.#fanOut.get(node) ?? 0) > 1;
  }

  #countUses(): Map<Node, number> {
    const counts = new Map<Node, number>();
    for (const { inputs } of this.#program.order) {
      for (const input of inputs) {
        counts.set(input, (counts.get(input) ?? 0) + 1);
      }
    }
    return counts;
  }

  /** Whether random bits are drawn for a value that nothing is loaded for. */
  #drawn(node: Node): boolean {
    const { op } = node;
    if (op.kind === "map" && op.op.startsWith("threefry")) return true;
    if (op.kind !== "map" && !showsOther(node)) return false;
    return node.inputs.some((input) =>
      !this.#home.has(input) && this.#drawn(input)
    );
  }

  /**
   * A movement is computed with what it moves, unless it is one of so many that
   * its positions are long to work out: each reshape doubles them.
   */
  #placeMove(node: Node): void {
    const input = node.inputs[0]!;
    const before = this.#home.has(input) ? 0 : this.#reshapes.get(input) ?? 0;
    const isReshape = node.op.kind === "move" &&
      node.op.movement.kind === "reshape";
    const count = before + Number(isReshape);
    if (count > MAX_RESHAPES) this.#materialize(node);
    else this.#reshapes.set(node, count);
  }

  /**
   * Made of constants and positions alone: each kernel computes its own, unless
   * it is a long chain, such as the gradient of one.
   */
  #placeConstant(node: Node): void {
    const depthOf = (input: Node): number => {
      while (showsOther(input)) input = input.inputs[0]!;
      return this.#constantDepth.get(input) ?? 0;
    };
    const depth = 1 + Math.max(...node.inputs.map(depthOf));
    if (depth > MAX_CONSTANT_DEPTH) this.#materialize(node);
    else this.#constantDepth.set(node, depth);
  }

  /** Joins groups that run the same loops over some of the same values. */
  #mergeSiblings(): void {
    const byLoops = new Map<string, Map<Node, Group>>();
    for (const group of this.#groups) {
      if (group.kind !== "map" && group.kind !== "rows") continue;
      if (group.members.length === 0) continue;
      const key = `${group.kind} ${loopsKey(group)} ${group.part}`;
      const users = byLoops.get(key) ?? new Map<Node, Group>();
      byLoops.set(key, users);
      const near = [...this.#near(group)];
      const shared = near.find((used) => users.has(used));
      const sibling = shared && users.get(shared)!;
      const merged = sibling !== undefined && this.#merge(sibling, group);
      for (const used of near) users.set(used, merged ? sibling : group);
    }
  }

  /** What a group uses, and what that is made of if it is an operation. */
  #near(group: Group): Set<Node> {
    return new Set(
      [...group.uses].flatMap((used) => [
        used,
        ...used.op.kind === "map" ? this.#uses.get(used) ?? [] : [],
      ]),
    );
  }

  /** Moves the members of another group here if one kernel can run them all. */
  #merge(group: Group, other: Group): boolean {
    if (other === group || group.closed || other.closed) return false;
    if (group.part !== other.part) return false;
    const precedes = group.ancestors.has(other.id);
    if (precedes || other.ancestors.has(group.id)) return false;
    if (group.members.length + other.members.length > MAX_MEMBERS) return false;
    const uses = new Set([...group.uses, ...other.uses]);
    if (uses.size > this.#limits.maxBuffers / 2) return false;
    const same = other.kind === "map"
      ? group.sizeAt("full") === other.sizeAt("full")
      : group.kind === "rows" && other.kind === "rows" &&
        loopsKey(group) === loopsKey(other);
    if (!same || group.kind === "single") return false;
    for (const member of other.members) {
      group.members.push(member);
      this.#home.set(member, group);
    }
    for (const used of other.uses) group.uses.add(used);
    other.members.length = 0;
    other.uses.clear();
    group.ancestors.addAll(other.ancestors);
    const todo = [...group.followers, ...other.followers];
    for (const follower of other.followers) group.followers.add(follower);
    other.followers = new Set([group]);
    for (let below = todo.pop(); below !== undefined; below = todo.pop()) {
      const { ancestors } = below;
      if (ancestors.has(group.id) && ancestors.has(other.id)) continue;
      ancestors.addAll(group.ancestors);
      ancestors.add(group.id);
      ancestors.add(other.id);
      todo.push(...below.followers);
    }
    return true;
  }

  /** The level at which a node can be computed in a group, if it can. */
  #levelIn(
    node: Node,
    group: Group,
    uses: readonly Node[],
  ): Level | undefined {
    if (group.kind === "single") return undefined;
    if (group.part !== this.#partOf(node)) return undefined;
    if (group.members.length >= MAX_MEMBERS) return undefined;
    const others = uses.filter((used) => this.#home.get(used) !== group);
    for (const used of others) {
      if (this.#home.get(used)?.ancestors.has(group.id)) return undefined;
    }
    const buffers = new Set([...group.uses, ...others]).size;
    if (buffers > this.#limits.maxBuffers / 2) return undefined;
    const size = sizeOf(node.shape);
    const levels: Level[] = group.kind === "rows" ? ["full", "row"] : ["full"];
    return levels.find((level) =>
      group.sizeAt(level) === size &&
      !(level === "full" && group.closed) &&
      this.#alignsWith(node, group, level)
    );
  }

  /** Whether every operand from the group is the element computed there. */
  #alignsWith(node: Node, group: Group, level: Level): boolean {
    const row = indexKey(group.flatAt("row"));
    const full = indexKey(group.flatAt("full"));
    let aligned = true;
    this.#traceInputs(
      node,
      group.indicesAt(level, node.shape),
      (used, indices, guarded) => {
        if (this.#home.get(used) !== group) return;
        const usedLevel = this.#level.get(used)!;
        if (guarded || (level === "row" && usedLevel === "full")) {
          aligned = false;
          return;
        }
        const place = indexKey(flatten(indices, used.shape));
        if (place !== (usedLevel === "full" ? full : row)) aligned = false;
      },
    );
    if (node.op.kind === "gather") {
      const table = underReshapes(node.inputs[0]!);
      if (this.#home.get(table) === group) aligned = false;
    }
    return aligned;
  }

  #placeReduce(node: Node): void {
    if (node.op.kind !== "reduce") return;
    const { fuse } = this.#limits;
    const product = fuse ? this.#asProduct(node) : undefined;
    if (product !== undefined) return this.#placeProduct(node, product);
    const input = node.inputs[0]!;
    const base = underReshapes(input);
    const group = this.#home.get(base);
    if (
      fuse && group !== undefined && this.#level.get(base) === "full" &&
      group.members.length < MAX_MEMBERS &&
      group.part === this.#partOf(node) &&
      this.#loopsFit(group, input.shape, node.op.axes)
    ) {
      return this.#join(node, group, "row", [base]);
    }
    const made = this.#newGroup("rows", []);
    made.setLoops(input.shape, node.op.axes);
    made.closed = this.#isLong(made);
    const uses: Node[] = [];
    this.#trace(input, made.indicesAt("full", input.shape), (used) => {
      uses.push(used);
    });
    this.#join(node, made, "row", uses);
  }

  #isLong(group: Group): boolean {
    return group.sizeAt("row") < this.#limits.minRows &&
      group.sizeAt("full") > this.#limits.longReduction;
  }

  /** Gives a group the loops of a reduction, if it has them or may get them. */
  #loopsFit(group: Group, shape: Shape, axes: readonly number[]): boolean {
    const wanted = new Group(-1, "rows", []);
    wanted.setLoops(shape, axes);
    if (group.kind === "map") {
      if (this.#isLong(wanted)) return false;
      group.kind = "rows";
      group.setLoops(shape, axes);
      return true;
    }
    if (group.kind !== "rows") return false;
    return loopsKey(group) === loopsKey(wanted);
  }

  #placeSingle(node: Node): void {
    const uses = node.inputs.map(underReshapes);
    if (!("output" in node.op)) {
      this.#join(node, this.#newGroup("single", node.shape), "full", uses);
      return;
    }
    // All that differ in their output alone come from one kernel.
    const key = JSON.stringify([
      { ...node.op, output: "" },
      uses.map((used) => this.#positions.get(used)),
      node.inputs.map(({ shape }) => shape),
    ]);
    const { output } = node.op;
    const present = this.#joint.get(key);
    // A fence under an input makes another one of the same values.
    const has = present?.members.some(({ op }) =>
      "output" in op && op.output === output
    );
    const group = present && !has
      ? present
      : this.#newGroup("single", node.shape);
    this.#joint.set(key, group);
    this.#join(node, group, "full", uses);
  }

  /** Gives a node that no kernel computes yet a kernel that writes it. */
  #materialize(node: Node): void {
    if (node.op.kind === "source" || this.#home.has(node)) return;
    const group = this.#newGroup("map", node.shape);
    const uses: Node[] = [];
    const indices = group.indicesAt("full", node.shape);
    this.#traceInputs(node, indices, (used) => uses.push(used));
    this.#join(node, group, "full", uses);
  }

  /** Sees a reduction as a matrix product, if it is one. */
  #asProduct(node: Node): Omit<Product, "node"> | undefined {
    const { op, dtype } = node;
    if (op.kind !== "reduce" || op.reducer !== "sum" || dtype !== "float32") {
      return undefined;
    }
    const input = node.inputs[0]!;
    const axes = input.shape.map((extent, id) => ({ id, extent }));
    const start = axes.map(axisIndex);
    const { node: value, indices, bounds } = showsOther(input)
      ? seenThrough(input, start)
      : { node: input, indices: start, bounds: [] };
    if (value.op.kind !== "map" || value.op.op !== "mul") return undefined;
    const factors = this.#factors(value);
    if (factors.length > MAX_FACTORS) return undefined;
    const summed = new Set(op.axes.map((axis) => axes[axis]!));
    const kept = axes.filter((axis) => !summed.has(axis) && axis.extent !== 1);
    const needs = factors.map((factor) => this.#reach(factor, indices));
    const sides = splitFactors(factors, needs, kept);
    if (sides === undefined) return undefined;
    const uses = (side: readonly number[], axis: Axis) =>
      side.some((at) => needs[at]!.has(axis));
    const inLeft = (axis: Axis) => uses(sides.left, axis);
    const inRight = (axis: Axis) => uses(sides.right, axis);
    const m = kept.filter((axis) => !inRight(axis));
    const n = kept.filter((axis) => inRight(axis) && !inLeft(axis));
    const batch = kept.filter((axis) => inLeft(axis) && inRight(axis));
    const extents = (list: readonly Axis[]) =>
      sizeOf(list.map(({ extent }) => extent));
    if (extents(m) < 2 || extents(n) < 2) return undefined;
    const guards: Bound[][] = factors.map(() => []);
    for (const bound of bounds) {
      const touched = axesOf(bound.index);
      const meets = (list: readonly Axis[]) =>
        list.some((axis) => touched.has(axis));
      if (meets(m) && meets(n)) return undefined;
      // One factor of 0 is enough for the sum; each that the bound speaks of
      // must not be read outside.
      const first = meets(n) ? sides.right[0]! : sides.left[0]!;
      guards.forEach((guard, at) => {
        if (at === first || touched.isSubsetOf(needs[at]!)) guard.push(bound);
      });
    }
    const side = (list: readonly number[]) =>
      list.map((at) => ({
        node: factors[at]!,
        indices,
        bounds: guards[at]!,
      }));
    const left = side(sides.left);
    const right = side(sides.right);
    const k = axes.filter((axis) => summed.has(axis) && axis.extent !== 1);
    return { batch, m, n, k, kept, left, right };
  }

  /** A product's factors: a product of products has more than two. */
  #factors(product: Node): Node[] {
    const factors = [...product.inputs];
    for (let at = 0; at < factors.length;) {
      const { op, inputs } = factors[at]!;
      const inner = op.kind === "map" && op.op === "mul" &&
        !this.#roots.has(factors[at]!);
      if (inner) factors.splice(at, 1, ...inputs);
      else at++;
      if (factors.length > MAX_FACTORS) break;
    }
    return factors;
  }

  /** The loops that a value varies with. */
  #reach(node: Node, indices: readonly Index[]): Set<Axis> {
    const reached = new Set<Axis>();
    const add = (list: readonly Index[]) => {
      for (const index of list) axesOf(index, reached);
    };
    const seen: Visited = new Map();
    const follow = (node: Node, indices: readonly Index[]): void => {
      if (!isNew(seen, node, indices)) return;
      if (this.#home.has(node)) return add(indices);
      switch (node.op.kind) {
        case "const":
          return;
        case "move":
        case "fence": {
          const under = seenThrough(node, indices, this.#home);
          add(under.bounds.map((bound) => bound.index));
          return follow(under.node, under.indices);
        }
        case "map":
          for (const input of node.inputs) follow(input, indices);
          return;
        default:
          return add(indices);
      }
    };
    follow(node, indices);
    return reached;
  }

  #placeProduct(node: Node, product: Omit<Product, "node">): void {
    const group = this.#newGroup("product", node.shape);
    group.product = { ...product, node };
    group.setAxes(product.kept);
    const uses: Node[] = [];
    for (const { node, indices } of [...product.left, ...product.right]) {
      this.#trace(node, indices, (used) => uses.push(used));
    }
    this.#join(node, group, "full", uses);
  }

  /**
   * What is written to memory: roots, what is read by address, reductions that
   * other kernels use, and of the rest what is dear to compute again.
   */
  #chooseStores(): Set<Node> {
    const live = this.#reachable();
    const stored = new Set(
      [...this.#addressed].filter((node) => live.has(node)),
    );
    const wanted = new Set<Node>();
    for (const node of live) {
      for (const used of this.#uses.get(node) ?? []) {
        if (this.#home.get(used) !== this.#home.get(node)) wanted.add(used);
      }
    }
    for (const node of wanted) {
      const { kind } = node.op;
      if (this.#home.has(node) && kind !== "map" && kind !== "gather") {
        stored.add(node);
      }
    }
    for (const node of this.#program.order) {
      if (!wanted.has(node) || stored.has(node) || !this.#home.has(node)) {
        continue;
      }
      const { recompute, kept } = this.#limits;
      const cost = kept.has(node)
        ? undefined
        : this.#recomputeCost(node, stored);
      if (cost === undefined || cost > recompute) stored.add(node);
    }
    return stored;
  }

  /** What the roots need; a product, for one, does not need its elements. */
  #reachable(): Set<Node> {
    const live = new Set<Node>();
    const stack = this.#program.roots.map(underReshapes);
    for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
      if (live.has(node)) continue;
      live.add(node);
      stack.push(...this.#uses.get(node) ?? []);
    }
    return live;
  }

  /** Operations to compute a node from memory; undefined if it cannot be. */
  #recomputeCost(node: Node, stored: ReadonlySet<Node>): number | undefined {
    const seen = new Set<Node>();
    const loads = new Set<Node>();
    const cost = (node: Node): number => {
      while (showsOther(node) && !stored.has(node)) node = node.inputs[0]!;
      if (seen.has(node)) return 0;
      seen.add(node);
      if (node.op.kind === "source" || stored.has(node)) {
        loads.add(node);
        return 0;
      }
      if (node.op.kind === "const" || node.op.kind === "iota") return 0;
      if (node.op.kind === "gather") {
        loads.add(node.inputs[0]!);
        return 2 + cost(node.inputs[1]!);
      }
      if (node.op.kind !== "map" || seen.size > 64) return Infinity;
      let sum = COSTS[node.op.op] ?? 1;
      for (const input of node.inputs) sum += cost(input);
      return sum;
    };
    const total = cost(node);
    const large = [...loads].filter((load) =>
      sizeOf(load.shape) * 2 > sizeOf(node.shape)
    );
    if (!Number.isFinite(total) || large.length > 2) return undefined;
    return total;
  }

  /** The groups in an order in which each runs after what it uses. */
  #sorted(): Group[] {
    const merged = new BitSet();
    for (const { id, members } of this.#groups) {
      if (members.length === 0) merged.add(id);
    }
    const depths = new Map(
      this.#groups.map((group) => [group, group.ancestors.sizeWithout(merged)]),
    );
    return [...this.#groups].sort((a, b) =>
      depths.get(a)! - depths.get(b)! || a.id - b.id
    );
  }
}

/** Work of the dear operations, in simple ones. */
const COSTS: Record<string, number> = {
  exp: 8,
  log: 8,
  sin: 10,
  cos: 10,
  div: 2,
  sqrt: 2,
  threefry0: 40,
  threefry1: 40,
};

/** Equal for groups that run the same loops over the same elements. */
function loopsKey(group: Group): string {
  const extents = group.axes
    .filter(({ extent }) => extent > 1)
    .map((axis) => `${group.reduced.has(axis) ? "c" : "r"}${axis.extent}`);
  const last = group.axes.findLastIndex((axis) =>
    !group.reduced.has(axis) && axis.extent > 1
  );
  const trailing = group.axes.every((axis, at) =>
    at <= last ? !group.reduced.has(axis) || axis.extent === 1 : true
  );
  return trailing
    ? `${group.sizeAt("row")}x${group.sizeAt("full")}`
    : extents.join(",");
}

/**
 * Deals factors out to two sides, so that no kept axis of one side alone is
 * also the other's: those that share an axis with a side alone join it.
 */
function splitFactors(
  factors: readonly Node[],
  needs: readonly ReadonlySet<Axis>[],
  kept: readonly Axis[],
): { left: number[]; right: number[] } | undefined {
  if (factors.length === 2) return { left: [0], right: [1] };
  const own = needs.map((set) => kept.filter((axis) => set.has(axis)));
  // The two with the least in common are the sides' cores.
  let best: [number, number] | undefined;
  let fewest = Infinity;
  for (let a = 0; a < factors.length; a++) {
    for (let b = a + 1; b < factors.length; b++) {
      const shared = own[a]!.filter((axis) => own[b]!.includes(axis)).length;
      const alone = own[a]!.length > shared && own[b]!.length > shared;
      if (alone && shared < fewest) [best, fewest] = [[a, b], shared];
    }
  }
  if (best === undefined) return undefined;
  const [a, b] = best;
  const left = [a];
  const right = [b];
  for (let at = 0; at < factors.length; at++) {
    if (at === a || at === b) continue;
    const inside = (side: number) =>
      own[at]!.every((axis) => own[side]!.includes(axis));
    if (inside(a)) left.push(at);
    else if (inside(b)) right.push(at);
    else return undefined;
  }
  return { left, right };
}
