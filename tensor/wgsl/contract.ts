/**
 * Matrix products: what the ways to run one have in common.
 *
 * @module
 */

import {
  argumentsOf,
  type Contract,
  isElementStore,
  levelsOf,
  type LoopKernel,
  type Value,
  type ValueId,
} from "../kernel/kernel.ts";
import { type Axis, axisIndex, flatten } from "../view.ts";
import { lowerLoop } from "./loop.ts";
import { mergeAxes } from "./merge_axes.ts";
import type { Dispatch, ShaderLimits } from "./program.ts";
import { iterationsOf } from "./rows.ts";

/** A product's loops, merged, and how often each group runs. */
export interface Product {
  /** The kernel with the merged loops. */
  readonly kernel: LoopKernel;
  /** Which values are multiplied. */
  readonly contract: Contract;
  /** Axes of the products' sum. */
  readonly k: readonly Axis[];
  /** Iterations of each group. */
  readonly sizes: ContractSizes;
}

/** Iterations of the groups of axes. */
export interface ContractSizes {
  /** Products. */
  readonly batch: number;
  /** Rows of each left operand. */
  readonly m: number;
  /** Columns of each right operand. */
  readonly n: number;
  /** Terms of each sum. */
  readonly k: number;
  /**
   * Whether neighbouring rows of the left operand lie side by side in memory,
   * and neighbouring terms do not.
   * @default false
   */
  readonly alongM?: boolean;
  /**
   * The same of the columns of the right operand.
   * @default false
   */
  readonly alongN?: boolean;
}

/** The product that a kernel is, or undefined where it does more than that. */
export function productOf(kernel: LoopKernel): Product | undefined {
  const { contract } = kernel;
  if (!contract) return undefined;
  const { element } = levelsOf(kernel);
  const stores = kernel.stores;
  if (stores.some((store) => isElementStore(kernel, element, store))) {
    return undefined;
  }
  const merged = mergeAxes(kernel, [
    contract.batch,
    contract.m,
    contract.n,
    kernel.cols,
  ]);
  const [batch, m, n, k] = merged.groups as [Axis[], Axis[], Axis[], Axis[]];
  const { left, right } = contract;
  const isAlong = (value: ValueId, axes: readonly Axis[]) =>
    isAlongRows(merged.kernel, value, axes, k);
  return {
    kernel: merged.kernel,
    contract: { ...contract, batch, m, n },
    k,
    sizes: {
      batch: iterationsOf(batch),
      m: iterationsOf(m),
      n: iterationsOf(n),
      k: iterationsOf(k),
      alongM: isAlong(left, m),
      alongN: isAlong(right, n),
    },
  };
}

/**
 * What follows the product, with the product loaded from a temporary
 * `[parts, batch, m, n]` and summed over the parts.
 */
export function lowerEpilogue(
  { kernel, contract }: Product,
  parts: number,
  limits: ShaderLimits,
): Dispatch {
  const { batch, m, n, product } = contract;
  const rows = [...batch, ...m, ...n];
  const part = {
    id: Math.max(-1, ...rows.map(({ id }) => id)) + 1,
    extent: parts,
  };
  const axes = parts > 1 ? [part, ...rows] : rows;
  const index = flatten(
    axes.map(axisIndex),
    axes.map(({ extent }) => extent),
  );
  const buffer = kernel.buffers.length;
  const size = iterationsOf(axes);
  const load: Value = {
    op: "load",
    dtype: "float32",
    buffer,
    index,
    bounds: [],
  };
  // One more value in front: all others move up by one.
  const values = [load, ...kernel.values.map(moveUp)];
  values[product + 1] = parts > 1
    ? { op: "reduce", dtype: "float32", reducer: "sum", args: [0] }
    : load;
  return lowerLoop({
    kind: "loop",
    name: `${kernel.name} epilogue`,
    rows,
    cols: parts > 1 ? [part] : [],
    values,
    stores: kernel.stores.map((store) => ({
      ...store,
      value: store.value + 1,
    })),
    buffers: [...kernel.buffers, { dtype: "float32", size, output: false }],
    params: kernel.params,
  }, limits);
}

/** Strides of a store that puts the product itself at an affine place. */
export interface PlainStore {
  /** The slot of the output. */
  readonly buffer: number;
  /** Place of the first element. */
  readonly base: number;
  /** Elements from one index to the next. */
  readonly strides: {
    readonly batch: number;
    readonly m: number;
    readonly n: number;
  };
}

/** How the product is stored, if that is all that follows it. */
export function plainStoreOf(
  { kernel, contract }: Product,
): PlainStore | undefined {
  const [store] = kernel.stores;
  if (kernel.stores.length !== 1 || store?.value !== contract.product) {
    return undefined;
  }
  const { terms, constant } = store.index;
  const strideOf = (group: readonly Axis[]) => {
    if (group.length === 0) return 0;
    if (group.length > 1) return undefined;
    return terms.find(({ atom }) => atom === group[0])?.coefficient ?? 0;
  };
  const batch = strideOf(contract.batch);
  const m = strideOf(contract.m);
  const n = strideOf(contract.n);
  if (batch === undefined || m === undefined || n === undefined) {
    return undefined;
  }
  const used = [batch, m, n].filter((stride) => stride !== 0).length;
  if (used !== terms.length) return undefined;
  return { buffer: store.buffer, base: constant, strides: { batch, m, n } };
}

/**
 * Whether an operand is loaded from neighbouring elements along its rows and
 * not along the terms.
 */
export function isAlongRows(
  kernel: LoopKernel,
  value: ValueId,
  rows: readonly Axis[],
  terms: readonly Axis[],
): boolean {
  return isContiguousAlong(kernel, value, rows.at(-1)) &&
    !isContiguousAlong(kernel, value, terms.at(-1));
}

/** Whether a value is loaded from neighbouring elements along an axis. */
function isContiguousAlong(
  kernel: LoopKernel,
  id: ValueId,
  axis: Axis | undefined,
): boolean {
  const pending = new Set([id]);
  for (const next of pending) {
    const value = kernel.values[next]!;
    if (
      value.op === "load" &&
      value.index.terms.some(({ atom, coefficient }) =>
        atom === axis && coefficient === 1
      )
    ) return true;
    for (const arg of argumentsOf(value)) pending.add(arg);
  }
  return false;
}

function moveUp(value: Value): Value {
  if (value.op === "gather") return { ...value, at: value.at + 1 };
  return "args" in value
    ? { ...value, args: value.args.map((arg) => arg + 1) } as unknown as Value
    : value;
}
