import { assertEquals } from "@std/assert";
import type { Backend } from "../../../tensor/device/device.ts";
import { openWasmSync } from "../../../tensor/device/wasm.ts";
import { kernelKey } from "../../../tensor/kernel/kernel.ts";
import { randomKernel } from "./random_kernel.ts";
import { reference, runOn } from "./run_kernel.ts";

function withDevice(body: (backend: Backend) => void): void {
  const backend = openWasmSync({ threads: 1 });
  try {
    body(backend);
  } finally {
    backend.close();
  }
}

Deno.test("wasm runs random kernels as the interpreter does, to the bit", () => {
  const count = Number(Deno.env.get("KERNELS") ?? 400);
  const from = Number(Deno.env.get("SEED") ?? 1);
  withDevice((backend) => {
    for (let seed = from; seed < from + count; seed++) {
      const { kernel, buffers, params } = randomKernel(seed);
      const want = reference(kernel, buffers, params);
      const message = () => `seed ${seed}\n${kernelKey(kernel)}`;
      let got;
      try {
        got = runOn(backend, kernel, buffers, params);
      } catch (error) {
        throw new Error(message(), { cause: error });
      }
      assertEquals(got, want, message());
    }
  });
});
