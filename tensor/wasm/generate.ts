/**
 * WebAssembly modules from kernels.
 *
 * @module
 */

import type { AttentionGradientKernel } from "../kernel/attention.ts";
import type { Kernel, LoopKernel } from "../kernel/kernel.ts";
import { normalize } from "../kernel/normalize.ts";
import type { ModuleBuilder } from "./assembler.ts";
import { emitAttentionGradient } from "./attention_gradient.ts";
import { emitAttention } from "./attention_kernel.ts";
import { beginModule } from "./begin_module.ts";
import { emitContract } from "./contract.ts";
import { Helpers } from "./helpers.ts";
import type { KernelFunction } from "./kernel_function.ts";
import { emitLoopFunction } from "./loop_kernel.ts";
import { planLoop } from "./loop_plan.ts";
import type { Target } from "./math.ts";
import { emitScan } from "./scan_kernel.ts";
import { emitScatter } from "./scatter_kernel.ts";
import { emitSort } from "./sort_kernel.ts";
import { unrollColumns } from "./unroll_columns.ts";

export { MAX_PAGES } from "./begin_module.ts";

/** A function `(frame, start, end)` of a module, and how it is split. */
export interface Stage {
  /** Name of the export. */
  readonly name: string;
  /** Items to do, each on its own. */
  readonly items: number;
  /** Threads take runs of items that are multiples of this. */
  readonly grain: number;
}

/**
 * A module with the stages of a kernel, which run one after the other.
 *
 * The frame that they are given is the address of 32-bit words: the byte
 * address of each buffer of the kernel, its params, the address of the shared
 * scratch memory, and that of the scratch memory of thread 0, behind which
 * those of the other threads lie.
 */
export interface Generated {
  /** The module's binary form. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** A module whose functions it imports: one and the same for many. */
  readonly library?: Uint8Array<ArrayBuffer>;
  /** What to run. */
  readonly stages: readonly Stage[];
  /** Bytes that all threads use together. */
  readonly sharedScratchBytes: number;
  /** Bytes for each thread. */
  readonly threadScratchBytes: number;
}

/** How a module is generated. */
export interface GenerateOptions {
  /**
   * Whether matrix products are packed and tiled.
   * @default true
   */
  readonly contract?: boolean;
}

/** Less work than this is not worth another thread. */
const GRAIN_NS = 5000;

/** Generates the module of a kernel. */
export function generate(
  kernel: Kernel,
  target: Target,
  options: GenerateOptions = {},
): Generated {
  const { contract = true } = options;
  if (kernel.kind === "loop" && kernel.contract && contract) {
    const module = beginModule(target);
    const plan = emitContract(module, kernel, target);
    if (plan) return { ...plan, bytes: module.finish() };
  }
  const module = beginModule(target);
  if (kernel.kind === "attentionGradient") {
    const plan = emitAttentionGradient(module, kernel, target);
    return { ...plan, bytes: module.finish() };
  }
  const name = "run";
  const { items, cost, threadScratchBytes = 0 } = emitFunction(
    module,
    name,
    kernel,
    target,
  );
  const grain = Math.max(1, Math.ceil(GRAIN_NS * items / cost));
  return {
    bytes: module.finish(),
    stages: items === 0 ? [] : [{ name, items, grain }],
    sharedScratchBytes: 0,
    threadScratchBytes,
  };
}

function emitFunction(
  module: ModuleBuilder,
  name: string,
  kernel: Exclude<Kernel, AttentionGradientKernel>,
  target: Target,
): KernelFunction {
  switch (kernel.kind) {
    case "loop":
      if (kernel.rows.some((axis) => axis.extent === 0)) {
        return { items: 0, cost: 0 };
      }
      return emitLoopFunction(
        module,
        new Helpers(module, target),
        cheapestLoops(kernel),
        { name },
      );
    case "scan":
      return emitScan(module, name, kernel);
    case "sort":
      return emitSort(module, name, kernel);
    case "scatter":
      return emitScatter(module, name, kernel);
    case "attention":
      return emitAttention(module, name, kernel, target);
    default:
      return kernel satisfies never;
  }
}

/** The kernel with its loops as they are, or those over few columns unrolled. */
function cheapestLoops(kernel: LoopKernel): LoopKernel {
  const loops = normalize(kernel);
  const unrolled = unrollColumns(loops);
  if (!unrolled) return loops;
  const straight = normalize(unrolled);
  return planLoop(straight).cost < planLoop(loops).cost ? straight : loops;
}
