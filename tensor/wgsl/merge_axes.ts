/**
 * Fewer, longer loops: neighbouring axes that every index steps through as one
 * become one.
 *
 * @module
 */

import {
  indicesOf,
  type LoopKernel,
  type Store,
  type Value,
} from "../kernel/kernel.ts";
import {
  type Axis,
  type Bound,
  type Index,
  isDivision,
  type Term,
} from "../view.ts";

/** A kernel and groups of its axes, both merged. */
export interface Merged {
  /** The kernel, whose rows are the first groups and whose columns the last. */
  readonly kernel: LoopKernel;
  /** The groups, in the order given. */
  readonly groups: readonly (readonly Axis[])[];
}

/**
 * Merges axes within each group, and drops those of extent 1.
 *
 * @param groups All axes of the kernel; the last group holds the columns.
 */
export function mergeAxes(
  kernel: LoopKernel,
  groups: readonly (readonly Axis[])[],
): Merged {
  const indices = [
    ...kernel.values.flatMap(indicesOf),
    ...kernel.stores.map(({ index }) => index),
  ];
  const sums: (readonly Term[])[] = [];
  for (const index of indices) collectSums(index, sums);
  const replaced = new Map<Axis, Axis | undefined>();
  const merged = groups.map((group) => {
    const axes: Axis[] = [];
    let inner: Axis | undefined;
    for (const axis of [...group].reverse()) {
      if (axis.extent === 1) continue;
      if (inner && stepAsOne(axis, inner, axes[0]!.extent, sums)) {
        axes[0] = { id: axis.id, extent: axis.extent * axes[0]!.extent };
        // The innermost axis' coefficient is the whole's: the others' go.
        replaced.set(inner, axes[0]);
        replaced.set(axis, undefined);
      } else {
        axes.unshift(axis);
        inner = axis;
      }
    }
    return axes;
  });
  const cols = merged.at(-1)!;
  // A reduction of one column is still one.
  if (cols.length === 0) cols.push(...kernel.cols.slice(0, 1));
  const rename = (index: Index) => renameAxes(index, replaced);
  return {
    kernel: {
      ...kernel,
      rows: merged.slice(0, -1).flat(),
      cols,
      values: kernel.values.map((value) => renameValue(value, rename)),
      stores: kernel.stores.map((store): Store => ({
        ...store,
        index: rename(store.index),
      })),
    },
    groups: merged,
  };
}

/** The sums in an index: its own, and those under its divisions. */
function collectSums(index: Index, sums: (readonly Term[])[]): void {
  sums.push(index.terms);
  for (const { atom } of index.terms) {
    if (isDivision(atom)) collectSums(atom.of, sums);
  }
}

/** Whether each sum has `c * (extent * outer + inner)` for some `c`. */
function stepAsOne(
  outer: Axis,
  inner: Axis,
  extent: number,
  sums: readonly (readonly Term[])[],
): boolean {
  return sums.every((terms) => {
    const coefficientOf = (axis: Axis) =>
      terms.find(({ atom }) => atom === axis)?.coefficient ?? 0;
    return coefficientOf(outer) === coefficientOf(inner) * extent;
  });
}

function renameAxes(
  index: Index,
  replaced: ReadonlyMap<Axis, Axis | undefined>,
): Index {
  const terms = index.terms.flatMap((term): Term[] => {
    const { atom, coefficient } = term;
    if (isDivision(atom)) {
      const of = renameAxes(atom.of, replaced);
      return [{ atom: { ...atom, of }, coefficient }];
    }
    if (!replaced.has(atom)) return [term];
    const whole = replaced.get(atom);
    return whole ? [{ atom: whole, coefficient }] : [];
  });
  return { ...index, terms };
}

function renameValue(value: Value, rename: (index: Index) => Index): Value {
  const renameBounds = (bounds: readonly Bound[]) =>
    bounds.map((bound): Bound => ({ ...bound, index: rename(bound.index) }));
  switch (value.op) {
    case "index":
      return { ...value, index: rename(value.index) };
    case "inside":
      return { ...value, bounds: renameBounds(value.bounds) };
    case "load":
    case "gather":
      return {
        ...value,
        index: rename(value.index),
        bounds: renameBounds(value.bounds),
      };
    default:
      return value;
  }
}
