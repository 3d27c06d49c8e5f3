/**
 * Calls: of `Math`, of generators, and of other functions, which are inlined
 * unless they call themselves.
 *
 * @module
 */

import type * as tree from "acorn";
import {
  type ArrayElement,
  type ArrayVariable,
  type Expression,
  type FunctionIr,
  HOST_FUNCTIONS,
  type Operation,
  type Parameter,
  type RandomVariable,
} from "./ir.ts";
import { lowerExpression, lowerTest } from "./lower_expression.ts";
import { lowerBody, returnsValue } from "./lower_statement.ts";
import { DRAWS } from "./draws.ts";
import { ANONYMOUS, parseFunction } from "./source.ts";
import { type Callee, type Frame, type Lowering, Scope } from "./lowering.ts";

/** How many arguments the functions of `Math` take that are instructions. */
const MATH_INSTRUCTIONS: Readonly<Record<string, number>> = {
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
};

type Args = tree.CallExpression["arguments"];

/** A call; undefined if the function returns nothing. */
export function lowerCall(
  l: Lowering,
  node: tree.CallExpression,
): Expression | undefined {
  const { callee } = node;
  if (node.optional) {
    l.refuse(node, "?.() is not compiled: nothing can be missing: write ()");
  }
  if (callee.type === "Identifier") return lowerNamed(l, node, callee);
  if (
    callee.type === "MemberExpression" && !callee.computed &&
    callee.object.type === "Identifier" && callee.property.type === "Identifier"
  ) {
    const object = callee.object.name;
    const method = callee.property.name;
    const binding = l.find(callee.object);
    if (!binding && object === "Math") return lowerMath(l, node, method);
    if (!binding && object === "Number") return lowerNumber(l, node, method);
    if (binding?.kind === "random") {
      return lowerDraw(l, node, binding, method);
    }
    if (binding?.kind === "array") {
      l.refuse(
        callee.property,
        `methods of arrays are not compiled: write a loop`,
      );
    }
    if (!binding) {
      l.refuse(
        callee.object,
        `${object} is not known inside the function: pass the function as ` +
          `jit(f, { with: { ${method} } }) and call ${method}(...)`,
      );
    }
  }
  l.refuse(
    callee,
    "only functions with a name, Math and random generators are called",
  );
}

function numbers(l: Lowering, args: Args): Expression[] {
  return l.operands(
    args.map((node) => ({ node, make: () => lowerExpression(l, node) })),
  );
}

function takes(
  l: Lowering,
  node: tree.CallExpression,
  name: string,
  count: number,
): void {
  if (node.arguments.length === count) return;
  l.refuse(
    node,
    `${name} takes ${count} argument${count === 1 ? "" : "s"}: ` +
      `got ${node.arguments.length}`,
  );
}

function lowerMath(
  l: Lowering,
  node: tree.CallExpression,
  name: string,
): Expression {
  if (name === "random") {
    l.refuse(
      node,
      "Math.random has no seed: pass a Random as an argument and call its " +
        "next()",
    );
  }
  if (name === "min" || name === "max") {
    const start = l.constant(node, name === "min" ? Infinity : -Infinity);
    const args = numbers(l, node.arguments);
    if (args.length === 0) return start;
    return args.slice(1).reduce(
      (a, b) => l.apply(node, name, [a, b]),
      args.length === 1 ? l.apply(node, "number", args) : args[0]!,
    );
  }
  if (name === "hypot") {
    const args = numbers(l, node.arguments);
    if (args.length === 0) return l.constant(node, 0);
    return l.apply(node, args.length === 1 ? "abs" : "hypot", args);
  }
  const count = MATH_INSTRUCTIONS[name] ??
    (HOST_FUNCTIONS as Readonly<Record<string, number>>)[name];
  if (count === undefined) {
    l.refuse(node, `Math.${name} is not compiled: compute it otherwise`);
  }
  takes(l, node, `Math.${name}`, count);
  return l.apply(node, name as Operation, numbers(l, node.arguments));
}

function lowerNumber(
  l: Lowering,
  node: tree.CallExpression,
  name: string,
): Expression {
  takes(l, node, `Number.${name}`, 1);
  const test = predicate(l, node, name);
  if (test) return test;
  l.refuse(node, `Number.${name} is not compiled: all values are numbers`);
}

function predicate(
  l: Lowering,
  node: tree.CallExpression,
  name: string,
): Expression | undefined {
  if (name !== "isNaN" && name !== "isFinite" && name !== "isInteger") return;
  const [argument] = numbers(l, node.arguments);
  if (name !== "isNaN") return l.apply(node, name, [argument!]);
  const held = l.hold(node, argument!);
  return l.apply(node, "ne", [held, held]);
}

function lowerNamed(
  l: Lowering,
  node: tree.CallExpression,
  callee: tree.Identifier,
): Expression | undefined {
  const { name } = callee;
  const binding = l.find(callee);
  if (binding?.kind === "function") return callFunction(l, node, name, binding);
  if (binding) l.refuse(callee, `${name} is not a function`);
  if (name === "isNaN" || name === "isFinite") {
    takes(l, node, name, 1);
    return predicate(l, node, name);
  }
  if (name === "Number") {
    takes(l, node, name, 1);
    return l.apply(node, "number", numbers(l, node.arguments));
  }
  if (name === "Boolean") {
    takes(l, node, name, 1);
    const [argument] = node.arguments;
    if (argument!.type !== "SpreadElement") return lowerTest(l, argument!);
  }
  l.refuse(callee, unknownFunction(name, l.frame.source.name));
}

/** Why a function is not known that is called within another one. */
function unknownFunction(name: string, caller: string): string {
  const unknown = `${name} is not known inside the function: ` +
    `pass it as jit(f, { with: { ${name} } })`;
  return caller === ANONYMOUS
    ? `${unknown}, or, if it is this one, write jit(function ${name}(...) ...)`
    : unknown;
}

function lowerDraw(
  l: Lowering,
  node: tree.CallExpression,
  random: RandomVariable,
  method: string,
): Expression | undefined {
  const name = `${random.name}.${method}`;
  if (method === "next") {
    takes(l, node, name, 0);
    const result = l.fresh(node);
    l.emit({ op: "draw", random, result });
    return l.get(node, result);
  }
  const draw = new Map(Object.entries(DRAWS)).get(method);
  if (!draw) {
    l.refuse(node, `${name} is not compiled: use next, integer or normal`);
  }
  takes(l, node, name, draw.length - 1);
  const { source, node: its } = parseFunction(draw);
  const callee: Callee = {
    kind: "function",
    source,
    node: its,
    scope: new Scope(),
  };
  return inline(l, node, callee, [random, ...numbers(l, node.arguments)]);
}

type Argument = Expression | ArrayVariable | RandomVariable;

/** What a function is given: numbers are computed, the rest is named. */
function lowerArguments(
  l: Lowering,
  node: tree.CallExpression,
  name: string,
  callee: Callee,
): Argument[] {
  takes(l, node, name, callee.node.params.length);
  const named = node.arguments.map((argument) => {
    if (argument.type !== "Identifier") return;
    const binding = l.find(argument);
    return binding?.kind === "array" || binding?.kind === "random"
      ? binding
      : undefined;
  });
  const computed = numbers(
    l,
    node.arguments.filter((_, at) => named[at] === undefined),
  );
  return named.map((binding) => binding ?? computed.shift()!);
}

function callFunction(
  l: Lowering,
  node: tree.CallExpression,
  name: string,
  callee: Callee,
): Expression | undefined {
  const args = lowerArguments(l, node, name, callee);
  const isRecursive = l.isOpen(callee.node) || isRecursiveFunction(callee);
  return isRecursive
    ? callInstance(l, node, name, callee, args)
    : inline(l, node, callee, args);
}

/** Whether a function names itself: then it is not worth inlining it once. */
function isRecursiveFunction({ node, source }: Callee): boolean {
  const name = node.id?.name;
  if (name === undefined) return false;
  const text = source.text.slice(node.body.start, node.body.end);
  return new RegExp(`(?<![\\w$.])${RegExp.escape(name)}\\s*\\(`).test(text);
}

function parameterName(
  l: Lowering,
  param: tree.Pattern,
): string {
  if (param.type === "Identifier") return param.name;
  if (param.type === "AssignmentPattern") {
    l.refuse(param, "default values are not compiled: pass all arguments");
  }
  if (param.type === "RestElement") {
    l.refuse(param, "rest parameters are not compiled: pass a typed array");
  }
  l.refuse(
    param,
    "parameters are not taken apart: name each one, and pass numbers",
  );
}

/** The names of a function's parameters. */
export function parameterNames(l: Lowering, frame: Frame): string[] {
  const outer = l.frame;
  l.frame = frame;
  const names = frame.node.params.map((param) => parameterName(l, param));
  l.frame = outer;
  return names;
}

function inline(
  l: Lowering,
  node: tree.CallExpression,
  callee: Callee,
  args: readonly Argument[],
): Expression | undefined {
  const caller = l.frame;
  const hasResult = returnsValue(callee.node);
  const result = hasResult ? l.fresh(node) : undefined;
  const end = l.label();
  const frame: Frame = {
    source: callee.source,
    node: callee.node,
    jumps: [],
    inlined: { end, result },
    caller,
  };
  const names = parameterNames(l, frame);
  const scope = new Scope(callee.scope);
  args.forEach((arg, at) => {
    if ("kind" in arg) {
      scope.declare(names[at]!, arg);
      return;
    }
    const variable = l.variable(names[at]!, node);
    l.set(variable, arg);
    scope.declare(names[at]!, { kind: "variable", variable, constant: false });
  });
  l.frame = frame;
  try {
    const { body } = callee.node;
    if (body.type !== "BlockStatement") {
      return l.scoped(() => lowerExpression(l, body), scope);
    }
    const list = l.list(() => l.scoped(() => lowerBody(l, body.body), scope));
    l.emit({ op: "block", label: end, body: list });
  } finally {
    l.frame = caller;
  }
  return result && l.get(node, result);
}

/** Calls a function that is compiled on its own. */
function callInstance(
  l: Lowering,
  node: tree.CallExpression,
  name: string,
  callee: Callee,
  args: readonly Argument[],
): Expression | undefined {
  const types = args.map((arg) =>
    !("kind" in arg) ? "scalar" : arg.kind === "random" ? "random" : arg.element
  );
  const target = instanceOf(l, name, callee, types);
  const result = returnsValue(callee.node) ? l.fresh(node) : undefined;
  l.emit({ op: "call", place: l.place(node), target, args, result });
  return result && l.get(node, result);
}

const instances = new WeakMap<Lowering, Map<tree.Function, Instances>>();
type Instances = Map<string, FunctionIr>;

function instanceOf(
  l: Lowering,
  name: string,
  callee: Callee,
  types: readonly ("scalar" | "random" | ArrayElement)[],
): FunctionIr {
  let ofAll = instances.get(l);
  if (!ofAll) instances.set(l, ofAll = new Map());
  let ofNode = ofAll.get(callee.node);
  if (!ofNode) ofAll.set(callee.node, ofNode = new Map());
  const present = ofNode.get(`${types}`);
  if (present) return present;
  const frame: Frame = {
    source: callee.source,
    node: callee.node,
    jumps: [],
    caller: undefined,
  };
  const names = parameterNames(l, frame);
  const params: Parameter[] = names.map((param, at) =>
    l.parameter(param, callee.node, types[at]!)
  );
  const made: FunctionIr = {
    name,
    place: { source: callee.source, offset: callee.node.start },
    params,
    body: [],
  };
  ofNode.set(`${types}`, made);
  l.functions.push(made);
  l.later.push(() => {
    l.frame = frame;
    made.body = lowerFunction(l, callee, names, params);
  });
  return made;
}

/** The statements of a function that is not inlined. */
export function lowerFunction(
  l: Lowering,
  callee: Callee,
  names: readonly string[],
  params: readonly Parameter[],
): ReturnType<Lowering["list"]> {
  const scope = new Scope(callee.scope, true);
  params.forEach((param, at) =>
    scope.declare(
      names[at]!,
      param.kind === "variable"
        ? { kind: "variable", variable: param, constant: false }
        : param,
    )
  );
  const { body } = callee.node;
  return l.list(() =>
    l.scoped(() => {
      for (const param of params) {
        if (param.kind === "variable") l.noteValue(param);
      }
      if (body.type === "BlockStatement") lowerBody(l, body.body);
      else {
        const to = lowerExpression(l, body);
        l.emit({ op: "return", place: l.place(body), to });
      }
    }, scope)
  );
}
