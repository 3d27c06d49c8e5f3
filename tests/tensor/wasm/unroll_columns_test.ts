import { assertEquals } from "@std/assert";
import { interpret } from "../../../tensor/kernel/interpret.ts";
import { kernelKey } from "../../../tensor/kernel/kernel.ts";
import { unrollColumns } from "../../../tensor/wasm/unroll_columns.ts";
import { randomKernel } from "./random_kernel.ts";

Deno.test("unrollColumns() changes nothing that a random kernel computes", () => {
  let unrolled = 0;
  for (let seed = 1; seed < 600; seed++) {
    const { kernel, buffers, params } = randomKernel(seed);
    const straight = unrollColumns(kernel);
    if (!straight) continue;
    unrolled++;
    const want = buffers.map((data) => data.slice());
    interpret(kernel, want, params);
    const got = buffers.map((data) => data.slice());
    interpret(straight, got, params);
    const message = `${seed}\n${kernelKey(kernel)}\n${kernelKey(straight)}`;
    assertEquals(got, want, message);
  }
  assertEquals(unrolled > 50, true);
});
