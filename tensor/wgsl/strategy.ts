/**
 * Which way a kernel runs: pure functions of its shape and the limits.
 *
 * @module
 */

import { levelsOf, type LoopKernel } from "../kernel/kernel.ts";
import type { ContractSizes } from "./contract.ts";
import type { PackedStrategy } from "./contract_packed.ts";
import type { TiledStrategy } from "./contract_tiled.ts";
import type { ShaderLimits } from "./program.ts";
import { iterationsOf } from "./rows.ts";

/** How the rows of a loop kernel are spread over invocations. */
export type LoopStrategy =
  /** One invocation a row. */
  | { readonly kind: "invocation"; readonly workgroupSize: number }
  /** One workgroup a row, its invocations taking columns in turn. */
  | { readonly kind: "workgroup"; readonly workgroupSize: number };

/** How a matrix product runs: as the loops that it is, or faster. */
export type ContractStrategy =
  | { readonly kind: "loop" }
  | TiledStrategy
  | PackedStrategy;

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
  if (rows >= (limits.isFallback ? 16 : 16384) && !isLong(kernel, limits)) {
    return invocation;
  }
  const most = Math.min(limits.isFallback ? 32 : 256, limits.maxWorkgroupSize);
  let workgroupSize = 32;
  while (workgroupSize < most && workgroupSize < cols) workgroupSize *= 2;
  // Each reduction has a word for each invocation.
  const reductions = kernel.values.filter(({ op }) => op === "reduce").length;
  const bytesOf = (size: number) => size * 4 * reductions;
  while (
    workgroupSize > 1 && bytesOf(workgroupSize) > limits.maxWorkgroupBytes
  ) {
    workgroupSize /= 2;
  }
  return workgroupSize > 1 ? { kind: "workgroup", workgroupSize } : invocation;
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

/** Chooses for a kernel that is a matrix product. */
export function chooseContract(
  sizes: ContractSizes,
  limits: ShaderLimits,
): ContractStrategy {
  const { batch, m, n, k } = sizes;
  if (batch * m * n * k === 0) return { kind: "loop" };
  return limits.isFallback ? choosePacked(sizes) : chooseTiled(sizes, limits);
}

/** Nanoseconds of one lane of a processor, as measured on lavapipe. */
const LOAD = 7.5;
const PACK = 15;
const DISPATCH = 40_000;

/** Numbers in one tile of an operand: half the texels of the least limit. */
const MOST_TILE = 2 ** 24;

/** Sums an invocation, and nanoseconds for one product of them. */
const PACKED_TILES = [
  { rows: 16, columns: 8, product: 0.25 },
  { rows: 8, columns: 4, product: 0.4 },
] as const;

function choosePacked({ batch, m, n, k }: ContractSizes): ContractStrategy {
  // Lanes take the longer side: it wastes fewer of them.
  const swap = m > n;
  const [rowSize, columnSize] = swap ? [n, m] : [m, n];
  let best: ContractStrategy = { kind: "loop" };
  let least = batch * m * n * k * 2 * LOAD + DISPATCH;
  for (const { rows, columns, product } of PACKED_TILES) {
    const paddedRows = Math.ceil(rowSize / rows) * rows;
    const width = 8 * columns;
    // One tile must fit a texture.
    if (width * k > MOST_TILE) continue;
    const paddedColumns = Math.ceil(columnSize / width) * width;
    const time = batch * k *
        ((paddedRows + paddedColumns) * PACK +
          paddedRows * paddedColumns * product) + 3 * DISPATCH;
    if (time >= least) continue;
    least = time;
    best = { kind: "packed", swap, rows, columns };
  }
  return best;
}

/** Workgroups that keep a GPU of a hundred processors busy. */
const MANY_WORKGROUPS = 128;

function chooseTiled(
  { batch, m, n, k }: ContractSizes,
  limits: ShaderLimits,
): ContractStrategy {
  // A product with a vector reads each number once: tiles would not help.
  if (m < 8 || n < 8 || k < 8) return { kind: "loop" };
  if (limits.maxWorkgroupSize < 256) return { kind: "loop" };
  const groupsOf = (tile: number) =>
    batch * Math.ceil(m / tile) * Math.ceil(n / tile);
  const tile = [64, 32].find((tile) => groupsOf(tile) >= MANY_WORKGROUPS) ??
    (Math.min(m, n) > 16 ? 32 : 16);
  const groups = groupsOf(tile);
  // A part has at least 256 terms: fewer would not pay for its second kernel.
  const parts = Math.max(
    1,
    Math.min(Math.floor(MANY_WORKGROUPS / groups), Math.floor(k / 256), 32),
  );
  return { kind: "tiled", tile, parts };
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
