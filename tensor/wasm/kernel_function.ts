/**
 * What the generators of the fixed kernels share.
 *
 * @module
 */

import type { FunctionBuilder, Local, WasmType } from "./assembler.ts";

/** A function `(frame, start, end)` that does some items. */
export interface KernelFunction {
  /** How many items there are. */
  readonly items: number;
  /** Estimated nanoseconds of all items on one thread. */
  readonly cost: number;
  /** Bytes of scratch memory for each thread. */
  readonly threadScratchBytes?: number;
}

type LocalsOf<N extends number, T extends Local[] = []> = T["length"] extends N
  ? T
  : LocalsOf<N, [...T, Local]>;

/** Some new variables of one type. */
export function locals<N extends number>(
  f: FunctionBuilder,
  type: WasmType,
  count: N,
): LocalsOf<N> {
  return Array.from({ length: count }, () => f.local(type)) as LocalsOf<N>;
}
