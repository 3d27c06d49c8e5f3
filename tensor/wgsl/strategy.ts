/**
 * Which way a kernel runs: pure functions of its shape and the limits.
 *
 * @module
 */

import { levelsOf, type LoopKernel } from "../kernel/kernel.ts";
import type { Axis } from "../view.ts";
import type { ShaderLimits } from "./program.ts";
import { iterationsOf } from "./rows.ts";

/** How the rows of a loop kernel are spread over invocations. */
export type LoopStrategy =
  /** One invocation a row. */
  | { readonly kind: "invocation"; readonly workgroupSize: number }
  /** One workgroup a row, its invocations taking columns in turn. */
  | { readonly kind: "workgroup"; readonly workgroupSize: number }
  /** Neighbouring invocations a row each, and others that share columns. */
  | {
    readonly kind: "block";
    readonly workgroupSize: number;
    /** Rows of a workgroup: a power of two. */
    readonly rows: number;
  };

/** Chooses for a kernel that is not run as a matrix product. */
export function chooseLoop(
  kernel: LoopKernel,
  limits: ShaderLimits,
): LoopStrategy {
  const rows = iterationsOf(kernel.rows);
  const cols = iterationsOf(kernel.cols);
  // On a processor a workgroup is a piece of work for one thread: few rows are
  // spread over more of them.
  const invocation = {
    kind: "invocation",
    workgroupSize: limits.isFallback && rows < 512 ? 8 : 64,
  } as const;
  if (kernel.cols.length === 0 || cols <= 32) return invocation;
  const isAcross = !limits.isFallback && readsAcrossRows(kernel);
  const many = limits.isFallback ? 16 : isAcross ? 32768 : Infinity;
  if (rows >= many && !isLong(kernel, limits)) return invocation;
  const most = Math.min(limits.isFallback ? 32 : 256, limits.maxWorkgroupSize);
  let workgroupSize = 32;
  while (workgroupSize < most && workgroupSize < cols) workgroupSize *= 2;
  if (isAcross) workgroupSize = most;
  // Each reduction has a word for each invocation.
  const reductions = kernel.values.filter(({ op }) => op === "reduce").length;
  const bytesOf = (size: number) => size * 4 * reductions;
  while (
    workgroupSize > 1 && bytesOf(workgroupSize) > limits.maxWorkgroupBytes
  ) {
    workgroupSize /= 2;
  }
  if (workgroupSize === 1) return invocation;
  return isAcross && rows > 1 && workgroupSize > BLOCK_ROWS
    ? { kind: "block", workgroupSize, rows: BLOCK_ROWS }
    : { kind: "workgroup", workgroupSize };
}

/** Rows of a block: invocations whose loads make one line of memory. */
const BLOCK_ROWS = 32;

/**
 * Whether neighbouring rows are neighbours in more of the arrays that a kernel
 * reads than neighbouring columns are, as in a sum over the first axis.
 */
function readsAcrossRows({ values, rows, cols }: LoopKernel): boolean {
  const [row, col] = [rows.at(-1), cols.at(-1)];
  let [across, along] = [0, 0];
  for (const value of values) {
    if (value.op !== "load") continue;
    const { terms } = value.index;
    const steps = (axis: Axis | undefined) =>
      terms.some(({ atom, coefficient }) => atom === axis && coefficient === 1);
    if (steps(col)) along++;
    else if (steps(row) && terms.length > 1) across++;
  }
  return across > along;
}

/**
 * Steps that the loops of one invocation take together at most: a processor
 * that plays a GPU may end them at 65535.
 */
export const MOST_STEPS = 60_000;

/** Whether one invocation may not run through a row. */
function isLong(kernel: LoopKernel, { isFallback }: ShaderLimits): boolean {
  const { phases } = levelsOf(kernel);
  return isFallback && iterationsOf(kernel.cols) * (phases + 1) > MOST_STEPS;
}

/** Lanes of a workgroup that share each line of a scan; 1 for a lane a line. */
export function chooseScan(
  [outer, size, inner]: readonly [number, number, number],
  limits: ShaderLimits,
): number {
  const lines = outer * inner;
  const { isFallback, maxWorkgroupSize } = limits;
  const isLong = isFallback && size > MOST_STEPS;
  if (size <= 64 || (lines >= (isFallback ? 16 : 4096) && !isLong)) return 1;
  // Each lane runs twice through its part.
  const few = isFallback && size / 32 * 2 <= MOST_STEPS;
  return Math.min(few ? 32 : 256, maxWorkgroupSize);
}

/** Whether rows are short enough for each element to look at all others. */
export function chooseSort(
  [, size]: readonly [number, number],
): "count" | "merge" {
  return size <= 64 ? "count" : "merge";
}
