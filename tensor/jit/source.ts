/**
 * From a function to its syntax tree.
 *
 * @module
 */

import { type AnyNode, type Function, type Node, parse } from "acorn";
import { JitError } from "./jit_error.ts";

/** The text that a function was written in. */
export interface Source {
  /** Name of the function, for messages. */
  readonly name: string;
  /** As `toString` gives it. */
  readonly text: string;
}

/** A function's tree; its places count from the beginning of the text. */
export interface ParsedFunction {
  readonly source: Source;
  readonly node: Function;
}

/** Any of the functions that are compiled: only text and name are looked at. */
// deno-lint-ignore no-explicit-any
export type AnyFunction = (...args: any[]) => unknown;

/** What messages call a function that has no name. */
export const ANONYMOUS = "(anonymous)";

/** The name of a function, for messages. */
export function nameOf(f: AnyFunction): string {
  return f.name || ANONYMOUS;
}

const parsed = new WeakMap<AnyFunction, ParsedFunction>();

/**
 * Parses a function's own text.
 *
 * @throws {JitError} If it has none, or is a class, a generator or async.
 */
export function parseFunction(f: AnyFunction): ParsedFunction {
  const present = parsed.get(f);
  if (present) return present;
  const source = { name: nameOf(f), text: f.toString() };
  const node = findFunction(source);
  const refuse = (what: string, instead: string) => {
    throw new JitError(source, 0, `${what}: ${instead}`);
  };
  if (node.async) refuse("async functions are not compiled", "leave out async");
  if (node.generator) {
    refuse("generators are not compiled", "return a value, or write an array");
  }
  const result = { source, node };
  parsed.set(f, result);
  return result;
}

/** Parses a function that is written as a text. */
export function parseText(name: string, text: string): ParsedFunction {
  const source = { name, text };
  return { source, node: findFunction(source) };
}

function findFunction(source: Source): Function {
  if (/\{\s*\[native code\]\s*\}\s*$/.test(source.text)) {
    throw new JitError(
      source,
      0,
      "a native or bound function has no text to compile: " +
        "pass a function written in JavaScript",
    );
  }
  // As an expression, or, for the shorthand of methods, in a class.
  let failure = { offset: 0, message: "" };
  for (const [before, after] of [["(", ")"], ["(class {", "})"]] as const) {
    try {
      const program = parse(`${before}${source.text}${after}`, {
        ecmaVersion: "latest",
      });
      shift(program, before.length);
      const [statement] = program.body;
      if (statement?.type !== "ExpressionStatement") continue;
      const { expression } = statement;
      if (
        expression.type === "FunctionExpression" ||
        expression.type === "ArrowFunctionExpression"
      ) return expression;
      if (expression.type !== "ClassExpression") continue;
      const [method] = expression.body.body;
      if (before !== "(" && method?.type === "MethodDefinition") {
        return method.value;
      }
      throw new JitError(
        source,
        0,
        "classes are not compiled: pass a function",
      );
    } catch (error) {
      if (error instanceof JitError) throw error;
      const { pos, message } = error as SyntaxError & { pos: number };
      failure = { offset: pos - before.length, message };
    }
  }
  throw new JitError(
    source,
    failure.offset,
    `the text of the function cannot be parsed: ${failure.message}`,
  );
}

/** Makes the places in a tree count from the beginning of the function. */
function shift(node: Node, by: number): void {
  node.start -= by;
  node.end -= by;
  for (const child of Object.values(node as AnyNode)) {
    for (const part of Array.isArray(child) ? child : [child]) {
      if (part !== null && typeof part === "object" && "type" in part) {
        shift(part as Node, by);
      }
    }
  }
}
