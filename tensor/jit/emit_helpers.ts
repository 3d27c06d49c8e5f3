/**
 * What compiled functions call: `Math` of the host, and functions for what has
 * no instruction.
 *
 * @module
 */

import type {
  Callable,
  FunctionBuilder,
  Local,
  ModuleBuilder,
} from "../wasm/assembler.ts";
import { locals } from "../wasm/kernel_function.ts";
import { FAILURE } from "./emit_memory.ts";
import {
  HOST_FUNCTIONS,
  type HostFunction,
  isApply,
  type ProgramIr,
} from "./ir.ts";
import { walkExpressions } from "./walk.ts";

/** Functions of the host that a program calls, with how many arguments. */
function hostCalls({ functions }: ProgramIr): Map<string, number> {
  const found = new Map<string, number>();
  for (const { body } of functions) {
    walkExpressions(body, (x) => {
      if (!isApply(x) || !(x.op in HOST_FUNCTIONS)) return;
      found.set(`${x.op}/${x.args.length}`, x.args.length);
    });
  }
  return found;
}

/** The imports of a module, and helpers that lie before its functions. */
export class Imports {
  readonly #host = new Map<string, Callable>();
  /** `(site: i32, index: f64, length: i32)`: notes a failure and ends. */
  readonly fail: Callable;
  /** `(a: f64, b: f64) -> f64`: the remainder, of any two numbers. */
  readonly remainder: Callable;
  /** `(x: f64) -> i32`: what `x | 0` is, of any number. */
  readonly toInt32: Callable;
  /** How many functions there are. */
  readonly count: number;

  constructor(builder: ModuleBuilder, program: ProgramIr) {
    for (const [key, count] of hostCalls(program)) {
      const name = key.slice(0, key.indexOf("/"));
      const params = new Array<"f64">(count).fill("f64");
      this.#host.set(
        key,
        builder.importFunction("Math", name, params, ["f64"]),
      );
    }
    this.fail = builder.function(
      undefined,
      ["i32", "f64", "i32"],
      [],
      emitFail,
    );
    this.remainder = builder.function(
      undefined,
      ["f64", "f64"],
      ["f64"],
      emitRemainder,
    );
    this.toInt32 = builder.function(undefined, ["f64"], ["i32"], emitToInt32);
    this.count = this.toInt32.index + 1;
  }

  /** A function of the host's `Math`. */
  host(name: HostFunction, count: number): Callable {
    return this.#host.get(`${name}/${count}`)!;
  }
}

function emitFail(f: FunctionBuilder): void {
  const [site, index, length] = f.params;
  // Counted from 1: 0 is none.
  f.i32(0).get(site!).i32(1).op("i32.add").memory("i32.store", FAILURE.site);
  f.i32(0).get(index!).memory("f64.store", FAILURE.index);
  f.i32(0).get(length!).memory("i32.store", FAILURE.length);
  f.op("unreachable");
}

const EXPONENT_BITS = 0x7ffn;
const MANTISSA_BITS = 0xfffffffffffffn;
const IMPLICIT_BIT = 0x10000000000000n;

/** Exact, by long division of the mantissas, as C's fmod is. */
function emitRemainder(f: FunctionBuilder): void {
  const [a, b] = f.params;
  const [x, y, exponent, least, sign] = locals(f, "i64", 5);
  const [p, q] = [f.local("f64"), f.local("f64")];
  // NaN if a is not finite, or b is zero or NaN.
  f.get(a!).op("f64.abs").f64(Infinity).op("f64.lt");
  f.get(b!).op("f64.abs").f64(0).op("f64.gt").op("i32.and").op("i32.eqz");
  f.if(() => f.f64(NaN).op("return"));
  f.get(a!).op("f64.abs").set(p).get(b!).op("f64.abs").set(q);
  f.get(p).get(q).op("f64.lt").if(() => f.get(a!).op("return"));
  // Whole numbers that are exact have a quick way.
  f.get(p).f64(Number.MAX_SAFE_INTEGER).op("f64.le");
  f.get(p).op("f64.trunc").get(p).op("f64.eq").op("i32.and");
  f.get(q).op("f64.trunc").get(q).op("f64.eq").op("i32.and");
  f.if(() => {
    f.get(p).op("i64.trunc_sat_f64_s").get(q).op("i64.trunc_sat_f64_s");
    f.op("i64.rem_s").op("f64.convert_i64_s").get(a!).op("f64.copysign");
    f.op("return");
  });
  f.get(a!).op("i64.reinterpret_f64").i64(1n << 63n).op("i64.and").set(sign);
  // Mantissas with their leading bit, of subnormals too, and exponents.
  const shiftUp = (mantissa: Local, power: Local) =>
    f.get(mantissa).i64(1n).op("i64.shl").set(mantissa)
      .get(power).i64(1n).op("i64.sub").set(power);
  const split = (from: Local, mantissa: Local, power: Local) => {
    f.get(from).op("i64.reinterpret_f64").tee(mantissa);
    f.i64(52n).op("i64.shr_u").i64(EXPONENT_BITS).op("i64.and").set(power);
    f.get(mantissa).i64(MANTISSA_BITS).op("i64.and").set(mantissa);
    f.get(power).op("i64.eqz").if(() => f.i64(1n).set(power), () => {
      f.get(mantissa).i64(IMPLICIT_BIT).op("i64.or").set(mantissa);
    });
    f.block((done) =>
      f.loop((again) => {
        f.get(mantissa).i64(IMPLICIT_BIT).op("i64.ge_u").brIf(done);
        shiftUp(mantissa, power).br(again);
      })
    );
  };
  split(p, x, exponent);
  split(q, y, least);
  f.block((done) =>
    f.loop((again) => {
      f.get(x).get(y).op("i64.ge_u").if(() =>
        f.get(x).get(y).op("i64.sub").set(x)
      );
      f.get(exponent).get(least).op("i64.le_s").brIf(done);
      shiftUp(x, exponent).br(again);
    })
  );
  f.get(x).op("i64.eqz").if(() =>
    f.get(sign).op("f64.reinterpret_i64").op("return")
  );
  // Back to a leading bit, or to a subnormal; nothing is shifted out.
  f.get(exponent).i64(1n).op("i64.lt_s").if(() => {
    f.get(x).i64(1n).get(exponent).op("i64.sub").op("i64.shr_u").set(x);
    f.i64(1n).set(exponent);
  });
  f.block((done) =>
    f.loop((again) => {
      f.get(x).i64(IMPLICIT_BIT).op("i64.ge_u").brIf(done);
      f.get(exponent).i64(1n).op("i64.le_s").brIf(done);
      shiftUp(x, exponent).br(again);
    })
  );
  f.get(x).i64(IMPLICIT_BIT).op("i64.ge_u").if(() => {
    f.get(x).i64(MANTISSA_BITS).op("i64.and");
    f.get(exponent).i64(52n).op("i64.shl").op("i64.or").set(x);
  });
  f.get(x).get(sign).op("i64.or").op("f64.reinterpret_i64");
}

/** Modulo 2^32, of any size; 0 of NaN and the infinities. */
function emitToInt32(f: FunctionBuilder): void {
  const [x] = f.params;
  const [bits, power] = [f.local("i64"), f.local("i64")];
  f.get(x!).op("f64.abs").f64(2 ** 62).op("f64.lt").if(() =>
    f.get(x!).op("i64.trunc_sat_f64_s").op("i32.wrap_i64").op("return")
  );
  // The last bit of the mantissa stands for 2^power.
  f.get(x!).op("i64.reinterpret_f64").tee(bits).i64(52n).op("i64.shr_u");
  f.i64(EXPONENT_BITS).op("i64.and").i64(1075n).op("i64.sub").tee(power);
  f.i64(32n).op("i64.ge_s").if(() => f.i32(0).op("return"));
  const low = f.local("i32");
  f.get(bits).i64(MANTISSA_BITS).op("i64.and").i64(IMPLICIT_BIT).op("i64.or");
  f.get(power).op("i64.shl").op("i32.wrap_i64").set(low);
  f.i32(0).get(low).op("i32.sub").get(low);
  f.get(bits).i64(0n).op("i64.lt_s").op("select");
}
