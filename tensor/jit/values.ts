/**
 * What a value can be: intervals of numbers, with what else matters for the
 * choice of a machine type.
 *
 * @module
 */

import type { ArrayVariable } from "./ir.ts";

/** A set of numbers. */
export interface NumberValue {
  readonly kind: "number";
  /** Bounds of all but NaN; `lo > hi` if it can only be NaN. */
  readonly lo: number;
  readonly hi: number;
  /** Whether all but NaN and the infinities are whole. */
  readonly integer: boolean;
  /** Whether NaN is in it. */
  readonly nan: boolean;
  /** Whether -0 is in it. */
  readonly minusZero: boolean;
  /** Whether all of it is exact in float32. */
  readonly single: boolean;
  /** Whether 0 and -0 are not in it though the bounds are around them. */
  readonly nonZero?: boolean;
  /** For some arrays a number `k`: the value is at most `length + k`. */
  readonly below?: ReadonlyMap<ArrayVariable, number>;
  /** How far it is from what a variable held at the head of a loop. */
  readonly since?: Since;
}

/** `variable at the head + [lo, hi]`, where `head` names the loop. */
export interface Since {
  readonly head: object;
  readonly variable: number;
  readonly lo: number;
  readonly hi: number;
}

/** A set of booleans. */
export interface BooleanValue {
  readonly kind: "boolean";
  readonly canBeTrue: boolean;
  readonly canBeFalse: boolean;
}

/** What an expression can be. */
export type Value = NumberValue | BooleanValue;

/** Most of int32, least of int32, most of uint32, the last exact integer. */
export const INT_MAX = 2147483647;
export const INT_MIN = -2147483648;
export const UINT_MAX = 4294967295;
export const SAFE = Number.MAX_SAFE_INTEGER;
/** Whole numbers up to this are exact in float32. */
const SINGLE_SAFE = 2 ** 24;

/** What is not said is the least: no NaN, no -0. */
interface More {
  readonly integer?: boolean;
  readonly nan?: boolean;
  readonly minusZero?: boolean;
  readonly single?: boolean;
}

/** Numbers from `lo` to `hi`. */
export function range(lo: number, hi: number, more: More = {}): NumberValue {
  const { integer = false, nan = false, minusZero = false } = more;
  const single = more.single ||
    (integer && lo >= -SINGLE_SAFE && hi <= SINGLE_SAFE);
  return { kind: "number", lo, hi, integer, nan, minusZero, single };
}

/** Whole numbers from `lo` to `hi`, without -0. */
export function integers(lo: number, hi: number): NumberValue {
  return range(lo, hi, { integer: true });
}

/** Any number. */
export const ANY: NumberValue = range(-Infinity, Infinity, {
  nan: true,
  minusZero: true,
});
/** Any float32. */
export const ANY_SINGLE: NumberValue = { ...ANY, single: true };
/** Any int32. */
export const ANY_INT: NumberValue = integers(INT_MIN, INT_MAX);
/** Any uint32. */
export const ANY_UINT: NumberValue = integers(0, UINT_MAX);
/** Either boolean. */
export const ANY_BOOLEAN: BooleanValue = booleans(true, true);

/** The booleans that are allowed. */
export function booleans(
  canBeTrue: boolean,
  canBeFalse: boolean,
): BooleanValue {
  return { kind: "boolean", canBeTrue, canBeFalse };
}

/** Just one. */
export function constantValue(constant: number | boolean): Value {
  if (typeof constant === "boolean") return booleans(constant, !constant);
  if (Number.isNaN(constant)) {
    return range(Infinity, -Infinity, { nan: true, single: true });
  }
  return range(constant, constant, {
    integer: Number.isInteger(constant),
    minusZero: Object.is(constant, -0),
    single: Math.fround(constant) === constant,
  });
}

/** The only number that it can be. */
export function onlyNumber(value: Value): number | undefined {
  if (value.kind !== "number" || value.nan || value.lo !== value.hi) return;
  if (value.lo !== 0) return value.lo;
  // It can be 0, -0 or either: only the first is known.
  return value.minusZero ? undefined : 0;
}

/** Whether 0 or -0 is in it. */
export function hasZero({ lo, hi, nonZero }: NumberValue): boolean {
  return lo <= 0 && hi >= 0 && !nonZero;
}

/** Whether an infinity is in it. */
export function hasInfinity({ lo, hi }: NumberValue): boolean {
  return lo === -Infinity || hi === Infinity;
}

/** Whether all of it is whole, is no -0 and lies within bounds. */
export function within(value: Value, lo: number, hi: number): boolean {
  return value.kind === "number" && value.integer && !value.nan &&
    !value.minusZero && value.lo >= lo && value.hi <= hi;
}

/** Whether it can be held in 32 bits, signed or unsigned. */
export function fitsInt(value: Value): boolean {
  return within(value, INT_MIN, INT_MAX) || within(value, 0, UINT_MAX);
}

/** Whether it is whole and exact, with NaN and -0 left out. */
export function isExact(value: Value): boolean {
  return within(value, -SAFE, SAFE);
}

/** What is in either; undefined for a number and a boolean. */
export function join(a: Value, b: Value): Value | undefined {
  if (a === b) return a;
  if (a.kind === "boolean" && b.kind === "boolean") {
    return booleans(a.canBeTrue || b.canBeTrue, a.canBeFalse || b.canBeFalse);
  }
  if (a.kind === "boolean" || b.kind === "boolean") return undefined;
  const below = joinBelow(a, b);
  const since = joinSince(a, b);
  return {
    kind: "number",
    lo: Math.min(a.lo, b.lo),
    hi: Math.max(a.hi, b.hi),
    integer: a.integer && b.integer,
    nan: a.nan || b.nan,
    minusZero: a.minusZero || b.minusZero,
    single: a.single && b.single,
    ...!hasZero(a) && !hasZero(b) && { nonZero: true },
    ...below && { below },
    ...since && { since },
  };
}

function joinBelow(
  a: NumberValue,
  b: NumberValue,
): NumberValue["below"] | undefined {
  if (!a.below || !b.below) return undefined;
  const both = new Map<ArrayVariable, number>();
  for (const [array, k] of a.below) {
    const other = b.below.get(array);
    if (other !== undefined) both.set(array, Math.max(k, other));
  }
  return both.size > 0 ? both : undefined;
}

function joinSince(a: NumberValue, b: NumberValue): Since | undefined {
  const [x, y] = [a.since, b.since];
  if (!x || !y || x.head !== y.head || x.variable !== y.variable) return;
  return { ...x, lo: Math.min(x.lo, y.lo), hi: Math.max(x.hi, y.hi) };
}

/** Whether both are the same set. */
export function sameValue(a: Value, b: Value): boolean {
  if (a === b) return true;
  if (a.kind === "boolean" || b.kind === "boolean") {
    return a.kind === "boolean" && b.kind === "boolean" &&
      a.canBeTrue === b.canBeTrue && a.canBeFalse === b.canBeFalse;
  }
  return a.lo === b.lo && a.hi === b.hi && a.integer === b.integer &&
    a.nan === b.nan && a.minusZero === b.minusZero && a.single === b.single &&
    hasZero(a) === hasZero(b) &&
    sameBelow(a.below, b.below);
}

function sameBelow(a: NumberValue["below"], b: NumberValue["below"]): boolean {
  if (a === b) return true;
  if (a?.size !== b?.size) return false;
  for (const [array, k] of a ?? []) if (b!.get(array) !== k) return false;
  return true;
}

const STEPS = [0, INT_MAX, UINT_MAX, SAFE, Infinity];

/**
 * The later of two sets, made larger so that a loop's come to an end: a bound
 * that moves jumps to the next one that matters.
 */
export function widen(before: Value, after: Value): Value {
  if (before.kind === "boolean" || after.kind === "boolean") return after;
  const lo = after.lo < before.lo
    ? [0, INT_MIN, -SAFE, -Infinity].find((step) => step <= after.lo)!
    : after.lo;
  const hi = after.hi > before.hi
    ? STEPS.find((step) => step >= after.hi)!
    : after.hi;
  const { below: _, since: __, ...rest } = after;
  const kept = new Map(
    [...after.below ?? []].filter(([array, k]) =>
      before.below?.get(array) === k
    ),
  );
  const single = after.single && (!after.integer || hi <= SINGLE_SAFE) &&
    before.single;
  return { ...rest, lo, hi, single, ...kept.size > 0 && { below: kept } };
}

/** The same numbers, without what is known about arrays and loops. */
export function plain(value: Value): Value {
  if (value.kind === "boolean") return value;
  const { below: _, since: __, ...rest } = value;
  return rest;
}
