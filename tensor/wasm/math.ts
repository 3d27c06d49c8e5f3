/**
 * exp, log, sin and cos of four floats at a time, inline. Polynomials are
 * minimax fits; results are within 2 units in the last place of the true value
 * (sin and cos: for arguments up to 10^6, beyond which they lose digits but
 * stay in [-1, 1]).
 *
 * @module
 */

import type { FunctionBuilder, Local } from "./assembler.ts";

/** What the engine that runs a module can do. */
export interface Target {
  /** Whether it has fused multiply-adds, in relaxed SIMD. */
  readonly relaxedSimd: boolean;
  /** Whether its memory is shared between threads. */
  readonly sharedMemory: boolean;
}

const EXP = [
  0.4999999403953552,
  0.1666652113199234,
  0.04166838899254799,
  0.008368715643882751,
  0.0013814601115882397,
];

const LOG = [
  0.6666666269302368,
  0.4000033438205719,
  0.285372793674469,
  0.23582765460014343,
];

const SIN = [
  -0.16666655242443085,
  0.008332166820764542,
  -0.0001951565791387111,
];

const COS = [
  0.04166664555668831,
  -0.0013887352542951703,
  2.443660923745483e-05,
];

/** ln 2 in two parts; the first has 10 bits, so that `n` times it is exact. */
const LN2_HIGH = 0.693359375;
const LN2_LOW = -2.1219444005469057e-4;

/** Pops a and b, adds their product to `c`: in one rounding where it can. */
function multiplyAdd(f: FunctionBuilder, target: Target, c: () => void): void {
  if (target.relaxedSimd) {
    c();
    f.op("f32x4.relaxed_madd");
    return;
  }
  f.op("f32x4.mul");
  c();
  f.op("f32x4.add");
}

/** Pushes `c[0] + c[1] x + c[2] x² + …`. */
function polynomial(
  f: FunctionBuilder,
  target: Target,
  x: Local,
  coefficients: readonly number[],
): void {
  f.f32x4(coefficients.at(-1)!);
  for (let i = coefficients.length - 2; i >= 0; i--) {
    f.get(x);
    multiplyAdd(f, target, () => f.f32x4(coefficients[i]!));
  }
}

/** Pushes e^x. */
export function emitExp(f: FunctionBuilder, x: Local, target: Target): void {
  const [clamped, n, r, square, half] = locals(f, 5);
  // exp is 0 below -104 and overflows above 89. NaN stays if it comes first.
  f.get(x).f32x4(89).op("f32x4.pmin").f32x4(-104).op("f32x4.pmax");
  f.set(clamped!);
  // Adding 1.5 * 2^23 rounds to an integer, which is then in the low bits.
  f.get(clamped!).f32x4(Math.LOG2E);
  multiplyAdd(f, target, () => f.f32x4(12582912));
  f.tee(n!).f32x4(12582912).op("f32x4.sub").set(half!);
  // r = x - n ln 2, with the exact part first.
  f.get(half!).f32x4(-LN2_HIGH);
  multiplyAdd(f, target, () => f.get(clamped!));
  f.set(r!);
  f.get(half!).f32x4(-LN2_LOW);
  multiplyAdd(f, target, () => f.get(r!));
  f.tee(r!).get(r!).op("f32x4.mul").set(square!);
  polynomial(f, target, r!, EXP);
  f.get(square!);
  multiplyAdd(f, target, () => f.get(r!));
  f.f32x4(1).op("f32x4.add");
  // 2^n in two factors: n reaches -150 and 128. Of its bits as a float, and of
  // half of them, the shift leaves those of n alone.
  f.get(n!).i32(1).op("i32x4.shr_s").tee(half!);
  powerOfTwo(f);
  f.op("f32x4.mul");
  f.get(n!).get(half!).op("i32x4.sub");
  powerOfTwo(f);
  f.op("f32x4.mul");
}

/**
 * Pushes e^x for x up to 88, in fewer steps: what is below e^-87 gives e^-87,
 * NaN gives NaN.
 */
export function emitExpBelow(
  f: FunctionBuilder,
  x: Local,
  target: Target,
): void {
  const [clamped, n, r, square, whole] = locals(f, 5);
  f.get(x).f32x4(-87).op("f32x4.pmax").set(clamped!);
  f.get(clamped!).f32x4(Math.LOG2E);
  multiplyAdd(f, target, () => f.f32x4(12582912));
  f.tee(n!).f32x4(12582912).op("f32x4.sub").set(whole!);
  f.get(whole!).f32x4(-LN2_HIGH);
  multiplyAdd(f, target, () => f.get(clamped!));
  f.set(r!).get(whole!).f32x4(-LN2_LOW);
  multiplyAdd(f, target, () => f.get(r!));
  f.tee(r!).get(r!).op("f32x4.mul").set(square!);
  polynomial(f, target, r!, EXP);
  f.get(square!);
  multiplyAdd(f, target, () => f.get(r!));
  f.f32x4(1).op("f32x4.add");
  // The exponent grows by n, whose low bits these are.
  f.get(n!).i32(23).op("i32x4.shl").op("i32x4.add");
}

/** Pops n, pushes 2^n as float bits. */
function powerOfTwo(f: FunctionBuilder): void {
  f.i32x4(127).op("i32x4.add").i32(23).op("i32x4.shl");
}

/** Pushes the natural logarithm: -Infinity at 0, NaN below. */
export function emitLog(f: FunctionBuilder, x: Local, target: Target): void {
  const [normal, exponent, mantissa, s, z, halfSquare, tiny] = locals(f, 7);
  const SQRT_HALF = 0x3f3504f3;
  // Subnormals are scaled up by 2^25.
  f.get(x).f32x4(33554432).op("f32x4.mul").get(x);
  f.get(x).f32x4(1.1754943508222875e-38).op("f32x4.lt").tee(tiny!);
  f.op("v128.bitselect").set(normal!);
  // x = 2^exponent (1 + mantissa), 1 + mantissa from √½ to √2.
  f.get(normal!).i32x4(0x3f800000 - SQRT_HALF).op("i32x4.add").tee(normal!);
  f.i32(23).op("i32x4.shr_s").i32x4(127).op("i32x4.sub");
  f.get(tiny!).i32x4(25).op("v128.and").op("i32x4.sub");
  f.op("f32x4.convert_i32x4_s").set(exponent!);
  f.get(normal!).i32x4(0x7fffff).op("v128.and");
  f.i32x4(SQRT_HALF).op("i32x4.add").f32x4(1).op("f32x4.sub").set(mantissa!);
  // With s = m / (2 + m): log(1 + m) = m - m²/2 + s (m²/2 + s² P(s²)).
  f.get(mantissa!).get(mantissa!).f32x4(2).op("f32x4.add").op("f32x4.div");
  f.tee(s!).get(s!).op("f32x4.mul").set(z!);
  f.get(mantissa!).get(mantissa!).op("f32x4.mul").f32x4(0.5).op("f32x4.mul");
  f.set(halfSquare!);
  polynomial(f, target, z!, LOG);
  f.get(z!);
  multiplyAdd(f, target, () => f.get(halfSquare!));
  f.get(s!).op("f32x4.mul").set(s!);
  f.get(exponent!).f32x4(LN2_LOW);
  multiplyAdd(f, target, () => f.get(s!));
  f.get(halfSquare!).op("f32x4.sub").get(mantissa!).op("f32x4.add").set(s!);
  f.get(exponent!).f32x4(LN2_HIGH);
  multiplyAdd(f, target, () => f.get(s!));
  f.set(s!);
  // Infinity and NaN give themselves, 0 gives -Infinity, less gives NaN.
  f.get(s!).get(x).get(x).f32x4(Infinity).op("f32x4.lt");
  f.op("v128.bitselect").set(s!);
  f.f32x4(-Infinity).get(s!).get(x).f32x4(0).op("f32x4.eq");
  f.op("v128.bitselect").set(s!);
  f.f32x4(NaN).get(s!).get(x).f32x4(0).op("f32x4.lt").op("v128.bitselect");
}

/** Pushes the sine of an angle in radians. */
export function emitSin(f: FunctionBuilder, x: Local, target: Target): void {
  // Zero keeps its sign.
  f.get(x);
  emitSinCos(f, x, target, 0);
  f.get(x).f32x4(0).op("f32x4.eq").op("v128.bitselect");
}

/** Pushes the cosine of an angle in radians. */
export function emitCos(f: FunctionBuilder, x: Local, target: Target): void {
  emitSinCos(f, x, target, 1);
}

/** The sine of `x` plus `quarters` quarter turns. */
function emitSinCos(
  f: FunctionBuilder,
  x: Local,
  target: Target,
  quarters: number,
): void {
  const [low, high, r, turn, z] = locals(f, 5);
  const [lowTurn, highTurn] = locals(f, 2);
  f.get(x).op("f64x2.promote_low_f32x4").set(low!);
  f.get(x).get(x).shuffle(2, 3, 2, 3).op("f64x2.promote_low_f32x4").set(high!);
  reduceQuarter(f, low!, lowTurn!);
  reduceQuarter(f, high!, highTurn!);
  f.get(low!).op("f32x4.demote_f64x2_zero");
  f.get(high!).op("f32x4.demote_f64x2_zero").shuffle(0, 1, 4, 5).set(r!);
  f.get(lowTurn!).op("i32x4.trunc_sat_f64x2_s_zero");
  f.get(highTurn!).op("i32x4.trunc_sat_f64x2_s_zero").shuffle(0, 1, 4, 5);
  f.i32x4(quarters).op("i32x4.add").set(turn!);
  f.get(r!).get(r!).op("f32x4.mul").set(z!);
  // cos r = 1 - z/2 + z² C(z) in odd quarters,
  polynomial(f, target, z!, COS);
  f.get(z!).op("f32x4.mul").f32x4(-0.5).op("f32x4.add");
  f.get(z!).op("f32x4.mul").f32x4(1).op("f32x4.add");
  // sin r = r + r z S(z) in even ones.
  polynomial(f, target, z!, SIN);
  f.get(z!).get(r!).op("f32x4.mul").op("f32x4.mul").get(r!).op("f32x4.add");
  f.get(turn!).i32(31).op("i32x4.shl").i32(31).op("i32x4.shr_s");
  f.op("v128.bitselect");
  // The second half of the turn has the other sign.
  f.get(turn!).i32x4(2).op("v128.and").i32(30).op("i32x4.shl").op("v128.xor");
}

/**
 * Takes the nearest multiple of a quarter turn from two float64 angles, and
 * leaves its number mod 4 in `turn`.
 */
function reduceQuarter(f: FunctionBuilder, angle: Local, turn: Local): void {
  const count = f.local("v128");
  f.get(angle).f64x2(2 / Math.PI).op("f64x2.mul").op("f64x2.nearest").set(
    count,
  );
  // π/2 in two parts; the first has 33 bits, so that count times it is exact.
  f.get(angle).get(count).f64x2(1.5707963267341256).op("f64x2.mul");
  f.op("f64x2.sub").get(count).f64x2(6.077100506506192e-11).op("f64x2.mul");
  f.op("f64x2.sub").set(angle);
  // Angles too large to have digits left must not leave the polynomials' range.
  f.get(angle).f64x2(0.8).op("f64x2.pmin").f64x2(-0.8).op("f64x2.pmax");
  f.set(angle);
  f.get(count).get(count).f64x2(0.25).op("f64x2.mul").op("f64x2.floor");
  f.f64x2(4).op("f64x2.mul").op("f64x2.sub").set(turn);
}

function locals(f: FunctionBuilder, count: number): Local[] {
  return Array.from({ length: count }, () => f.local("v128"));
}
