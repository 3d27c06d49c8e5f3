/**
 * What operations make of sets of values.
 *
 * @module
 */

import type { Operation } from "./ir.ts";
import {
  ANY,
  ANY_BOOLEAN,
  ANY_INT,
  ANY_UINT,
  booleans,
  type BooleanValue,
  hasInfinity,
  hasZero,
  INT_MAX,
  INT_MIN,
  integers,
  type NumberValue,
  onlyNumber,
  range,
  SAFE,
  type Since,
  UINT_MAX,
  type Value,
  within,
} from "./values.ts";

/** The set of results of an operation on any of these. */
export function transfer(op: Operation, args: readonly Value[]): Value {
  const [first, second] = args;
  if (op === "truthy") return truthy(first!);
  if (op === "not") {
    const { canBeTrue, canBeFalse } = first as BooleanValue;
    return booleans(canBeFalse, canBeTrue);
  }
  if (op === "and" || op === "or") return ANY_BOOLEAN;
  if (first?.kind === "boolean") {
    if (op === "number") {
      return integers(first.canBeFalse ? 0 : 1, first.canBeTrue ? 1 : 0);
    }
    return ANY_BOOLEAN; // eq, ne
  }
  const a = first as NumberValue;
  const b = second as NumberValue;
  switch (op) {
    case "number":
      return a;
    case "add":
      return shifted(add(a, b), a, b, 1);
    case "sub":
      return shifted(add(a, negate(b)), a, b, -1);
    case "mul":
      return multiply(a, b);
    case "div":
      return divide(a, b);
    case "rem":
      return remainder(a, b);
    case "neg":
      return negate(a);
    case "bitnot": {
      const x = toInt32(a);
      return integers(-x.hi - 1, -x.lo - 1);
    }
    case "bitand":
      return bitAnd(toInt32(a), toInt32(b));
    case "bitor": {
      // x | 0 is the way to write a conversion.
      if (onlyNumber(b) === 0) return { ...toInt32(a), ...keepBelow(a) };
      return bitOr(toInt32(a), toInt32(b));
    }
    case "bitxor":
      return bitOr(toInt32(a), toInt32(b));
    case "shl": {
      const [x, by] = [toInt32(a), onlyNumber(b)];
      if (by === undefined) return ANY_INT;
      const factor = 2 ** (by & 31);
      return x.lo * factor >= INT_MIN && x.hi * factor <= INT_MAX
        ? integers(x.lo * factor, x.hi * factor)
        : ANY_INT;
    }
    case "shr": {
      const [x, by] = [toInt32(a), onlyNumber(b)];
      if (by === undefined) {
        return integers(Math.min(x.lo, 0), Math.max(x.hi, 0));
      }
      return integers(x.lo >> by, x.hi >> by);
    }
    case "ushr": {
      const by = onlyNumber(b);
      const x = within(a, 0, UINT_MAX) ? a : ANY_UINT;
      if (by === undefined) return integers(0, x.hi);
      return integers(x.lo >>> by, x.hi >>> by);
    }
    case "imul": {
      const product = multiply(toInt32(a), toInt32(b));
      return product.lo >= INT_MIN && product.hi <= INT_MAX
        ? integers(product.lo, product.hi)
        : ANY_INT;
    }
    case "clz32":
      return integers(0, 32);
    case "abs": {
      const [lo, hi] = a.lo >= 0
        ? [a.lo, a.hi]
        : a.hi <= 0
        ? [-a.hi, -a.lo]
        : [0, Math.max(-a.lo, a.hi)];
      return range(lo + 0, hi + 0, { ...a, minusZero: false });
    }
    case "sqrt":
      return range(Math.sqrt(Math.max(0, a.lo)), Math.sqrt(Math.max(0, a.hi)), {
        nan: a.nan || a.lo < 0,
        minusZero: a.minusZero,
      });
    case "floor":
      return whole(a, Math.floor, false);
    case "ceil":
      return whole(a, Math.ceil, true);
    case "trunc":
      return whole(a, Math.trunc, true);
    case "round":
      return whole(a, Math.round, true);
    case "sign":
      return range(Math.sign(a.lo) + 0, Math.sign(a.hi) + 0, {
        integer: true,
        nan: a.nan,
        minusZero: a.minusZero,
      });
    case "min":
    case "max":
      return extreme(op, a, b);
    case "fround":
      return range(Math.fround(a.lo), Math.fround(a.hi), {
        integer: a.integer,
        nan: a.nan,
        // Small negative numbers underflow to -0.
        minusZero: a.minusZero || (!a.integer && a.lo < 0 && a.hi > -1e-37),
        single: true,
      });
    case "lt":
      return compare(a, b, a.hi < b.lo, a.lo >= b.hi);
    case "le":
      return compare(a, b, a.hi <= b.lo, a.lo > b.hi);
    case "eq":
      return ANY_BOOLEAN;
    case "ne":
      return ANY_BOOLEAN;
    case "isInteger":
    case "isFinite":
      return ANY_BOOLEAN;
    case "sin":
    case "cos":
      return range(-1, 1, { nan: true, minusZero: true });
    case "exp":
    case "cosh":
      return range(0, Infinity, { nan: true });
    case "hypot":
      return range(0, Infinity, { nan: true });
    case "select":
      throw new Error("transfer: select is for the inference");
    default:
      return ANY;
  }
}

function truthy(value: Value): Value {
  if (value.kind === "boolean") return value;
  const { lo, hi, nan } = value;
  return booleans(lo < 0 || hi > 0, nan || hasZero(value));
}

function compare(
  a: NumberValue,
  b: NumberValue,
  always: boolean,
  never: boolean,
): Value {
  const nan = a.nan || b.nan;
  return booleans(!never, nan || !always);
}

/** The int32 that an operand of a bitwise operation becomes. */
function toInt32(a: NumberValue): NumberValue {
  if (within(a, INT_MIN, INT_MAX)) return a;
  // Within int32, fractions and -0 go.
  if (!a.nan && a.lo >= INT_MIN && a.hi <= INT_MAX) {
    return integers(Math.trunc(a.lo) + 0, Math.trunc(a.hi) + 0);
  }
  return ANY_INT;
}

function keepBelow(a: NumberValue): Partial<NumberValue> {
  return within(a, INT_MIN, INT_MAX) && a.below ? { below: a.below } : {};
}

function add(a: NumberValue, b: NumberValue): NumberValue {
  const [lo, hi] = [a.lo + b.lo, a.hi + b.hi];
  const opposite = (a.hi === Infinity && b.lo === -Infinity) ||
    (a.lo === -Infinity && b.hi === Infinity);
  return range(
    Number.isNaN(lo) ? -Infinity : lo,
    Number.isNaN(hi) ? Infinity : hi,
    {
      integer: a.integer && b.integer,
      nan: a.nan || b.nan || opposite,
      minusZero: a.minusZero && b.minusZero,
    },
  );
}

function negate(a: NumberValue): NumberValue {
  // -0 in, and with it 0 out, is covered by the interval.
  return range(-a.hi + 0, -a.lo + 0, {
    ...a,
    minusZero: hasZero(a),
  });
}

/** A sum keeps what is known of a variable that something known is added to. */
function shifted(
  sum: NumberValue,
  a: NumberValue,
  b: NumberValue,
  sign: 1 | -1,
): NumberValue {
  if (!within(sum, -SAFE, SAFE)) return sum;
  const by = (value: NumberValue, s: 1 | -1) =>
    s === 1 ? [value.lo, value.hi] as const : [-value.hi, -value.lo] as const;
  const [lo, hi] = by(b, sign);
  const since = a.since
    ? moved(a.since, lo, hi)
    : b.since && sign === 1
    ? moved(b.since, a.lo, a.hi)
    : undefined;
  const below = a.below
    ? movedBelow(a.below, hi)
    : b.below && sign === 1
    ? movedBelow(b.below, a.hi)
    : undefined;
  return { ...sum, ...since && { since }, ...below && { below } };
}

function moved(since: Since, lo: number, hi: number): Since {
  return { ...since, lo: since.lo + lo, hi: since.hi + hi };
}

function movedBelow(
  below: NonNullable<NumberValue["below"]>,
  by: number,
): NumberValue["below"] {
  return new Map([...below].map(([array, k]) => [array, k + by]));
}

/** 0 times Infinity is a NaN of its own, and no bound. */
function times(a: number, b: number): number {
  return a === 0 || b === 0 ? 0 : a * b;
}

function multiply(a: NumberValue, b: NumberValue): NumberValue {
  const corners = [
    times(a.lo, b.lo),
    times(a.lo, b.hi),
    times(a.hi, b.lo),
    times(a.hi, b.hi),
  ];
  const negative = (a.lo < 0 && b.hi >= 0) || (a.hi >= 0 && b.lo < 0);
  const integer = a.integer && b.integer;
  return range(Math.min(...corners) + 0, Math.max(...corners) + 0, {
    integer,
    nan: a.nan || b.nan || (hasZero(a) && hasInfinity(b)) ||
      (hasZero(b) && hasInfinity(a)),
    minusZero: a.minusZero || b.minusZero ||
      // Also by underflow, if it is not of whole numbers.
      (negative && (!integer || hasZero(a) || hasZero(b))),
  });
}

function divide(a: NumberValue, b: NumberValue): NumberValue {
  // Around 0 quotients have no bounds, even if 0 itself is not there.
  if ((b.lo <= 0 && b.hi >= 0) || b.lo > b.hi || a.lo > a.hi) {
    return range(-Infinity, Infinity, { nan: true, minusZero: true });
  }
  const corners = [a.lo / b.lo, a.lo / b.hi, a.hi / b.lo, a.hi / b.hi];
  if (corners.some(Number.isNaN)) return { ...ANY, nan: true };
  const positive = b.lo > 0 && b.hi < Infinity;
  return range(Math.min(...corners) + 0, Math.max(...corners) + 0, {
    nan: a.nan || b.nan || (hasInfinity(a) && hasInfinity(b)),
    // By underflow too, but not of whole numbers by less than 2^1000.
    minusZero: a.minusZero || b.minusZero || !positive ||
      (a.lo < 0 && !(a.integer && b.hi < 2 ** 1000)),
  });
}

function remainder(a: NumberValue, b: NumberValue): NumberValue {
  const integer = a.integer && b.integer;
  const largest = Math.max(Math.abs(b.lo), Math.abs(b.hi));
  const most = integer ? largest - 1 : largest;
  const hi = Math.max(0, Math.min(a.hi, most));
  const lo = Math.min(0, Math.max(a.lo, -most));
  return range(lo + 0, hi + 0, {
    integer,
    nan: a.nan || b.nan || hasZero(b) || hasInfinity(a) || a.lo > a.hi ||
      b.lo > b.hi,
    minusZero: a.minusZero || a.lo < 0,
  });
}

function bitAnd(a: NumberValue, b: NumberValue): NumberValue {
  if (a.lo >= 0 && b.lo >= 0) return integers(0, Math.min(a.hi, b.hi));
  if (a.lo >= 0) return integers(0, a.hi);
  if (b.lo >= 0) return integers(0, b.hi);
  return ANY_INT;
}

function bitOr(a: NumberValue, b: NumberValue): NumberValue {
  if (a.lo < 0 || b.lo < 0) return ANY_INT;
  const bits = 32 - Math.clz32(Math.max(a.hi, b.hi));
  return integers(0, 2 ** bits - 1);
}

function whole(
  a: NumberValue,
  f: (x: number) => number,
  toMinusZero: boolean,
): NumberValue {
  return {
    ...range(f(a.lo) + 0, f(a.hi) + 0, {
      ...a,
      integer: true,
      minusZero: a.minusZero ||
        (toMinusZero && !a.integer && a.lo < 0 && a.hi > -1),
    }),
    // What is whole stays what it was.
    ...a.integer && a.below && { below: a.below },
  };
}

function extreme(
  op: "min" | "max",
  a: NumberValue,
  b: NumberValue,
): NumberValue {
  const f = Math[op];
  const below = op === "min" ? a.below ?? b.below : undefined;
  return {
    ...range(f(a.lo, b.lo), f(a.hi, b.hi), {
      integer: a.integer && b.integer,
      nan: a.nan || b.nan,
      minusZero: a.minusZero || b.minusZero,
      single: a.single && b.single,
    }),
    ...below && a.integer && b.integer && !a.nan && !b.nan && { below },
  };
}
