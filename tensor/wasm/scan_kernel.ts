/**
 * Cumulative sums as a WebAssembly function.
 *
 * @module
 */

import type { ScanKernel } from "../kernel/kernel.ts";
import type { FunctionBuilder, ModuleBuilder } from "./assembler.ts";
import { type KernelFunction, locals } from "./kernel_function.ts";

/**
 * Adds the function `name`. An item is four neighbours along the inner axis;
 * it adds along the middle axis one after the other, in the order of the plain
 * loop, so that the sums are the same to the bit.
 */
export function emitScan(
  module: ModuleBuilder,
  name: string,
  { shape: [outer, size, inner], buffers }: ScanKernel,
): KernelFunction {
  const quads = Math.ceil(inner / 4);
  const add = buffers[0]!.dtype === "float32" ? "f32x4.add" : "i32x4.add";
  module.function(name, ["i32", "i32", "i32"], [], (f) => {
    const [frame, item, end] = f.params;
    const [quad, offset, input, output, left] = locals(f, "i32", 5);
    const sum = f.local("v128");
    const walk = (lanes: number) => {
      f.loop((again) => {
        f.get(sum).get(input).memory("v128.load").op(add).set(sum);
        f.get(output).get(sum);
        emitPartialStore(f, lanes);
        f.get(input).i32(4 * inner).op("i32.add").set(input);
        f.get(output).i32(4 * inner).op("i32.add").set(output);
        f.get(left).i32(1).op("i32.sub").tee(left).brIf(again);
      });
    };
    f.block((done) => {
      f.get(item!).get(end!).op("i32.ge_u").brIf(done);
      f.loop((again) => {
        f.get(item!).i32(quads).op("i32.rem_u").set(quad);
        f.get(item!).i32(quads).op("i32.div_u").i32(size * inner);
        f.op("i32.mul").get(quad).i32(4).op("i32.mul").op("i32.add");
        f.i32(4).op("i32.mul").set(offset);
        f.get(frame!).memory("i32.load").get(offset).op("i32.add").set(input);
        f.get(frame!).memory("i32.load", 4).get(offset).op("i32.add");
        f.set(output).i32(size).set(left).i32x4(0).set(sum);
        if (inner % 4 === 0) walk(4);
        else {
          f.get(quad).i32(quads - 1).op("i32.eq");
          f.if(() => walk(inner % 4), () => walk(4));
        }
        f.get(item!).i32(1).op("i32.add").tee(item!);
        f.get(end!).op("i32.lt_u").brIf(again);
      });
    });
  });
  const items = size === 0 ? 0 : outer * quads;
  return { items, cost: 2 * items * size };
}

/** Pops an address and a vector, stores its first lanes. */
export function emitPartialStore(f: FunctionBuilder, lanes: number): void {
  if (lanes === 4) {
    f.memory("v128.store");
    return;
  }
  const value = f.local("v128");
  const address = f.local("i32");
  f.set(value).set(address);
  if (lanes > 1) f.get(address).get(value).memoryLane("v128.store64_lane", 0);
  if (lanes === 2) return;
  const last = lanes - 1;
  f.get(address).get(value).memoryLane("v128.store32_lane", last, 4 * last);
}
