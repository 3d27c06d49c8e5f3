/**
 * What is compiled of the global objects `Math` and `Number`.
 *
 * @module
 */

import type * as tree from "acorn";
import { type Expression, HOST_FUNCTIONS, type Operation } from "./ir.ts";
import { lowerNumbers, takes } from "./lower_call.ts";
import type { Builtin, Lowering } from "./lowering.ts";

/** How many arguments the functions of `Math` take that are instructions. */
const MATH_INSTRUCTIONS = {
  abs: 1,
  sqrt: 1,
  floor: 1,
  ceil: 1,
  trunc: 1,
  round: 1,
  sign: 1,
  fround: 1,
  clz32: 1,
  imul: 2,
} as const;

const MATH_FUNCTIONS: ReadonlyMap<string, number> = new Map([
  ...Object.entries(MATH_INSTRUCTIONS),
  ...Object.entries(HOST_FUNCTIONS),
]);

const CONSTANTS = {
  Math: [
    "E",
    "LN10",
    "LN2",
    "LOG10E",
    "LOG2E",
    "PI",
    "SQRT1_2",
    "SQRT2",
  ],
  Number: [
    "EPSILON",
    "MAX_SAFE_INTEGER",
    "MAX_VALUE",
    "MIN_SAFE_INTEGER",
    "MIN_VALUE",
    "NaN",
    "NEGATIVE_INFINITY",
    "POSITIVE_INFINITY",
  ],
} as const;

const PREDICATES = ["isNaN", "isFinite", "isInteger", "isSafeInteger"];

/** What to write instead of functions that are not compiled. */
const INSTEAD: ReadonlyMap<string, string> = new Map([
  [
    "Math.random",
    "it has no seed: pass a Random as an argument and call its next()",
  ],
  ["Math.f16round", "round to float32, with Math.fround"],
  ["Math.sumPrecise", "add up in a loop"],
  ["Number.parseFloat", "all values are numbers: leave it out"],
  ["Number.parseInt", "all values are numbers: use Math.trunc"],
]);

/** Whether a name that nobody declared is that of one of the two objects. */
export function isBuiltinObject(name: string): name is Builtin["object"] {
  return name === "Math" || name === "Number";
}

/** Which of them a native function is. */
export function builtinOf(value: unknown): Builtin | undefined {
  for (const object of ["Math", "Number"] as const) {
    const from: object = object === "Math" ? Math : Number;
    for (const name of Object.getOwnPropertyNames(from)) {
      if (Reflect.get(from, name) !== value || !isFunction(object, name)) {
        continue;
      }
      return { kind: "builtin", object, name };
    }
  }
  return undefined;
}

function isFunction(object: Builtin["object"], name: string): boolean {
  return object === "Number"
    ? PREDICATES.includes(name)
    : MATH_FUNCTIONS.has(name) || name === "min" || name === "max";
}

/** A constant; undefined if it is none, but a function that is compiled. */
export function builtinConstant(
  l: Lowering,
  node: tree.Node,
  { object, name }: Omit<Builtin, "kind">,
): number | undefined {
  const constants: readonly string[] = CONSTANTS[object];
  if (constants.includes(name)) {
    return object === "Math"
      ? Math[name as (typeof CONSTANTS)["Math"][number]]
      : Number[name as (typeof CONSTANTS)["Number"][number]];
  }
  if (isFunction(object, name)) return undefined;
  return refuse(l, node, { object, name });
}

function refuse(
  l: Lowering,
  node: tree.Node,
  { object, name }: Omit<Builtin, "kind">,
): never {
  const full = `${object}.${name}`;
  const instead = INSTEAD.get(full) ?? "compute it otherwise";
  l.refuse(node, `${full} is not compiled: ${instead}`);
}

/** A call of a function of one of the two objects. */
export function callBuiltin(
  l: Lowering,
  node: tree.CallExpression,
  { object, name }: Omit<Builtin, "kind">,
): Expression {
  if (!isFunction(object, name)) refuse(l, node, { object, name });
  if (object === "Number") {
    takes(l, node, `Number.${name}`, 1);
    return callPredicate(l, node, name);
  }
  if (name === "min" || name === "max") {
    const start = l.constant(node, name === "min" ? Infinity : -Infinity);
    const args = lowerNumbers(l, node.arguments);
    if (args.length === 0) return start;
    return args.slice(1).reduce(
      (a, b) => l.apply(node, name, [a, b]),
      args.length === 1 ? l.apply(node, "number", args) : args[0]!,
    );
  }
  if (name === "hypot") {
    const args = lowerNumbers(l, node.arguments);
    if (args.length === 0) return l.constant(node, 0);
    return l.apply(node, args.length === 1 ? "abs" : "hypot", args);
  }
  takes(l, node, `Math.${name}`, MATH_FUNCTIONS.get(name)!);
  return l.apply(node, name as Operation, lowerNumbers(l, node.arguments));
}

/** `Number.isNaN(x)` and its like, of one argument. */
export function callPredicate(
  l: Lowering,
  node: tree.CallExpression,
  name: string,
): Expression {
  const [argument] = lowerNumbers(l, node.arguments);
  switch (name) {
    case "isNaN": {
      const held = l.hold(node, argument!);
      return l.apply(node, "ne", [held, held]);
    }
    case "isSafeInteger": {
      const held = l.hold(node, argument!);
      const most = l.constant(node, Number.MAX_SAFE_INTEGER);
      const size = l.apply(node, "abs", [held]);
      return l.apply(node, "and", [
        l.apply(node, "isInteger", [held]),
        l.apply(node, "le", [size, most]),
      ]);
    }
    default:
      return l.apply(node, name as "isFinite" | "isInteger", [argument!]);
  }
}
