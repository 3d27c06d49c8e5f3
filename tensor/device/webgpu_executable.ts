/**
 * Kernels that are ready to run on a GPU.
 *
 * @module
 */

import type { Kernel } from "../kernel/kernel.ts";
import type { Program } from "../wgsl/program.ts";
import type { Executable } from "./device.ts";
import type { Pipeline } from "./webgpu_pipelines.ts";
import type { Bindable } from "./webgpu_recorder.ts";

/** A kernel with its pipelines. */
export class WebgpuExecutable implements Executable {
  readonly kernel: Kernel;
  readonly program: Program;
  readonly pipelines: readonly Pipeline[];

  constructor(
    kernel: Kernel,
    program: Program,
    pipelines: readonly Pipeline[],
  ) {
    this.kernel = kernel;
    this.program = program;
    this.pipelines = pipelines;
  }
}

/** The executable as its own device knows it. */
export function ownExecutable(
  operation: string,
  executable: Executable,
): WebgpuExecutable {
  if (executable instanceof WebgpuExecutable) return executable;
  throw new TypeError(
    `${operation}: the kernel was prepared by another device`,
  );
}

/**
 * A dispatch may not read and write one buffer, nor write it twice. Where it
 * overwrites an input, both are one buffer, bound once.
 */
export function checkAliases(
  { name, buffers }: Kernel,
  memory: readonly Bindable[],
): void {
  for (let slot = 0; slot < buffers.length; slot++) {
    const { output, overwrites } = buffers[slot]!;
    if (!output) continue;
    for (let other = 0; other < buffers.length; other++) {
      const isSame = memory[other] === memory[slot];
      if (other === slot || isSame === (other === overwrites)) continue;
      throw new Error(
        isSame
          ? `run: ${name} writes slot ${slot}, which is slot ${other} as ` +
            "well: give it a buffer of its own"
          : `run: ${name} writes slot ${slot} over slot ${other}: give both ` +
            "one buffer",
      );
    }
  }
}
