/**
 * Rewrites the loops of a kernel so that its index expressions get simple:
 * splits an axis so that quotients and remainders vanish or concern a short axis
 * alone, and merges axes that only ever step as one.
 *
 * @module
 */

import {
  type Atom,
  axesOf,
  type Axis,
  axisIndex,
  constantIndex,
  greatestCommonDivisor,
  type Index,
  isDivision,
  linear,
  substitute,
} from "../view.ts";
import { indicesOf, type LoopKernel, type Value } from "./kernel.ts";

type Replacement = ReadonlyMap<Axis, Index>;

/**
 * The same kernel over other loops: none of extent 1, no two that could be one,
 * numbered from 0. Rows stay rows and columns stay columns.
 *
 * The mark of a matrix product is lost: its groups of axes may be merged.
 */
export function normalize(kernel: LoopKernel): LoopKernel {
  let { contract: _, ...plain }: LoopKernel = kernel;
  const axes = [...plain.rows, ...plain.cols];
  if (axes.some((axis) => axis.extent === 0)) return plain;
  plain = dropSingle(plain);
  plain = splitAxes(plain);
  plain = mergeAxes(plain);
  return renumber(plain);
}

/**
 * The same value over other loops: a bound that always holds is dropped, what
 * never holds gives 0.
 */
export function substituteInValue(
  value: Value,
  replacement: ReadonlyMap<Axis, Index>,
): Value {
  if (value.op === "index") {
    return { ...value, index: substitute(value.index, replacement) };
  }
  if (!("bounds" in value)) return value;
  const bounds = value.bounds
    .map(({ index, low, high }) => ({
      index: substitute(index, replacement),
      low,
      high,
    }))
    .filter(({ index, low, high }) => index.low < low || index.high >= high);
  const never = bounds.some(({ index, low, high }) =>
    index.low >= high || index.high < low
  );
  if (never) return { op: "const", dtype: value.dtype, value: 0 };
  if (value.op !== "inside") {
    return { ...value, index: substitute(value.index, replacement), bounds };
  }
  return bounds.length > 0
    ? { ...value, bounds }
    : { op: "const", dtype: "bool", value: 1 };
}

/** Replaces axes: each by an index over some others, in its place. */
function replaceAxes(
  kernel: LoopKernel,
  replacement: Replacement,
  others: ReadonlyMap<Axis, readonly Axis[]>,
): LoopKernel {
  const inPlace = (axes: readonly Axis[]) =>
    axes.flatMap((axis) => others.get(axis) ?? [axis]);
  return {
    ...kernel,
    rows: inPlace(kernel.rows),
    cols: inPlace(kernel.cols),
    values: kernel.values.map((value) => substituteInValue(value, replacement)),
    stores: kernel.stores.map((store) => ({
      ...store,
      index: substitute(store.index, replacement),
    })),
  };
}

function dropSingle(kernel: LoopKernel): LoopKernel {
  const single = [...kernel.rows, ...kernel.cols]
    .filter((axis) => axis.extent === 1);
  return replaceAxes(
    kernel,
    new Map(single.map((axis) => [axis, constantIndex(0)])),
    new Map(single.map((axis) => [axis, []])),
  );
}

/** All index expressions, those inside quotients and remainders too. */
function allSums(kernel: LoopKernel): Index[] {
  const found: Index[] = [];
  const visit = (index: Index) => {
    found.push(index);
    for (const { atom } of index.terms) if (isDivision(atom)) visit(atom.of);
  };
  for (const value of kernel.values) indicesOf(value).forEach(visit);
  for (const store of kernel.stores) visit(store.index);
  return found;
}

/**
 * How far divisions reach: one that depends on a short axis only is the same
 * for all elements along the others.
 */
function reachOfDivisions(kernel: LoopKernel): number {
  let reach = 0;
  for (const { terms } of allSums(kernel)) {
    for (const { atom } of terms) {
      if (!isDivision(atom)) continue;
      for (const axis of axesOf(atom.of)) reach += axis.extent;
    }
  }
  return reach;
}

/** Axes with the lengths of inner parts to which a division may be confined. */
function splitCandidates(kernel: LoopKernel): [axis: Axis, inner: number][] {
  const found = new Map<string, [Axis, number]>();
  for (const { terms } of allSums(kernel)) {
    for (const { atom: division } of terms) {
      if (!isDivision(division)) continue;
      for (const { atom, coefficient } of division.of.terms) {
        if (isDivision(atom)) continue;
        const { by } = division;
        const inner = by / greatestCommonDivisor(Math.abs(coefficient), by);
        if (inner > 1 && inner < atom.extent && atom.extent % inner === 0) {
          found.set(`${atom.id}/${inner}`, [atom, inner]);
        }
      }
    }
  }
  return [...found.values()];
}

function freshId(kernel: LoopKernel): number {
  return 1 + Math.max(
    -1,
    ...[...kernel.rows, ...kernel.cols].map((axis) => axis.id),
  );
}

function splitAxes(kernel: LoopKernel): LoopKernel {
  let reach = reachOfDivisions(kernel);
  for (let changed = true; changed && reach > 0;) {
    changed = false;
    for (const [axis, length] of splitCandidates(kernel)) {
      const id = freshId(kernel);
      const outer: Axis = { id, extent: axis.extent / length };
      const inner: Axis = { id: id + 1, extent: length };
      const whole = linear([
        [length, axisIndex(outer)],
        [1, axisIndex(inner)],
      ]);
      const split = replaceAxes(
        kernel,
        new Map([[axis, whole]]),
        new Map([[axis, [outer, inner]]]),
      );
      const left = reachOfDivisions(split);
      if (left >= reach) continue;
      kernel = split;
      reach = left;
      changed = true;
      break;
    }
  }
  return kernel;
}

function coefficientOf(index: Index, axis: Atom): number {
  return index.terms.find(({ atom }) => atom === axis)?.coefficient ?? 0;
}

/** Whether the two always appear as `outer * inner.extent + inner`. */
function stepAsOne(
  sums: readonly Index[],
  outer: Axis,
  inner: Axis,
): boolean {
  return sums.every((index) =>
    coefficientOf(index, outer) === coefficientOf(index, inner) * inner.extent
  );
}

function mergeAxes(kernel: LoopKernel): LoopKernel {
  for (;;) {
    const sums = allSums(kernel);
    const pair = [kernel.rows, kernel.cols].flatMap((axes) =>
      axes.flatMap((outer) =>
        axes
          .filter((inner) =>
            inner !== outer && stepAsOne(sums, outer, inner)
          )
          .map((inner) => [outer, inner] as const)
      )
    )[0];
    if (!pair) return kernel;
    const [outer, inner] = pair;
    const merged: Axis = {
      id: freshId(kernel),
      extent: outer.extent * inner.extent,
    };
    kernel = replaceAxes(
      kernel,
      new Map([[outer, constantIndex(0)], [inner, axisIndex(merged)]]),
      new Map([[outer, [merged]], [inner, []]]),
    );
  }
}

function renumber(kernel: LoopKernel): LoopKernel {
  const axes = [...kernel.rows, ...kernel.cols];
  const numbered = axes.map((axis, id): Axis => ({ id, extent: axis.extent }));
  return replaceAxes(
    kernel,
    new Map(axes.map((axis, at) => [axis, axisIndex(numbered[at]!)])),
    new Map(axes.map((axis, at) => [axis, [numbered[at]!]])),
  );
}
