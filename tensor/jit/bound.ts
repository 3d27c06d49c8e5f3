/**
 * Bounds of whole numbers, as formulas of what is known where a loop begins.
 *
 * @module
 */

import type { ArrayVariable, Variable } from "./ir.ts";
import { SAFE } from "./values.ts";

/** Operations that bounds are made with. */
export type BoundOperation = "add" | "sub" | "mul" | "min" | "max";

/** What a bound is made of. */
export type BoundTerm =
  | { readonly op: "get"; readonly variable: Variable }
  | { readonly op: "length"; readonly array: ArrayVariable }
  | {
    readonly op: BoundOperation;
    readonly args: readonly [Bound, Bound];
  }
  /** Divided and rounded down. */
  | { readonly op: "quotient"; readonly of: Bound; readonly divisor: number };

/** `term + plus`, or only `plus`. */
export interface Bound {
  readonly term: BoundTerm | undefined;
  readonly plus: number;
  /** Equal terms have equal keys. */
  readonly key: string;
  /** It is at most so far from 0. */
  readonly size: number;
  /** How many operations it takes. */
  readonly cost: number;
}

/** What costs more does not pay. */
const MOST_COST = 16;

/** They are computed in 64 bits. */
const MOST_SIZE = 2 ** 62;

/** A whole number. */
export function constantBound(plus: number): Bound | undefined {
  return Math.abs(plus) <= SAFE
    ? { term: undefined, plus, key: "", size: Math.abs(plus), cost: 0 }
    : undefined;
}

/** What a variable holds where the loop begins: a whole number. */
export function variableBound(variable: Variable, size: number): Bound {
  const term = { op: "get", variable } as const;
  return { term, plus: 0, key: `v${variable.id}`, size, cost: 1 };
}

/** How many elements an array has. */
export function lengthBound(array: ArrayVariable): Bound {
  const term = { op: "length", array } as const;
  return { term, plus: 0, key: `l${array.id}`, size: 2 ** 31, cost: 1 };
}

/** A bound with a number added. */
export function shiftBound(
  bound: Bound | undefined,
  by: number,
): Bound | undefined {
  const plus = bound && bound.plus + by;
  if (plus === undefined || Math.abs(plus) > SAFE) return undefined;
  const size = bound!.size + Math.abs(by);
  return size > MOST_SIZE ? undefined : { ...bound!, plus, size };
}

/** A sum or a difference. */
export function addBounds(
  op: "add" | "sub",
  a: Bound | undefined,
  b: Bound | undefined,
): Bound | undefined {
  if (!a || !b) return undefined;
  const sign = op === "add" ? 1 : -1;
  if (!b.term) return shiftBound(a, sign * b.plus);
  if (!a.term && op === "add") return shiftBound(b, a.plus);
  if (a.key === b.key && op === "sub") return constantBound(a.plus - b.plus);
  const sum = operation(op, bare(a), bare(b), a.size + b.size);
  return shiftBound(sum, a.plus + sign * b.plus);
}

/** A product. */
export function multiplyBounds(
  a: Bound | undefined,
  b: Bound | undefined,
): Bound | undefined {
  if (!a || !b) return undefined;
  if (!a.term && !b.term) return constantBound(a.plus * b.plus);
  return operation("mul", a, b, a.size * b.size);
}

/** Divided by a number and rounded down. */
export function divideBound(
  of: Bound | undefined,
  divisor: number,
): Bound | undefined {
  if (!of || of.size > SAFE || of.cost >= MOST_COST) return undefined;
  if (!of.term) return constantBound(Math.floor(of.plus / divisor));
  return {
    term: { op: "quotient", of, divisor },
    plus: 0,
    key: `(${textOf(of)}/${divisor})`,
    size: of.size + 1,
    cost: of.cost + 2,
  };
}

/** The lesser, or the larger, of two. */
export function extremeBound(
  op: "min" | "max",
  a: Bound | undefined,
  b: Bound | undefined,
): Bound | undefined {
  if (!a || !b) return undefined;
  if (a.key === b.key) return { ...a, plus: Math[op](a.plus, b.plus) };
  return operation(op, a, b, Math.max(a.size, b.size));
}

function bare(bound: Bound): Bound {
  return { ...bound, plus: 0 };
}

function operation(
  op: BoundOperation,
  a: Bound,
  b: Bound,
  size: number,
): Bound | undefined {
  const cost = a.cost + b.cost + 1;
  if (cost > MOST_COST || size > MOST_SIZE) return undefined;
  const key = `(${textOf(a)} ${op} ${textOf(b)})`;
  return { term: { op, args: [a, b] }, plus: 0, key, size, cost };
}

function textOf({ key, plus }: Bound): string {
  return `${key}+${plus}`;
}
