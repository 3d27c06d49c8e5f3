/**
 * A kernel as WGSL programs.
 *
 * @module
 */

import type { Kernel } from "../kernel/kernel.ts";
import { lowerLoop } from "./loop.ts";
import type { Program, ShaderLimits } from "./program.ts";

/** The programs that run a kernel within the limits. */
export function lowerKernel(kernel: Kernel, limits: ShaderLimits): Program {
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
