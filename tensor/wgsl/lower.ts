/**
 * A kernel as WGSL programs.
 *
 * @module
 */

import type { Kernel, LoopKernel } from "../kernel/kernel.ts";
import { lowerAttention, lowerAttentionGradient } from "./attention.ts";
import { type Product, productOf } from "./contract.ts";
import { lowerPacked } from "./contract_packed.ts";
import {
  type ContractStrategy,
  contractWays,
  wayName,
  waysToTry,
} from "./contract_strategy.ts";
import { lowerTiled } from "./contract_tiled.ts";
import { lowerVector } from "./contract_vector.ts";
import { lowerLoop } from "./loop.ts";
import { mergeAxes } from "./merge_axes.ts";
import type { Program, ShaderLimits } from "./program.ts";
import { iterationsOf } from "./rows.ts";
import { lowerScan } from "./scan.ts";
import { lowerScatter } from "./scatter.ts";
import { lowerSort } from "./sort.ts";

/**
 * The programs that run a kernel within the limits.
 *
 * @param way How, if it is a matrix product and has a way of this name: see
 * {@link waysOf}; else the one that is expected to be the fastest.
 */
export function lowerKernel(
  kernel: Kernel,
  limits: ShaderLimits,
  way?: string,
): Program {
  if (isEmpty(kernel)) return { dispatches: [], temporaries: [] };
  switch (kernel.kind) {
    case "loop":
      return lowerRows(kernel, limits, way);
    case "scan":
      return { dispatches: [lowerScan(kernel, limits)], temporaries: [] };
    case "sort":
      return lowerSort(kernel, limits);
    case "scatter":
      return { dispatches: lowerScatter(kernel, limits), temporaries: [] };
    case "attention":
      return lowerAttention(kernel, limits);
    case "attentionGradient":
      return lowerAttentionGradient(kernel, limits);
    default:
      return kernel satisfies never;
  }
}

/** Whether there is nothing to write. */
function isEmpty(kernel: Kernel): boolean {
  return kernel.kind === "loop"
    ? iterationsOf(kernel.rows) === 0
    : kernel.buffers.every(({ output, size }) => !output || size === 0);
}

/**
 * The names of the ways to run a kernel that may be the fastest, the expected
 * one first: none where there is nothing to choose.
 */
export function waysOf(kernel: Kernel, limits: ShaderLimits): string[] {
  if (kernel.kind !== "loop" || isEmpty(kernel)) return [];
  const product = productOf(kernel);
  return product ? waysToTry(product.sizes, limits).map(wayName) : [];
}

function lowerRows(
  kernel: LoopKernel,
  limits: ShaderLimits,
  way: string | undefined,
): Program {
  const product = productOf(kernel);
  if (product) {
    const ways = contractWays(product.sizes, limits);
    const { strategy } = ways.find(({ strategy }) =>
      wayName(strategy) === way
    ) ?? ways[0]!;
    if (strategy.kind !== "loop") {
      return lowerContract(product, limits, strategy);
    }
  }
  const merged = mergeAxes(kernel, [kernel.rows, kernel.cols]);
  return { dispatches: [lowerLoop(merged.kernel, limits)], temporaries: [] };
}

/** The programs of a product that runs in a way of its own. */
export function lowerContract(
  product: Product,
  limits: ShaderLimits,
  strategy: Exclude<ContractStrategy, { readonly kind: "loop" }>,
): Program {
  switch (strategy.kind) {
    case "vector":
      return lowerVector(product, limits, strategy);
    case "tiled":
      return lowerTiled(product, limits, strategy);
    case "packed":
      return lowerPacked(product, limits, strategy);
    default:
      return strategy satisfies never;
  }
}
