/**
 * Taking apart: `[a, b] = [b, a]`, `const { abs, PI } = Math`.
 *
 * @module
 */

import type * as tree from "acorn";
import type { Expression } from "./ir.ts";
import { arrayOf, changed, lowerExpression } from "./lower_expression.ts";
import type { Lowering } from "./lowering.ts";

/** A target, and what it gets: a value that is there, or part of an object. */
export interface Part {
  readonly target: tree.Pattern;
  readonly value?: Expression;
  readonly part?: tree.MemberExpression;
}

/** The names that a pattern declares. */
export function namesIn(pattern: tree.Pattern): string[] {
  switch (pattern.type) {
    case "Identifier":
      return [pattern.name];
    case "ArrayPattern":
      return pattern.elements.flatMap((part) => part ? namesIn(part) : []);
    case "ObjectPattern":
      return pattern.properties.flatMap((part) =>
        namesIn(part.type === "Property" ? part.value : part)
      );
    default:
      return []; // refused when it is reached
  }
}

/** What to say of a pattern that is not compiled. */
export function refusedPattern({ type }: tree.Node): string {
  switch (type) {
    case "AssignmentPattern":
      return "default values are not compiled: nothing is missing: leave it out";
    case "RestElement":
      return "rest elements are not compiled: name each one";
    default:
      return "taking apart is not compiled here: assign one by one";
  }
}

/** What each name or element of a pattern gets; all values are there before. */
export function partsOf(
  l: Lowering,
  pattern: tree.ArrayPattern | tree.ObjectPattern,
  from: tree.Expression,
): Part[] {
  return pattern.type === "ArrayPattern"
    ? elementsOf(l, pattern, from)
    : propertiesOf(l, pattern, from);
}

function propertiesOf(
  l: Lowering,
  pattern: tree.ObjectPattern,
  from: tree.Expression,
): Part[] {
  if (from.type !== "Identifier") {
    l.refuse(from, "objects are not compiled: assign one by one");
  }
  return pattern.properties.map((property) => {
    if (property.type !== "Property") {
      l.refuse(property, refusedPattern(property));
    }
    const { key, computed, value, start, end } = property;
    const part: tree.MemberExpression = {
      type: "MemberExpression",
      object: from,
      property: key,
      computed: computed || key.type === "Literal",
      optional: false,
      start,
      end,
    };
    return { target: value, part };
  });
}

function elementsOf(
  l: Lowering,
  { elements }: tree.ArrayPattern,
  from: tree.Expression,
): Part[] {
  const values = from.type === "ArrayExpression"
    ? listed(l, from)
    : firstOf(l, from, elements.length);
  if (elements.length > values.length) {
    l.refuse(
      from,
      `there are ${elements.length} names for ${values.length} values: ` +
        "give a value to each",
    );
  }
  return elements.flatMap((target, at) =>
    target ? [{ target, value: values[at]! }] : []
  );
}

/** The values of a list that is written out. */
function listed(l: Lowering, list: tree.ArrayExpression): Expression[] {
  const parts = list.elements.map((node) => {
    if (node) return { node, make: () => lowerExpression(l, node) };
    return l.refuse(list, "a value is missing between commas: write NaN or 0");
  });
  return l.operands(parts).map((x, at) => l.hold(parts[at]!.node, x));
}

/** The first elements of an array. */
function firstOf(
  l: Lowering,
  from: tree.Expression,
  count: number,
): Expression[] {
  const array = arrayOf(l, from);
  return Array.from({ length: count }, (_, at) =>
    l.hold(from, {
      op: "load",
      place: l.place(from),
      array,
      index: l.constant(from, at),
    }));
}

/** `[a, x[i]] = from`. */
export function assignParts(
  l: Lowering,
  pattern: tree.ArrayPattern,
  from: tree.Expression,
): void {
  for (const { target, value } of elementsOf(l, pattern, from)) {
    changed(l, target, target, () => value!);
  }
}
