import { assertEquals } from "@std/assert";
import type { DType } from "../../../tensor/dtype.ts";
import { openWasmSync } from "../../../tensor/device/wasm.ts";
import type { Backend } from "../../../tensor/device/device.ts";
import { hostBuffer } from "../../../tensor/kernel/interpret.ts";
import type { Kernel } from "../../../tensor/kernel/kernel.ts";
import { Random, randomData } from "./random_kernel.ts";
import { reference, runOn } from "./run_kernel.ts";

function withDevice(body: (backend: Backend) => void): void {
  const backend = openWasmSync({ threads: 1 });
  try {
    body(backend);
  } finally {
    backend.close();
  }
}

Deno.test("wasm scans along the middle axis for every remainder of the inner one", () => {
  const random = new Random(3);
  withDevice((backend) => {
    for (const dtype of ["float32", "int32", "uint32"] as DType[]) {
      for (const outer of [0, 1, 3]) {
        for (const size of [0, 1, 2, 9, 100]) {
          for (const inner of [1, 2, 3, 4, 5, 8, 11]) {
            const count = outer * size * inner;
            const kernel: Kernel = {
              kind: "scan",
              name: "scan",
              shape: [outer, size, inner],
              buffers: [
                { dtype, size: count, output: false },
                { dtype, size: count, output: true },
              ],
            };
            const input = randomData(random, dtype, count);
            const buffers = [input, hostBuffer(dtype, count)];
            const got = runOn(backend, kernel, buffers);
            const want = reference(kernel, buffers);
            assertEquals(got[1], want[1], `${dtype} ${kernel.shape}`);
          }
        }
      }
    }
  });
});

Deno.test("wasm sorts stably with NaN last, ascending and descending", () => {
  const random = new Random(4);
  withDevice((backend) => {
    for (const dtype of ["float32", "int32", "uint32"] as DType[]) {
      for (const descending of [false, true]) {
        for (
          const size of [0, 1, 2, 15, 16, 17, 33, 64, 100, 1000, 1024, 3001]
        ) {
          for (const rows of [1, 5]) {
            const count = rows * size;
            const kernel: Kernel = {
              kind: "sort",
              name: "sort",
              shape: [rows, size],
              descending,
              buffers: [
                { dtype, size: count, output: false },
                { dtype, size: count, output: true },
                { dtype: "int32", size: count, output: true },
              ],
            };
            const input = randomData(random, dtype, count);
            // Few different values: most have equals.
            if (random.chance(0.5)) {
              input.forEach((x, i) => input[i] = Math.sign(x) * (i % 3));
            }
            const buffers = [
              input,
              hostBuffer(dtype, count),
              hostBuffer("int32", count),
            ];
            const got = runOn(backend, kernel, buffers);
            const want = reference(kernel, buffers);
            const message = `${dtype} ${kernel.shape} ${descending}`;
            assertEquals(got[2], want[2], message);
            assertEquals(got[1], want[1], message);
          }
        }
      }
    }
  });
});

Deno.test("wasm scatters sums of slices and drops targets out of range", () => {
  const random = new Random(5);
  withDevice((backend) => {
    for (const dtype of ["float32", "int32"] as DType[]) {
      for (const [outer, count, size] of [[1, 0, 3], [2, 9, 4], [3, 40, 200]]) {
        for (const inner of [1, 2, 3, 4, 5, 8, 13]) {
          const kernel: Kernel = {
            kind: "scatter",
            name: "scatter",
            outer: outer!,
            count: count!,
            size: size!,
            inner,
            buffers: [
              { dtype: "int32", size: outer! * count!, output: false },
              { dtype: "int32", size: outer! * count!, output: false },
              { dtype, size: outer! * count! * inner, output: false },
              { dtype, size: outer! * size! * inner, output: true },
            ],
          };
          const buffers = kernel.buffers.map((slot) =>
            randomData(random, slot.dtype, slot.size)
          );
          for (let o = 0; o < outer!; o++) {
            const targets = Array.from(
              { length: count! },
              () => random.integer(-2, size! + 1),
            );
            const order = targets.map((_, p) => p)
              .sort((p, q) => targets[p]! - targets[q]! || p - q);
            buffers[0]!.set(order.map((p) => targets[p]!), o * count!);
            buffers[1]!.set(order, o * count!);
          }
          const got = runOn(backend, kernel, buffers);
          const want = reference(kernel, buffers);
          assertEquals(got[3], want[3], `${dtype} ${inner}`);
        }
      }
    }
  });
});
