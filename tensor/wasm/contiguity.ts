/**
 * Where the elements that a kernel loads are neighbours in memory.
 *
 * @module
 */

import {
  argumentsOf,
  type LoopKernel,
  type Value,
  type ValueId,
} from "../kernel/kernel.ts";
import { type Axis, evaluateIndex, type Index, isDivision } from "../view.ts";
import { dependsOn, type Side } from "./lane_table.ts";

/** How many of the loads' quads are neighbours along a side, summed. */
export function contiguity(
  kernel: LoopKernel,
  ids: readonly ValueId[],
  side: Side,
): number {
  return loadsOf(kernel, ids).reduce(
    (sum, { index }) => sum + contiguousShare(index, side),
    0,
  );
}

/** Whether the loads that can be neighbours along a side are so in all quads. */
export function alwaysContiguous(
  kernel: LoopKernel,
  ids: readonly ValueId[],
  side: Side,
): boolean {
  return loadsOf(kernel, ids).every(({ index }) => {
    const run = contiguousRun(index, side);
    return run === 1 && contiguousShare(index, side) === 0 ||
      run === side.extent || run % 4 === 0;
  });
}

/** Lanes, from each multiple of this number on, at which an index counts up. */
function contiguousRun(index: Index, side: Side): number {
  const own = new Set(side.axes);
  const coefficients = new Map<Axis, number>();
  for (const { atom, coefficient } of index.terms) {
    if (!dependsOn(atom, own)) continue;
    if (isDivision(atom)) return 1;
    coefficients.set(atom, coefficient);
  }
  let run = 1;
  for (const axis of side.axes.toReversed()) {
    if (coefficients.get(axis) !== run) break;
    run *= axis.extent;
  }
  return run;
}

/** The share of quads along a side at which an index counts up by ones. */
export function contiguousShare(index: Index, side: Side): number {
  const known = shares.get(side)?.get(index);
  if (known !== undefined) return known;
  const share = measureShare(index, side);
  const bySide = shares.get(side) ?? new WeakMap<Index, number>();
  shares.set(side, bySide.set(index, share));
  return share;
}

const shares = new WeakMap<Side, WeakMap<Index, number>>();

function measureShare(index: Index, side: Side): number {
  const quads = Math.floor(side.extent / 4);
  if (quads === 0) return 0;
  const own = new Set(side.axes);
  const terms = index.terms.filter(({ atom }) => dependsOn(atom, own));
  if (terms.every(({ atom }) => !isDivision(atom))) {
    const run = contiguousRun(index, side);
    if (run === 1) return 0;
    if (run === side.extent || run % 4 === 0) return 1;
  }
  const part = { ...index, terms, constant: 0 };
  const at = (lane: number) => {
    const position = new Map<Axis, number>();
    for (const axis of side.axes.toReversed()) {
      position.set(axis, lane % axis.extent);
      lane = Math.floor(lane / axis.extent);
    }
    return evaluateIndex(part, (axis) => position.get(axis) ?? 0);
  };
  const samples = Math.min(quads, 32);
  let found = 0;
  for (let sample = 0; sample < samples; sample++) {
    const lane = 4 * Math.floor(sample * quads / samples);
    const first = at(lane);
    if ([1, 2, 3].every((i) => at(lane + i) === first + i)) found++;
  }
  return found / samples;
}

/** The loads that some values are computed from. */
export function loadsOf(
  kernel: LoopKernel,
  ids: readonly ValueId[],
): (Value & { op: "load" })[] {
  return [...reachable(kernel, ids)].map((id) => kernel.values[id]!)
    .filter((value) => value.op === "load");
}

/** All values that some are computed from, themselves included. */
function reachable(
  kernel: LoopKernel,
  ids: readonly ValueId[],
  found: Set<ValueId> = new Set(),
): Set<ValueId> {
  for (const id of ids) {
    if (found.has(id)) continue;
    found.add(id);
    if (id === kernel.contract?.product) continue;
    reachable(kernel, argumentsOf(kernel.values[id]!), found);
  }
  return found;
}
