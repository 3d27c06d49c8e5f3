/**
 * Quotients of indices by constants, rounded down.
 *
 * @module
 */

import type { Division } from "../view.ts";
import type { FunctionBuilder, Local } from "./assembler.ts";

/** Pops a dividend, pushes its quotient or remainder. */
export function emitDivision(f: FunctionBuilder, atom: Division): void {
  const shift = raise(atom);
  if (shift !== 0) f.i32(shift * atom.by).op("i32.add");
  f.i32(atom.by);
  f.op(atom.kind === "quotient" ? "i32.div_u" : "i32.rem_u");
  if (shift !== 0 && atom.kind === "quotient") f.i32(shift).op("i32.sub");
}

/** The same for four dividends. */
export function emitVectorDivision(f: FunctionBuilder, atom: Division): void {
  const { by } = atom;
  const log = Math.log2(by);
  if (Number.isInteger(log)) {
    if (atom.kind === "quotient") f.i32(log).op("i32x4.shr_s");
    else f.i32x4(by - 1).op("v128.and");
    return;
  }
  const shift = raise(atom);
  if (shift !== 0) f.i32x4(shift * by).op("i32x4.add");
  const dividend = f.local("v128");
  f.set(dividend);
  if (atom.kind === "quotient") {
    emitQuotient(f, dividend, by);
    if (shift !== 0) f.i32x4(shift).op("i32x4.sub");
    return;
  }
  f.get(dividend);
  emitQuotient(f, dividend, by);
  f.i32x4(by).op("i32x4.mul").op("i32x4.sub");
}

/** How many divisors make the dividend at least 0. */
function raise(atom: Division): number {
  return atom.of.low >= 0 ? 0 : Math.ceil(-atom.of.low / atom.by);
}

/**
 * Pushes four quotients of numbers in `[0, 2^31)`: the upper half of a product
 * with 2^(32+s) / by rounded up, where 2^s is the power of two below `by`
 * (Granlund and Montgomery 1994, theorem 4.2).
 */
function emitQuotient(f: FunctionBuilder, dividend: Local, by: number): void {
  const shift = Math.floor(Math.log2(by));
  const factor = Number((1n << BigInt(32 + shift)) / BigInt(by)) + 1;
  f.get(dividend).i32x4(factor).op("i64x2.extmul_low_i32x4_u");
  f.get(dividend).i32x4(factor).op("i64x2.extmul_high_i32x4_u");
  f.shuffle(1, 3, 5, 7).i32(shift).op("i32x4.shr_u");
}
