/**
 * Matrix products: packed panels, a register tile, and an epilogue.
 *
 * @module
 */

import type { LoopKernel } from "../kernel/kernel.ts";
import type { ModuleBuilder } from "./assembler.ts";
import type { Target } from "./math.ts";

/** A function `(frame, start, end)` of the module, and how it is split. */
export interface ContractStage {
  /** Name of the export. */
  readonly name: string;
  /** Items to do, each on its own. */
  readonly items: number;
  /** Threads take runs of items that are multiples of this. */
  readonly grain: number;
}

/**
 * What a module made by {@link emitContract} needs to run.
 *
 * The frame holds words: the byte address of each buffer of the kernel, its
 * params, the address of the shared scratch memory, and the address of the
 * scratch memory of thread 0, behind which those of the other threads lie.
 * Both begin at multiples of 64; what they contain does not matter.
 */
export interface ContractPlan {
  /** Run one after the other. */
  readonly stages: readonly ContractStage[];
  /** Bytes that all threads use together. */
  readonly sharedScratchBytes: number;
  /** Bytes for each thread: a multiple of 64. */
  readonly threadScratchBytes: number;
}

/**
 * Adds the functions of a matrix product to a module that has its memory and
 * no function yet; it imports `env.thread`, which gives the number of the
 * thread that calls.
 *
 * @returns What it needs, or undefined if the kernel is better run as the nest
 * of loops that it also is; nothing is added then.
 */
export function emitContract(
  _module: ModuleBuilder,
  _kernel: LoopKernel,
  _target: Target,
): ContractPlan | undefined {
  return undefined;
}
