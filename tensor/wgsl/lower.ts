/**
 * A kernel as WGSL programs.
 *
 * @module
 */

import type { Kernel } from "../kernel/kernel.ts";
import { lowerLoop } from "./loop.ts";
import type { Program, ShaderLimits } from "./program.ts";
import { iterationsOf } from "./rows.ts";

/** The programs that run a kernel within the limits. */
export function lowerKernel(kernel: Kernel, limits: ShaderLimits): Program {
  if (isEmpty(kernel)) return { dispatches: [], temporaries: [] };
  switch (kernel.kind) {
    case "loop":
      return { dispatches: [lowerLoop(kernel, limits)], temporaries: [] };
    case "scan":
    case "sort":
    case "scatter":
      throw new Error(`${kernel.kind} is not there yet`);
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
