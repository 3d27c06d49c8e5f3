/**
 * Sorting long rows of 64-bit numbers by the bits of their upper halves.
 *
 * @module
 */

import type {
  Callable,
  FunctionBuilder,
  Local,
  ModuleBuilder,
} from "./assembler.ts";
import { locals } from "./kernel_function.ts";

const DIGIT_BITS = 11;
const BUCKETS = 2 ** DIGIT_BITS;
const DIGITS = 3;

/** Bytes of counters that the function needs. */
export const RADIX_COUNTER_BYTES: number = 4 * BUCKETS * DIGITS;

/**
 * Adds a function `(from, to, bytes, counters) -> result`: sorts the numbers at
 * `from` by their upper halves, stably, with room of the same size at `to`, and
 * gives whichever of the two holds them in the end.
 */
export function emitRadixSort(module: ModuleBuilder): Callable {
  const params = ["i32", "i32", "i32", "i32"] as const;
  return module.function(undefined, params, ["i32"], (f) => {
    const [from, to, bytes, counters] = f.params;
    emitCounts(f, from!, bytes!, counters!);
    for (let digit = 0; digit < DIGITS; digit++) {
      const table = f.local("i32");
      f.get(counters!).i32(4 * BUCKETS * digit).op("i32.add").set(table);
      // A digit that all share changes no order.
      f.get(table).get(from!).memory("i64.load");
      emitDigit(f, digit);
      f.op("i32.add").memory("i32.load").i32(3).op("i32.shl");
      f.get(bytes!).op("i32.ne").if(() => {
        emitPlaces(f, table, to!);
        emitDistribute(f, digit, from!, bytes!, table);
        f.get(from!).get(to!).set(from!).set(to!);
      });
    }
    f.get(from!);
  });
}

/** Pops a number, pushes four times one of its digits. */
function emitDigit(f: FunctionBuilder, digit: number): void {
  f.i64(BigInt(32 + DIGIT_BITS * digit)).op("i64.shr_u").op("i32.wrap_i64");
  f.i32(BUCKETS - 1).op("i32.and").i32(2).op("i32.shl");
}

/** How often each value of each digit occurs. */
function emitCounts(
  f: FunctionBuilder,
  from: Local,
  bytes: Local,
  counters: Local,
): void {
  const [at, end, place] = locals(f, "i32", 3);
  const value = f.local("i64");
  f.get(counters).i32(0).i32(RADIX_COUNTER_BYTES).memoryFill();
  f.get(from).tee(at).get(bytes).op("i32.add").set(end);
  f.loop((next) => {
    f.get(at).memory("i64.load").set(value);
    for (let digit = 0; digit < DIGITS; digit++) {
      const table = 4 * BUCKETS * digit;
      f.get(counters).get(value);
      emitDigit(f, digit);
      f.op("i32.add").tee(place).get(place).memory("i32.load", table);
      f.i32(1).op("i32.add").memory("i32.store", table);
    }
    f.get(at).i32(8).op("i32.add").tee(at).get(end).op("i32.lt_u").brIf(next);
  });
}

/** From counts to the address at which each bucket begins. */
function emitPlaces(f: FunctionBuilder, table: Local, to: Local): void {
  const [at, place, count] = locals(f, "i32", 3);
  f.i32(0).set(at).get(to).set(place);
  f.loop((next) => {
    f.get(table).get(at).op("i32.add").memory("i32.load").set(count);
    f.get(table).get(at).op("i32.add").get(place).memory("i32.store");
    f.get(place).get(count).i32(3).op("i32.shl").op("i32.add").set(place);
    f.get(at).i32(4).op("i32.add").tee(at).i32(4 * BUCKETS).op("i32.lt_u");
    f.brIf(next);
  });
}

/** Appends each number to its bucket. */
function emitDistribute(
  f: FunctionBuilder,
  digit: number,
  from: Local,
  bytes: Local,
  table: Local,
): void {
  const [at, end, bucket, place] = locals(f, "i32", 4);
  const value = f.local("i64");
  f.get(from).tee(at).get(bytes).op("i32.add").set(end);
  f.loop((next) => {
    f.get(table).get(at).memory("i64.load").tee(value);
    emitDigit(f, digit);
    f.op("i32.add").tee(bucket).memory("i32.load").tee(place);
    f.get(value).memory("i64.store");
    f.get(bucket).get(place).i32(8).op("i32.add").memory("i32.store");
    f.get(at).i32(8).op("i32.add").tee(at).get(end).op("i32.lt_u").brIf(next);
  });
}
