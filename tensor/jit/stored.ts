/**
 * Values that are named only to be stored.
 *
 * @module
 */

import type { Expression, FunctionIr, Statement, Variable } from "./ir.ts";
import { walkExpressions } from "./walk.ts";

/** How often each variable of a function is read, by the text. */
export function countReads({ body }: FunctionIr): Map<Variable, number> {
  const reads = new Map<Variable, number>();
  walkExpressions(body, (x) => {
    if (x.op !== "get") return;
    reads.set(x.variable, (reads.get(x.variable) ?? 0) + 1);
  });
  return reads;
}

/**
 * What a variable is made of, if it is read only by the store behind it. An
 * element may need fewer bits than a variable that holds all of the value.
 */
export function storedValue(
  first: Statement | undefined,
  second: Statement | undefined,
  reads: ReadonlyMap<Variable, number>,
): Expression | undefined {
  if (first?.op !== "set" || second?.op !== "store") return undefined;
  const { variable, to } = first;
  const isOnly = second.to.op === "get" && second.to.variable === variable &&
    reads.get(variable) === 1;
  return isOnly ? to : undefined;
}
