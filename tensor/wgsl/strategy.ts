/**
 * Which way a kernel runs: pure functions of its shape and the limits.
 *
 * @module
 */

import type { LoopKernel } from "../kernel/kernel.ts";
import type { ShaderLimits } from "./program.ts";
import { iterationsOf } from "./rows.ts";

/** How the rows of a loop kernel are spread over invocations. */
export type LoopStrategy =
  /** One invocation a row. */
  | { readonly kind: "invocation"; readonly workgroupSize: number }
  /** One workgroup a row, its invocations taking columns in turn. */
  | { readonly kind: "workgroup"; readonly workgroupSize: number };

/** Chooses for a kernel that is not run as a matrix product. */
export function chooseLoop(
  kernel: LoopKernel,
  limits: ShaderLimits,
): LoopStrategy {
  const rows = iterationsOf(kernel.rows);
  const cols = iterationsOf(kernel.cols);
  const invocation = { kind: "invocation", workgroupSize: 64 } as const;
  if (kernel.cols.length === 0 || cols <= 32) return invocation;
  if (rows >= (limits.isFallback ? 64 : 16384)) return invocation;
  const most = Math.min(limits.isFallback ? 32 : 256, limits.maxWorkgroupSize);
  let workgroupSize = 32;
  while (workgroupSize < most && workgroupSize < cols) workgroupSize *= 2;
  return { kind: "workgroup", workgroupSize };
}
