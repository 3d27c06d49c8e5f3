import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { openWasm, openWasmSync } from "../../../tensor/device/wasm.ts";
import type { LoopKernel } from "../../../tensor/kernel/kernel.ts";
import { type Axis, axisIndex, flatten } from "../../../tensor/view.ts";
import { onWarning } from "../../../tensor/warnings.ts";
import { Random } from "./random_kernel.ts";
import { reference, runOn } from "./run_kernel.ts";

function addOne(n: number): LoopKernel {
  const axis: Axis = { id: 0, extent: n };
  const index = axisIndex(axis);
  return {
    kind: "loop",
    name: "addOne",
    rows: [axis],
    cols: [],
    params: ["float32"],
    buffers: [
      { dtype: "float32", size: n, output: false },
      { dtype: "float32", size: n, output: true },
    ],
    values: [
      { op: "load", dtype: "float32", buffer: 0, index, bounds: [] },
      { op: "param", dtype: "float32", slot: 0 },
      { op: "add", dtype: "float32", args: [0, 1] },
    ],
    stores: [{ buffer: 1, index, value: 2 }],
  };
}

const ONE = new Uint32Array(Float32Array.of(1).buffer);

Deno.test("openWasm() writes, runs and reads", async () => {
  const device = await openWasm({ threads: 1 });
  assertEquals(device.name, "wasm");
  assert(device.adapter.startsWith("WebAssembly, 1 thread"));
  const [from, to] = [device.allocate(20), device.allocate(20)];
  device.write(from, Float32Array.of(1, 2, 3, 4, 5));
  device.run(device.prepare(addOne(5)), [from, to], ONE);
  device.flush();
  await device.finish();
  const got = new Float32Array(await device.read(to, 20));
  assertEquals([...got], [2, 3, 4, 5, 6]);
  assertEquals((await device.read(to, 8)).byteLength, 8);
  device.close();
});

Deno.test("openWasm() makes equal kernels once", () => {
  const device = openWasmSync({ threads: 1 });
  const first = device.prepare(addOne(5));
  assertEquals(device.prepare(addOne(5)), first);
  assert(device.prepare(addOne(6)) !== first);
  device.close();
});

Deno.test("device.memory() counts what is held, at most, and kept", () => {
  const device = openWasmSync({ threads: 1 });
  const before = device.memory();
  assertEquals([before.buffers, before.bytes], [0, 0]);
  const buffers = [100, 200].map((bytes) => device.allocate(bytes));
  assertEquals(device.memory().bytes, 300);
  for (const buffer of buffers) device.free(buffer);
  const after = device.memory();
  assertEquals([after.buffers, after.bytes, after.peakBytes], [0, 0, 300]);
  assert(after.pooledBytes > 300);
  device.close();
});

Deno.test("device.allocate() grows its memory and keeps what is there", async () => {
  const device = openWasmSync({ threads: 1 });
  const small = device.allocate(4);
  device.write(small, Int32Array.of(42));
  const large = device.allocate(30_000_000);
  device.write(large, new Uint8Array(30_000_000).fill(7));
  assertEquals([...new Int32Array(await device.read(small, 4))], [42]);
  const bytes = new Uint8Array(await device.read(large, 30_000_000));
  assertEquals(bytes.at(-1), 7);
  device.close();
});

Deno.test("device.allocate() says what was asked for and what is in use", () => {
  const device = openWasmSync({ threads: 1 });
  device.allocate(1000);
  const error = assertThrows(() => device.allocate(2 ** 31), RangeError);
  assertEquals(
    error.message,
    "allocate: not enough memory: 2147483648 bytes asked for, 1000 in use: " +
      "free tensors or take smaller batches",
  );
  device.close();
});

Deno.test("a device refuses what does not fit, is freed or is another's", async () => {
  const device = openWasmSync({ threads: 1 });
  const buffer = device.allocate(8);
  assertThrows(() => device.write(buffer, new Uint8Array(9)), RangeError);
  await assertRejects(() => device.read(buffer, 9), RangeError);
  device.free(buffer);
  const executable = device.prepare(addOne(2));
  assertThrows(
    () => device.run(executable, [buffer, buffer], ONE),
    Error,
    "run: the buffer has been freed",
  );
  assertThrows(() => device.free(buffer), Error, "has been freed");
  assertThrows(() => device.write(buffer, new Uint8Array(1)), Error, "freed");
  assertThrows(() => device.free({ byteLength: 4 }), TypeError);
  const other = openWasmSync({ threads: 1 });
  assertThrows(() => device.free(other.allocate(4)), TypeError, "another");
  other.close();
  device.close();
});

Deno.test("a device that is closed throws from every later call", async () => {
  const device = openWasmSync({ threads: 1 });
  const executable = device.prepare(addOne(2));
  const buffer = device.allocate(8);
  device.close();
  device.close();
  assertThrows(() => device.allocate(4), Error, "the device is closed");
  assertThrows(() => device.write(buffer, new Uint8Array(4)), Error, "closed");
  assertThrows(() => device.prepare(addOne(2)), Error, "closed");
  assertThrows(() => device.run(executable, [], ONE), Error, "closed");
  await assertRejects(() => device.read(buffer, 4), Error, "closed");
  device.free(buffer);
  assertEquals(device.memory().buffers, 0);
});

Deno.test("threads of a device give the bits that one gives", async () => {
  const n = 300_001;
  const input = Float32Array.from({ length: n }, (_, i) => Math.sin(i));
  const results: Float32Array[] = [];
  for (const threads of [1, 2]) {
    const device = await openWasm({ threads });
    const kernel = addOne(n);
    const executable = device.prepare(kernel);
    const [from, to] = [device.allocate(4 * n), device.allocate(4 * n)];
    device.write(from, input);
    // Long enough for the threads to start.
    for (let round = 0; round < 60; round++) {
      for (let i = 0; i < 10; i++) device.run(executable, [from, to], ONE);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    device.write(to, new Float32Array(n));
    device.run(executable, [from, to], ONE);
    results.push(new Float32Array(await device.read(to, 4 * n)));
    device.close();
  }
  assertEquals(results[1], results[0]);
});

Deno.test("openWasm() works without shared memory", async () => {
  const name = "crossOriginIsolated";
  const before = Object.getOwnPropertyDescriptor(globalThis, name);
  // As in a page of a browser that does not isolate itself.
  Object.defineProperty(globalThis, name, { value: false, configurable: true });
  const warnings: string[] = [];
  onWarning((message) => warnings.push(message));
  try {
    const device = await openWasm({ threads: 4 });
    assertEquals(warnings.length, 1);
    assert(
      warnings[0]!.startsWith(
        "openDevice: wasm uses 1 thread: memory cannot be shared",
      ),
    );
    assert(device.adapter.startsWith("WebAssembly, 1 thread,"));
    const kernel = addOne(1_000_000);
    const input = new Float32Array(1_000_000).fill(2);
    const small = device.allocate(4);
    device.write(small, Float32Array.of(5));
    const [, got] = runOn(device, kernel, [input, input], ONE);
    assertEquals([got![0], got![999_999]], [3, 3]);
    assertEquals([...new Float32Array(device.readSync!(small, 4))], [5]);
    device.close();
  } finally {
    onWarning(null);
    if (before) Object.defineProperty(globalThis, name, before);
    else delete (globalThis as Record<string, unknown>)[name];
  }
});

function product(m: number, n: number, k: number): LoopKernel {
  const [i, j, l] = [m, n, k].map((extent, id): Axis => ({ id, extent }));
  const at = (a: Axis, b: Axis) =>
    flatten([axisIndex(a), axisIndex(b)], [a.extent, b.extent]);
  const load = (buffer: number, index: ReturnType<typeof at>) => ({
    op: "load" as const,
    dtype: "float32" as const,
    buffer,
    index,
    bounds: [],
  });
  return {
    kind: "loop",
    name: "matmul",
    rows: [i!, j!],
    cols: [l!],
    params: [],
    buffers: [m * k, k * n, m * n].map((size, slot) => ({
      dtype: "float32" as const,
      size,
      output: slot === 2,
    })),
    values: [
      load(0, at(i!, l!)),
      load(1, at(l!, j!)),
      { op: "mul", dtype: "float32", args: [0, 1] },
      { op: "reduce", dtype: "float32", reducer: "sum", args: [2] },
    ],
    stores: [{ buffer: 2, index: at(i!, j!), value: 3 }],
    contract: { batch: [], m: [i!], n: [j!], product: 3, left: 0, right: 1 },
  };
}

Deno.test("openWasm() gives the same matrix products packed and as plain loops", () => {
  const random = new Random(21);
  const packed = openWasmSync({ threads: 1 });
  const plain = openWasmSync({ threads: 1, contract: false });
  for (const [m, n, k] of [[1, 1, 1], [3, 5, 7], [17, 33, 9], [64, 70, 130]]) {
    const kernel = product(m!, n!, k!);
    // Whole numbers: their sums are exact in any order.
    const buffers = kernel.buffers.map(({ size }) =>
      Float32Array.from({ length: size }, () => random.integer(-9, 9))
    );
    const [, , want] = reference(kernel, buffers);
    assertEquals(runOn(packed, kernel, buffers)[2], want);
    assertEquals(runOn(plain, kernel, buffers)[2], want);
  }
  packed.close();
  plain.close();
});
