/**
 * Sorting rows as a WebAssembly function.
 *
 * @module
 */

import type { SortKernel } from "../kernel/kernel.ts";
import type {
  Callable,
  FunctionBuilder,
  Local,
  ModuleBuilder,
} from "./assembler.ts";
import { type KernelFunction, locals } from "./kernel_function.ts";
import { emitRadixSort, RADIX_COUNTER_BYTES } from "./radix_sort.ts";

/** Rows from this length on are sorted by digits. */
const LONG = 400;

/** Runs of this length are sorted by insertion before they are merged. */
const RUN = 16;

/**
 * Adds the function `name`; an item is a row. Each element becomes a 64-bit
 * number, in its upper half a key whose order as an unsigned integer is the
 * wanted one, in its lower half the position: no two are equal, so any sort of
 * them is stable. The scratch memory has room for them twice.
 *
 * @param module Has no function yet: it imports `env.thread`.
 */
export function emitSort(
  module: ModuleBuilder,
  name: string,
  kernel: SortKernel,
): KernelFunction {
  const [rows, size] = kernel.shape;
  const thread = module.importFunction("env", "thread", [], ["i32"]);
  const long = size >= LONG;
  const numbersBytes = Math.ceil(16 * size / 64) * 64;
  const scratchBytes = numbersBytes + (long ? RADIX_COUNTER_BYTES : 0);
  const sort = long ? radixSorter(module, size) : mergeSorter(module, size);
  module.function(name, ["i32", "i32", "i32"], [], (f) => {
    const [frame, item, end] = f.params;
    const [input, sorted, order, from, to] = locals(f, "i32", 5);
    const [at, position] = locals(f, "i32", 2);
    const scratch = f.local("i32");
    // Behind the three buffers stand the shared and the threads' scratch.
    f.get(frame!).memory("i32.load", 16).call(thread).i32(scratchBytes);
    f.op("i32.mul").op("i32.add").set(scratch);
    f.block((done) => {
      f.get(item!).get(end!).op("i32.ge_u").brIf(done);
      f.loop((again) => {
        [input, sorted, order].forEach((buffer, slot) => {
          f.get(frame!).memory("i32.load", 4 * slot);
          f.get(item!).i32(4 * size).op("i32.mul").op("i32.add").set(buffer);
        });
        f.get(scratch).set(from);
        f.get(scratch).i32(8 * size).op("i32.add").set(to);
        f.i32(0).set(at);
        f.loop((next) => {
          f.get(from).get(at).i32(3).op("i32.shl").op("i32.add");
          f.get(input).get(at).i32(2).op("i32.shl").op("i32.add");
          emitKey(f, kernel);
          f.op("i64.extend_i32_u").i64(32n).op("i64.shl");
          f.get(at).op("i64.extend_i32_u").op("i64.or").memory("i64.store");
          f.get(at).i32(1).op("i32.add").tee(at).i32(size);
          f.op("i32.lt_u").brIf(next);
        });
        sort(f, from, to);
        f.i32(0).set(at);
        f.loop((next) => {
          f.get(from).get(at).i32(1).op("i32.shl").op("i32.add");
          f.memory("i32.load").set(position);
          f.get(order).get(at).op("i32.add").get(position).memory("i32.store");
          f.get(sorted).get(at).op("i32.add");
          f.get(input).get(position).i32(2).op("i32.shl").op("i32.add");
          f.memory("i32.load").memory("i32.store");
          f.get(at).i32(4).op("i32.add").tee(at).i32(4 * size);
          f.op("i32.lt_u").brIf(next);
        });
        f.get(item!).i32(1).op("i32.add").tee(item!);
        f.get(end!).op("i32.lt_u").brIf(again);
      });
    });
  });
  return {
    items: size === 0 ? 0 : rows,
    cost: rows * size * (10 + 3 * Math.log2(size + 1)),
    threadScratchBytes: scratchBytes,
  };
}

/** Sorts the numbers at `from`, and lets it point to the result. */
type Sorter = (f: FunctionBuilder, from: Local, to: Local) => void;

/** By the digits of the keys; the counters lie behind the numbers. */
function radixSorter(module: ModuleBuilder, size: number): Sorter {
  const radix = emitRadixSort(module);
  return (f, from, to) => {
    f.get(from).get(to).i32(8 * size);
    f.get(from).i32(Math.ceil(16 * size / 64) * 64).op("i32.add");
    f.call(radix).set(from);
  };
}

/** Short runs by insertion, then merged from one half into the other. */
function mergeSorter(module: ModuleBuilder, size: number): Sorter {
  const insertion = emitInsertionSort(module);
  const merge = emitMerge(module);
  return (f, from, to) => {
    const [low, middle, high, width] = locals(f, "i32", 4);
    f.i32(0).set(low);
    f.loop((next) => {
      f.get(from).get(low).op("i32.add").get(from);
      emitLesser(f, low, 8 * RUN, 8 * size, high);
      f.get(high).op("i32.add").call(insertion);
      f.get(high).tee(low).i32(8 * size).op("i32.lt_u").brIf(next);
    });
    f.i32(8 * RUN).set(width);
    f.block((finished) => {
      f.loop((wider) => {
        f.get(width).i32(8 * size).op("i32.ge_u").brIf(finished);
        f.i32(0).set(low);
        f.loop((next) => {
          emitLesser(f, low, width, 8 * size, middle);
          emitLesser(f, middle, width, 8 * size, high);
          f.get(from).get(low).op("i32.add");
          f.get(from).get(middle).op("i32.add");
          f.get(from).get(high).op("i32.add");
          f.get(to).get(low).op("i32.add").call(merge);
          f.get(high).tee(low).i32(8 * size).op("i32.lt_u").brIf(next);
        });
        f.get(from).get(to).set(from).set(to);
        f.get(width).i32(1).op("i32.shl").set(width).br(wider);
      });
    });
  };
}

/** Pops the address of an element, pushes its key. */
function emitKey(
  f: FunctionBuilder,
  { buffers, descending }: SortKernel,
): void {
  const { dtype } = buffers[0]!;
  const key = f.local("i32");
  if (dtype === "float32") {
    const value = f.local("f32");
    // Adding 0 turns -0 into 0: they are equal.
    f.memory("f32.load").f32(0).op("f32.add").tee(value);
    f.op("i32.reinterpret_f32").set(key);
    // Negative numbers: all bits turned; others: the sign.
    f.get(key).get(key).i32(31).op("i32.shr_s").i32(-0x80000000);
    f.op("i32.or").op("i32.xor");
    if (descending) f.i32(-1).op("i32.xor");
    f.set(key);
    f.i32(-1).get(key).get(value).get(value).op("f32.ne").op("select");
    return;
  }
  f.memory("i32.load");
  if (dtype === "int32") f.i32(-0x80000000).op("i32.xor");
  if (descending) f.i32(-1).op("i32.xor");
}

/** `result = min(from + step, most)`. */
function emitLesser(
  f: FunctionBuilder,
  from: Local,
  step: Local | number,
  most: number,
  result: Local,
): void {
  f.get(from);
  if (typeof step === "number") f.i32(step);
  else f.get(step);
  f.op("i32.add").tee(result).i32(most);
  f.get(result).i32(most).op("i32.lt_u").op("select").set(result);
}

/** Sorts the numbers from one address to another. */
function emitInsertionSort(module: ModuleBuilder): Callable {
  return module.function(undefined, ["i32", "i32"], [], (f) => {
    const [start, end] = f.params;
    const [at, hole] = locals(f, "i32", 2);
    const [value, other] = locals(f, "i64", 2);
    f.get(start!).set(at);
    f.block((done) => {
      f.loop((next) => {
        f.get(at).i32(8).op("i32.add").tee(at).get(end!).op("i32.ge_u");
        f.brIf(done);
        f.get(at).tee(hole).memory("i64.load").set(value);
        f.block((placed) => {
          f.loop((further) => {
            f.get(hole).get(start!).op("i32.le_u").brIf(placed);
            f.get(hole).i32(8).op("i32.sub").memory("i64.load").tee(other);
            f.get(value).op("i64.lt_u").brIf(placed);
            f.get(hole).get(other).memory("i64.store");
            f.get(hole).i32(8).op("i32.sub").set(hole).br(further);
          });
        });
        f.get(hole).get(value).memory("i64.store").br(next);
      });
    });
  });
}

/** `(low, middle, high, to)`: merges two neighbouring sorted runs. */
function emitMerge(module: ModuleBuilder): Callable {
  return module.function(undefined, ["i32", "i32", "i32", "i32"], [], (f) => {
    const [low, middle, high, to] = f.params;
    const [left, right, less] = locals(f, "i32", 3);
    const [a, b] = locals(f, "i64", 2);
    f.get(low!).set(left).get(middle!).set(right);
    f.block((done) => {
      f.get(middle!).get(high!).op("i32.ge_u").brIf(done);
      f.loop((next) => {
        // Which run gives the next number is a guess: no branch on it.
        f.get(left).memory("i64.load").tee(a);
        f.get(right).memory("i64.load").tee(b).op("i64.lt_u").set(less);
        f.get(to!).get(a).get(b).get(less).op("select").memory("i64.store");
        f.get(to!).i32(8).op("i32.add").set(to!);
        f.get(left).get(less).i32(3).op("i32.shl").op("i32.add").tee(left);
        f.get(middle!).op("i32.lt_u");
        f.get(right).i32(8).get(less).i32(3).op("i32.shl").op("i32.sub");
        f.op("i32.add").tee(right).get(high!).op("i32.lt_u");
        f.op("i32.and").brIf(next);
      });
    });
    f.get(to!).get(left).get(middle!).get(left).op("i32.sub").memoryCopy();
    f.get(to!).get(middle!).get(left).op("i32.sub").op("i32.add");
    f.get(right).get(high!).get(right).op("i32.sub").memoryCopy();
  });
}
