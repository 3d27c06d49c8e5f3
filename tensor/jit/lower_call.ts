/**
 * Calls: of `Math`, of generators, and of other functions, which are inlined
 * unless they call themselves.
 *
 * @module
 */

import type * as tree from "acorn";
import type {
  ArrayElement,
  ArrayVariable,
  Expression,
  FunctionIr,
  Parameter,
  RandomVariable,
} from "./ir.ts";
import {
  isVoid,
  lowerEffect,
  lowerExpression,
  lowerTest,
  NOTHING,
  refuseObject,
} from "./lower_expression.ts";
import { lowerBody, returnsValue } from "./lower_statement.ts";
import { DRAWS } from "./draws.ts";
import {
  callBuiltin,
  callPredicate,
  isBuiltinObject,
} from "./lower_builtin.ts";
import { ANONYMOUS, parseFunction } from "./source.ts";
import {
  type Builtin,
  type Callee,
  type Frame,
  type Lowering,
  propertyName,
  Scope,
} from "./lowering.ts";
import { refusedGlobal } from "./refusals.ts";

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
  switch (callee.type) {
    case "Identifier":
      return lowerNamed(l, node, callee);
    case "MemberExpression":
      return lowerMethod(l, node, callee);
    case "ArrowFunctionExpression":
    case "FunctionExpression":
      return callFunction(l, node, ANONYMOUS, calleeOf(l, callee));
    default:
      return refuseCallee(l, callee);
  }
}

function refuseCallee(l: Lowering, callee: tree.Node): never {
  l.refuse(
    callee,
    "only functions with a name, those of Math and Number, and random " +
      "generators are called: give it a name with const",
  );
}

/** A function that is written at a node. */
export function calleeOf(l: Lowering, node: tree.Function): Callee {
  if (node.async) {
    l.refuse(node, "async functions are not compiled: leave out async");
  }
  if (node.generator) {
    l.refuse(node, "generators are not compiled: write to an array");
  }
  const { source } = l.frame;
  const scope = new Scope(l.scope);
  const callee: Callee = { kind: "function", source, node, scope };
  if (node.id && node.type !== "FunctionDeclaration") {
    scope.declare(node.id.name, callee);
  }
  return callee;
}

/** `Math.abs(x)`, `random.next()`, and what looks like it. */
function lowerMethod(
  l: Lowering,
  node: tree.CallExpression,
  callee: tree.MemberExpression,
): Expression | undefined {
  const { object, property } = callee;
  const name = propertyName(callee);
  if (object.type !== "Identifier") return refuseObject(l, object);
  if (name === undefined) return refuseCallee(l, callee);
  const binding = l.find(object);
  switch (binding?.kind) {
    case "random":
      return lowerDraw(l, node, binding, name);
    case "array":
      return l.refuse(
        property,
        `methods of arrays are not compiled: got ${name}: write a loop`,
      );
    case "variable":
    case "value":
      return l.refuse(
        property,
        `methods of numbers are not compiled: got ${name}: use operators ` +
          "and Math",
      );
    case "function":
    case "builtin":
      return l.refuse(
        property,
        `functions are only called: got ${name}: write ${object.name}(...)`,
      );
    case undefined:
      break;
    default:
      binding satisfies never;
  }
  if (isBuiltinObject(object.name)) {
    return callBuiltin(l, node, { object: object.name, name });
  }
  l.refuse(
    object,
    refusedGlobal(object.name) ??
      `${object.name} is not known inside the function: pass the function ` +
        `as jit(f, { with: { ${name} } }) and call ${name}(...)`,
  );
}

/** The values of arguments that are numbers or booleans. */
export function lowerNumbers(l: Lowering, args: Args): Expression[] {
  return l.operands(
    args.map((node) => ({ node, make: () => lowerExpression(l, node) })),
  );
}

/** Refuses a call with another number of arguments. */
export function takes(
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

function lowerNamed(
  l: Lowering,
  node: tree.CallExpression,
  callee: tree.Identifier,
): Expression | undefined {
  const { name } = callee;
  const binding = l.find(callee);
  if (binding?.kind === "function") return callFunction(l, node, name, binding);
  if (binding?.kind === "builtin") return callBuiltin(l, node, binding);
  if (binding) l.refuse(callee, `${name} is not a function: use its value`);
  if (name === "isNaN" || name === "isFinite") {
    takes(l, node, name, 1);
    return callPredicate(l, node, name);
  }
  if (name === "Number") {
    takes(l, node, name, 1);
    return l.apply(node, "number", lowerNumbers(l, node.arguments));
  }
  if (name === "Boolean") {
    takes(l, node, name, 1);
    const [argument] = node.arguments;
    if (argument!.type !== "SpreadElement") return lowerTest(l, argument!);
  }
  l.refuse(
    callee,
    refusedGlobal(name) ?? unknownFunction(name, l.frame.source.name),
  );
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
  return inline(l, node, callee, [random, ...lowerNumbers(l, node.arguments)]);
}

type Argument =
  | Expression
  | ArrayVariable
  | RandomVariable
  | Callee
  | Builtin;

/** What a function is given: numbers are computed, the rest is named. */
function lowerArguments(
  l: Lowering,
  node: tree.CallExpression,
  name: string,
  callee: Callee,
): Argument[] {
  takes(l, node, name, callee.node.params.length);
  const named = node.arguments.map((argument) => {
    if (
      argument.type === "ArrowFunctionExpression" ||
      argument.type === "FunctionExpression"
    ) return calleeOf(l, argument);
    if (argument.type !== "Identifier") return;
    const binding = l.find(argument);
    return binding && binding.kind !== "variable" && binding.kind !== "value"
      ? binding
      : undefined;
  });
  const computed = lowerNumbers(
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
      return l.scoped(() => lowerValue(l, body), scope);
    }
    const list = l.list(() => l.scoped(() => lowerBody(l, body.body), scope));
    l.emit({ op: "block", label: end, body: list });
  } finally {
    l.frame = caller;
  }
  return result && l.get(node, result);
}

/** What an arrow function gives; undefined if that is nothing. */
function lowerValue(
  l: Lowering,
  body: tree.Expression,
): Expression | undefined {
  if (body.type === "CallExpression") return lowerCall(l, body);
  if (!isVoid(body)) return lowerExpression(l, body);
  lowerEffect(l, body);
  return undefined;
}

/** Calls a function that is compiled on its own. */
function callInstance(
  l: Lowering,
  node: tree.CallExpression,
  name: string,
  callee: Callee,
  args: readonly Argument[],
): Expression | undefined {
  const passed = args.map((arg, at) => {
    if (!("kind" in arg) || arg.kind === "array" || arg.kind === "random") {
      return arg;
    }
    return l.refuse(
      node.arguments[at]!,
      "functions are not passed to one that calls itself: call it by its name",
    );
  });
  const types = passed.map((arg) =>
    !("kind" in arg) ? "scalar" : arg.kind === "random" ? "random" : arg.element
  );
  const target = instanceOf(l, name, callee, types);
  const result = returnsValue(callee.node) ? l.fresh(node) : undefined;
  l.emit({ op: "call", place: l.place(node), target, args: passed, result });
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
        const to = lowerValue(l, body);
        if (!to && returnsValue(callee.node) && callee.node !== l.entry) {
          l.refuse(body, NOTHING);
        }
        l.emit({ op: "return", place: l.place(body), to });
      }
    }, scope)
  );
}
