/**
 * What the text of a function becomes: structured statements over pure
 * expressions. Whatever has an effect is a statement of its own, in the order
 * in which JavaScript does it.
 *
 * @module
 */

import type { Source } from "./source.ts";
import type { Value } from "./values.ts";

/** Elements of a typed array. */
export type ArrayElement =
  | "f64"
  | "f32"
  | "i32"
  | "u32"
  | "i16"
  | "u16"
  | "i8"
  | "u8";

/** Where something stands, for messages. */
export interface Place {
  readonly source: Source;
  /** Characters before it. */
  readonly offset: number;
}

/** A number or a boolean with a name. */
export interface Variable {
  readonly kind: "variable";
  readonly id: number;
  readonly name: string;
  readonly place: Place;
  /** All that it ever holds, once inferred. */
  value?: Value;
}

/** A typed array that a function is given. */
export interface ArrayVariable {
  readonly kind: "array";
  readonly id: number;
  readonly name: string;
  readonly element: ArrayElement;
  /** Whether the function stores to it. */
  written: boolean;
}

/** A random generator that a function is given. */
export interface RandomVariable {
  readonly kind: "random";
  readonly id: number;
  readonly name: string;
}

/** What a function takes. */
export type Parameter = Variable | ArrayVariable | RandomVariable;

/** Operations of `Math` that are compiled to instructions. */
export type MathInstruction =
  | "abs"
  | "sqrt"
  | "floor"
  | "ceil"
  | "trunc"
  | "round"
  | "sign"
  | "min"
  | "max"
  | "fround"
  | "imul"
  | "clz32";

/** Functions of `Math` that the host computes. */
export const HOST_FUNCTIONS = {
  acos: 1,
  acosh: 1,
  asin: 1,
  asinh: 1,
  atan: 1,
  atan2: 2,
  atanh: 1,
  cbrt: 1,
  cos: 1,
  cosh: 1,
  exp: 1,
  expm1: 1,
  hypot: 2,
  log: 1,
  log10: 1,
  log1p: 1,
  log2: 1,
  pow: 2,
  sin: 1,
  sinh: 1,
  tan: 1,
  tanh: 1,
} as const;

/** Name of one of {@link HOST_FUNCTIONS}. */
export type HostFunction = keyof typeof HOST_FUNCTIONS;

/** Operations on numbers that give a number. */
export type Arithmetic =
  | "add"
  | "sub"
  | "mul"
  | "div"
  | "rem"
  | "neg"
  | "bitnot"
  | "bitand"
  | "bitor"
  | "bitxor"
  | "shl"
  | "shr"
  | "ushr"
  | "number" // of a boolean, or of a number
  | MathInstruction
  | HostFunction;

/** Comparisons of numbers, and operations on booleans. */
export type Logic =
  | "lt"
  | "le"
  | "eq"
  | "ne"
  | "not"
  | "and"
  | "or"
  | "truthy" // of a number, or of a boolean
  | "isInteger"
  | "isFinite";

/** Any operation; `select` is `test ? a : b`. */
export type Operation = Arithmetic | Logic | "select";

interface Known {
  readonly place: Place;
  /** What it can be, once inferred. */
  value?: Value;
}

/** A literal. */
export interface Constant extends Known {
  readonly op: "constant";
  readonly constant: number | boolean;
}

/** A variable's present value. */
export interface Get extends Known {
  readonly op: "get";
  readonly variable: Variable;
}

/** An operation on values. */
export interface Apply extends Known {
  readonly op: Operation;
  readonly args: readonly Expression[];
}

/** An element; out of range ends the program with a RangeError. */
export interface Load extends Known {
  readonly op: "load";
  readonly array: ArrayVariable;
  readonly index: Expression;
}

/** How many elements an array has. */
export interface Length extends Known {
  readonly op: "length";
  readonly array: ArrayVariable;
}

/** What has a value and no effect. */
export type Expression = Constant | Get | Apply | Load | Length;

/** Where an {@link Exit} goes: the end of a block or loop. */
export interface Label {
  readonly id: number;
}

/** A call of a function that is not inlined. */
export interface Call {
  readonly op: "call";
  readonly place: Place;
  readonly target: FunctionIr;
  readonly args: readonly (Expression | ArrayVariable | RandomVariable)[];
  /** Gets what it returns. */
  readonly result: Variable | undefined;
}

/** A statement. */
export type Statement = AnyStatement & {
  /** Whether anything gets there, once inferred. */
  reached?: boolean;
};

type AnyStatement =
  | {
    readonly op: "set";
    readonly variable: Variable;
    /** None: it has no value any more. */
    readonly to: Expression | undefined;
    /** What was assigned in the last pass of inference. */
    value?: Value;
  }
  | {
    readonly op: "store";
    readonly place: Place;
    readonly array: ArrayVariable;
    readonly index: Expression;
    readonly to: Expression;
  }
  | {
    readonly op: "if";
    readonly test: Expression;
    readonly then: readonly Statement[];
    readonly otherwise: readonly Statement[];
  }
  | {
    /** `for (; test; update) body`; {@link Exit} to `next` is `continue`. */
    readonly op: "loop";
    readonly label: Label;
    readonly next: Label;
    /** What the test needs; done before each test. */
    readonly head: readonly Statement[];
    readonly test: Expression | undefined;
    readonly body: readonly Statement[];
    readonly update: readonly Statement[];
  }
  | {
    readonly op: "block";
    readonly label: Label;
    readonly body: readonly Statement[];
  }
  | { readonly op: "exit"; readonly label: Label }
  | {
    readonly op: "return";
    readonly place: Place;
    readonly to: Expression | undefined;
    value?: Value;
  }
  | Call
  | {
    /** The next number of a generator, from 0 up to, without, 1. */
    readonly op: "draw";
    readonly random: RandomVariable;
    readonly result: Variable;
    value?: Value;
  };

/** A loop. */
export type Loop = Extract<Statement, { op: "loop" }>;

/** A function after its text was taken apart. */
export interface FunctionIr {
  readonly name: string;
  readonly place: Place;
  readonly params: readonly Parameter[];
  body: readonly Statement[];
  /** What it returns, once inferred; undefined while nothing or not yet. */
  result?: Value;
}

/** A function and those that it calls, the entry first. */
export interface ProgramIr {
  readonly functions: readonly FunctionIr[];
  /** How many variables there are, over all functions. */
  readonly variables: number;
}

/** Whether an expression is an operation. */
export function isApply(x: Expression): x is Apply {
  return "args" in x;
}
