/**
 * Operations as WGSL expressions of named operands.
 *
 * @module
 */

import type { DType } from "../dtype.ts";
import type { Reducer, Value } from "../kernel/kernel.ts";
import { FMOD, THREEFRY } from "./helpers.ts";
import { literal, typeOf } from "./literal.ts";
import type { Shader } from "./shader.ts";

/** The value as it lies in memory. */
export function toStored(text: string, dtype: DType): string {
  return dtype === "bool" ? `select(0u, 1u, ${text})` : text;
}

/** The value of an element in memory. */
export function fromStored(text: string, dtype: DType): string {
  return dtype === "bool" ? `${text} != 0u` : text;
}

/** A test of the bits: a compiler may take `a != a` to be false. */
export function isNaNText(a: string): string {
  return `((bitcast<u32>(${a}) & 0x7fffffffu) > 0x7f800000u)`;
}

/** `max` or `min` with NaN if one operand is: the builtin may give either. */
function extreme(a: string, b: string, comparison: ">" | "<"): string {
  return `select(${b}, ${a}, (${a} ${comparison} ${b}) | ${isNaNText(a)})`;
}

/** Two partial results of a reduction as one. */
export function combined(
  reducer: Reducer,
  a: string,
  b: string,
  dtype: DType,
): string {
  switch (reducer) {
    case "sum":
      return `${a} + ${b}`;
    case "prod":
      return `${a} * ${b}`;
    case "max":
      if (dtype === "bool") return `${a} | ${b}`;
      return dtype === "float32" ? extreme(a, b, ">") : `max(${a}, ${b})`;
    case "min":
      if (dtype === "bool") return `${a} & ${b}`;
      return dtype === "float32" ? extreme(a, b, "<") : `min(${a}, ${b})`;
    default:
      return reducer satisfies never;
  }
}

/** A value's operation on its operands; `from` is the first one's type. */
export function expressionOf(
  shader: Shader,
  value: Value,
  args: readonly string[],
  from: DType,
): string {
  const [a = "", b = "", c = ""] = args;
  const isBool = from === "bool";
  switch (value.op) {
    case "neg":
      return from === "uint32" ? `0u - ${a}` : `-(${a})`;
    case "abs":
      return from === "uint32" ? a : `abs(${a})`;
    case "exp":
    case "log":
    case "sqrt":
    case "sin":
    case "cos":
    case "floor":
    case "ceil":
    case "round":
    case "trunc":
      return `${value.op}(${a})`;
    case "not":
      return isBool ? `!${a}` : `~${a}`;
    case "add":
      return `${a} + ${b}`;
    case "sub":
      return `${a} - ${b}`;
    case "mul":
      return `${a} * ${b}`;
    case "div":
      return `${a} / ${b}`;
    case "idiv":
    case "rem": {
      if (from === "float32") {
        shader.helper("fmod", FMOD);
        return `fmod(${a}, ${b})`;
      }
      const type = typeOf(from);
      const zero = `(${b} == ${type}(0))`;
      const divisor = `select(${b}, ${type}(1), ${zero})`;
      return value.op === "rem"
        ? `${a} % ${divisor}`
        : `select(${a} / ${divisor}, ${type}(0), ${zero})`;
    }
    case "min":
    case "max":
      return combined(value.op, a, b, from);
    case "and":
      return `${a} & ${b}`;
    case "or":
      return `${a} | ${b}`;
    case "xor":
      return isBool ? `${a} != ${b}` : `${a} ^ ${b}`;
    case "shl":
      return `${a} << (u32(${b}) & 31u)`;
    case "shr":
      return `${a} >> (u32(${b}) & 31u)`;
    case "lt":
      return isBool ? `!${a} & ${b}` : `${a} < ${b}`;
    case "le":
      return isBool ? `!${a} | ${b}` : `${a} <= ${b}`;
    case "eq":
      return `${a} == ${b}`;
    case "ne":
      // Not `!=`, which some compilers take to be false of NaN.
      return from === "float32" ? `!(${a} == ${b})` : `${a} != ${b}`;
    case "where":
      return `select(${c}, ${b}, ${a})`;
    case "cast":
      return castOf(a, from, value.dtype);
    case "bitcast":
      return bitcastOf(a, from, value.dtype);
    case "threefry":
      shader.helper("threefry", THREEFRY);
      return `threefry(${args.join(", ")}).${value.word === 0 ? "x" : "y"}`;
    default:
      throw new Error(`unexpected ${value.op}`);
  }
}

function castOf(a: string, from: DType, to: DType): string {
  if (from === to) return a;
  if (to === "bool") return `!(${a} == ${literal(0, from)})`;
  if (from !== "float32") return `${typeOf(to)}(${a})`;
  // Saturates whatever the hardware does; the bounds are exact in float32.
  return to === "int32"
    ? `select(select(i32(clamp(${a}, -2147483648f, 2147483520f)), ` +
      `2147483647, ${a} >= 2147483648f), 0, ${isNaNText(a)})`
    : `select(select(u32(clamp(${a}, 0f, 4294967040f)), ` +
      `4294967295u, ${a} >= 4294967296f), 0u, ${isNaNText(a)})`;
}

function bitcastOf(a: string, from: DType, to: DType): string {
  if (from === to) return a;
  const stored = from === "bool" ? `select(0u, 1u, ${a})` : a;
  return to === "bool"
    ? `bitcast<u32>(${stored}) != 0u`
    : `bitcast<${typeOf(to)}>(${stored})`;
}
