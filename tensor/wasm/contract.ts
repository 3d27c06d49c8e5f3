/**
 * Matrix products: packed panels, a register tile, and an epilogue.
 *
 * The result is cut into blocks of rows and panels of lanes. A thread takes a
 * block and a run of panels. What several threads or blocks use is packed
 * before, by all of them; the rest just before it is used. The sums of a panel
 * go to the epilogue while they are in the first cache. A long sum goes through
 * the columns in several passes, which add to the same sums; where there are
 * few results, some passes have sums of their own, added afterwards. The shapes
 * alone decide on all of it, so nothing depends on the number of threads.
 *
 * @module
 */

import type { LoopKernel } from "../kernel/kernel.ts";
import type { ModuleBuilder } from "./assembler.ts";
import { contractCode } from "./contract_code.ts";
import { layoutOf } from "./contract_layout.ts";
import { emitMultiplyStage } from "./contract_multiply.ts";
import { padOperands } from "./contract_padding.ts";
import {
  type ContractStage,
  emitCombineStage,
  emitCopyStage,
  emitLaneStage,
  emitRowStage,
} from "./contract_stages.ts";
import type { Target } from "./math.ts";
import { tileLibrary } from "./tile_library.ts";

export type { ContractStage } from "./contract_stages.ts";

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
  /** The module whose functions this one imports. */
  readonly library: Uint8Array<ArrayBuffer>;
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
  module: ModuleBuilder,
  kernel: LoopKernel,
  target: Target,
): ContractPlan | undefined {
  if (!layoutOf(kernel)) return undefined;
  const padded = padOperands(kernel);
  const layout = layoutOf(padded.kernel)!;
  const code = contractCode(
    module,
    padded.kernel,
    layout,
    target,
    4 * padded.size,
  );
  const stages = padded.copies.map((copy, i) => emitCopyStage(code, copy, i));
  if (layout.sharedRows) stages.push(emitRowStage(code));
  if (layout.sharedLanes) stages.push(emitLaneStage(code));
  stages.push(emitMultiplyStage(code));
  if (code.geometry.parts > 1) stages.push(emitCombineStage(code));
  return {
    stages,
    sharedScratchBytes: code.geometry.shared.bytes,
    threadScratchBytes: code.geometry.own.bytes,
    library: tileLibrary(target),
  };
}
