/**
 * From statements of JavaScript to those of the intermediate form.
 *
 * @module
 */

import type * as tree from "acorn";
import type { Expression, Label, Statement } from "./ir.ts";
import { builtinConstant, isBuiltinObject } from "./lower_builtin.ts";
import { calleeOf } from "./lower_call.ts";
import {
  arrayOf,
  isVoid,
  lowerBranches,
  lowerEffect,
  lowerExpression,
  lowerTest,
} from "./lower_expression.ts";
import { namesIn, partsOf, refusedPattern } from "./lower_pattern.ts";
import {
  type Binding,
  type Jump,
  type Lowering,
  propertyName,
} from "./lowering.ts";
import { refusedNode } from "./refusals.ts";

type Node = tree.Statement | tree.ModuleDeclaration;

const EARLY: Binding = { kind: "early" };

/** Whether a function returns values, by its text. */
export function returnsValue(node: tree.Function): boolean {
  if (node.body.type !== "BlockStatement") return !isVoid(node.body);
  const look = (part: unknown): boolean => {
    if (part === null || typeof part !== "object") return false;
    if (Array.isArray(part)) return part.some(look);
    const { type } = part as { type?: string };
    if (type === undefined || /Function/.test(type)) return false;
    if (type === "ReturnStatement") {
      const { argument } = part as tree.ReturnStatement;
      return Boolean(argument && !isVoid(argument));
    }
    return Object.values(part).some(look);
  };
  return look(node.body.body);
}

/** A list of statements; functions that it declares are known from the start. */
export function lowerBody(l: Lowering, list: readonly Node[]): void {
  hoist(l, list);
  for (const node of list) lowerStatement(l, node);
}

/** Declares what a list does, before any of it is done. */
function hoist(l: Lowering, list: readonly Node[]): void {
  for (const node of list) {
    // What a variable is named has no meaning from around the list.
    if (node.type === "VariableDeclaration") {
      for (const { id } of node.declarations) {
        for (const name of namesIn(id)) l.scope.declare(name, EARLY);
      }
    }
    if (node.type !== "FunctionDeclaration" || !node.id) continue;
    l.scope.declare(node.id.name, calleeOf(l, node));
  }
}

function lowerStatement(l: Lowering, node: Node): void {
  switch (node.type) {
    case "EmptyStatement":
      return;
    case "FunctionDeclaration":
      return; // known already
    case "ExpressionStatement":
      if (node.directive !== undefined) return;
      return lowerEffect(l, node.expression);
    case "VariableDeclaration":
      return lowerDeclaration(l, node);
    case "BlockStatement":
      return l.scoped(() => lowerBody(l, node.body));
    case "IfStatement":
      return lowerIf(l, node);
    case "ReturnStatement":
      return lowerReturn(l, node);
    case "ForStatement":
    case "ForOfStatement":
    case "WhileStatement":
    case "DoWhileStatement":
      return lowerLoop(l, node, []);
    case "SwitchStatement":
      return lowerSwitch(l, node, []);
    case "LabeledStatement":
      return lowerLabeled(l, node, []);
    case "BreakStatement":
    case "ContinueStatement":
      return lowerJump(l, node);
    default:
      l.refuse(node, refusedNode(node.type));
  }
}

function lowerDeclaration(l: Lowering, node: tree.VariableDeclaration): void {
  const { kind } = node;
  if (kind === "var") {
    l.refuse(node, "var is not compiled: declare it with let or const");
  }
  if (kind !== "let" && kind !== "const") {
    l.refuse(node, `${kind} is not compiled: use let or const`);
  }
  for (const { id, init } of node.declarations) declare(l, kind, id, init);
}

/** `let id = init`. */
function declare(
  l: Lowering,
  kind: "let" | "const",
  id: tree.Pattern,
  init: tree.Expression | null | undefined,
): void {
  if (id.type === "ArrayPattern" || id.type === "ObjectPattern") {
    const parts = partsOf(l, id, init!);
    // All values are there before the first name is.
    return parts.forEach(({ target, value, part }) =>
      part ? declare(l, kind, target, part) : declareAs(l, kind, target, value!)
    );
  }
  if (id.type !== "Identifier") l.refuse(id, refusedPattern(id));
  const named = init && namedBy(l, init);
  if (named) {
    if (kind === "let") {
      l.refuse(
        id,
        "functions, arrays and generators are not values: declare it with const",
      );
    }
    l.scope.declare(id.name, named);
    return;
  }
  declareAs(l, kind, id, init ? lowerExpression(l, init) : undefined);
}

/** A variable with a value, or without one. */
function declareAs(
  l: Lowering,
  kind: "let" | "const",
  id: tree.Pattern,
  value: Expression | undefined,
): void {
  if (id.type !== "Identifier") l.refuse(id, refusedPattern(id));
  const variable = l.variable(id.name, id);
  l.set(variable, value);
  const constant = kind === "const";
  if (constant) l.setOnce(variable);
  if (value) l.noteValue(variable);
  l.scope.declare(id.name, { kind: "variable", variable, constant });
}

/** What an expression only gives another name to. */
function namedBy(l: Lowering, init: tree.Expression): Binding | undefined {
  switch (init.type) {
    case "ArrowFunctionExpression":
    case "FunctionExpression":
      return calleeOf(l, init);
    case "Identifier": {
      const binding = l.find(init);
      return binding?.kind === "variable" || binding?.kind === "value"
        ? undefined
        : binding;
    }
    case "MemberExpression": {
      const { object } = init;
      const name = propertyName(init);
      if (object.type !== "Identifier" || name === undefined) return undefined;
      if (!isBuiltinObject(object.name) || l.find(object)) return undefined;
      const builtin = { object: object.name, name };
      return builtinConstant(l, init, builtin) === undefined
        ? { kind: "builtin", ...builtin }
        : undefined;
    }
    default:
      return undefined;
  }
}

function lowerIf(l: Lowering, node: tree.IfStatement): void {
  const branch = (part: tree.Statement | null | undefined) => () => {
    if (part) l.scoped(() => lowerStatement(l, part));
  };
  lowerBranches(l, node.test, branch(node.consequent), branch(node.alternate));
}

function lowerReturn(l: Lowering, node: tree.ReturnStatement): void {
  const { inlined } = l.frame;
  const { argument } = node;
  const isNothing = !argument || isVoid(argument);
  if (argument && isNothing) lowerEffect(l, argument);
  const to = isNothing ? undefined : lowerExpression(l, argument);
  if (!inlined) {
    l.emit({ op: "return", place: l.place(node), to });
    return;
  }
  if (inlined.result) {
    if (!to) {
      l.refuse(
        node,
        "the function returns a value on some paths only: return one here too",
      );
    }
    l.set(inlined.result, to);
  }
  l.emit({ op: "exit", label: inlined.end });
}

function withJump<T>(l: Lowering, jump: Jump, body: () => T): T {
  l.frame.jumps.push(jump);
  try {
    return body();
  } finally {
    l.frame.jumps.pop();
  }
}

type LoopNode =
  | tree.ForStatement
  | tree.ForOfStatement
  | tree.WhileStatement
  | tree.DoWhileStatement;

function lowerLoop(
  l: Lowering,
  node: LoopNode,
  names: readonly string[],
): void {
  const [end, next] = [l.label(), l.label()];
  const jump: Jump = { names, end, next, unnamed: true };
  const emit = (
    test: tree.Expression | null | undefined,
    body: () => void,
    update: () => void,
  ) => {
    let condition: Expression | undefined;
    const head = l.list(() => {
      if (test) condition = lowerTest(l, test);
    });
    const inside = l.list(() => withJump(l, jump, body));
    l.emit({
      op: "loop",
      label: end,
      next,
      head,
      test: condition,
      body: inside,
      update: l.list(update),
    });
  };
  const statement = () => l.scoped(() => lowerStatement(l, node.body));
  switch (node.type) {
    case "ForStatement":
      return l.scoped(() => {
        const { init, test, update } = node;
        if (init?.type === "VariableDeclaration") lowerBody(l, [init]);
        else if (init) lowerEffect(l, init);
        emit(test, statement, () => {
          if (update) lowerEffect(l, update);
        });
      });
    case "WhileStatement":
      return emit(node.test, statement, () => {});
    case "DoWhileStatement":
      return emit(undefined, statement, () => {
        const test = lowerTest(l, node.test);
        const not = l.apply(node.test, "not", [test]);
        const then: Statement[] = [{ op: "exit", label: end }];
        l.emit({ op: "if", test: not, then, otherwise: [] });
      });
    case "ForOfStatement":
      return lowerForOf(l, node, emit);
    default:
      return node satisfies never;
  }
}

function lowerForOf(
  l: Lowering,
  node: tree.ForOfStatement,
  emit: (
    test: undefined,
    body: () => void,
    update: () => void,
  ) => void,
): void {
  if (node.await) l.refuse(node, "for await is not compiled: count with for");
  const { left, right } = node;
  if (left.type !== "VariableDeclaration") {
    l.refuse(
      left,
      "for-of has no variable of its own: write for (const x of array)",
    );
  }
  const [{ id } = { id: undefined }] = left.declarations;
  if (id?.type !== "Identifier" || left.kind === "var") {
    l.refuse(
      left,
      "for-of takes one variable, no pattern and no var: write " +
        "for (const x of array)",
    );
  }
  const array = arrayOf(l, right);
  const at = l.variable("(position)", left);
  l.set(at, l.constant(left, 0));
  const exit = l.frame;
  emit(undefined, () => {
    const { end } = exit.jumps.at(-1)!;
    const length: Expression = { op: "length", place: l.place(right), array };
    const inRange = l.apply(right, "lt", [l.get(right, at), length]);
    l.emit({
      op: "if",
      test: inRange,
      then: [],
      otherwise: [{ op: "exit", label: end }],
    });
    l.scoped(() => {
      const variable = l.variable(id.name, id);
      const index = l.get(right, at);
      l.set(variable, { op: "load", place: l.place(right), array, index });
      const constant = left.kind === "const";
      l.scope.declare(id.name, { kind: "variable", variable, constant });
      lowerStatement(l, node.body);
    });
  }, () => {
    const one = l.constant(left, 1);
    l.set(at, l.apply(left, "add", [l.get(left, at), one]));
  });
}

function lowerSwitch(
  l: Lowering,
  node: tree.SwitchStatement,
  names: readonly string[],
): void {
  const value = l.hold(
    node.discriminant,
    lowerExpression(l, node.discriminant),
  );
  const end = l.label();
  const starts: Label[] = node.cases.map(() => l.label());
  l.scoped(() => {
    // Functions are known, and variables declared, in the whole switch.
    hoist(l, node.cases.flatMap(({ consequent }) => consequent));
    let inner: Statement[] = l.list(() => {
      node.cases.forEach(({ test }, at) => {
        if (!test) return;
        const equal = l.apply(test, "eq", [value, lowerExpression(l, test)]);
        const then: Statement[] = [{ op: "exit", label: starts[at]! }];
        l.emit({ op: "if", test: equal, then, otherwise: [] });
      });
      const other = node.cases.findIndex(({ test }) => !test);
      l.emit({ op: "exit", label: starts[other] ?? end });
    });
    node.cases.forEach(({ consequent }, at) => {
      const body = l.list(() =>
        withJump(
          l,
          { names, end, next: undefined, unnamed: true },
          () => consequent.forEach((part) => lowerStatement(l, part)),
        )
      );
      inner = [{ op: "block", label: starts[at]!, body: inner }, ...body];
    });
    l.emit({ op: "block", label: end, body: inner });
  });
}

function lowerLabeled(
  l: Lowering,
  node: tree.LabeledStatement,
  around: readonly string[],
): void {
  const names = [...around, node.label.name];
  const { body } = node;
  switch (body.type) {
    case "ForStatement":
    case "ForOfStatement":
    case "WhileStatement":
    case "DoWhileStatement":
      return lowerLoop(l, body, names);
    case "SwitchStatement":
      return lowerSwitch(l, body, names);
    case "LabeledStatement":
      return lowerLabeled(l, body, names);
    default: {
      const end = l.label();
      const jump: Jump = { names, end, next: undefined, unnamed: false };
      const inside = () => l.scoped(() => lowerStatement(l, body));
      const list = l.list(() => withJump(l, jump, inside));
      l.emit({ op: "block", label: end, body: list });
    }
  }
}

function lowerJump(
  l: Lowering,
  node: tree.BreakStatement | tree.ContinueStatement,
): void {
  const isContinue = node.type === "ContinueStatement";
  const name = node.label?.name;
  const jump = l.frame.jumps.findLast((jump) =>
    name !== undefined
      ? jump.names.includes(name)
      : isContinue
      ? jump.next !== undefined
      : jump.unnamed
  );
  const label = isContinue ? jump?.next : jump?.end;
  if (!label) l.refuse(node, "there is no loop around it");
  l.emit({ op: "exit", label });
}
