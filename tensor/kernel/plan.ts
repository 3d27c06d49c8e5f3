/**
 * A program as a list of kernels over numbered buffers, ready for any device.
 *
 * @module
 */

import type { DType } from "../dtype.ts";
import type { Node } from "../graph/node.ts";
import { formatShape, sizeOf } from "../shape.ts";
import {
  type Group,
  type Grouping,
  groupNodes,
  underReshapes,
} from "./group.ts";
import type { Kernel } from "./kernel.ts";
import { type LoweredKernel, lowerGroups } from "./lower.ts";
import { opText } from "./op_text.ts";
import {
  canonicalize,
  type Program,
  type Rewrites,
  type Signature,
} from "./program.ts";

/** What plans depend on of a device. */
export interface PlanOptions {
  /** Most buffers that one kernel may name. */
  readonly maxBuffers: number;
  /** Reductions of fewer rows are split. */
  readonly minRows: number;
  /**
   * Reductions of more elements are split, whatever their rows.
   * @default Infinity
   */
  readonly maxReduction?: number;
  /**
   * Whether random numbers that several kernels need are stored.
   * @default false
   */
  readonly storeRandom?: boolean;
  /**
   * Whether operations share kernels. Unfused, each stores its result, but for
   * the products that a matrix product sums: the oracle of fusion.
   * @default true
   */
  readonly fuse?: boolean;
  /**
   * Elements from which a reduction of few rows is split.
   * @default 16384
   */
  readonly longReduction?: number;
  /**
   * Elements that may lie end to end: see {@link PlanBuffer.parts}.
   * @default 0
   */
  readonly maxArena?: number;
}

/** One kernel of a plan. */
export interface Step {
  /** What runs. */
  readonly kernel: Kernel;
  /** The plan's buffer behind each slot of the kernel. */
  readonly buffers: readonly number[];
  /** The program's scalar behind each parameter of the kernel. */
  readonly params: readonly number[];
}

/** One buffer of a plan. */
export interface PlanBuffer {
  /** Type of its elements. */
  readonly dtype: DType;
  /** Number of elements. */
  readonly size: number;
  /** The source that it is, or undefined if the plan computes it. */
  readonly source: number | undefined;
  /** The last step that needs it, or undefined if it is a result. */
  readonly lastStep: number | undefined;
  /** The node of the canonical program whose values it holds; -1 for none. */
  readonly node: number;
  /**
   * The buffers that lie in it end to end, each from the next multiple of
   * `ARENA_STEP` elements, in any order; it is 0 between them.
   */
  readonly parts?: readonly number[];
}

/** How a program runs. */
export interface Plan {
  /** In order. */
  readonly steps: readonly Step[];
  /** What the steps read and write. */
  readonly buffers: readonly PlanBuffer[];
  /** The buffer that holds each root. */
  readonly roots: readonly number[];
}

/** Below this, a reduction is not worth a second kernel. */
const LONG_REDUCTION = 16384;
/**
 * As often kernels are cut where they have too many buffers, and what is left
 * in front takes in others; later on it is not, or each round is for few cuts.
 */
const OPEN_ROUNDS = 8;
/** Work, in simple operations, below which a value is computed again. */
const RECOMPUTE = 12;

function rewritesOf(options: PlanOptions): Rewrites {
  return { ...options, longReduction: options.longReduction ?? LONG_REDUCTION };
}

/** Plans the computation of a graph. */
export function planOf(signature: Signature, options: PlanOptions): Plan {
  const program = canonicalize(signature, rewritesOf(options));
  const lowered = fitKernels(program, options);
  const ids = new Map<Node, number>();
  const nodes: Node[] = [];
  const last: number[] = [];
  const id = (node: Node): number => {
    let found = ids.get(node);
    if (found === undefined) {
      ids.set(node, found = nodes.length);
      nodes.push(node);
    }
    return found;
  };
  const steps = lowered.map(({ kernel, buffers, params }, at): Step => {
    const numbers = buffers.map(id);
    for (const number of numbers) last[number] = at;
    return {
      kernel,
      buffers: numbers,
      params: params.map((param) => program.paramSlots.get(param)!),
    };
  });
  const roots = program.roots.map((root) => id(underReshapes(root)));
  const results = new Set(roots);
  const positions = new Map(program.order.map((node, at) => [node, at]));
  return {
    steps,
    roots,
    buffers: nodes.map((node, number): PlanBuffer => ({
      dtype: node.dtype,
      size: sizeOf(node.shape),
      source: program.sourceSlots.get(node),
      lastStep: results.has(number) ? undefined : last[number],
      node: positions.get(node) ?? -1,
      ...node.op.kind === "concat"
        ? { parts: node.inputs.map((part) => id(underReshapes(part))) }
        : {},
    })),
  };
}

/** A node of a canonical program, for messages. */
export interface NodeNote {
  /** What it does, and what it gives. */
  readonly text: string;
  /** The nodes that it is computed from, movements seen through. */
  readonly inputs: readonly number[];
}

/** The nodes of a graph's canonical program, as {@link PlanBuffer.node} has them. */
export function describeNodes(
  signature: Signature,
  options: PlanOptions,
): NodeNote[] {
  const { order } = canonicalize(signature, rewritesOf(options));
  const positions = new Map(order.map((node, at) => [node, at]));
  const seen = (node: Node): Node => {
    while (node.op.kind === "move" || node.op.kind === "fence") {
      node = node.inputs[0]!;
    }
    return node;
  };
  return order.map(({ op, dtype, shape, inputs }, at) => ({
    text: `%${at} = ${opText(op)} ${dtype}${formatShape(shape)}`,
    inputs: inputs.map((input) => positions.get(seen(input))!),
  }));
}

/** Groups and lowers, again with finer cuts while a kernel has too many buffers. */
function fitKernels(program: Program, options: PlanOptions): LoweredKernel[] {
  const { maxBuffers, minRows, fuse = true, storeRandom = false } = options;
  const { longReduction = LONG_REDUCTION } = options;
  const recompute = fuse ? RECOMPUTE : -1;
  const parts = new Map<Node, number>();
  const kept = new Set<Node>();
  for (let round = 1, next = 1;; round++) {
    const grouping = groupNodes(program, {
      maxBuffers,
      minRows,
      longReduction,
      recompute,
      fuse,
      storeRandom,
      parts,
      kept,
    });
    const lowered = lowerGroups(program, grouping);
    const crowded = lowered.filter(({ kernel, buffers }) =>
      // A device has two programs for them, neither of which names all, and
      // none of which has a buffer of its own.
      buffers.length >
        maxBuffers + (kernel.kind === "attentionGradient" ? 2 : 0)
    );
    if (crowded.length === 0) return lowered;
    for (const { group, kernel } of crowded) {
      // Values computed on the fly bring the buffers they are computed from.
      const fly = [...group.uses].filter((node) =>
        grouping.home.has(node) && !grouping.stored.has(node)
      );
      const { members } = group;
      if (
        fly.length === 0 && (members.length === 1 || group.kind === "single")
      ) {
        throw new Error(
          `plan: ${kernel.name} needs ${kernel.buffers.length} buffers: the ` +
            `device has ${maxBuffers}`,
        );
      }
      for (const node of fly) kept.add(node);
      if (fly.length > 0) continue;
      const cuts = cutMembers(group, grouping, maxBuffers);
      for (const cut of round > OPEN_ROUNDS ? cuts : cuts.slice(1)) {
        const part = next++;
        for (const node of cut) parts.set(node, part);
      }
    }
  }
}

/** Cuts the members of a group, in order, where their buffers become too many. */
function cutMembers(
  { members }: Group,
  { stored, uses }: Grouping,
  maxBuffers: number,
): Node[][] {
  const cuts: Node[][] = [];
  let cut: Node[] = [];
  let buffers = new Set<Node>();
  for (const node of members) {
    const more = new Set(buffers);
    if (stored.has(node)) more.add(node);
    for (const used of uses.get(node) ?? []) {
      if (!cut.includes(used)) more.add(used);
    }
    if (more.size > maxBuffers && cut.length > 0) {
      cuts.push(cut);
      cut = [];
      buffers = new Set([node, ...uses.get(node) ?? []]);
    } else buffers = more;
    cut.push(node);
  }
  // What crosses a cut is a buffer too, and may be one too many.
  if (cuts.length === 0) {
    const middle = members.length >> 1;
    return [members.slice(0, middle), members.slice(middle)];
  }
  return [...cuts, cut];
}
