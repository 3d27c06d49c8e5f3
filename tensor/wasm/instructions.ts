/**
 * Which single instruction does an operation of a kernel, where one does.
 *
 * @module
 */

import type { DType } from "../dtype.ts";
import type { Operation } from "./value_code.ts";
import type { PlainOp } from "./assembler.ts";

type Table = Partial<
  Record<Operation["op"], Partial<Record<DType, PlainOp>>>
>;

/** On four lanes. A bool is 0 or all ones: as a signed number, true is less. */
export const VECTOR: Table = {
  neg: { float32: "f32x4.neg", int32: "i32x4.neg", uint32: "i32x4.neg" },
  abs: { float32: "f32x4.abs", int32: "i32x4.abs" },
  sqrt: { float32: "f32x4.sqrt" },
  floor: { float32: "f32x4.floor" },
  ceil: { float32: "f32x4.ceil" },
  round: { float32: "f32x4.nearest" },
  trunc: { float32: "f32x4.trunc" },
  not: { bool: "v128.not", int32: "v128.not", uint32: "v128.not" },
  add: { float32: "f32x4.add", int32: "i32x4.add", uint32: "i32x4.add" },
  sub: { float32: "f32x4.sub", int32: "i32x4.sub", uint32: "i32x4.sub" },
  mul: { float32: "f32x4.mul", int32: "i32x4.mul", uint32: "i32x4.mul" },
  div: { float32: "f32x4.div" },
  min: {
    float32: "f32x4.min",
    int32: "i32x4.min_s",
    uint32: "i32x4.min_u",
    bool: "v128.and",
  },
  max: {
    float32: "f32x4.max",
    int32: "i32x4.max_s",
    uint32: "i32x4.max_u",
    bool: "v128.or",
  },
  and: { bool: "v128.and", int32: "v128.and", uint32: "v128.and" },
  or: { bool: "v128.or", int32: "v128.or", uint32: "v128.or" },
  xor: { bool: "v128.xor", int32: "v128.xor", uint32: "v128.xor" },
  lt: {
    float32: "f32x4.lt",
    int32: "i32x4.lt_s",
    uint32: "i32x4.lt_u",
    bool: "i32x4.gt_s",
  },
  le: {
    float32: "f32x4.le",
    int32: "i32x4.le_s",
    uint32: "i32x4.le_u",
    bool: "i32x4.ge_s",
  },
  eq: {
    float32: "f32x4.eq",
    int32: "i32x4.eq",
    uint32: "i32x4.eq",
    bool: "i32x4.eq",
  },
  ne: {
    float32: "f32x4.ne",
    int32: "i32x4.ne",
    uint32: "i32x4.ne",
    bool: "i32x4.ne",
  },
};

/** On one element; what is missing goes through a vector. A bool is 0 or 1. */
export const SCALAR: Table = {
  neg: { float32: "f32.neg" },
  abs: { float32: "f32.abs" },
  sqrt: { float32: "f32.sqrt" },
  floor: { float32: "f32.floor" },
  ceil: { float32: "f32.ceil" },
  round: { float32: "f32.nearest" },
  trunc: { float32: "f32.trunc" },
  not: { bool: "i32.eqz" },
  add: { float32: "f32.add", int32: "i32.add", uint32: "i32.add" },
  sub: { float32: "f32.sub", int32: "i32.sub", uint32: "i32.sub" },
  mul: { float32: "f32.mul", int32: "i32.mul", uint32: "i32.mul" },
  div: { float32: "f32.div" },
  min: { float32: "f32.min", bool: "i32.and" },
  max: { float32: "f32.max", bool: "i32.or" },
  and: { bool: "i32.and", int32: "i32.and", uint32: "i32.and" },
  or: { bool: "i32.or", int32: "i32.or", uint32: "i32.or" },
  xor: { bool: "i32.xor", int32: "i32.xor", uint32: "i32.xor" },
  shl: { int32: "i32.shl", uint32: "i32.shl" },
  shr: { int32: "i32.shr_s", uint32: "i32.shr_u" },
  lt: {
    float32: "f32.lt",
    int32: "i32.lt_s",
    uint32: "i32.lt_u",
    bool: "i32.lt_u",
  },
  le: {
    float32: "f32.le",
    int32: "i32.le_s",
    uint32: "i32.le_u",
    bool: "i32.le_u",
  },
  eq: { float32: "f32.eq", int32: "i32.eq", uint32: "i32.eq", bool: "i32.eq" },
  ne: { float32: "f32.ne", int32: "i32.ne", uint32: "i32.ne", bool: "i32.ne" },
};
