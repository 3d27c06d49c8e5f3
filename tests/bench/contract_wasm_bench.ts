/**
 * Matrix products and convolutions on WebAssembly without a device around
 * them, on one thread and on all. Operations a second are in the names' unit:
 * the convolution is batch 64, 24 channels of 14 x 14 to 24 of 12 x 12.
 */

import { assert } from "@std/assert";
import type { LoopKernel } from "../../tensor/kernel/kernel.ts";
import { ThreadPool } from "../../tensor/wasm/threads.ts";
import {
  type Convolution,
  convolution,
  inputGradient,
  matmul,
  weightGradient,
} from "../tensor/wasm/contract_cases.ts";
import {
  ContractRunner,
  sharedMemory,
} from "../tensor/wasm/contract_runner.ts";

const memory = sharedMemory(64 << 20);
const pools = [
  new ThreadPool(memory, { threads: 1 }),
  new ThreadPool(memory),
];

const CONVOLUTION: Convolution = {
  batch: 64,
  channels: 24,
  outputs: 24,
  size: 14,
  kernel: 3,
  stride: 1,
  padding: 0,
  dilation: 1,
};

const GROUPS: Readonly<Record<string, LoopKernel>> = {
  "matmul 512": matmul(512, 512, 512),
  "matmul 1024": matmul(1024, 1024, 1024),
  "matmul 1024 by a transposed": matmul(1024, 1024, 1024, [false, true, false]),
  "matmul 1 x 600 x 300": matmul(1, 300, 600, [false, true, false]),
  "conv2d 3x3": convolution(CONVOLUTION),
  "conv2d 3x3, gradient of the weights": weightGradient(CONVOLUTION),
  "conv2d 3x3, gradient of the input": inputGradient(CONVOLUTION),
};

function place(kernel: LoopKernel, pool: ThreadPool): ContractRunner {
  const runner = new ContractRunner(kernel, memory, pool);
  runner.buffers.forEach((buffer, slot) => {
    for (let i = 0; i < buffer.length; i++) {
      buffer[i] = ((i * 7919 + slot) % 1000) / 1000 - 0.5;
    }
  });
  return runner;
}

/** The output of each pool; they lie in the same memory, so one by one. */
function outputs(kernel: LoopKernel): Float32Array[] {
  return pools.map((pool) => {
    const runner = place(kernel, pool);
    runner.run();
    return runner.buffers.at(-1)!.slice() as Float32Array;
  });
}

for (const [name, kernel] of Object.entries(GROUPS)) {
  const extents = [...kernel.rows, ...kernel.cols].map((axis) => axis.extent);
  const operations = extents.reduce((a, b) => a * b, 2);
  const group = `${name}, ${(operations / 1e6).toFixed(1)} million operations`;
  for (const pool of pools) {
    const count = pool.threads;
    let runner: ContractRunner | undefined;
    Deno.bench({
      name: `heddle, ${count} thread${count === 1 ? "" : "s"}`,
      group,
      baseline: count === 1,
      fn: async (bench) => {
        if (!runner) {
          await pool.start();
          const [one, all] = outputs(kernel) as [Float32Array, Float32Array];
          assert(one.every((value, i) => value === all[i]));
          runner = place(kernel, pool);
        }
        bench.start();
        runner.run();
        bench.end();
      },
    });
  }
}
