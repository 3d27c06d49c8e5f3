/**
 * How much a kernel computes and moves at least: what it is measured against.
 *
 * @module
 */

import { axesOf, type Axis } from "../view.ts";
import { argumentsOf, indicesOf, type Kernel } from "./kernel.ts";

/** Work of one run. */
export interface Cost {
  /** Operations on floats; a multiplication and an addition are two. */
  readonly flops: number;
  /** Bytes read and written, if each element moves once. */
  readonly bytes: number;
}

/** What counts as no operation. */
const FREE = new Set([
  "const",
  "param",
  "index",
  "inside",
  "load",
  "gather",
  "cast",
  "bitcast",
]);

/** The work of a kernel. */
export function costOf(kernel: Kernel): Cost {
  let bytes = 0;
  for (const { size } of kernel.buffers) bytes += 4 * size;
  return { bytes, flops: flopsOf(kernel) };
}

function flopsOf(kernel: Kernel): number {
  if (kernel.kind === "scan") {
    return kernel.shape.reduce((size, extent) => size * extent, 1);
  }
  if (kernel.kind === "scatter") {
    return kernel.outer * kernel.count * kernel.inner;
  }
  if (kernel.kind === "attention" || kernel.kind === "attentionGradient") {
    const { batch, queries, keys, dim, features, causalOffset } = kernel;
    const products = kernel.kind === "attention"
      ? dim + features
      : 3 * dim + 2 * features;
    const seen = causalOffset === null ? 1 : 0.5;
    return seen * 2 * batch * queries * keys * products;
  }
  if (kernel.kind !== "loop") return 0;
  const { values, rows, cols } = kernel;
  const all = new Set([...rows, ...cols]);
  const inner = new Set(cols);
  const axes: Set<Axis>[] = [];
  let flops = 0;
  for (const [id, value] of values.entries()) {
    const own = new Set<Axis>();
    for (const arg of argumentsOf(value)) {
      for (const axis of axes[arg]!) own.add(axis);
    }
    for (const index of indicesOf(value)) {
      for (const axis of axesOf(index)) if (all.has(axis)) own.add(axis);
    }
    const times = sizeOver(own);
    if (value.op === "reduce") {
      flops += times;
      for (const axis of own) if (inner.has(axis)) own.delete(axis);
    } else if (value.op === "threefry") flops += 0;
    else if (!FREE.has(value.op) && value.dtype === "float32") flops += times;
    axes[id] = own;
  }
  return flops;
}

function sizeOver(axes: ReadonlySet<Axis>): number {
  let size = 1;
  for (const { extent } of axes) size *= extent;
  return size;
}
