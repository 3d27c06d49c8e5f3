/**
 * Where an element lies: index expressions over loop axes, and how each
 * movement (reshape, permute, expand, slice, pad, windows) maps the indices of
 * its result to those of its input. A movement never copies: a kernel that
 * loads through it loads from another place.
 *
 * @module
 */

import { type Shape, sizeOf } from "./shape.ts";

/** One loop of a kernel. Two axes are the same only if they are one object. */
export interface Axis {
  /** Position among the axes of its kernel: names it in keys and code. */
  readonly id: number;
  /** Trip count. */
  readonly extent: number;
}

/** The floor or the remainder of an index divided by a positive constant. */
export interface Division {
  /** Which of the two. */
  readonly kind: "quotient" | "remainder";
  /** The dividend. */
  readonly of: Index;
  /** The divisor, at least 2. */
  readonly by: number;
}

/** What an index is a sum of. */
export type Atom = Axis | Division;

/** `coefficient * atom`. */
export interface Term {
  /** An axis, or a quotient or remainder of a smaller index. */
  readonly atom: Atom;
  /** Never 0. */
  readonly coefficient: number;
}

/**
 * `constant + Σ coefficient * atom`, with the range it is known to stay in.
 * Terms are sorted by {@link atomKey} and no atom occurs twice.
 */
export interface Index {
  /** The sum's terms. */
  readonly terms: readonly Term[];
  /** The sum's constant. */
  readonly constant: number;
  /** Least value. */
  readonly low: number;
  /** Greatest value. */
  readonly high: number;
}

/** True where `low <= index < high`. */
export interface Bound {
  /** What is compared. */
  readonly index: Index;
  /** Least value allowed. */
  readonly low: number;
  /** One past the greatest value allowed. */
  readonly high: number;
}

/** Whether the atom is a quotient or remainder. */
export function isDivision(atom: Atom): atom is Division {
  return "kind" in atom;
}

/** A text that is equal for equal atoms. */
export function atomKey(atom: Atom): string {
  return isDivision(atom)
    ? `(${indexKey(atom.of)}${atom.kind === "quotient" ? "/" : "%"}${atom.by})`
    : `i${atom.id}`;
}

// Planning asks for the same ones over and over.
const indexKeys = new WeakMap<Index, string>();

/** A text that is equal for equal indices, `3*i0+i1+2`. */
export function indexKey(index: Index): string {
  let key = indexKeys.get(index);
  if (key === undefined) indexKeys.set(index, key = formatIndex(index));
  return key;
}

function formatIndex(index: Index): string {
  const parts = index.terms.map(({ atom, coefficient }) =>
    coefficient === 1 ? atomKey(atom) : `${coefficient}*${atomKey(atom)}`
  );
  if (index.constant !== 0 || parts.length === 0) {
    parts.push(`${index.constant}`);
  }
  return parts.join("+");
}

/** The index that is always `value`. */
export function constantIndex(value: number): Index {
  return { terms: [], constant: value, low: value, high: value };
}

/** The index that runs with a loop; an axis of extent 1 stays at 0. */
export function axisIndex(axis: Axis): Index {
  if (axis.extent <= 1) return constantIndex(0);
  const terms = [{ atom: axis, coefficient: 1 }];
  return { terms, constant: 0, low: 0, high: axis.extent - 1 };
}

function atomRange(atom: Atom): [number, number] {
  if (!isDivision(atom)) return [0, atom.extent - 1];
  if (atom.kind === "remainder") return [0, atom.by - 1];
  return [
    Math.floor(atom.of.low / atom.by),
    Math.floor(atom.of.high / atom.by),
  ];
}

/** The least and the greatest value that a sum can have by its terms alone. */
export function rangeOf(
  terms: readonly Term[],
  constant: number,
): Pick<Index, "low" | "high"> {
  let low = constant;
  let high = constant;
  for (const { atom, coefficient } of terms) {
    const [least, most] = atomRange(atom);
    low += coefficient * (coefficient > 0 ? least : most);
    high += coefficient * (coefficient > 0 ? most : least);
  }
  return { low, high };
}

/** `Σ scale * index + constant`, simplified. */
export function linear(
  parts: readonly (readonly [scale: number, index: Index])[],
  constant: number = 0,
): Index {
  const [first] = parts;
  if (parts.length === 1 && first![0] === 1 && constant === 0) return first![1];
  const merged = new Map<string, { atom: Atom; coefficient: number }>();
  let low = constant;
  let high = constant;
  const insert = (atom: Atom, coefficient: number) => {
    const key = atomKey(atom);
    const present = merged.get(key);
    if (present) present.coefficient += coefficient;
    else merged.set(key, { atom, coefficient });
  };
  for (const [scale, index] of parts) {
    if (scale === 0) continue;
    constant += scale * index.constant;
    low += scale * (scale > 0 ? index.low : index.high);
    high += scale * (scale > 0 ? index.high : index.low);
    for (const term of index.terms) {
      insert(term.atom, scale * term.coefficient);
    }
  }
  // c * floor(x / c) + x mod c is x again: a split that is undone vanishes.
  for (const { atom, coefficient } of [...merged.values()]) {
    if (!isDivision(atom) || atom.kind !== "remainder" || coefficient === 0) {
      continue;
    }
    const quotient: Division = { kind: "quotient", of: atom.of, by: atom.by };
    const match = merged.get(atomKey(quotient));
    if (match?.coefficient !== coefficient * atom.by) continue;
    merged.get(atomKey(atom))!.coefficient = 0;
    match.coefficient = 0;
    constant += coefficient * atom.of.constant;
    for (const term of atom.of.terms) {
      insert(term.atom, coefficient * term.coefficient);
    }
  }
  const terms = [...merged.entries()]
    .filter(([, term]) => term.coefficient !== 0)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, term]) => term);
  const own = rangeOf(terms, constant);
  return {
    terms,
    constant,
    low: Math.max(low, own.low),
    high: Math.min(high, own.high),
  };
}

/** Splits into the part that `by` divides and the rest, rest.constant in [0, by). */
function splitMultiple(index: Index, by: number): [Index, Index] {
  const whole: (readonly [number, Index])[] = [];
  const rest: (readonly [number, Index])[] = [];
  for (const { atom, coefficient } of index.terms) {
    const [low, high] = atomRange(atom);
    const unit = {
      terms: [{ atom, coefficient: 1 }],
      constant: 0,
      low,
      high,
    };
    if (coefficient % by === 0) whole.push([coefficient / by, unit]);
    else rest.push([coefficient, unit]);
  }
  const shift = Math.floor(index.constant / by);
  const multiple = linear(whole, shift);
  let remaining = linear(rest, index.constant - shift * by);
  // What the caller knows of the whole bounds the rest when nothing was taken.
  if (whole.length === 0) {
    remaining = {
      ...remaining,
      low: Math.max(remaining.low, index.low - shift * by),
      high: Math.min(remaining.high, index.high - shift * by),
    };
  }
  return [multiple, remaining];
}

/** Of the absolute values. */
export function greatestCommonDivisor(a: number, b: number): number {
  [a, b] = [Math.abs(a), Math.abs(b)];
  while (b !== 0) [a, b] = [b, a % b];
  return a;
}

/**
 * Sees an index as `factor * inner + small` with `0 <= small < factor`, where
 * the factor divides `by`: then `inner` alone decides what is divided.
 */
function nest(
  index: Index,
  by: number,
): { factor: number; inner: Index; small: Index } | undefined {
  const factors = index.terms.map(({ coefficient }) =>
    greatestCommonDivisor(coefficient, by)
  );
  for (const factor of [...new Set(factors)].sort((a, b) => b - a)) {
    if (factor === 1 || factor === by) continue;
    const [inner, small] = splitMultiple(index, factor);
    if (small.low >= 0 && small.high < factor) return { factor, inner, small };
  }
  return undefined;
}

/** `floor(index / by)`, simplified. */
export function quotient(index: Index, by: number): Index {
  if (by === 1) return index;
  const [whole, rest] = splitMultiple(index, by);
  if (rest.low >= 0 && rest.high < by) return clampRange(whole, index, by);
  const nested = nest(rest, by);
  if (nested !== undefined) {
    // floor((g*y + s) / (g*b)) = floor(y / b) for 0 <= s < g.
    const inner = quotient(nested.inner, by / nested.factor);
    return linear([[1, whole], [1, inner]]);
  }
  const only = rest.terms.length === 1 && rest.constant === 0
    ? rest.terms[0]!
    : undefined;
  if (
    only?.coefficient === 1 && isDivision(only.atom) &&
    only.atom.kind === "quotient"
  ) {
    const inner = quotient(only.atom.of, only.atom.by * by);
    return linear([[1, whole], [1, inner]]);
  }
  const atom: Division = { kind: "quotient", of: rest, by };
  const [low, high] = atomRange(atom);
  const unit = { terms: [{ atom, coefficient: 1 }], constant: 0, low, high };
  return linear([[1, whole], [1, unit]]);
}

function clampRange(whole: Index, index: Index, by: number): Index {
  return {
    ...whole,
    low: Math.max(whole.low, Math.floor(index.low / by)),
    high: Math.min(whole.high, Math.floor(index.high / by)),
  };
}

/** `index mod by`, never negative, simplified. */
export function remainder(index: Index, by: number): Index {
  if (by === 1) return constantIndex(0);
  const [, rest] = splitMultiple(index, by);
  if (rest.low >= 0 && rest.high < by) return rest;
  if (index.low >= 0 && index.high < by) return index;
  const nested = nest(rest, by);
  if (nested !== undefined) {
    // (g*y + s) mod (g*b) = g * (y mod b) + s for 0 <= s < g.
    const inner = remainder(nested.inner, by / nested.factor);
    return linear([[nested.factor, inner], [1, nested.small]]);
  }
  const only = rest.terms.length === 1 && rest.constant === 0
    ? rest.terms[0]!
    : undefined;
  if (
    only?.coefficient === 1 && isDivision(only.atom) &&
    only.atom.kind === "remainder" && only.atom.by % by === 0
  ) {
    return remainder(only.atom.of, by);
  }
  const atom: Division = { kind: "remainder", of: rest, by };
  return {
    terms: [{ atom, coefficient: 1 }],
    constant: 0,
    low: 0,
    high: by - 1,
  };
}

/** The value of an index, `valueOf` giving each axis its present position. */
export function evaluateIndex(
  index: Index,
  valueOf: (axis: Axis) => number,
): number {
  let sum = index.constant;
  for (const { atom, coefficient } of index.terms) {
    if (!isDivision(atom)) {
      sum += coefficient * valueOf(atom);
      continue;
    }
    const of = evaluateIndex(atom.of, valueOf);
    const floor = Math.floor(of / atom.by);
    sum += coefficient *
      (atom.kind === "quotient" ? floor : of - floor * atom.by);
  }
  return sum;
}

/** The same index with some axes replaced. */
export function substitute(
  index: Index,
  replacement: ReadonlyMap<Axis, Index>,
): Index {
  const parts = index.terms.map(({ atom, coefficient }) => {
    let value: Index;
    if (!isDivision(atom)) value = replacement.get(atom) ?? axisIndex(atom);
    else {
      const of = substitute(atom.of, replacement);
      value = atom.kind === "quotient"
        ? quotient(of, atom.by)
        : remainder(of, atom.by);
    }
    return [coefficient, value] as const;
  });
  const result = linear(parts, index.constant);
  return {
    ...result,
    low: Math.max(result.low, index.low),
    high: Math.min(result.high, index.high),
  };
}

/** All axes that the index depends on. */
export function axesOf(index: Index, found: Set<Axis> = new Set()): Set<Axis> {
  for (const { atom } of index.terms) {
    if (isDivision(atom)) axesOf(atom.of, found);
    else found.add(atom);
  }
  return found;
}

/** Row-major position of one element. */
export function flatten(indices: readonly Index[], shape: Shape): Index {
  const parts: (readonly [number, Index])[] = [];
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    parts.push([stride, indices[axis]!]);
    stride *= shape[axis]!;
  }
  return linear(parts);
}

/** One index an axis from a row-major position. */
export function unflatten(flat: Index, shape: Shape): Index[] {
  const indices = new Array<Index>(shape.length);
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const extent = shape[axis]!;
    indices[axis] = extent === 1 ? constantIndex(0) : remainder(flat, extent);
    flat = quotient(flat, Math.max(extent, 1));
  }
  return indices;
}

/** A movement of elements; each gradient is again made of movements and sums. */
export type Movement =
  /** The same elements in row-major order under another shape. */
  | { readonly kind: "reshape" }
  /** Axis `a` of the result is axis `axes[a]` of the input. */
  | { readonly kind: "permute"; readonly axes: readonly number[] }
  /** Axes of size 1 repeat. */
  | { readonly kind: "expand" }
  /** Element `start + step * i`; a negative step runs backwards. */
  | {
    readonly kind: "slice";
    readonly starts: readonly number[];
    readonly steps: readonly number[];
  }
  /** `low` zeros in front, `interior` between neighbours, the rest behind. */
  | {
    readonly kind: "pad";
    readonly low: readonly number[];
    readonly interior: readonly number[];
  }
  /**
   * Axis `axis` becomes two, `[..., out, size, ...]`, with element
   * `out * stride + k * dilation` of the input at `(out, k)`.
   */
  | {
    readonly kind: "windows";
    readonly axis: number;
    readonly stride: number;
    readonly dilation: number;
  }
  /**
   * The way back: axes `[..., out, size, ...]` become `[..., n, size, ...]`,
   * with the input at `((n - k * dilation) / stride, k)` at `(n, k)`, and 0
   * where that is no whole number in range.
   */
  | {
    readonly kind: "unwindow";
    readonly axis: number;
    readonly stride: number;
    readonly dilation: number;
  };

/** Maps an element of a movement's result to the input's element it shows. */
export function mapIndices(
  movement: Movement,
  indices: readonly Index[],
  inputShape: Shape,
  outputShape: Shape,
): { indices: Index[]; bounds: Bound[] } {
  const bounds: Bound[] = [];
  switch (movement.kind) {
    case "reshape":
      return {
        indices: reshapeIndices(indices, inputShape, outputShape),
        bounds,
      };
    case "permute": {
      const mapped = new Array<Index>(inputShape.length);
      movement.axes.forEach((from, to) => mapped[from] = indices[to]!);
      return { indices: mapped, bounds };
    }
    case "expand":
      return {
        indices: inputShape.map((extent, axis) =>
          extent === 1 ? constantIndex(0) : indices[axis]!
        ),
        bounds,
      };
    case "slice":
      return {
        indices: indices.map((index, axis) =>
          linear([[movement.steps[axis]!, index]], movement.starts[axis]!)
        ),
        bounds,
      };
    case "pad": {
      const mapped = indices.map((index, axis) => {
        const extent = inputShape[axis]!;
        const shifted = linear([[1, index]], -movement.low[axis]!);
        return strided(shifted, movement.interior[axis]! + 1, extent, bounds);
      });
      return { indices: mapped, bounds };
    }
    case "windows": {
      const mapped = [...indices];
      const window = linear([
        [movement.stride, indices[movement.axis]!],
        [movement.dilation, indices[movement.axis + 1]!],
      ]);
      mapped.splice(movement.axis, 2, window);
      return { indices: mapped, bounds };
    }
    case "unwindow": {
      const mapped = [...indices];
      const { axis, stride, dilation } = movement;
      const shifted = linear([
        [1, indices[axis]!],
        [-dilation, indices[axis + 1]!],
      ]);
      mapped[axis] = strided(shifted, stride, inputShape[axis]!, bounds);
      return { indices: mapped, bounds };
    }
    default:
      return movement satisfies never;
  }
}

/** `index / step`, with the bounds under which that is an element. */
function strided(
  index: Index,
  step: number,
  extent: number,
  bounds: Bound[],
): Index {
  if (step > 1) {
    const rest = remainder(index, step);
    if (rest.low !== 0 || rest.high !== 0) {
      bounds.push({ index: rest, low: 0, high: 1 });
    }
  }
  const element = quotient(index, step);
  if (element.low >= 0 && element.high < extent) return element;
  bounds.push({ index: element, low: 0, high: extent });
  // Where the bounds hold nothing else is possible; elsewhere nothing is read.
  return {
    ...element,
    low: Math.max(0, element.low),
    high: Math.max(0, Math.min(extent - 1, element.high)),
  };
}

/** Flattens and splits only the runs of axes that a reshape really changes. */
function reshapeIndices(
  indices: readonly Index[],
  inputShape: Shape,
  outputShape: Shape,
): Index[] {
  if (sizeOf(inputShape) === 0) return inputShape.map(() => constantIndex(0));
  const mapped: Index[] = [];
  let input = 0;
  let output = 0;
  while (input < inputShape.length || output < outputShape.length) {
    const inputStart = input;
    const outputStart = output;
    let inputSize = inputShape[input++] ?? 1;
    let outputSize = outputShape[output++] ?? 1;
    while (inputSize !== outputSize) {
      if (inputSize < outputSize) inputSize *= inputShape[input++]!;
      else outputSize *= outputShape[output++]!;
    }
    const from = inputShape.slice(inputStart, input);
    const run = indices.slice(outputStart, output);
    if (from.length === 1 && run.length === 1) mapped.push(run[0]!);
    else {
      const flat = flatten(run, outputShape.slice(outputStart, output));
      mapped.push(...unflatten(flat, from));
    }
  }
  return mapped;
}
