import { assertEquals } from "@std/assert";
import { openWasmSync } from "../../../tensor/device/wasm.ts";
import { at, KernelBuilder } from "../kernel_builder.ts";
import { reference, runOn } from "./run_kernel.ts";

Deno.test("findKept() keeps a value where it is written over only after its last use", () => {
  // The sum goes to the first output, where the powers were kept until then.
  const builder = new KernelBuilder();
  const column = builder.col(21);
  const input = builder.input("float32", 21);
  const sums = builder.output("float32", 21);
  const shares = builder.output("float32", 21);
  const x = builder.load(input, at(column));
  const power = builder.op("exp", builder.op("sin", x));
  const sum = builder.reduce("sum", power);
  builder.store(sums, at(column), sum);
  builder.store(shares, at(column), builder.op("div", power, sum));
  const kernel = builder.build("sum and shares");
  const buffers = [
    Float32Array.from({ length: 21 }, (_, i) => i / 7),
    new Float32Array(21),
    new Float32Array(21),
  ];
  const [, , want] = reference(kernel, buffers);
  const backend = openWasmSync({ threads: 1 });
  const [, , got] = runOn(backend, kernel, buffers);
  backend.close();
  got!.forEach((share, i) => {
    assertEquals(Math.abs(share - want![i]!) < 1e-6, true, `${share}`);
  });
});
