/**
 * Sums of slices with equal targets as a WebAssembly function.
 *
 * @module
 */

import type { ScatterKernel } from "../kernel/kernel.ts";
import type { FunctionBuilder, Local, ModuleBuilder } from "./assembler.ts";
import { type KernelFunction, locals } from "./kernel_function.ts";
import { emitPartialStore } from "./scan_kernel.ts";

/** Parts that the targets of one outer index are cut into. */
const PARTS = 64;

/**
 * Adds the function `name`. An item is a run of targets: it finds the first of
 * its updates by halving, since targets are sorted, and adds them in order.
 */
export function emitScatter(
  module: ModuleBuilder,
  name: string,
  { outer, count, size, inner, buffers }: ScatterKernel,
): KernelFunction {
  const run = Math.max(1, Math.ceil(size / PARTS));
  const parts = Math.ceil(size / run);
  const add = buffers[2]!.dtype === "float32" ? "f32x4.add" : "i32x4.add";
  module.function(name, ["i32", "i32", "i32"], [], (f) => {
    const [frame, item, end] = f.params;
    const [part, row, first, last, low, high] = locals(f, "i32", 6);
    const [sorted, order, updates, output] = locals(f, "i32", 4);
    const [target, at, from, to, left] = locals(f, "i32", 5);
    f.block((done) => {
      f.get(item!).get(end!).op("i32.ge_u").brIf(done);
      f.loop((again) => {
        f.get(item!).i32(parts).op("i32.rem_u").set(part);
        f.get(item!).i32(parts).op("i32.div_u").set(row);
        f.get(part).i32(run).op("i32.mul").tee(first);
        f.i32(run).op("i32.add").tee(last).i32(size);
        f.get(last).i32(size).op("i32.lt_u").op("select").set(last);
        emitRow(f, frame!, 0, row, 4 * count, sorted);
        emitRow(f, frame!, 1, row, 4 * count, order);
        emitRow(f, frame!, 2, row, 4 * count * inner, updates);
        emitRow(f, frame!, 3, row, 4 * size * inner, output);
        f.get(output).get(first).i32(4 * inner).op("i32.mul").op("i32.add");
        f.i32(0).get(last).get(first).op("i32.sub").i32(4 * inner);
        f.op("i32.mul").memoryFill();
        emitLowerBound(f, sorted, count, first, low, high);
        f.block((finished) => {
          f.loop((next) => {
            f.get(low).i32(count).op("i32.ge_u").brIf(finished);
            f.get(low).i32(2).op("i32.shl").set(at);
            f.get(sorted).get(at).op("i32.add").memory("i32.load").tee(target);
            f.get(last).op("i32.ge_s").brIf(finished);
            f.get(updates).get(order).get(at).op("i32.add");
            f.memory("i32.load").i32(4 * inner).op("i32.mul").op("i32.add");
            f.set(from);
            f.get(output).get(target).i32(4 * inner).op("i32.mul");
            f.op("i32.add").set(to);
            emitAddSlice(f, inner, add, from, to, left);
            f.get(low).i32(1).op("i32.add").set(low).br(next);
          });
        });
        f.get(item!).i32(1).op("i32.add").tee(item!);
        f.get(end!).op("i32.lt_u").brIf(again);
      });
    });
  });
  const items = inner === 0 ? 0 : outer * parts;
  return { items, cost: outer * (count + size) * (4 + inner / 4) };
}

/** Where the buffer of a slot has the data of one outer index. */
function emitRow(
  f: FunctionBuilder,
  frame: Local,
  slot: number,
  row: Local,
  bytes: number,
  result: Local,
): void {
  f.get(frame).memory("i32.load", 4 * slot);
  f.get(row).i32(bytes).op("i32.mul").op("i32.add").set(result);
}

/** Leaves in `low` the first position whose target is not before `first`. */
function emitLowerBound(
  f: FunctionBuilder,
  sorted: Local,
  count: number,
  first: Local,
  low: Local,
  high: Local,
): void {
  const middle = f.local("i32");
  f.i32(0).set(low).i32(count).set(high);
  f.block((found) => {
    f.loop((again) => {
      f.get(low).get(high).op("i32.ge_u").brIf(found);
      f.get(low).get(high).op("i32.add").i32(1).op("i32.shr_u").set(middle);
      f.get(sorted).get(middle).i32(2).op("i32.shl").op("i32.add");
      f.memory("i32.load").get(first).op("i32.lt_s");
      f.if(
        () => f.get(middle).i32(1).op("i32.add").set(low),
        () => f.get(middle).set(high),
      );
      f.br(again);
    });
  });
}

function emitAddSlice(
  f: FunctionBuilder,
  inner: number,
  add: "f32x4.add" | "i32x4.add",
  from: Local,
  to: Local,
  left: Local,
): void {
  const quads = Math.floor(inner / 4);
  const step = (lanes: number) => {
    f.get(to).get(to).memory("v128.load").get(from).memory("v128.load").op(add);
    emitPartialStore(f, lanes);
  };
  if (quads > 0) {
    f.i32(quads).set(left);
    f.loop((again) => {
      step(4);
      f.get(from).i32(16).op("i32.add").set(from);
      f.get(to).i32(16).op("i32.add").set(to);
      f.get(left).i32(1).op("i32.sub").tee(left).brIf(again);
    });
  }
  if (inner % 4 !== 0) step(inner % 4);
}
