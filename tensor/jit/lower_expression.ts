/**
 * From expressions of JavaScript to those of the intermediate form.
 *
 * @module
 */

import type * as tree from "acorn";
import type { ArrayVariable, Expression, Operation } from "./ir.ts";
import { lowerCall } from "./lower_call.ts";
import { builtinConstant, isBuiltinObject } from "./lower_builtin.ts";
import { assignParts, refusedPattern } from "./lower_pattern.ts";
import { type Lowering, propertyName } from "./lowering.ts";
import { refusedGlobal, refusedNode } from "./refusals.ts";

type Node = tree.Expression | tree.PrivateIdentifier | tree.SpreadElement;

const BINARY: Readonly<Record<string, Operation>> = {
  "+": "add",
  "-": "sub",
  "*": "mul",
  "/": "div",
  "%": "rem",
  "**": "pow",
  "&": "bitand",
  "|": "bitor",
  "^": "bitxor",
  "<<": "shl",
  ">>": "shr",
  ">>>": "ushr",
  "<": "lt",
  "<=": "le",
  "==": "eq",
  "===": "eq",
  "!=": "ne",
  "!==": "ne",
};

/** Said of a call that has no value, where one is needed. */
export const NOTHING = "the function returns nothing: use what it writes";

/** The value of an expression; what it does besides is written first. */
export function lowerExpression(l: Lowering, node: Node): Expression {
  switch (node.type) {
    case "Literal":
      return lowerLiteral(l, node);
    case "Identifier":
      return lowerName(l, node);
    case "ParenthesizedExpression":
      return lowerExpression(l, node.expression);
    case "UnaryExpression":
      return lowerUnary(l, node);
    case "BinaryExpression":
      return lowerBinary(l, node);
    case "LogicalExpression":
      return lowerLogical(l, node);
    case "ConditionalExpression":
      return choose(
        l,
        node,
        lowerTest(l, node.test),
        () => lowerExpression(l, node.consequent),
        () => lowerExpression(l, node.alternate),
      );
    case "AssignmentExpression":
      return lowerAssignment(l, node);
    case "UpdateExpression":
      return lowerUpdate(l, node);
    case "MemberExpression":
      return lowerMember(l, node);
    case "CallExpression": {
      const result = lowerCall(l, node);
      if (result) return result;
      return l.refuse(node, NOTHING);
    }
    case "SequenceExpression": {
      const last = node.expressions.length - 1;
      node.expressions.slice(0, last).forEach((part) => lowerEffect(l, part));
      return lowerExpression(l, node.expressions[last]!);
    }
    default:
      return l.refuse(node, refusedNode(node.type));
  }
}

/** Does what an expression does, and leaves its value, of whatever kind. */
export function lowerEffect(l: Lowering, node: tree.Expression): void {
  switch (node.type) {
    case "ParenthesizedExpression":
      return lowerEffect(l, node.expression);
    case "SequenceExpression":
      return node.expressions.forEach((part) => lowerEffect(l, part));
    case "CallExpression":
      return notice(l, node, lowerCall(l, node));
    case "UpdateExpression":
      changeBy(l, node);
      return;
    case "UnaryExpression":
      if (node.operator === "void") return lowerEffect(l, node.argument);
      break;
    case "AssignmentExpression":
      if (node.left.type === "ArrayPattern") {
        return assignParts(l, node.left, node.right);
      }
      break;
    case "ConditionalExpression": {
      const { test, consequent, alternate } = node;
      const effect = (part: tree.Expression) => () => lowerEffect(l, part);
      return lowerBranches(l, test, effect(consequent), effect(alternate));
    }
    case "LogicalExpression": {
      const { operator, left, right } = node;
      if (operator === "??") break;
      const effect = () => lowerEffect(l, right);
      return operator === "&&"
        ? lowerBranches(l, left, effect, () => {})
        : lowerBranches(l, left, () => {}, effect);
    }
  }
  notice(l, node, lowerExpression(l, node));
}

/** Computes what nobody uses if it may be out of range, which is noticed. */
function notice(
  l: Lowering,
  node: tree.Expression,
  value: Expression | undefined,
): void {
  if (value && mayFail(value)) l.hold(node, value);
}

/** Whether an expression has no value, whatever it does. */
export function isVoid(node: tree.Expression): boolean {
  return node.type === "UnaryExpression" && node.operator === "void";
}

/** `if (test) then else otherwise`. */
export function lowerBranches(
  l: Lowering,
  node: tree.Expression,
  then: () => void,
  otherwise: () => void,
): void {
  const test = lowerTest(l, node);
  const [yes, no] = [l.list(then), l.list(otherwise)];
  // Setting one variable is a choice of values: no jump to mispredict.
  const [only] = yes;
  if (
    no.length === 0 && yes.length === 1 && only!.op === "set" &&
    only!.to && isCheap(only!.to, 4) && l.hasValue(only!.variable)
  ) {
    const { variable } = only!;
    l.set(
      variable,
      l.apply(node, "select", [test, only!.to, l.get(node, variable)]),
    );
    return;
  }
  l.emit({ op: "if", test, then: yes, otherwise: no });
}

/** Whether an expression is a few quick instructions that cannot fail. */
function isCheap(x: Expression, budget: number): boolean {
  if (x.op === "constant" || x.op === "get" || x.op === "length") return true;
  return (x.op === "add" || x.op === "sub") && budget > 1 &&
    x.args.every((arg) => isCheap(arg, budget / 2));
}

function mayFail(x: Expression): boolean {
  return x.op === "load" || ("args" in x && x.args.some(mayFail));
}

/** Whether an expression counts as true. */
export function lowerTest(l: Lowering, node: tree.Expression): Expression {
  if (node.type === "ParenthesizedExpression") {
    return lowerTest(l, node.expression);
  }
  if (node.type === "UnaryExpression" && node.operator === "!") {
    return l.apply(node, "not", [lowerTest(l, node.argument)]);
  }
  if (node.type === "LogicalExpression" && node.operator !== "??") {
    const left = lowerTest(l, node.left);
    const isAnd = node.operator === "&&";
    let right: Expression;
    const needs = l.list(() => right = lowerTest(l, node.right));
    if (needs.length === 0) {
      return l.apply(node, isAnd ? "and" : "or", [left, right!]);
    }
    const result = l.fresh(node);
    const more = [
      ...needs,
      ...l.list(() => l.set(result, right)),
    ];
    const known = l.list(() => l.set(result, l.constant(node, !isAnd)));
    l.emit({
      op: "if",
      test: left,
      then: isAnd ? more : known,
      otherwise: isAnd ? known : more,
    });
    return l.get(node, result);
  }
  const value = lowerExpression(l, node);
  return isBoolean(value) ? value : l.apply(node, "truthy", [value]);
}

/** Whether the operation alone says that it is a boolean. */
function isBoolean(x: Expression): boolean {
  switch (x.op) {
    case "constant":
      return typeof x.constant === "boolean";
    case "lt":
    case "le":
    case "eq":
    case "ne":
    case "not":
    case "and":
    case "or":
    case "truthy":
    case "isInteger":
    case "isFinite":
      return true;
    default:
      return false;
  }
}

function lowerLiteral(l: Lowering, node: tree.Literal): Expression {
  const { value } = node;
  if (typeof value === "number" || typeof value === "boolean") {
    return l.constant(node, value);
  }
  if (node.bigint) {
    l.refuse(node, "bigints are not compiled: use a number, exact up to 2^53");
  }
  if (node.regex) l.refuse(node, "regular expressions are not compiled");
  if (value === null) l.refuse(node, "null is not compiled: use NaN or -1");
  l.refuse(node, "strings are not compiled: use numbers");
}

function lowerName(l: Lowering, node: tree.Identifier): Expression {
  const { name } = node;
  const binding = l.find(node);
  switch (binding?.kind) {
    case "variable":
      return l.get(node, binding.variable);
    case "value":
      return l.constant(node, binding.value);
    case "array":
      l.refuse(node, `${name} is an array: take an element, ${name}[i]`);
      break;
    case "random":
      l.refuse(node, `${name} is a random generator: call ${name}.next()`);
      break;
    case "function":
    case "builtin":
      return l.refuse(node, `${name} is a function: call it, ${name}(...)`);
    case undefined:
      break;
    default:
      binding satisfies never;
  }
  if (name === "Infinity") return l.constant(node, Infinity);
  if (name === "NaN") return l.constant(node, NaN);
  l.refuse(node, unknownName(name));
}

/** Why a name from outside is not known. */
function unknownName(name: string): string {
  return refusedGlobal(name) ??
    `${name} is not known inside the function: ` +
      `pass it as jit(f, { with: { ${name} } }), or as an argument`;
}

function lowerUnary(l: Lowering, node: tree.UnaryExpression): Expression {
  const { operator, argument } = node;
  switch (operator) {
    case "-":
      if (argument.type === "Literal" && typeof argument.value === "number") {
        return l.constant(node, -argument.value);
      }
      return l.apply(node, "neg", [lowerExpression(l, argument)]);
    case "+":
      return l.apply(node, "number", [lowerExpression(l, argument)]);
    case "~":
      return l.apply(node, "bitnot", [lowerExpression(l, argument)]);
    case "!":
      return lowerTest(l, node);
    case "void":
      return l.refuse(
        node,
        "void gives undefined, which is not compiled: use NaN or -1",
      );
    case "typeof":
      return l.refuse(
        node,
        "typeof is not compiled: all values are numbers and booleans: " +
          "leave it out",
      );
    case "delete":
      return l.refuse(
        node,
        "delete is not compiled: elements stay: set it to 0 or NaN",
      );
    default:
      return operator satisfies never;
  }
}

function lowerBinary(l: Lowering, node: tree.BinaryExpression): Expression {
  const { operator, left, right } = node;
  if (operator === "in" || operator === "instanceof") {
    l.refuse(
      node,
      `${operator} is not compiled: values have no properties: compare numbers`,
    );
  }
  const [a, b] = l.operands(
    [left, right].map((part) => ({
      node: part,
      make: () => lowerExpression(l, part),
    })),
  );
  return binary(l, node, operator, a!, b!);
}

function binary(
  l: Lowering,
  node: tree.Node,
  operator: string,
  a: Expression,
  b: Expression,
): Expression {
  if (operator === ">") return l.apply(node, "lt", [b, a]);
  if (operator === ">=") return l.apply(node, "le", [b, a]);
  return l.apply(node, BINARY[operator]!, [a, b]);
}

function lowerLogical(l: Lowering, node: tree.LogicalExpression): Expression {
  const { operator, left, right } = node;
  if (operator === "??") {
    l.refuse(node, "?? is not compiled: nothing is null: use || or NaN");
  }
  return shortCircuit(
    l,
    node,
    operator === "&&",
    lowerExpression(l, left),
    () => lowerExpression(l, right),
  );
}

/** `left && right`, `left || right`: the value of one of them. */
function shortCircuit(
  l: Lowering,
  node: tree.Node,
  isAnd: boolean,
  left: Expression,
  right: () => Expression,
): Expression {
  if (isBoolean(left)) {
    let other: Expression;
    const needs = l.list(() => other = right());
    if (needs.length === 0 && isBoolean(other!)) {
      return l.apply(node, isAnd ? "and" : "or", [left, other!]);
    }
  }
  const held = l.hold(node, left);
  const test = l.apply(node, "truthy", [held]);
  const [yes, no] = isAnd ? [right, () => held] : [() => held, right];
  return choose(l, node, test, yes, no);
}

/** `test ? yes : no`. */
export function choose(
  l: Lowering,
  node: tree.Node,
  test: Expression,
  yes: () => Expression,
  no: () => Expression,
): Expression {
  let a: Expression;
  let b: Expression;
  const then = l.list(() => a = yes());
  const otherwise = l.list(() => b = no());
  if (then.length === 0 && otherwise.length === 0) {
    return l.apply(node, "select", [test, a!, b!]);
  }
  const result = l.fresh(node);
  l.emit({
    op: "if",
    test,
    then: [...then, ...l.list(() => l.set(result, a))],
    otherwise: [...otherwise, ...l.list(() => l.set(result, b))],
  });
  return l.get(node, result);
}

/** The array that an expression names. */
export function arrayOf(l: Lowering, node: Node | tree.Super): ArrayVariable {
  if (node.type === "Identifier") {
    const binding = l.find(node);
    if (binding?.kind === "array") return binding;
    if (!binding) l.refuse(node, unknownName(node.name));
    const { kind } = binding;
    l.refuse(
      node,
      `${node.name} is ${
        kind === "random" ? "a random generator" : `a ${kind}`
      }, not an array: pass a typed array`,
    );
  }
  return refuseObject(l, node);
}

/** Refuses what is no name, where an object is needed. */
export function refuseObject(l: Lowering, node: Node | tree.Super): never {
  lowerExpression(l, node as Node); // says what is wrong with it, if that is it
  l.refuse(
    node,
    "only arrays that are passed as arguments have elements: pass one, or " +
      "use variables",
  );
}

function lowerMember(l: Lowering, node: tree.MemberExpression): Expression {
  const { object, property } = node;
  const name = propertyName(node);
  if (name === undefined) {
    const array = arrayOf(l, object);
    const index = lowerExpression(l, property);
    return { op: "load", place: l.place(property), array, index };
  }
  if (object.type === "Identifier" && !l.find(object)) {
    if (isBuiltinObject(object.name)) {
      const builtin = { object: object.name, name };
      const constant = builtinConstant(l, node, builtin);
      if (constant !== undefined) return l.constant(node, constant);
      const full = `${object.name}.${name}`;
      l.refuse(node, `${full} is a function: call it, ${full}(...)`);
    }
    const known = refusedGlobal(object.name);
    if (known) l.refuse(object, known);
    if (name !== "length") {
      l.refuse(
        node,
        `properties of ${object.name} are not known inside the function: ` +
          `pass the value as jit(f, { with: { ${name} } }), or as an argument`,
      );
    }
  }
  if (name !== "length") {
    if (object.type !== "Identifier") refuseObject(l, object);
    l.refuse(
      property,
      `objects are not compiled: only arrays have a .length: got ${name}: ` +
        "use variables or typed arrays",
    );
  }
  return { op: "length", place: l.place(node), array: arrayOf(l, object) };
}

/** What `a op= b` computes, given a. */
function combined(
  l: Lowering,
  node: tree.AssignmentExpression,
  present: () => Expression,
): Expression {
  const { operator, right } = node;
  const make = () => lowerExpression(l, right);
  if (operator === "=") return make();
  if (operator === "&&=" || operator === "||=") {
    return shortCircuit(l, node, operator === "&&=", present(), make);
  }
  if (operator === "??=") {
    l.refuse(node, "??= is not compiled: nothing is null: use = or ||=");
  }
  const [a, b] = l.operands([
    { node, make: present },
    { node: right, make },
  ]);
  return binary(l, node, operator.slice(0, -1), a!, b!);
}

function lowerAssignment(
  l: Lowering,
  node: tree.AssignmentExpression,
): Expression {
  const { left } = node;
  return changed(l, node, left, (present) => combined(l, node, present)).after;
}

function lowerUpdate(l: Lowering, node: tree.UpdateExpression): Expression {
  const { before, after } = changeBy(l, node, !node.prefix);
  return node.prefix ? after : before!;
}

function changeBy(
  l: Lowering,
  node: tree.UpdateExpression,
  keep = false,
): { before: Expression | undefined; after: Expression } {
  const { operator, argument } = node;
  let before: Expression | undefined;
  const { after } = changed(l, node, argument, (present) => {
    const old = present();
    before = keep ? l.hold(node, old) : old;
    const op = operator === "++" ? "add" : "sub";
    return l.apply(node, op, [before, l.constant(node, 1)]);
  });
  return { before, after };
}

/** Assigns to a variable or an element what `make` makes of its value. */
export function changed(
  l: Lowering,
  node: tree.Node,
  target: tree.Pattern | tree.Expression,
  make: (present: () => Expression) => Expression,
): { after: Expression } {
  if (target.type === "ParenthesizedExpression") {
    return changed(l, node, target.expression, make);
  }
  if (target.type === "Identifier") {
    const binding = l.find(target);
    if (!binding) l.refuse(target, unknownName(target.name));
    if (binding.kind !== "variable") {
      l.refuse(
        target,
        `${target.name} cannot be assigned to: use a variable of your own`,
      );
    }
    if (binding.constant) {
      l.refuse(target, `${target.name} is a const: declare it with let`);
    }
    const { variable } = binding;
    l.set(variable, make(() => l.get(target, variable)));
    return { after: l.get(target, variable) };
  }
  if (target.type === "MemberExpression") {
    if (propertyName(target) !== undefined) {
      l.refuse(target, "properties are not assigned to: write to an element");
    }
    const array = arrayOf(l, target.object);
    const place = l.place(target.property);
    let first!: Expression;
    const [index, value] = l.operands([
      {
        node: target.property,
        make: () => first = lowerExpression(l, target.property),
      },
      {
        node,
        // Nothing comes between the two uses of the index, or it is held.
        make: () => make(() => ({ op: "load", place, array, index: first })),
      },
    ]);
    array.written = true;
    const held = l.hold(node, value!);
    l.emit({ op: "store", place, array, index: index!, to: held });
    return { after: held };
  }
  l.refuse(target, refusedPattern(target));
}
