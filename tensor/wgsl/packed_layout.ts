/**
 * Where the operands of a product lie in textures, and how it goes through
 * them.
 *
 * A convolution reads each element of its input for every place in the window.
 * Where two axes appear only as one sum, `y + ky`, the texture has a dimension
 * for the sum, not one for each: the element is packed once, and the product
 * finds it at the sum of two offsets.
 *
 * @module
 */

import {
  argumentsOf,
  indicesOf,
  type LoopKernel,
  type ValueId,
} from "../kernel/kernel.ts";
import {
  axesOf,
  type Axis,
  greatestCommonDivisor,
  type Index,
  isDivision,
} from "../view.ts";
import type { Product } from "./contract.ts";
import { iterationsOf } from "./rows.ts";

/** One dimension of a texture. */
export type Dimension =
  /** Positions on some axes, row-major. */
  | {
    readonly kind: "axes";
    readonly extent: number;
    readonly axes: readonly Axis[];
  }
  /** A sum of two axes: `sign` times it stands for the one, 0 for the other. */
  | {
    readonly kind: "sum";
    readonly extent: number;
    /** The least sum. */
    readonly low: number;
    readonly axis: Axis;
    readonly sign: 1 | -1;
    readonly other: Axis;
  };

/** Positions on nested axes, and texels from one to the next on each. */
export interface Walk {
  /** Outermost first. */
  readonly extents: readonly number[];
  /** The same number of them. */
  readonly strides: readonly number[];
}

/** How an operand lies in a texture: four terms to a texel. */
export interface OperandLayout {
  /** Without that of the batch and that of the terms, which is the last. */
  readonly dimensions: readonly Dimension[];
  /** The axes whose positions four to a texel hold. */
  readonly terms: readonly Axis[];
  /** The texel of the first row at the first term. */
  readonly base: number;
  /** How the operand's rows follow each other. */
  readonly rows: Walk;
  /** Texels from one term to the next, a loop each. */
  readonly steps: readonly number[];
  /** Texels of one product. */
  readonly texels: number;
}

/** How both operands lie. */
export interface PackedLayout {
  /** Turns of the loops over the terms, outermost first. */
  readonly loops: readonly number[];
  /** At (m, k). */
  readonly left: OperandLayout;
  /** At (n, k). */
  readonly right: OperandLayout;
}

/** Nanoseconds that a processor takes to pack a number, and for a product. */
export const PACK = 15;
const PRODUCT = 0.13;

/** Axes that a walk and the loops over terms may have. */
export const DEPTH = 3;

/**
 * The layout that costs the least to fill and to multiply from.
 *
 * @param maxTexels Most of one operand, unless it is cut: only the first, in
 * which terms and rows lie in a row each, can be.
 */
export function packedLayout(
  product: Product,
  maxTexels: number = Infinity,
): PackedLayout {
  const { sizes, k } = product;
  let best = plainLayout(product);
  let least = costOf(best, product);
  for (const terms of k.length > 1 ? k : []) {
    const layout = sharedLayout(product, terms);
    const most = Math.max(layout.left.texels, layout.right.texels);
    const cost = costOf(layout, product);
    const isDeep = [layout.loops, layout.left.rows, layout.right.rows]
      .some((part) => ("extents" in part ? part.extents : part).length > DEPTH);
    if (isDeep || sizes.batch * most > maxTexels || cost >= least) continue;
    best = layout;
    least = cost;
  }
  return best;
}

/** Of one product. */
function costOf({ loops, left, right }: PackedLayout, { sizes }: Product) {
  const terms = 4 * loops.reduce((turns, count) => turns * count, 1);
  return 4 * PACK * (left.texels + right.texels) +
    PRODUCT * sizes.m * sizes.n * terms;
}

/** `[rows, terms]`: each row has its terms as neighbours. */
function plainLayout({ contract, k, sizes }: Product): PackedLayout {
  const depth = Math.ceil(sizes.k / 4);
  const side = (axes: readonly Axis[]): OperandLayout => {
    const extent = iterationsOf(axes);
    return {
      dimensions: [{ kind: "axes", extent, axes }],
      terms: k,
      base: 0,
      rows: { extents: [extent], strides: [depth] },
      steps: [1],
      texels: extent * depth,
    };
  };
  return { loops: [depth], left: side(contract.m), right: side(contract.n) };
}

/** Sums share a dimension; the terms of one axis are packed together. */
function sharedLayout(
  { kernel, contract, k }: Product,
  terms: Axis,
): PackedLayout {
  const others = k.filter((axis) => axis !== terms);
  const depth = Math.ceil(terms.extent / 4);
  const left = shareOperand(kernel, contract.left, contract.m, others, terms);
  const right = shareOperand(kernel, contract.right, contract.n, others, terms);
  const joined = joinAxes(
    [...others.map(({ extent }) => extent), depth],
    [left.steps, right.steps],
  );
  return {
    loops: joined.extents,
    left: { ...left, steps: joined.strides[0]! },
    right: { ...right, steps: joined.strides[1]! },
  };
}

function shareOperand(
  kernel: LoopKernel,
  value: ValueId,
  rows: readonly Axis[],
  others: readonly Axis[],
  terms: Axis,
): OperandLayout {
  const indices = indicesBehind(kernel, value);
  const free = new Set(others);
  /** How far a step on an axis goes in its dimension. */
  const scales = new Map<Axis, { dimension: number; scale: number }>();
  const dimensions: Dimension[] = [];
  const own = (axis: Axis) => {
    const dimension = dimensions.push({
      kind: "axes",
      extent: axis.extent,
      axes: [axis],
    }) - 1;
    scales.set(axis, { dimension, scale: 1 });
  };
  for (const row of rows) {
    const sum = [...free].map((other) => sumOf(indices, row, other))
      .find((found) => found !== undefined);
    if (sum === undefined) {
      own(row);
      continue;
    }
    const dimension = dimensions.push(sum.dimension) - 1;
    scales.set(row, { dimension, scale: sum.byRow });
    scales.set(sum.other, { dimension, scale: sum.byOther });
    free.delete(sum.other);
  }
  free.forEach(own);
  const strides: number[] = [];
  let texels = Math.ceil(terms.extent / 4);
  for (let at = dimensions.length - 1; at >= 0; at--) {
    strides[at] = texels;
    texels *= dimensions[at]!.extent;
  }
  const stepOf = (axis: Axis) => {
    const { dimension, scale } = scales.get(axis)!;
    return scale * strides[dimension]!;
  };
  const walk = joinAxes(
    rows.map(({ extent }) => extent),
    [rows.map(stepOf)],
  );
  return {
    dimensions,
    terms: [terms],
    base: dimensions.reduce(
      (base, dimension, at) =>
        dimension.kind === "sum" ? base - dimension.low * strides[at]! : base,
      0,
    ),
    rows: { extents: walk.extents, strides: walk.strides[0]! },
    steps: [...others.map(stepOf), 1],
    texels,
  };
}

/** Axes that step as one become one, in all of the strides. */
function joinAxes(
  extents: readonly number[],
  strides: readonly (readonly number[])[],
): { extents: number[]; strides: number[][] } {
  const joined: number[] = [];
  const kept: number[][] = strides.map(() => []);
  extents.forEach((extent, at) => {
    const last = joined.length - 1;
    const isStep = last >= 0 &&
      strides.every((own, side) => kept[side]![last] === own[at]! * extent);
    if (isStep) joined[last]! *= extent;
    else joined.push(extent);
    kept.forEach((own, side) => own[joined.length - 1] = strides[side]![at]!);
  });
  return { extents: joined, strides: kept };
}

/** The one sum in which two axes appear wherever either does. */
function sumOf(
  indices: readonly Index[],
  row: Axis,
  other: Axis,
):
  | { dimension: Dimension; other: Axis; byRow: number; byOther: number }
  | undefined {
  let [byRow, byOther] = [0, 0];
  for (const { terms } of indices) {
    let [own, others] = [0, 0];
    for (const { atom, coefficient } of terms) {
      if (atom === row) own = coefficient;
      else if (atom === other) others = coefficient;
      else if (isDivision(atom)) {
        const axes = axesOf(atom.of);
        if (axes.has(row) || axes.has(other)) return undefined;
      }
    }
    if (own === 0 && others === 0) continue;
    if (own === 0 || others === 0) return undefined;
    if (byRow === 0) {
      const by = Math.sign(own) * greatestCommonDivisor(own, others);
      [byRow, byOther] = [own / by, others / by];
    }
    if (own * byOther !== others * byRow) return undefined;
  }
  // One of them stands for the sum: it counts in ones.
  const [axis, scale] = byRow === 1 ? [row, 1] : [other, byOther];
  if (scale !== 1 && scale !== -1) return undefined;
  const [first, second] = [
    byRow * (row.extent - 1),
    byOther * (other.extent - 1),
  ];
  const extent = first + Math.abs(second) + 1;
  if (extent >= row.extent * other.extent) return undefined;
  const dimension: Dimension = {
    kind: "sum",
    extent,
    low: Math.min(0, second),
    axis,
    sign: scale,
    other: axis === row ? other : row,
  };
  return { dimension, other, byRow, byOther };
}

/** The index expressions of a value and of all that it is computed from. */
function indicesBehind(kernel: LoopKernel, value: ValueId): Index[] {
  const pending = new Set([value]);
  const found: Index[] = [];
  for (const id of pending) {
    const next = kernel.values[id]!;
    found.push(...indicesOf(next));
    for (const arg of argumentsOf(next)) pending.add(arg);
  }
  return found;
}
