/**
 * A kernel as WGSL programs.
 *
 * @module
 */

import type { Kernel, LoopKernel } from "../kernel/kernel.ts";
import { productOf } from "./contract.ts";
import { lowerPacked } from "./contract_packed.ts";
import { lowerTiled } from "./contract_tiled.ts";
import { lowerLoop } from "./loop.ts";
import { mergeAxes } from "./merge_axes.ts";
import type { Program, ShaderLimits } from "./program.ts";
import { iterationsOf } from "./rows.ts";
import { lowerScan } from "./scan.ts";
import { lowerScatter } from "./scatter.ts";
import { lowerSort } from "./sort.ts";
import { chooseContract } from "./strategy.ts";

/** The programs that run a kernel within the limits. */
export function lowerKernel(kernel: Kernel, limits: ShaderLimits): Program {
  if (isEmpty(kernel)) return { dispatches: [], temporaries: [] };
  switch (kernel.kind) {
    case "loop":
      return lowerRows(kernel, limits);
    case "scan":
      return { dispatches: [lowerScan(kernel, limits)], temporaries: [] };
    case "sort":
      return lowerSort(kernel, limits);
    case "scatter":
      return { dispatches: lowerScatter(kernel, limits), temporaries: [] };
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

function lowerRows(kernel: LoopKernel, limits: ShaderLimits): Program {
  const product = productOf(kernel);
  const strategy = product && chooseContract(product.sizes, limits);
  switch (strategy?.kind) {
    case "tiled":
      return lowerTiled(product!, limits, strategy);
    case "packed":
      return lowerPacked(product!, limits, strategy);
    default: {
      const merged = mergeAxes(kernel, [kernel.rows, kernel.cols]);
      return {
        dispatches: [lowerLoop(merged.kernel, limits)],
        temporaries: [],
      };
    }
  }
}
