/**
 * Groups of nodes become kernels: loops, loads at index expressions, stores.
 *
 * @module
 */

import type { DType } from "../dtype.ts";
import type { Node } from "../graph/node.ts";
import { formatShape, type Shape, sizeOf, stridesOf } from "../shape.ts";
import {
  type Bound,
  constantIndex,
  flatten,
  type Index,
  indexKey,
} from "../view.ts";
import {
  type Factor,
  type Group,
  type Grouping,
  type Level,
  seenThrough,
  underReshapes,
} from "./group.ts";
import { lowerAttention } from "./lower_attention.ts";
import type {
  BufferSlot,
  Contract,
  Kernel,
  LoopKernel,
  Store,
  Value,
  ValueId,
} from "./kernel.ts";
import type { Program } from "./program.ts";

/** A kernel, and what its buffers and scalars are. */
export interface LoweredKernel {
  /** What it computes. */
  readonly group: Group;
  /** What a device runs. */
  readonly kernel: Kernel;
  /** The stored node or source behind each buffer. */
  readonly buffers: readonly Node[];
  /** The scalar behind each parameter. */
  readonly params: readonly Node[];
}

/** Makes the kernels of a grouped program, in the order in which they run. */
export function lowerGroups(
  program: Program,
  grouping: Grouping,
): LoweredKernel[] {
  return grouping.groups.flatMap((group) => {
    const stores = group.members.filter((node) => grouping.stored.has(node));
    // What lies end to end is computed where it lies.
    if (stores.length === 0 || stores[0]!.op.kind === "concat") return [];
    return group.kind === "single"
      ? [lowerSingle(group, stores)]
      : [new LoopBuilder(program, grouping, group).build(stores)];
  });
}

/** What a kernel says of a buffer. */
export function slot(node: Node, output: boolean): BufferSlot {
  return { dtype: node.dtype, size: sizeOf(node.shape), output };
}

function lowerSingle(group: Group, stores: readonly Node[]): LoweredKernel {
  const node = stores[0]!;
  const { op, shape } = node;
  const inputs = node.inputs.map(underReshapes);
  const name = `${op.kind}${formatShape(shape)}`;
  const slots = inputs.map((input) => slot(input, false));
  switch (op.kind) {
    case "scan": {
      const { axis } = op;
      const folded = [
        sizeOf(shape.slice(0, axis)),
        shape[axis]!,
        sizeOf(shape.slice(axis + 1)),
      ] as const;
      const buffers = [...slots, slot(node, true)];
      return {
        group,
        kernel: { kind: "scan", name, shape: folded, buffers },
        buffers: [...inputs, node],
        params: [],
      };
    }
    case "sort": {
      // One kernel writes both, so both are kept even if only one is read.
      const size = shape[shape.length - 1]!;
      const rows = sizeOf(shape.slice(0, -1));
      const find = (output: "values" | "order") =>
        group.members.find((member) =>
          member.op.kind === "sort" && member.op.output === output
        ) ?? scratchLike(node, output === "order" ? "int32" : inputs[0]!.dtype);
      const outputs = [find("values"), find("order")];
      const buffers = [
        ...slots,
        ...outputs.map((output) => slot(output, true)),
      ];
      const { descending } = op;
      return {
        group,
        kernel: {
          kind: "sort",
          name,
          shape: [rows, size],
          descending,
          buffers,
        },
        buffers: [...inputs, ...outputs],
        params: [],
      };
    }
    case "scatter": {
      const [outer, count, inner] = node.inputs[2]!.shape as readonly [
        number,
        number,
        number,
      ];
      const buffers = [...slots, slot(node, true)];
      const sizes = { outer, count, size: op.size, inner };
      return {
        group,
        kernel: { kind: "scatter", name, ...sizes, buffers },
        buffers: [...inputs, node],
        params: [],
      };
    }
    case "attention":
    case "attentionGradient":
      return lowerAttention(group, node);
    default:
      throw new Error(`lower: ${op.kind} has no kernel of its own`);
  }
}

/** Stands for an output that nobody reads. */
export function scratchLike(
  node: Node,
  dtype: DType,
  shape: Shape = node.shape,
): Node {
  return { ...node, dtype, shape, inputs: [] } as Node;
}

class LoopBuilder {
  readonly #program: Program;
  readonly #grouping: Grouping;
  readonly #group: Group;
  readonly #values: Value[] = [];
  readonly #inputs: Node[] = [];
  readonly #params: Node[] = [];
  readonly #known = new Map<string, ValueId>();
  readonly #nodeIds = new Map<Node, number>();
  readonly #ops = new Set<string>();

  constructor(program: Program, grouping: Grouping, group: Group) {
    this.#program = program;
    this.#grouping = grouping;
    this.#group = group;
  }

  build(stored: readonly Node[]): LoweredKernel {
    const group = this.#group;
    const contract = group.product && this.#contract();
    const results = stored.map((node) => {
      const level = this.#grouping.level.get(node)!;
      return { node, level, value: this.#member(node, level) };
    });
    const stores: Store[] = results.map(({ level, value }, at) => ({
      buffer: this.#inputs.length + at,
      index: group.flatAt(level),
      value,
    }));
    const product = group.product;
    const loops = (reduced: boolean) =>
      group.axes.filter((axis) =>
        group.reduced.has(axis) === reduced && axis.extent !== 1
      );
    const rows = product
      ? [...product.batch, ...product.m, ...product.n]
      : loops(false);
    const cols = product ? product.k : loops(true);
    const domain = [...rows, ...cols].map(({ extent }) => extent);
    const kernel: LoopKernel = {
      kind: "loop",
      name: `${[...this.#ops].slice(0, 6).join("+") || "copy"}${
        formatShape(domain)
      }`,
      rows,
      cols,
      values: this.#values,
      stores,
      buffers: [
        ...this.#inputs.map((node) => slot(node, false)),
        ...stored.map((node) => slot(node, true)),
      ],
      params: this.#params.map((node) => node.dtype),
      ...(contract ? { contract } : {}),
    };
    return {
      group,
      kernel,
      buffers: [...this.#inputs, ...stored],
      params: this.#params,
    };
  }

  #push(key: string, value: Value): ValueId {
    const present = this.#known.get(key);
    if (present !== undefined) return present;
    const id = this.#values.push(value) - 1;
    this.#known.set(key, id);
    return id;
  }

  #nodeId(node: Node): number {
    let id = this.#nodeIds.get(node);
    if (id === undefined) this.#nodeIds.set(node, id = this.#nodeIds.size);
    return id;
  }

  #member(node: Node, level: Level): ValueId {
    return this.#emit(node, this.#group.indicesAt(level, node.shape), []);
  }

  /** The matrix product as a value, so that the epilogue finds it. */
  #contract(): Contract {
    const product = this.#group.product!;
    const { batch, m, n, node } = product;
    const left = this.#multiply(product.left);
    const right = this.#multiply(product.right);
    const value = this.#push(`product ${left} ${right}`, {
      op: "mul",
      dtype: "float32",
      args: [left, right],
    });
    // With nothing to add up, the one product is the sum.
    const sum = this.#push(this.#productKey(node), {
      op: "reduce",
      reducer: "sum",
      dtype: "float32",
      args: [value],
    });
    this.#ops.add("contract");
    return { batch, m, n, product: sum, left, right };
  }

  #productKey(node: Node): string {
    const indices = this.#group.indicesAt("full", node.shape);
    return emitKey(this.#nodeId(node), indices, []);
  }

  #multiply(factors: readonly Factor[]): ValueId {
    return factors
      .map(({ node, indices, bounds }) => this.#guarded(node, indices, bounds))
      .reduce((a, b) =>
        this.#push(`mul ${a} ${b}`, {
          op: "mul",
          dtype: "float32",
          args: [a, b],
        })
      );
  }

  /** A node's element, or 0 where a bound fails. */
  #guarded(
    node: Node,
    indices: readonly Index[],
    bounds: readonly Bound[],
    outer: readonly Bound[] = [],
  ): ValueId {
    const value = this.#emit(node, indices, [...outer, ...bounds]);
    if (bounds.length === 0 || this.#isLoad(value)) return value;
    const inside = this.#push(`inside${boundsKey(bounds)}`, {
      op: "inside",
      dtype: "bool",
      bounds,
    });
    const zero = this.#constant(0, node.dtype);
    return this.#push(`guard ${inside} ${value}`, {
      op: "where",
      dtype: node.dtype,
      args: [inside, value, zero],
    });
  }

  /** Loads are 0 outside of all their bounds by themselves. */
  #isLoad(id: ValueId): boolean {
    const { op } = this.#values[id]!;
    return op === "load" || op === "gather";
  }

  #constant(value: number, dtype: DType): ValueId {
    const text = Object.is(value, -0) ? "-0" : `${value}`;
    return this.#push(`const ${text} ${dtype}`, { op: "const", dtype, value });
  }

  #buffer(node: Node): number {
    const at = this.#inputs.indexOf(node);
    return at >= 0 ? at : this.#inputs.push(node) - 1;
  }

  #isMember(node: Node): boolean {
    return this.#grouping.home.get(node) === this.#group;
  }

  /** An element of a node; outside the bounds it is never used. */
  #emit(
    node: Node,
    indices: readonly Index[],
    bounds: readonly Bound[],
  ): ValueId {
    const key = emitKey(this.#nodeId(node), indices, bounds);
    const present = this.#known.get(key);
    if (present !== undefined) return present;
    const id = this.#compute(node, indices, bounds);
    this.#known.set(key, id);
    return id;
  }

  #compute(
    node: Node,
    indices: readonly Index[],
    bounds: readonly Bound[],
  ): ValueId {
    const { op, dtype } = node;
    const inMemory = op.kind === "source" ||
      (this.#grouping.stored.has(node) && !this.#isMember(node));
    if (inMemory) {
      const index = flatten(indices, node.shape);
      const buffer = this.#buffer(node);
      const key = `load ${buffer} ${indexKey(index)}${boundsKey(bounds)}`;
      return this.#push(key, { op: "load", dtype, buffer, index, bounds });
    }
    switch (op.kind) {
      case "const": {
        if (op.structural) return this.#constant(op.value, dtype);
        const at = this.#params.indexOf(node);
        const slot = at >= 0 ? at : this.#params.push(node) - 1;
        return this.#push(`param ${slot}`, { op: "param", dtype, slot });
      }
      case "iota": {
        const index = indices[0]!;
        const key = `index ${indexKey(index)}`;
        return this.#push(key, { op: "index", dtype, index });
      }
      case "fence":
      case "move": {
        const seen = seenThrough(node, indices, this.#grouping.stored);
        return this.#guarded(seen.node, seen.indices, seen.bounds, bounds);
      }
      case "gather":
        return this.#gather(node, indices, bounds);
      case "reduce": {
        const input = node.inputs[0]!;
        const place = this.#group.indicesAt("full", input.shape);
        const arg = this.#emit(input, place, []);
        this.#ops.add(op.reducer);
        // Columns of extent 1 alone leave the element as it is.
        return this.#push(`reduce ${op.reducer} ${arg} ${this.#nodeId(node)}`, {
          op: "reduce",
          reducer: op.reducer,
          dtype,
          args: [arg],
        });
      }
      case "map":
        return this.#map(node, indices, bounds);
      default:
        throw new Error(`lower: ${op.kind} was not stored`);
    }
  }

  #map(
    node: Node,
    indices: readonly Index[],
    bounds: readonly Bound[],
  ): ValueId {
    const { op, dtype } = node;
    if (op.kind !== "map") throw new Error(`lower: ${op.kind} is no map`);
    const args = node.inputs.map((input) => this.#emit(input, indices, bounds));
    this.#ops.add(op.op);
    const key = `${op.op} ${dtype} ${args}`;
    if (op.op === "threefry0" || op.op === "threefry1") {
      const word = op.op === "threefry0" ? 0 : 1;
      const four = args as [ValueId, ValueId, ValueId, ValueId];
      return this.#push(key, { op: "threefry", dtype, word, args: four });
    }
    // The graph's and the kernel's operations have the same names and arity.
    return this.#push(key, { op: op.op, dtype, args } as unknown as Value);
  }

  #gather(
    node: Node,
    indices: readonly Index[],
    bounds: readonly Bound[],
  ): ValueId {
    const { op, dtype } = node;
    if (op.kind !== "gather") throw new Error(`lower: ${op.kind} is no gather`);
    const [x, chosen] = node.inputs as [Node, Node];
    const at = this.#emit(chosen, indices, bounds);
    const base = indices.map((index, axis) =>
      axis === op.axis ? constantIndex(0) : index
    );
    const index = flatten(base, x.shape);
    const buffer = this.#buffer(underReshapes(x));
    this.#ops.add("gather");
    const key = `gather ${buffer} ${indexKey(index)} ${at} ${op.axis}` +
      boundsKey(bounds);
    return this.#push(key, {
      op: "gather",
      dtype,
      buffer,
      index,
      bounds,
      at,
      stride: stridesOf(x.shape)[op.axis]!,
      extent: x.shape[op.axis]!,
    });
  }
}

function boundsKey(bounds: readonly Bound[]): string {
  return bounds.map(({ index, low, high }) =>
    ` ${low}<=${indexKey(index)}<${high}`
  ).join("");
}

function emitKey(
  node: number,
  indices: readonly Index[],
  bounds: readonly Bound[],
): string {
  return `n${node}[${indices.map(indexKey).join(",")}]${boundsKey(bounds)}`;
}
