/**
 * Expressions as instructions, in the machine type that is asked for.
 *
 * @module
 */

import type {
  FunctionBuilder,
  Label,
  Local,
  PlainOp,
} from "../wasm/assembler.ts";
import { emitLoad } from "./emit_memory.ts";
import type { FunctionEmitter } from "./emit_wasm.ts";
import {
  type Apply,
  type Expression,
  HOST_FUNCTIONS,
  type HostFunction,
  isApply,
} from "./ir.ts";
import { naturalOf, type Representation } from "./representation.ts";
import {
  INT_MAX,
  INT_MIN,
  isExact,
  type NumberValue,
  onlyNumber,
  UINT_MAX,
  within,
} from "./values.ts";

/** Pushes a value as it is held. */
export function emitValue(
  e: FunctionEmitter,
  x: Expression,
  as: Representation,
): FunctionEmitter {
  switch (as) {
    case "bool":
      return emitBool(e, x);
    case "i32":
    case "u32":
      return emitInt(e, x);
    case "f32":
      return emitF32(e, x);
    case "f64":
      return emitF64(e, x);
    default:
      return as satisfies never;
  }
}

function numberOf(x: Expression): NumberValue {
  return x.value as NumberValue;
}

function isSigned(x: Expression): boolean {
  return within(x.value!, INT_MIN, INT_MAX);
}

function isUnsigned(x: Expression): boolean {
  return within(x.value!, 0, UINT_MAX);
}

const INT_OPS: Readonly<Record<string, PlainOp>> = {
  add: "i32.add",
  sub: "i32.sub",
  mul: "i32.mul",
  imul: "i32.mul",
  bitand: "i32.and",
  bitor: "i32.or",
  bitxor: "i32.xor",
  shl: "i32.shl",
  shr: "i32.shr_s",
  ushr: "i32.shr_u",
};

/**
 * Whether the low 32 bits of a whole number follow from those of its operands:
 * then `(a * b + c) | 0` needs no floats, if what it stands for is exact.
 */
export function wraps(x: Expression): boolean {
  if (!isExact(x.value!)) return false;
  if (naturalOf(x) === "int") return true;
  return isApply(x) &&
    (x.op === "add" || x.op === "sub" || x.op === "mul") &&
    x.args.every(wraps);
}

/** Pushes the low 32 bits of what is whole, and of the rest what `| 0` gives. */
export function emitInt(e: FunctionEmitter, x: Expression): FunctionEmitter {
  const { f } = e;
  switch (x.op) {
    case "constant":
      f.i32(Number(x.constant) | 0);
      return e;
    case "get":
      if (naturalOf(x) !== "int") break;
      f.get(e.variable(x.variable));
      return e;
    case "length":
      f.get(e.array(x.array).length);
      return e;
    case "load":
      if (naturalOf(x) !== "int") break;
      emitLoad(e, x.array, x.index, x.place);
      return e;
    default: {
      if (emitIntOperation(e, x)) return e;
    }
  }
  if (isApply(x) && isExact(x.value!) && isLong(x)) {
    emitLong(e, x).f.op("i32.wrap_i64");
    return e;
  }
  const { lo, hi } = numberOf(x);
  emitF64(e, x);
  if (lo > INT_MIN - 1 && hi < INT_MAX + 1) f.op("i32.trunc_sat_f64_s");
  else if (lo >= -(2 ** 62) && hi <= 2 ** 62) {
    f.op("i64.trunc_sat_f64_s").op("i32.wrap_i64");
  } else f.call(e.module.imports.toInt32);
  return e;
}

/** Pushes the result of an operation in 32 bits, if it can be had so. */
function emitIntOperation(e: FunctionEmitter, x: Apply): boolean {
  const { f } = e;
  const { op, args } = x;
  const [a, b] = args as [Expression, Expression];
  switch (op) {
    case "bitor":
      // x | 0 asks for nothing else.
      emitInt(e, a);
      if (b.op !== "constant" || b.constant !== 0) emitInt(e, b).f.op("i32.or");
      return true;
    case "bitand":
    case "bitxor":
    case "imul":
    case "shl":
    case "shr":
    case "ushr":
      emitInt(e, a);
      if (op === "ushr" && b.op === "constant" && b.constant === 0) return true;
      emitInt(e, b).f.op(INT_OPS[op]!);
      return true;
    case "bitnot":
      emitInt(e, a).f.i32(-1).op("i32.xor");
      return true;
    case "clz32":
      emitInt(e, a).f.op("i32.clz");
      return true;
    case "number":
      if (a.value!.kind === "boolean") emitBool(e, a);
      else emitInt(e, a);
      return true;
    case "add":
      if (!wraps(x)) return false;
      if (emitCount(e, a, b)) return true;
      emitInt(e, a);
      emitInt(e, b).f.op("i32.add");
      return true;
    case "sub":
    case "mul":
      if (!wraps(x)) return false;
      emitInt(e, a);
      emitInt(e, b).f.op(INT_OPS[op]!);
      return true;
    case "neg":
      if (!wraps(a)) return false;
      f.i32(0);
      emitInt(e, a).f.op("i32.sub");
      return true;
    case "floor":
    case "ceil":
    case "trunc":
    case "round":
      if (naturalOf(a) === "int") {
        emitInt(e, a);
        return true;
      }
      // The conversion truncates by itself.
      if (op !== "trunc") return false;
      emitInt(e, a);
      return true;
    case "rem":
      return emitIntRemainder(e, a, b);
    case "abs":
    case "min":
    case "max":
    case "sign":
      return naturalOf(x) === "int" && emitIntExtreme(e, x);
    case "select": {
      if (naturalOf(x) !== "int") return false;
      emitSelect(e, x, (arm) => emitInt(e, arm), "i32");
      return true;
    }
    default:
      return false;
  }
}

/** `v + (c ? 1 : 0)` adds a condition. */
function emitCount(e: FunctionEmitter, a: Expression, b: Expression): boolean {
  if (b.op !== "select") return false;
  const [test, yes, no] = b.args;
  const is = (x: Expression, n: number) =>
    x.op === "constant" && x.constant === n;
  if (!is(yes!, 1) || !is(no!, 0)) return false;
  emitInt(e, a);
  emitBool(e, test!).f.op("i32.add");
  return true;
}

function emitIntRemainder(
  e: FunctionEmitter,
  a: Expression,
  b: Expression,
): boolean {
  const divisor = numberOf(b);
  if (divisor.nan || !isExact(a.value!) || !isExact(divisor)) return false;
  if (divisor.lo <= 0 && divisor.hi >= 0 && !divisor.nonZero) return false;
  const { f } = e;
  if (naturalOf(a) === "int" && naturalOf(b) === "int") {
    if (isSigned(a) && isSigned(b)) {
      const positive = numberOf(a).lo >= 0 && divisor.lo >= 0;
      emitInt(e, a);
      emitInt(e, b).f.op(positive ? "i32.rem_u" : "i32.rem_s");
      return true;
    }
    if (isUnsigned(a) && isUnsigned(b)) {
      emitInt(e, a);
      emitInt(e, b).f.op("i32.rem_u");
      return true;
    }
  }
  emitLong(e, a);
  emitLong(e, b).f.op("i64.rem_s").op("i32.wrap_i64");
  return f !== undefined;
}

/** abs, sign, min and max of whole numbers of 32 bits. */
function emitIntExtreme(e: FunctionEmitter, x: Apply): boolean {
  const { f } = e;
  const { op } = x;
  const [a, b] = x.args as [Expression, Expression];
  if (op === "abs" || op === "sign") {
    const p = f.local("i32");
    emitInt(e, a).f.set(p);
    if (isUnsigned(a)) {
      f.get(p);
      if (op === "sign") f.i32(0).op("i32.ne");
    } else if (op === "abs") {
      f.i32(0).get(p).op("i32.sub").get(p);
      f.get(p).i32(0).op("i32.lt_s").op("select");
    } else {
      f.get(p).i32(0).op("i32.gt_s").get(p).i32(0).op("i32.lt_s");
      f.op("i32.sub");
    }
    return true;
  }
  const signed = isSigned(a) && isSigned(b);
  // One signed and one unsigned are compared in more bits.
  const isLonger = !signed && !(isUnsigned(a) && isUnsigned(b));
  const type = isLonger ? "i64" : "i32";
  const order = `${op === "min" ? "lt" : "gt"}_${
    signed || isLonger ? "s" : "u"
  }` as const;
  const pushes = [a, b].map((arg) => () =>
    (isLonger ? emitLong : emitInt)(e, arg)
  );
  emitChoice(f, type, `${type}.${order}`, pushes);
  if (isLonger) f.op("i32.wrap_i64");
  return true;
}

/** Pushes the first of two numbers if they are in this order, else the second. */
export function emitChoice(
  f: FunctionBuilder,
  type: "i32" | "i64",
  order: PlainOp,
  pushes: readonly (() => void)[],
): void {
  const [a, b] = pushes.map((push) => {
    const local = f.local(type);
    push();
    f.set(local);
    return local;
  }) as [Local, Local];
  f.get(a).get(b).get(a).get(b).op(order).op("select");
}

/** How large what is cut off by rounding can be before an index notices it. */
const SMALL = 2 ** 40;

/**
 * Whether an index can be computed in 64 bits: exactly, or so far out of range
 * that rounding does not bring it back.
 */
export function isLong(x: Expression): boolean {
  const { integer, nan, lo, hi } = numberOf(x);
  if (!integer || nan || lo < -(2 ** 62) || hi > 2 ** 62) return false;
  if (naturalOf(x) === "int") return true;
  if (!isApply(x)) return false;
  const [a, b] = x.args as [Expression, Expression];
  const size = (part: Expression) =>
    Math.max(-numberOf(part).lo, numberOf(part).hi);
  switch (x.op) {
    case "add":
    case "sub":
      return isLong(a) && isLong(b) &&
        (isExact(x.value!) || Math.min(size(a), size(b)) <= SMALL);
    case "mul":
      return isLong(a) && isLong(b) && isExact(a.value!) && isExact(b.value!);
    case "min":
    case "max":
      return isLong(a) && isLong(b);
    default:
      return false;
  }
}

/** Pushes a whole number as an i64. */
export function emitLong(e: FunctionEmitter, x: Expression): FunctionEmitter {
  const { f } = e;
  if (x.op === "constant") {
    f.i64(BigInt(Number(x.constant)));
    return e;
  }
  if (naturalOf(x) === "int") {
    emitInt(e, x);
    f.op(isSigned(x) ? "i64.extend_i32_s" : "i64.extend_i32_u");
    return e;
  }
  if (isApply(x) && isLong(x)) {
    const { op, args } = x;
    if (op === "min" || op === "max") {
      const order = op === "min" ? "i64.lt_s" : "i64.gt_s";
      emitChoice(f, "i64", order, args.map((arg) => () => emitLong(e, arg)));
      return e;
    }
    for (const arg of args) emitLong(e, arg);
    f.op(op === "add" ? "i64.add" : op === "sub" ? "i64.sub" : "i64.mul");
    return e;
  }
  emitF64(e, x).f.op("i64.trunc_sat_f64_s");
  return e;
}

const FLOAT_OPS = {
  add: "add",
  sub: "sub",
  mul: "mul",
  div: "div",
  neg: "neg",
  abs: "abs",
  sqrt: "sqrt",
  floor: "floor",
  ceil: "ceil",
  trunc: "trunc",
  min: "min",
  max: "max",
} as const;

function floatOp(op: string): string | undefined {
  return (FLOAT_OPS as Readonly<Record<string, string>>)[op];
}

/** Pushes a number as an f64. */
export function emitF64(e: FunctionEmitter, x: Expression): FunctionEmitter {
  const { f } = e;
  if (x.op === "constant") {
    f.f64(Number(x.constant));
    return e;
  }
  const natural = naturalOf(x);
  if (natural === "bool") {
    emitBool(e, x).f.op("f64.convert_i32_u");
    return e;
  }
  if (natural === "int") {
    emitInt(e, x);
    f.op(isSigned(x) ? "f64.convert_i32_s" : "f64.convert_i32_u");
    return e;
  }
  if (natural === "f32") {
    emitF32(e, x).f.op("f64.promote_f32");
    return e;
  }
  if (x.op === "get") {
    f.get(e.variable(x.variable));
    return e;
  }
  if (x.op === "load") {
    emitLoad(e, x.array, x.index, x.place);
    return e;
  }
  emitF64Operation(e, x as Apply);
  return e;
}

function emitF64Operation(e: FunctionEmitter, x: Apply): void {
  const { f } = e;
  const { op, args } = x;
  const instruction = floatOp(op);
  if (instruction) {
    for (const arg of args) emitF64(e, arg);
    f.op(`f64.${instruction}` as PlainOp);
    return;
  }
  if (op in HOST_FUNCTIONS) {
    for (const arg of args) emitF64(e, arg);
    f.call(e.module.imports.host(op as HostFunction, args.length));
    return;
  }
  const [a, b] = args as [Expression, Expression];
  const held = (arg: Expression): Local => {
    const local = f.local("f64");
    emitF64(e, arg).f.set(local);
    return local;
  };
  switch (op) {
    case "number":
      emitF64(e, a);
      return;
    case "rem": {
      const divisor = numberOf(b);
      const nonZero = divisor.lo > 0 || divisor.hi < 0 || divisor.nonZero;
      if (isExact(a.value!) && isExact(divisor) && nonZero) {
        // The sign of the dividend, of a zero too.
        const dividend = held(a);
        f.get(dividend).op("i64.trunc_sat_f64_s");
        emitLong(e, b).f.op("i64.rem_s").op("f64.convert_i64_s");
        f.get(dividend).op("f64.copysign");
        return;
      }
      if (!isExact(divisor) || !nonZero) {
        emitF64(e, a);
        emitF64(e, b).f.call(e.module.imports.remainder);
        return;
      }
      // A whole number, mostly.
      const [dividend, size] = [held(a), f.local("f64")];
      const long = f.local("i64");
      f.get(dividend).op("f64.abs").tee(size).op("i64.trunc_sat_f64_s");
      f.tee(long).op("f64.convert_i64_s").get(size).op("f64.eq");
      f.get(size).f64(2 ** 63).op("f64.lt").op("i32.and");
      f.if(
        () => {
          f.get(long);
          const by = onlyNumber(b.value!);
          if (by !== undefined && (BigInt(by) & BigInt(by - 1)) === 0n) {
            f.i64(BigInt(by - 1)).op("i64.and");
          } else {
            e.checked.inside(() => emitLong(e, b).f.op("i64.rem_s"));
          }
          f.op("f64.convert_i64_s").get(dividend).op("f64.copysign");
        },
        () => {
          f.get(dividend);
          e.checked.inside(() =>
            emitF64(e, b).f.call(e.module.imports.remainder)
          );
        },
        "f64",
      );
      return;
    }
    case "round": {
      // The next whole number above, or the one before it if that is nearer.
      const number = held(a);
      const up = f.local("f64");
      f.get(number).op("f64.ceil").tee(up).f64(1).op("f64.sub").get(up);
      f.get(up).f64(0.5).op("f64.sub").get(number).op("f64.gt").op("select");
      return;
    }
    case "sign": {
      const number = held(a);
      f.f64(1).get(number).op("f64.copysign").get(number);
      f.get(number).op("f64.abs").f64(0).op("f64.gt").op("select");
      return;
    }
    case "select":
      emitSelect(e, x, (arm) => emitF64(e, arm), "f64");
      return;
    default:
      throw new Error(`emit: no way to compute ${op} as an f64`);
  }
}

/** Operations of which the float32 result is the rounded float64 result. */
const ROUNDED = ["add", "sub", "mul", "div", "sqrt"];
/** Operations that are exact in either. */
const EXACT = ["neg", "abs", "floor", "ceil", "trunc", "min", "max"];

/** Pushes a number rounded to an f32. */
export function emitF32(e: FunctionEmitter, x: Expression): FunctionEmitter {
  const { f } = e;
  if (x.op === "constant") {
    f.f32(Number(x.constant));
    return e;
  }
  const natural = naturalOf(x);
  if (natural === "int" || natural === "bool") {
    emitInt(e, x);
    f.op(isSigned(x) ? "f32.convert_i32_s" : "f32.convert_i32_u");
    return e;
  }
  if (natural === "f32") {
    if (x.op === "get") f.get(e.variable(x.variable));
    else if (x.op === "load") emitLoad(e, x.array, x.index, x.place);
    else emitF32Operation(e, x as Apply);
    return e;
  }
  if (
    isApply(x) && ROUNDED.includes(x.op) &&
    x.args.every((arg) => numberOf(arg).single)
  ) {
    for (const arg of x.args) emitF32(e, arg);
    f.op(`f32.${floatOp(x.op)}` as PlainOp);
    return e;
  }
  emitF64(e, x).f.op("f32.demote_f64");
  return e;
}

function emitF32Operation(e: FunctionEmitter, x: Apply): void {
  const [a] = x.args;
  if (x.op === "fround" || x.op === "number") emitF32(e, a!);
  else if (x.op === "select") {
    emitSelect(e, x, (arm) => emitF32(e, arm), "f32");
  } else if (EXACT.includes(x.op)) {
    for (const arg of x.args) emitF32(e, arg);
    e.f.op(`f32.${floatOp(x.op)}` as PlainOp);
  } else throw new Error(`emit: no way to compute ${x.op} as an f32`);
}

const COMPARE = {
  lt: ["lt_s", "lt_u", "lt"],
  le: ["le_s", "le_u", "le"],
  eq: ["eq", "eq", "eq"],
  ne: ["ne", "ne", "ne"],
} as const;

/** Pushes 1 for true, 0 for false. */
export function emitBool(e: FunctionEmitter, x: Expression): FunctionEmitter {
  const { f } = e;
  if (x.op === "constant") {
    f.i32(x.constant ? 1 : 0);
    return e;
  }
  if (x.op === "get") {
    f.get(e.variable(x.variable));
    return e;
  }
  const { op, args } = x as Apply;
  const [a, b] = args as [Expression, Expression];
  switch (op) {
    case "lt":
    case "le":
    case "eq":
    case "ne":
      emitCompare(e, op, a, b);
      return e;
    case "not":
      emitBool(e, a).f.op("i32.eqz");
      return e;
    case "and":
    case "or": {
      emitBool(e, a);
      if (cost(b) <= 8) {
        emitBool(e, b).f.op(op === "and" ? "i32.and" : "i32.or");
        return e;
      }
      const second = () => e.checked.inside(() => emitBool(e, b));
      if (op === "and") f.if(second, () => f.i32(0), "i32");
      else f.if(() => f.i32(1), second, "i32");
      return e;
    }
    case "truthy":
      if (a.value!.kind === "boolean") emitBool(e, a);
      else if (naturalOf(a) === "int") {
        emitInt(e, a).f.i32(0).op("i32.ne");
      } else emitF64(e, a).f.op("f64.abs").f64(0).op("f64.gt"); // NaN is false
      return e;
    case "isFinite":
      emitF64(e, a).f.op("f64.abs").f64(Infinity).op("f64.lt");
      return e;
    case "isInteger": {
      const number = f.local("f64");
      emitF64(e, a).f.tee(number).op("f64.trunc").get(number).op("f64.eq");
      f.get(number).op("f64.abs").f64(Infinity).op("f64.lt").op("i32.and");
      return e;
    }
    case "select":
      emitSelect(e, x as Apply, (arm) => emitBool(e, arm), "i32");
      return e;
    default:
      throw new Error(`emit: ${op} is no condition`);
  }
}

/** Jumps if a condition is `sense`; parts of it that are costly each jump. */
export function emitBranch(
  e: FunctionEmitter,
  x: Expression,
  label: Label,
  sense: boolean,
): void {
  const { f } = e;
  if (isApply(x) && x.op === "not") {
    emitBranch(e, x.args[0]!, label, !sense);
    return;
  }
  if (isApply(x) && (x.op === "and" || x.op === "or") && cost(x.args[1]!) > 8) {
    const [a, b] = x.args as [Expression, Expression];
    const decides = x.op === "or"; // what the first part alone can say
    if (sense === decides) {
      // Behind both, both have been looked at.
      emitBranch(e, a, label, sense);
      emitBranch(e, b, label, sense);
      return;
    }
    f.block((otherwise) => {
      emitBranch(e, a, otherwise, decides);
      e.checked.inside(() => emitBranch(e, b, label, sense));
    });
    return;
  }
  emitBool(e, x);
  if (!sense) f.op("i32.eqz");
  f.brIf(label);
}

function emitCompare(
  e: FunctionEmitter,
  op: keyof typeof COMPARE,
  a: Expression,
  b: Expression,
): void {
  const { f } = e;
  const [signed, unsigned, float] = COMPARE[op];
  if (a.value!.kind === "boolean") {
    emitBool(e, a);
    emitBool(e, b).f.op(`i32.${signed}` as PlainOp);
    return;
  }
  const [p, q] = [naturalOf(a), naturalOf(b)];
  if (p === "int" && q === "int") {
    const both = isSigned(a) && isSigned(b);
    if (both || (isUnsigned(a) && isUnsigned(b))) {
      emitInt(e, a);
      emitInt(e, b);
      f.op(`i32.${both ? signed : unsigned}` as PlainOp);
      return;
    }
  }
  if (p === "f32" && q === "f32") {
    emitF32(e, a);
    emitF32(e, b).f.op(`f32.${float}` as PlainOp);
    return;
  }
  emitF64(e, a);
  emitF64(e, b).f.op(`f64.${float}` as PlainOp);
}

/** What an expression costs, roughly in instructions; Infinity if it can fail. */
function cost(x: Expression): number {
  switch (x.op) {
    case "constant":
    case "get":
    case "length":
      return 1;
    case "load":
    case "rem": // of whole numbers, it would fail by zero
    case "div":
    case "sqrt":
      return Infinity;
    default: {
      if (x.op in HOST_FUNCTIONS) return Infinity;
      return (x as Apply).args.reduce((sum, arg) => sum + cost(arg), 1);
    }
  }
}

/** Both arms and a choice if they are quick, else a jump. */
function emitSelect(
  e: FunctionEmitter,
  x: Apply,
  arm: (x: Expression) => void,
  type: "i32" | "f32" | "f64",
): void {
  const { f } = e;
  const [test, yes, no] = x.args as [Expression, Expression, Expression];
  if (cost(yes) + cost(no) <= 8) {
    arm(yes);
    arm(no);
    emitBool(e, test).f.op("select");
    return;
  }
  emitBool(e, test);
  const inside = (x: Expression) => () => e.checked.inside(() => arm(x));
  f.if(inside(yes), inside(no), type);
}
