/**
 * Checks before a loop, so that in it less has to be looked at.
 *
 * @module
 */

import type { LoopKernel, Store, ValueId } from "../kernel/kernel.ts";
import { rangeOf } from "../view.ts";
import type { Local } from "./assembler.ts";
import { loadsOf } from "./contiguity.ts";
import { dependsOn } from "./lane_table.ts";
import type { QuadContext } from "./quad_context.ts";

/**
 * Pushes 1 if the four lanes at `pointer` of the vector side's table are
 * neighbours in memory, in every load and store of `ids` and `stores` of which
 * that can be; 0 otherwise.
 *
 * @returns false, and pushes nothing, if there are none of which it can be.
 */
export function emitContiguous(
  context: QuadContext,
  pointer: Local,
  ids: readonly ValueId[],
  stores: readonly Store[] = [],
): boolean {
  const { f, kernel } = context;
  const entries = new Set<number>();
  for (const { index, buffer } of [...loadsOf(kernel, ids), ...stores]) {
    if (!context.canBeContiguous(index)) continue;
    entries.add(context.split(index, 4, buffer).vector!);
  }
  let first = true;
  for (const entry of entries) {
    f.get(pointer).memory("v128.load32_splat", entry);
    f.get(f.constant(0, 4, 8, 12)).op("i32x4.add");
    f.get(pointer).memory("v128.load", entry);
    f.op("i32x4.eq").op("i32x4.all_true");
    if (!first) f.op("i32.and");
    first = false;
  }
  return !first;
}

/**
 * Pushes 1 if all bounds of the loads of `ids` hold for the four lanes at
 * `pointer` of the lanes' table, wherever the columns are; 0 otherwise.
 *
 * @returns false, and pushes nothing, if there are no bounds or no such lanes.
 */
export function emitInterior(
  context: QuadContext,
  lanes: "vector" | "scalar",
  pointer: Local,
  ids: readonly ValueId[],
): boolean {
  const { f, kernel } = context;
  const columns = new Set(
    context[lanes === "vector" ? "scalar" : "vector"].side.axes,
  );
  const checks = new Map<string, () => void>();
  for (const load of loadsOf(kernel, ids)) {
    for (const { index, low, high } of load.bounds) {
      const sum = context.split(index, 1, undefined, -low);
      const entry = sum[lanes];
      const moving = rangeOf(
        index.terms.filter(({ atom }) => dependsOn(atom, columns)),
        0,
      );
      const span = high - low - (moving.high - moving.low);
      if (sum.mixed.length > 0 || entry === undefined || span <= 0) {
        return false;
      }
      checks.set(`${entry} ${moving.low} ${span}`, () => {
        f.get(pointer).memory("v128.load", entry);
        if (moving.low !== 0) f.i32x4(moving.low).op("i32x4.add");
        f.i32x4(span).op("i32x4.lt_u").op("i32x4.all_true");
      });
    }
  }
  let first = true;
  for (const emit of checks.values()) {
    emit();
    if (!first) f.op("i32.and");
    first = false;
  }
  return checks.size > 0;
}

/** Whether a value has loads with bounds. */
export function hasBounds(kernel: LoopKernel, id: ValueId): boolean {
  return loadsOf(kernel, [id]).some(({ bounds }) => bounds.length > 0);
}
