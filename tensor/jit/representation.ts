/**
 * Which machine type holds a value: the narrowest that is exact.
 *
 * @module
 */

import type {
  ArrayElement,
  Expression,
  FunctionIr,
  ProgramIr,
  Variable,
} from "./ir.ts";
import { isApply } from "./ir.ts";
import { walkExpressions, walkStatements } from "./walk.ts";
import {
  fitsInt,
  INT_MAX,
  INT_MIN,
  join,
  type Value,
  within,
} from "./values.ts";

/** How a value is held. An `u32` lies in the bits of an i32. */
export type Representation = "bool" | "i32" | "u32" | "f32" | "f64";

/** What computes an expression without a conversion. */
export type Natural = "bool" | "int" | "f32" | "f64";

/** The narrowest representation that holds all of a value. */
export function representationOf(value: Value): Representation {
  if (value.kind === "boolean") return "bool";
  if (within(value, INT_MIN, INT_MAX)) return "i32";
  if (fitsInt(value)) return "u32";
  return value.single ? "f32" : "f64";
}

/** Sets the value of every variable to all that is ever assigned to it. */
export function gatherVariables({ functions }: ProgramIr): void {
  const add = (variable: Variable, value: Value | undefined) => {
    if (!value) return; // never reached
    variable.value = variable.value ? join(variable.value, value)! : value;
  };
  for (const { body } of functions) {
    walkStatements(body, (s) => {
      if (s.op === "set") add(s.variable, s.value);
      else if (s.op === "draw") add(s.result, s.value);
      else if (s.op === "call" && s.result) add(s.result, s.target.result);
    });
  }
}

/** Whether a function has a loop: then one call of it may take long. */
export function hasLoop({ body }: FunctionIr): boolean {
  let found = false;
  walkStatements(body, ({ op }) => found ||= op === "loop");
  return found;
}

/** How many elements are read and written, by the text. */
export function countAccesses({ body }: FunctionIr): number {
  let count = 0;
  walkStatements(body, ({ op }) => count += op === "store" ? 1 : 0);
  walkExpressions(body, ({ op }) => count += op === "load" ? 1 : 0);
  return count;
}

/** What an element is when it is loaded. */
export function naturalOfElement(element: ArrayElement): Natural {
  return element === "f64" || element === "f32" ? element : "int";
}

const naturals = new WeakMap<Expression, Natural>();

/** What computes an expression of which the values are inferred. */
export function naturalOf(x: Expression): Natural {
  let natural = naturals.get(x);
  if (!natural) naturals.set(x, natural = findNatural(x));
  return natural;
}

function findNatural(x: Expression): Natural {
  const value = x.value!;
  switch (x.op) {
    case "constant":
      return typeof x.constant === "boolean"
        ? "bool"
        : fitsInt(value)
        ? "int"
        : "f64";
    case "get": {
      const held = representationOf(x.variable.value!);
      return held === "i32" || held === "u32" ? "int" : held;
    }
    case "load":
      return naturalOfElement(x.array.element);
    case "length":
      return "int";
  }
  if (!isApply(x)) return x satisfies never;
  if (value.kind === "boolean") return "bool";
  const of = (kind: Natural, from = 0) =>
    x.args.slice(from).every((arg) => naturalOf(arg) === kind);
  switch (x.op) {
    case "select":
      return fitsInt(value) && of("int", 1)
        ? "int"
        : x.args.slice(1).every(isSingle)
        ? "f32"
        : "f64";
    case "add":
    case "sub":
    case "mul":
    case "neg":
    case "rem":
    case "abs":
    case "min":
    case "max":
    case "sign":
    case "floor":
    case "ceil":
    case "trunc":
      if (fitsInt(value) && of("int")) return "int";
      // These are exact in float32 if what they are given is.
      return ["neg", "abs", "min", "max", "floor", "ceil", "trunc"]
          .includes(x.op) && x.args.every(isSingle)
        ? "f32"
        : "f64";
    case "round":
      return fitsInt(value) && of("int") ? "int" : "f64";
    case "number":
      return naturalOf(x.args[0]!) === "bool" ? "int" : naturalOf(x.args[0]!);
    case "bitand":
    case "bitor":
    case "bitxor":
    case "bitnot":
    case "shl":
    case "shr":
    case "ushr":
    case "imul":
    case "clz32":
      return "int";
    case "fround":
      return "f32";
    default:
      return "f64";
  }
}

/** Whether an expression is held as f32, or is a constant that can be. */
function isSingle(x: Expression): boolean {
  return naturalOf(x) === "f32" || (x.op === "constant" &&
    x.value?.kind === "number" && x.value.single);
}
