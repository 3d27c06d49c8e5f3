/**
 * Looks at all of a function.
 *
 * @module
 */

import {
  type Expression,
  isApply,
  type Loop,
  type Statement,
  type Variable,
} from "./ir.ts";

/** Every statement of a list, those inside of others included. */
export function walkStatements(
  list: readonly Statement[],
  look: (s: Statement) => void,
): void {
  for (const s of list) {
    look(s);
    for (const inner of listsOf(s)) walkStatements(inner, look);
  }
}

/** The lists inside a statement. */
function listsOf(s: Statement): readonly (readonly Statement[])[] {
  switch (s.op) {
    case "if":
      return [s.then, s.otherwise];
    case "block":
      return [s.body];
    case "loop":
      return [s.head, s.body, s.update];
    default:
      return [];
  }
}

/** The expressions of one statement, without those of statements inside. */
export function expressionsOf(s: Statement): Expression[] {
  switch (s.op) {
    case "set":
    case "return":
      return s.to ? [s.to] : [];
    case "store":
      return [s.index, s.to];
    case "if":
      return [s.test];
    case "loop":
      return s.test ? [s.test] : [];
    case "call":
      return s.args.filter((arg) => !("kind" in arg)) as Expression[];
    default:
      return [];
  }
}

/** An expression and all in it. */
export function walkExpression(
  x: Expression,
  look: (x: Expression) => void,
): void {
  look(x);
  if (isApply(x)) { for (const arg of x.args) walkExpression(arg, look); }
  else if (x.op === "load") walkExpression(x.index, look);
}

/** Every expression of a list of statements. */
export function walkExpressions(
  list: readonly Statement[],
  look: (x: Expression) => void,
): void {
  walkStatements(list, (s) => {
    for (const x of expressionsOf(s)) walkExpression(x, look);
  });
}

/** The variables that a loop assigns to. */
export function assignedIn(loop: Loop): Variable[] {
  const found = new Set<Variable>();
  walkStatements([loop], (s) => {
    if (s.op === "set") found.add(s.variable);
    else if (s.op === "draw") found.add(s.result);
    else if (s.op === "call" && s.result) found.add(s.result);
  });
  return [...found];
}

/** Whether elements may change in statements. */
export function storesIn(list: readonly Statement[]): boolean {
  let found = false;
  walkStatements(list, ({ op }) => found ||= op === "store" || op === "call");
  return found;
}
