/**
 * The instructions of each operation of a kernel, on one element or on four.
 *
 * A bool is 0 or 1 in memory and as a single element, and 0 or all ones in
 * each lane of a vector.
 *
 * @module
 */

import { type DType, encode } from "../dtype.ts";
import type { Value } from "../kernel/kernel.ts";
import type { FunctionBuilder, Local } from "./assembler.ts";
import type { Helpers } from "./helpers.ts";
import { SCALAR, VECTOR } from "./instructions.ts";
import { emitCos, emitExp, emitLog, emitSin } from "./math.ts";

/** A value that is computed from others alone. */
export type Operation = Exclude<
  Extract<Value, { args: readonly number[] }>,
  { op: "reduce" | "threefry" }
>;

/** An argument of an operation. */
export interface Operand {
  /** A vector, or one element. */
  readonly local: Local;
  /** Its element type. */
  readonly dtype: DType;
  /** Its value, where the kernel fixes it. */
  readonly constant?: number;
}

/** The type of a local that holds one element, or four. */
export function localType(
  dtype: DType,
  vector: boolean,
): "f32" | "i32" | "v128" {
  if (vector) return "v128";
  return dtype === "float32" ? "f32" : "i32";
}

/** Pushes a constant: one element, or the same in four lanes. */
export function emitConstant(
  f: FunctionBuilder,
  value: number,
  dtype: DType,
  vector: boolean,
): void {
  const bits = encode(value, dtype) | 0;
  if (vector) f.i32x4(dtype === "bool" ? -bits : bits);
  else if (dtype === "float32") f.f32(value);
  else f.i32(bits);
}

/** Pops one element, pushes it in four lanes. */
export function emitSplat(f: FunctionBuilder, dtype: DType): void {
  f.op(dtype === "float32" ? "f32x4.splat" : "i32x4.splat");
  if (dtype === "bool") f.op("i32x4.neg");
}

/** Pops four lanes, pushes one of them as an element. */
export function emitExtract(
  f: FunctionBuilder,
  dtype: DType,
  lane: number,
): void {
  const float = dtype === "float32";
  f.lane(float ? "f32x4.extract_lane" : "i32x4.extract_lane", lane);
  if (dtype === "bool") f.i32(1).op("i32.and");
}

/** Pushes a vector made of the 32-bit elements that `push` leaves. */
export function emitPerLane(
  f: FunctionBuilder,
  dtype: DType,
  push: (lane: number) => void,
): void {
  const float = dtype === "float32";
  for (let lane = 0; lane < 4; lane++) {
    push(lane);
    if (lane === 0) f.op(float ? "f32x4.splat" : "i32x4.splat");
    else f.lane(float ? "f32x4.replace_lane" : "i32x4.replace_lane", lane);
  }
}

const MATH = { exp: emitExp, log: emitLog, sin: emitSin, cos: emitCos };

/** Pushes the result of an operation on vectors, or on single elements. */
export function emitOperation(
  f: FunctionBuilder,
  helpers: Helpers,
  value: Operation,
  args: readonly Operand[],
  vector: boolean,
): void {
  const from = args.at(-1)!.dtype;
  const [a, b, c] = args.map(({ local }) => local);
  switch (value.op) {
    case "cast":
      f.get(a!);
      return emitCast(f, from, value.dtype, vector);
    case "bitcast":
      f.get(a!);
      return emitBitcast(f, from, value.dtype, vector);
    case "where":
      f.get(b!).get(c!).get(a!).op(vector ? "v128.bitselect" : "select");
      return;
    case "idiv":
    case "rem": {
      const helper = value.op === "idiv"
        ? helpers.integerDivision(from)
        : helpers.remainder(from);
      if (vector) {
        return emitPerLane(f, from, (lane) => {
          f.get(a!);
          emitExtract(f, from, lane);
          f.get(b!);
          emitExtract(f, from, lane);
          f.call(helper);
        });
      }
      f.get(a!).get(b!).call(helper);
      return;
    }
  }
  const code = (vector ? VECTOR : SCALAR)[value.op]?.[from];
  if (code) {
    for (const { local } of args) f.get(local);
    f.op(code);
    return;
  }
  if (!vector) return emitThroughVector(f, helpers, value, args);
  switch (value.op) {
    case "exp":
    case "log":
    case "sin":
    case "cos":
      return MATH[value.op](f, a!, helpers.target);
    case "shl":
    case "shr":
      return emitShift(f, value.op, args);
    case "abs":
      // Of an unsigned integer.
      f.get(a!);
      return;
    default:
      throw new TypeError(`${value.op}: not for ${from}`);
  }
}

/** For the few operations that have no instruction on one element. */
function emitThroughVector(
  f: FunctionBuilder,
  helpers: Helpers,
  value: Operation,
  args: readonly Operand[],
): void {
  const vectors = args.map(({ local, ...rest }): Operand => {
    const splat = f.local("v128");
    f.get(local);
    emitSplat(f, rest.dtype);
    f.set(splat);
    return { ...rest, local: splat };
  });
  emitOperation(f, helpers, value, vectors, true);
  emitExtract(f, value.dtype, 0);
}

function emitShift(
  f: FunctionBuilder,
  op: "shl" | "shr",
  [word, distance]: readonly Operand[],
): void {
  const from = word!.dtype;
  const kind = op === "shl" ? "shl" : from === "int32" ? "shr_s" : "shr_u";
  if (distance!.constant !== undefined) {
    f.get(word!.local).i32(distance!.constant).op(`i32x4.${kind}`);
    return;
  }
  emitPerLane(f, from, (lane) => {
    f.get(word!.local).lane("i32x4.extract_lane", lane);
    f.get(distance!.local).lane("i32x4.extract_lane", lane).op(`i32.${kind}`);
  });
}

function emitCast(
  f: FunctionBuilder,
  from: DType,
  to: DType,
  vector: boolean,
): void {
  if (from === to) return;
  if (to === "bool") {
    emitConstant(f, 0, from, vector);
    if (from === "float32") f.op(vector ? "f32x4.ne" : "f32.ne");
    else f.op(vector ? "i32x4.ne" : "i32.ne");
  } else if (from === "bool") {
    if (vector) {
      emitConstant(f, 1, to, true);
      f.op("v128.and");
    } else if (to === "float32") f.op("f32.convert_i32_u");
  } else if (to === "float32") {
    const sign = from === "int32" ? "s" : "u";
    f.op(vector ? `f32x4.convert_i32x4_${sign}` : `f32.convert_i32_${sign}`);
  } else if (from === "float32") {
    const sign = to === "int32" ? "s" : "u";
    f.op(
      vector ? `i32x4.trunc_sat_f32x4_${sign}` : `i32.trunc_sat_f32_${sign}`,
    );
  }
}

function emitBitcast(
  f: FunctionBuilder,
  from: DType,
  to: DType,
  vector: boolean,
): void {
  if (from === to) return;
  if (vector && from === "bool") f.i32x4(1).op("v128.and");
  if (!vector && from === "float32") f.op("i32.reinterpret_f32");
  if (!vector && to === "float32") f.op("f32.reinterpret_i32");
  if (to === "bool") emitCast(f, "uint32", "bool", vector);
}
