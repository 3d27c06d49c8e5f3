/**
 * What taking a function's text apart keeps track of: names, places and the
 * statements written so far.
 *
 * @module
 */

import type { Function, Identifier, MemberExpression, Node } from "acorn";
import type {
  Apply,
  ArrayElement,
  ArrayVariable,
  Constant,
  Expression,
  FunctionIr,
  Get,
  Label,
  Operation,
  Parameter,
  Place,
  RandomVariable,
  Statement,
  Variable,
} from "./ir.ts";
import { JitError } from "./jit_error.ts";
import type { ParsedFunction, Source } from "./source.ts";

/** A function that can be called by its name. */
export interface Callee {
  readonly kind: "function";
  readonly source: Source;
  readonly node: Function;
  /** The names that it sees. */
  readonly scope: Scope;
}

/** A function of `Math` or `Number`. */
export interface Builtin {
  readonly kind: "builtin";
  readonly object: "Math" | "Number";
  readonly name: string;
}

/** What a name stands for. */
export type Binding =
  | {
    readonly kind: "variable";
    readonly variable: Variable;
    constant: boolean;
  }
  | ArrayVariable
  | RandomVariable
  | Callee
  | Builtin
  | { readonly kind: "value"; readonly value: number | boolean }
  /** A variable before its declaration. */
  | { readonly kind: "early" };

/** Names, and those around them. */
export class Scope {
  readonly #names = new Map<string, Binding>();
  readonly #around: Scope | undefined;
  readonly #alone: boolean;

  /**
   * Begins without names.
   *
   * @param around Where names are looked for that are not found here.
   * @param alone Whether this is a function that is not inlined: variables
   * around it are out of its reach.
   */
  constructor(around?: Scope, alone = false) {
    this.#around = around;
    this.#alone = alone;
  }

  find(name: string): Binding | undefined {
    return this.#names.get(name) ?? this.#around?.find(name);
  }

  /** Whether this is a scope or one inside of it. */
  isInside(scope: Scope): boolean {
    return this === scope || (this.#around?.isInside(scope) ?? false);
  }

  /** Whether a name stands for something that cannot be reached from here. */
  isOutOfReach(name: string): boolean {
    if (this.#names.has(name) || !this.#around) return false;
    if (!this.#alone) return this.#around.isOutOfReach(name);
    const kind = this.#around.find(name)?.kind;
    return kind === "variable" || kind === "array" || kind === "random";
  }

  declare(name: string, binding: Binding): void {
    this.#names.set(name, binding);
  }
}

/** The name of a property, as `x.name` or `x["name"]`; undefined of others. */
export function propertyName(
  { property, computed }: MemberExpression,
): string | undefined {
  if (!computed) {
    return property.type === "Identifier" ? property.name : undefined;
  }
  return property.type === "Literal" && typeof property.value === "string"
    ? property.value
    : undefined;
}

/** Where `break` and `continue` go. */
export interface Jump {
  readonly names: readonly string[];
  readonly end: Label;
  /** None for a switch or a plain block. */
  readonly next: Label | undefined;
  /** Whether `break` without a name goes there: not from a plain block. */
  readonly unnamed: boolean;
}

/** One function being taken apart: the entry, or one that is inlined in it. */
export interface Frame {
  readonly source: Source;
  readonly node: Function;
  readonly jumps: Jump[];
  /** Where `return` goes; none in the function that is not inlined. */
  readonly inlined?: {
    readonly end: Label;
    readonly result: Variable | undefined;
  };
  /** The one that it is inlined in. */
  readonly caller: Frame | undefined;
}

/** Statements beyond which a program is taken for a mistake. */
const MOST_STATEMENTS = 20000;

/** The state of taking a program apart. */
export class Lowering {
  #ids = 0;
  #variables = 0;
  #statements = 0;
  /** The statements written so far, of the innermost list. */
  out: Statement[] = [];
  scope: Scope = new Scope();
  frame!: Frame;
  /** The function that is compiled, with those that it calls. */
  entry!: Function;
  readonly functions: FunctionIr[] = [];
  /** Functions that call themselves, by their node and what they take. */
  readonly instances = new Map<string, FunctionIr>();
  /** What is still to be taken apart. */
  readonly later: (() => void)[] = [];

  get variables(): number {
    return this.#variables;
  }

  place(node: Node): Place {
    return { source: this.frame.source, offset: node.start };
  }

  /** Refuses what is written at a node. */
  refuse(node: Node, message: string): never {
    throw new JitError(this.frame.source, node.start, message);
  }

  /** What a name stands for. */
  find(node: Identifier): Exclude<Binding, { kind: "early" }> | undefined {
    const { name } = node;
    if (!this.scope.isOutOfReach(name)) {
      const found = this.scope.find(name);
      if (found?.kind !== "early") return found;
      this.refuse(
        node,
        `${name} is used before it is declared: declare it earlier`,
      );
    }
    this.refuse(
      node,
      `${name} is from around a function that calls itself: ` +
        "pass it as an argument",
    );
  }

  label(): Label {
    return { id: this.#ids++ };
  }

  variable(name: string, node: Node): Variable {
    const place = this.place(node);
    return { kind: "variable", id: this.#variables++, name, place };
  }

  array(name: string, element: ArrayElement): ArrayVariable {
    return { kind: "array", id: this.#ids++, name, element, written: false };
  }

  random(name: string): RandomVariable {
    return { kind: "random", id: this.#ids++, name };
  }

  /** A parameter of a kind. */
  parameter(
    name: string,
    node: Node,
    type: "scalar" | "random" | ArrayElement,
  ): Parameter {
    return type === "scalar"
      ? this.variable(name, node)
      : type === "random"
      ? this.random(name)
      : this.array(name, type);
  }

  /** Appends a statement. */
  emit(statement: Statement): void {
    if (++this.#statements > MOST_STATEMENTS) {
      throw new JitError(
        this.frame.source,
        this.frame.node.start,
        "the function is too large with all that it calls: " +
          "call fewer functions from each other",
      );
    }
    this.out.push(statement);
  }

  /** The statements that `body` writes. */
  list(body: () => void): Statement[] {
    const outer = this.out;
    const mine: Statement[] = this.out = [];
    try {
      body();
    } finally {
      this.out = outer;
    }
    return mine;
  }

  /** Does something with names of its own. */
  scoped<T>(body: () => T, scope: Scope = new Scope(this.scope)): T {
    const outer = this.scope;
    this.scope = scope;
    try {
      return body();
    } finally {
      this.scope = outer;
    }
  }

  constant(node: Node, constant: number | boolean): Constant {
    return { op: "constant", place: this.place(node), constant };
  }

  get(node: Node, variable: Variable): Get {
    return { op: "get", place: this.place(node), variable };
  }

  apply(node: Node, op: Operation, args: readonly Expression[]): Apply {
    return { op, place: this.place(node), args };
  }

  set(variable: Variable, to: Expression | undefined): void {
    this.emit({ op: "set", variable, to });
  }

  /** An expression that stays what it is, whatever statements follow. */
  hold(node: Node, x: Expression): Expression {
    if (x.op === "constant" || x.op === "length") return x;
    if (x.op === "get" && this.#held.has(x.variable)) return x;
    const variable = this.fresh(node);
    this.set(variable, x);
    return this.get(node, variable);
  }

  /** A variable without a name, to be set once. */
  fresh(node: Node): Variable {
    const variable = this.variable("(value)", node);
    this.#held.add(variable);
    return variable;
  }

  readonly #held = new WeakSet<Variable>();

  /** Variables that have had a value since they were declared, by depth. */
  readonly #valued = new Map<Variable, Scope>();

  /** Notes that a variable has a value in this scope. */
  noteValue(variable: Variable): void {
    this.#valued.set(variable, this.scope);
  }

  /** Whether a variable has a value in this scope. */
  hasValue(variable: Variable): boolean {
    const scope = this.#valued.get(variable);
    return scope !== undefined && this.scope.isInside(scope);
  }

  /** Marks a variable as one that is set once. */
  setOnce(variable: Variable): void {
    this.#held.add(variable);
  }

  /**
   * Expressions in the order in which JavaScript computes them: what comes
   * before one that needs statements is held before these.
   */
  operands(
    parts: readonly { readonly node: Node; readonly make: () => Expression }[],
  ): Expression[] {
    const made: Expression[] = [];
    for (const { make } of parts) {
      let x: Expression;
      const needs = this.list(() => x = make());
      if (needs.length > 0) {
        made.forEach((earlier, at) =>
          made[at] = this.hold(parts[at]!.node, earlier)
        );
        this.out.push(...needs);
      }
      made.push(x!);
    }
    return made;
  }

  /** Whether a function is being inlined at present, or is the entry. */
  isOpen(node: Function): boolean {
    for (let f: Frame | undefined = this.frame; f; f = f.caller) {
      if (f.node === node) return true;
    }
    return false;
  }
}

/** A function that was passed in `with`, or jitted by itself. */
export interface Known {
  readonly parsed: ParsedFunction;
  readonly scope: Scope;
}
