/**
 * A program as text, with the types that were found.
 *
 * @module
 */

import {
  type Expression,
  type FunctionIr,
  isApply,
  type Parameter,
  type ProgramIr,
  type Statement,
  type Variable,
} from "./ir.ts";
import { representationOf } from "./representation.ts";
import type { Value } from "./values.ts";

const INFIX: Readonly<Record<string, string>> = {
  add: "+",
  sub: "-",
  mul: "*",
  div: "/",
  rem: "%",
  bitand: "&",
  bitor: "|",
  bitxor: "^",
  shl: "<<",
  shr: ">>",
  ushr: ">>>",
  lt: "<",
  le: "<=",
  eq: "===",
  ne: "!==",
  and: "&&",
  or: "||",
};

/** The functions of a program, each variable with its machine type. */
export function printProgram({ functions }: ProgramIr): string {
  return functions.map(printFunction).join("\n\n");
}

function typeOf(value: Value | undefined): string {
  return value ? representationOf(value) : "never";
}

function printFunction({ name, params, result, body }: FunctionIr): string {
  const list = params.map(printParameter).join(", ");
  const type = result ? typeOf(result) : "void";
  return [`${name}(${list}): ${type} {`, ...printList(body), "}"].join("\n");
}

function printParameter(param: Parameter): string {
  switch (param.kind) {
    case "array":
      return `${param.name}: ${param.element}[]`;
    case "random":
      return `${param.name}: random`;
    case "variable":
      return `${nameOf(param)}: ${typeOf(param.value)}`;
    default:
      return param satisfies never;
  }
}

function nameOf({ name, id }: Variable): string {
  return name === "(value)" ? `$${id}` : name;
}

function printList(list: readonly Statement[]): string[] {
  return list.filter(({ reached }) => reached).flatMap(printStatement).map((
    line,
  ) => `  ${line}`);
}

function printStatement(s: Statement): string[] {
  switch (s.op) {
    case "set": {
      if (!s.to) return [];
      const { variable } = s;
      return [
        `${nameOf(variable)}: ${typeOf(variable.value)} = ${print(s.to)}`,
      ];
    }
    case "store":
      return [`${s.array.name}[${print(s.index)}] = ${print(s.to)}`];
    case "if":
      return [
        `if (${print(s.test)}) {`,
        ...printList(s.then),
        ...s.otherwise.length > 0
          ? ["} else {", ...printList(s.otherwise)]
          : [],
        "}",
      ];
    case "block":
      return [`L${s.label.id}: {`, ...printList(s.body), "}"];
    case "exit":
      return [`break L${s.label.id}`];
    case "return":
      return [s.to ? `return ${print(s.to)}` : "return"];
    case "loop":
      return [
        `L${s.label.id}: loop {`,
        ...printList(s.head),
        ...s.test ? [`  while (${print(s.test)})`] : [],
        `  L${s.next.id}: {`,
        ...printList(s.body).map((line) => `  ${line}`),
        "  }",
        ...printList(s.update),
        "}",
      ];
    case "call": {
      const args = s.args.map((arg) => "kind" in arg ? arg.name : print(arg));
      const call = `${s.target.name}(${args.join(", ")})`;
      return [s.result ? `${nameOf(s.result)} = ${call}` : call];
    }
    case "draw":
      return [`${nameOf(s.result)}: f64 = ${s.random.name}.next()`];
    default:
      return s satisfies never;
  }
}

function print(x: Expression): string {
  switch (x.op) {
    case "constant":
      return `${x.constant}`;
    case "get":
      return nameOf(x.variable);
    case "length":
      return `${x.array.name}.length`;
    case "load":
      return `${x.array.name}[${print(x.index)}]`;
  }
  if (!isApply(x)) return x satisfies never;
  const args = x.args.map(print);
  const infix = INFIX[x.op];
  if (infix) return `(${args[0]} ${infix} ${args[1]})`;
  if (x.op === "select") return `(${args[0]} ? ${args[1]} : ${args[2]})`;
  return `${x.op}(${args.join(", ")})`;
}
