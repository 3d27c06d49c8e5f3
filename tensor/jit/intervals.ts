/**
 * Intervals of whole numbers inside a loop, as formulas of what is known where
 * it begins.
 *
 * @module
 */

import {
  addBounds,
  type Bound,
  constantBound,
  divideBound,
  extremeBound,
  lengthBound,
  multiplyBounds,
  shiftBound,
  variableBound,
} from "./bound.ts";
import { type Apply, type Expression, isApply, type Variable } from "./ir.ts";
import {
  INT_MAX,
  INT_MIN,
  isExact,
  type NumberValue,
  onlyNumber,
  SAFE,
  type Value,
  within,
} from "./values.ts";

/** Bounds of a whole number; what is missing is not known. */
export interface Interval {
  readonly low: Bound | undefined;
  readonly high: Bound | undefined;
}

/** Of variables that no longer hold what they did where the loop began. */
export type Environment = Map<Variable, Interval>;

/** Nothing is known. */
export const UNKNOWN: Interval = { low: undefined, high: undefined };

/** Numbers up to this are computed in 64 bits. */
const LONG = 2 ** 62;
/** What may be added to a number that may be rounded. */
const SMALL = 2 ** 40;

/** Whether it is whole, and 64 bits hold it. */
export function isLong(value: Value | undefined): boolean {
  return value !== undefined && within(value, -LONG, LONG);
}

/**
 * Whether the bounds of an operation follow from those of what it is given.
 *
 * They are exact where the operation itself is rounded, beyond 2^53. An index
 * in range that is made of such numbers would have to come back from there, and
 * that cannot be where nothing large is taken away.
 */
function isFollowed({ op, args, value }: Apply): boolean {
  if (isExact(value!) && args.every(hasExactValue)) return true;
  const [a, b] = args.map((arg) => arg.value as NumberValue);
  if (!isLong(a) || !isLong(b)) return false;
  switch (op) {
    case "add":
      return a!.lo >= -SMALL && b!.lo >= -SMALL;
    case "sub":
      return a!.lo >= -SMALL && b!.hi <= SMALL;
    case "mul":
      return a!.lo >= 0 && b!.lo >= 0;
    default:
      return false;
  }
}

/** What a variable holds. */
export function valueOf(variable: Variable, env: Environment): Interval {
  const known = env.get(variable);
  if (known) return known;
  const { value } = variable;
  if (!isLong(value)) return UNKNOWN;
  const { lo, hi } = value as NumberValue;
  const bound = variableBound(variable, Math.max(-lo, hi));
  return { low: bound, high: bound };
}

/** Bounds of a whole number. */
export function intervalOf(x: Expression, env: Environment): Interval {
  const { value } = x;
  if (!isLong(value)) return UNKNOWN;
  const { low, high } = formulas(x, env);
  const { lo, hi } = value as NumberValue;
  return { low: low ?? constantBound(lo), high: high ?? constantBound(hi) };
}

function formulas(x: Expression, env: Environment): Interval {
  switch (x.op) {
    case "constant": {
      const bound = constantBound(Number(x.constant));
      return { low: bound, high: bound };
    }
    case "get":
      return valueOf(x.variable, env);
    case "length": {
      const bound = lengthBound(x.array);
      return { low: bound, high: bound };
    }
    case "load":
      return UNKNOWN;
  }
  return isApply(x) ? formulasOf(x, env) : x satisfies never;
}

function formulasOf(x: Apply, env: Environment): Interval {
  const { op, args } = x;
  const [first, second] = args;
  const [a, b, c] = args.map((arg) => intervalOf(arg, env)) as [
    Interval,
    Interval,
    Interval,
  ];
  const by = second?.value && onlyNumber(second.value);
  switch (op) {
    case "add":
    case "sub": {
      if (!isFollowed(x)) return UNKNOWN;
      const [low, high] = op === "add" ? [b.low, b.high] : [b.high, b.low];
      return {
        low: addBounds(op, a.low, low),
        high: addBounds(op, a.high, high),
      };
    }
    case "mul":
      if (!isFollowed(x) || !args.every(isPositive)) return UNKNOWN;
      return { low: undefined, high: multiplyBounds(a.high, b.high) };
    case "min":
    case "max":
      if (!args.every(hasExactValue)) return UNKNOWN;
      return {
        low: extremeBound(op, a.low, b.low),
        high: extremeBound(op, a.high, b.high),
      };
    case "select":
      if (!args.slice(1).every(hasExactValue)) return UNKNOWN;
      return {
        low: extremeBound("min", b.low, c.low),
        high: extremeBound("max", b.high, c.high),
      };
    case "number":
      return hasExactValue(first!) ? a : UNKNOWN;
    case "rem":
      if (!args.every(isPositive) || !args.every(hasExactValue)) return UNKNOWN;
      return { low: undefined, high: shiftBound(b.high, -1) };
    case "shr":
      if (by === undefined || by < 0 || by > 31) return UNKNOWN;
      if (!within(first!.value!, INT_MIN, INT_MAX)) return UNKNOWN;
      return {
        low: divideBound(a.low, 2 ** by),
        high: divideBound(a.high, 2 ** by),
      };
    case "bitor": // x | 0
      return by === 0 ? roundedDown(first!, env, INT_MAX) : UNKNOWN;
    case "floor":
    case "trunc":
      return roundedDown(first!, env, SAFE);
    default:
      return UNKNOWN;
  }
}

function hasExactValue({ value }: Expression): boolean {
  return isExact(value!);
}

function isPositive({ value }: Expression): boolean {
  return within(value!, 0, Infinity);
}

/** Of what lies between 0 and a limit: itself, or a quotient. */
function roundedDown(
  x: Expression,
  env: Environment,
  limit: number,
): Interval {
  const { lo, hi, nan } = x.value as NumberValue;
  if (nan || lo < 0 || hi > limit) return UNKNOWN;
  if (hasExactValue(x)) return intervalOf(x, env);
  if (!isApply(x) || x.op !== "div") return UNKNOWN;
  const [a, b] = x.args;
  const divisor = onlyNumber(b!.value!);
  if (divisor === undefined || divisor < 1 || !hasExactValue(a!)) {
    return UNKNOWN;
  }
  const { low, high } = intervalOf(a!, env);
  return { low: divideBound(low, divisor), high: divideBound(high, divisor) };
}

/** What either path leaves. */
export function merge(
  a: Environment | undefined,
  b: Environment | undefined,
): Environment | undefined {
  if (!a || !b) return a ?? b;
  const both: Environment = new Map();
  for (const variable of new Set([...a.keys(), ...b.keys()])) {
    const [p, q] = [valueOf(variable, a), valueOf(variable, b)];
    both.set(variable, {
      low: extremeBound("min", p.low, q.low),
      high: extremeBound("max", p.high, q.high),
    });
  }
  return both;
}

/** What holds where a condition is true, or false. */
export function refined(
  env: Environment,
  test: Expression,
  truth: boolean,
): Environment {
  const next: Environment = new Map(env);
  refine(next, test, truth);
  return next;
}

function refine(env: Environment, test: Expression, truth: boolean): void {
  if (!isApply(test)) return;
  const [a, b] = test.args;
  switch (test.op) {
    case "not":
      return refine(env, a!, !truth);
    case "and":
    case "or":
      if (truth !== (test.op === "and")) return;
      refine(env, a!, truth);
      return refine(env, b!, truth);
    case "lt":
    case "le": {
      const strict = (test.op === "lt") === truth;
      return truth
        ? ordered(env, a!, b!, strict)
        : ordered(env, b!, a!, strict);
    }
    case "eq":
    case "ne":
      if (truth !== (test.op === "eq")) return;
      ordered(env, a!, b!, false);
      return ordered(env, b!, a!, false);
  }
}

/** `a < b`, or `a <= b`, of whole numbers. */
function ordered(
  env: Environment,
  a: Expression,
  b: Expression,
  strict: boolean,
): void {
  if (!isLong(a.value) || !isLong(b.value)) return;
  const by = strict ? 1 : 0;
  const { high } = formulas(b, env);
  const { low } = formulas(a, env);
  if (hasExactValue(a)) limit(env, a, "high", shiftBound(high, -by));
  if (hasExactValue(b)) limit(env, b, "low", shiftBound(low, by));
}

/** Bounds the variable in `variable`, or in `variable + constant`. */
function limit(
  env: Environment,
  x: Expression,
  side: "low" | "high",
  bound: Bound | undefined,
): void {
  let target = x;
  let by = 0;
  if (isApply(x) && (x.op === "add" || x.op === "sub")) {
    const constant = onlyNumber(x.args[1]!.value!);
    if (constant === undefined) return;
    target = x.args[0]!;
    by = x.op === "add" ? -constant : constant;
  }
  if (target.op !== "get" || !isExact(target.value!)) return;
  const found = shiftBound(bound, by);
  if (!found) return;
  // What a variable still is where the loop begins needs no bound.
  const known = env.get(target.variable);
  if (!known) return;
  const old = known[side];
  const both = old &&
    extremeBound(side === "high" ? "min" : "max", old, found);
  env.set(target.variable, { ...known, [side]: both ?? found });
}
