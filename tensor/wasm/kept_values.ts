/**
 * Values that several passes over the columns need and that take long to
 * compute: the first pass leaves them where a later one writes its result.
 *
 * @module
 */

import {
  argumentsOf,
  isElementStore,
  type Levels,
  type LoopKernel,
  type Store,
  type ValueId,
} from "../kernel/kernel.ts";

/** A value that is kept. */
export interface Kept {
  /** Which. */
  readonly value: ValueId;
  /** Where, until it writes there itself. */
  readonly store: Store;
  /** The pass that computes it; later ones load it. */
  readonly pass: number;
}

/** What a store and the later loads cost, in instructions. */
const LEAST_COST = 16;

/**
 * Finds what to keep.
 *
 * @param kernel Whose values.
 * @param levels Its passes.
 * @param needed Which values reach a store.
 * @param eligible Which values differ between all elements of a row.
 * @param costOf Instructions of a value, without its arguments.
 */
export function findKept(
  kernel: LoopKernel,
  levels: Levels,
  needed: readonly boolean[],
  eligible: (id: ValueId) => boolean,
  costOf: (id: ValueId) => number,
): Kept[] {
  const { values, stores } = kernel;
  const { element, phase, phases } = levels;
  if (phases < 2) return [];
  // Not where an input lies: a later pass may read that.
  const places = stores.filter((store) =>
    isElementStore(kernel, element, store) &&
    kernel.buffers[store.buffer]!.overwrites === undefined
  );
  const costs = values.map((value, id) =>
    element[id] && value.dtype !== "bool" && eligible(id)
      ? costBelow(kernel, levels, costOf, id)
      : 0
  );
  const candidates = [...costs.keys()]
    .filter((id) => costs[id]! >= LEAST_COST)
    .sort((a, b) => costs[b]! - costs[a]!);
  const kept: Kept[] = [];
  for (const value of candidates) {
    const uses = usesOf(kernel, levels, needed, kept);
    const passes = uses.flatMap((used, pass) => used.has(value) ? [pass] : []);
    if (passes.length < 2) continue;
    const at = places.findIndex((store) =>
      phase[store.value]! >= passes.at(-1)!
    );
    if (at < 0) continue;
    const [store] = places.splice(at, 1);
    kept.push({ value, store: store!, pass: passes[0]! });
  }
  return kept;
}

/** The values of elements that each pass computes or loads. */
function usesOf(
  kernel: LoopKernel,
  { element, phase, phases }: Levels,
  needed: readonly boolean[],
  kept: readonly Kept[],
): Set<ValueId>[] {
  const { values, stores } = kernel;
  const uses = Array.from({ length: phases }, () => new Set<ValueId>());
  const visit = (pass: number, id: ValueId) => {
    if (!element[id] || uses[pass]!.has(id)) return;
    uses[pass]!.add(id);
    if (kept.some((one) => one.value === id && one.pass < pass)) return;
    for (const arg of argumentsOf(values[id]!)) visit(pass, arg);
  };
  values.forEach((value, id) => {
    if (value.op === "reduce" && needed[id]) {
      visit(phase[id]! - 1, value.args[0]);
    }
  });
  for (const store of stores) {
    if (isElementStore(kernel, element, store)) {
      visit(phase[store.value]!, store.value);
    }
  }
  return uses;
}

/** Instructions of all values of elements that lead to one. */
function costBelow(
  kernel: LoopKernel,
  { element }: Levels,
  costOf: (id: ValueId) => number,
  root: ValueId,
): number {
  const seen = new Set<ValueId>();
  const visit = (id: ValueId): number => {
    if (!element[id] || seen.has(id)) return 0;
    seen.add(id);
    return argumentsOf(kernel.values[id]!).reduce(
      (sum, arg) => sum + visit(arg),
      costOf(id),
    );
  };
  return visit(root);
}
