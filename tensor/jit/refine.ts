/**
 * What a condition says about variables.
 *
 * @module
 */

import type { Environment } from "./infer.ts";
import { type Expression, isApply } from "./ir.ts";
import { type NumberValue, onlyNumber, SAFE, within } from "./values.ts";

/**
 * What holds where a condition is true, or false; undefined if it never is.
 * The values of its expressions must have been inferred there.
 */
export function refine(
  env: Environment,
  test: Expression,
  truth: boolean,
): Environment | undefined {
  if (!isApply(test)) return env;
  const [a, b] = test.args;
  switch (test.op) {
    case "not":
      return refine(env, a!, !truth);
    case "and":
    case "or": {
      // One of both is known; of the other case nothing can be said.
      if (truth !== (test.op === "and")) return env;
      const first = refine(env, a!, truth);
      return first && refine(first, b!, truth);
    }
    case "lt":
    case "le": {
      const strict = test.op === "lt";
      if (truth) return ordered(env, a!, b!, strict);
      // Not less is more or equal, unless one is NaN.
      const [x, y] = [a!.value as NumberValue, b!.value as NumberValue];
      return x.nan || y.nan ? env : ordered(env, b!, a!, !strict);
    }
    case "eq":
      return truth ? equal(env, a!, b!) : different(env, a!, b!);
    case "ne":
      return truth ? different(env, a!, b!) : equal(env, a!, b!);
    case "truthy":
      return truth && a!.value?.kind === "number"
        ? limit(env, a!, (value) => ({ ...without(value, 0), nan: false }))
        : env;
    default:
      return env;
  }
}

/** `a < b`, or `a <= b`. */
function ordered(
  env: Environment,
  a: Expression,
  b: Expression,
  strict: boolean,
): Environment | undefined {
  const [low, high] = [a.value as NumberValue, b.value as NumberValue];
  const lower = limit(env, a, (value) => {
    const hi = value.integer
      ? strict ? Math.ceil(high.hi) - 1 : Math.floor(high.hi)
      : high.hi;
    const below = new Map(value.below);
    if (value.integer && high.below) {
      for (const [array, k] of high.below) {
        const known = below.get(array) ?? Infinity;
        below.set(array, Math.min(known, strict ? k - 1 : k));
      }
    }
    return {
      ...value,
      nan: false,
      hi: Math.min(value.hi, hi),
      ...below.size > 0 && { below },
    };
  });
  return lower && limit(lower, b, (value) => {
    const lo = value.integer
      ? strict ? Math.floor(low.lo) + 1 : Math.ceil(low.lo)
      : low.lo;
    return { ...value, nan: false, lo: Math.max(value.lo, lo) };
  });
}

function equal(
  env: Environment,
  a: Expression,
  b: Expression,
): Environment | undefined {
  const [x, y] = [a.value!, b.value!];
  if (x.kind !== "number" || y.kind !== "number") return env;
  const meet = (other: NumberValue) => (value: NumberValue): NumberValue => ({
    ...value,
    nan: false,
    lo: Math.max(value.lo, other.lo),
    hi: Math.min(value.hi, other.hi),
    // 0 equals -0.
    integer: value.integer || other.integer,
  });
  const first = limit(env, a, meet(y));
  return first && limit(first, b, meet(x));
}

function different(
  env: Environment,
  a: Expression,
  b: Expression,
): Environment | undefined {
  const [x, y] = [a.value!, b.value!];
  if (x.kind !== "number" || y.kind !== "number") return env;
  const [p, q] = [onlyNumber(x), onlyNumber(y)];
  if (q !== undefined) return limit(env, a, (value) => without(value, q));
  if (p !== undefined) return limit(env, b, (value) => without(value, p));
  return env;
}

function without(value: NumberValue, number: number): NumberValue {
  const { integer, lo, hi } = value;
  return {
    ...value,
    lo: integer && lo === number ? lo + 1 : lo,
    hi: integer && hi === number ? hi - 1 : hi,
    ...number === 0 && { nonZero: true, minusZero: false },
  };
}

/** Narrows the variable behind `variable`, or `variable + constant`. */
function limit(
  env: Environment,
  x: Expression,
  narrow: (value: NumberValue) => NumberValue,
): Environment | undefined {
  const [variable, by] = variableIn(x);
  const value = variable === undefined ? undefined : env[variable];
  if (value?.kind !== "number") return env;
  let narrowed: NumberValue;
  if (by === 0) narrowed = narrow(value);
  else {
    // Of whole numbers that are exact, with the constant added or without.
    if (!value.integer || !within(x.value!, -SAFE, SAFE)) return env;
    const sum = narrow(x.value as NumberValue);
    const below = sum.below &&
      new Map([...sum.below].map(([array, k]) => [array, k - by]));
    const { below: _, ...rest } = value;
    narrowed = {
      ...rest,
      lo: Math.max(value.lo, sum.lo - by),
      hi: Math.min(value.hi, sum.hi - by),
      ...below && { below },
    };
  }
  if (narrowed.lo > narrowed.hi && !narrowed.nan) return undefined;
  const next = env.slice();
  next[variable!] = narrowed;
  return next;
}

function variableIn(x: Expression): [variable: number | undefined, by: number] {
  if (x.op === "get") return [x.variable.id, 0];
  if (isApply(x) && (x.op === "add" || x.op === "sub")) {
    const [a, b] = x.args;
    const by = b!.value && onlyNumber(b!.value);
    if (a!.op === "get" && by !== undefined) {
      return [a!.variable.id, x.op === "add" ? by : -by];
    }
  }
  return [undefined, 0];
}
