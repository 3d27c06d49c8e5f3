/**
 * From a function's text and the types of its arguments to a program.
 *
 * @module
 */

import type { ArrayElement, ProgramIr, Statement } from "./ir.ts";
import { JitError } from "./jit_error.ts";
import { builtinOf } from "./lower_builtin.ts";
import { lowerFunction, parameterNames } from "./lower_call.ts";
import { type Frame, Lowering, Scope } from "./lowering.ts";
import {
  type AnyFunction,
  type ParsedFunction,
  parseFunction,
} from "./source.ts";
import { walkStatements } from "./walk.ts";

/** Names from outside, with what they stand for. */
export interface JitNames {
  /** A number or boolean becomes part of the code; a function is called. */
  readonly [name: string]: number | boolean | AnyFunction;
}

/** The function behind a compiled one, and the names that it was given. */
export interface Origin {
  readonly f: AnyFunction;
  readonly outside: JitNames;
}

const origins = new WeakMap<AnyFunction, Origin>();

/** Notes what a compiled function was made from, so that others can call it. */
export function noteOrigin(compiled: AnyFunction, origin: Origin): void {
  origins.set(compiled, origin);
}

/** What a function is made from: itself, if it is not compiled. */
export function originOf(f: AnyFunction, outside: JitNames): Origin {
  return origins.get(f) ?? { f, outside };
}

/** The scope that a function sees: its own name, and names from outside. */
function scopeOf(
  parsed: ParsedFunction,
  outside: JitNames,
  seen: Map<ParsedFunction, Scope>,
): Scope {
  const present = seen.get(parsed);
  if (present) return present;
  const scope = new Scope();
  seen.set(parsed, scope);
  const { node, source } = parsed;
  const ownName = node.id?.name ?? source.name;
  scope.declare(ownName, { kind: "function", source, node, scope });
  for (const [name, value] of Object.entries(outside)) {
    if (typeof value === "number" || typeof value === "boolean") {
      scope.declare(name, { kind: "value", value });
      continue;
    }
    if (typeof value !== "function") {
      throw new TypeError(
        `jit: with.${name} must be a number, a boolean or a function: got ` +
          `${value === null ? null : typeof value}: pass it as an argument`,
      );
    }
    const builtin = builtinOf(value);
    if (builtin) {
      scope.declare(name, builtin);
      continue;
    }
    // What is not jitted by itself sees the same names.
    const origin = originOf(value, outside);
    const inner = parseFunction(origin.f);
    scope.declare(name, {
      kind: "function",
      source: inner.source,
      node: inner.node,
      scope: scopeOf(inner, origin.outside, seen),
    });
  }
  return scope;
}

/** A function that another one calls by a name of its own. */
export interface Called {
  readonly name: string;
  readonly body: ParsedFunction;
}

/**
 * Takes a function apart.
 *
 * @param types What each argument is.
 * @param called A function that it calls, which then has the names from outside.
 * @throws {JitError} If it is outside of what is compiled.
 */
export function lower(
  parsed: ParsedFunction,
  outside: JitNames,
  types: readonly ("scalar" | "random" | ArrayElement)[],
  called?: Called,
): ProgramIr {
  const l = new Lowering();
  const { source, node } = parsed;
  const frame: Frame = { source, node, jumps: [], caller: undefined };
  l.frame = frame;
  l.entry = node;
  const names = parameterNames(l, frame);
  if (names.length !== types.length) {
    throw new JitError(
      source,
      node.start,
      `the function has ${names.length} parameters: got ${types.length} ` +
        `types: give one for each`,
    );
  }
  const params = names.map((name, at) => l.parameter(name, node, types[at]!));
  const seen = new Map<ParsedFunction, Scope>();
  const scope = scopeOf(parsed, called ? {} : outside, seen);
  if (called) {
    scope.declare(called.name, {
      kind: "function",
      ...called.body,
      scope: scopeOf(called.body, outside, seen),
    });
  }
  const main = {
    name: source.name,
    place: { source, offset: node.start },
    params,
    body: lowerFunction(
      l,
      { kind: "function", source, node, scope },
      names,
      params,
    ) as readonly Statement[],
  };
  for (let next = l.later.shift(); next; next = l.later.shift()) next();
  const functions = [main, ...l.functions];
  noteWrites(functions);
  return { functions, variables: l.variables };
}

/** An array that is passed to a function that writes to it is written. */
function noteWrites(functions: ProgramIr["functions"]): void {
  for (let grown = true; grown;) {
    grown = false;
    for (const { body } of functions) {
      walkStatements(body, (s) => {
        if (s.op !== "call") return;
        s.args.forEach((arg, at) => {
          const param = s.target.params[at]!;
          if (!("kind" in arg) || arg.kind !== "array") return;
          if (param.kind !== "array" || !param.written || arg.written) return;
          arg.written = true;
          grown = true;
        });
      });
    }
  }
}
