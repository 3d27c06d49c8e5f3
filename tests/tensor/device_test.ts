import {
  currentDevice,
  openDevice,
  randomKey,
  realize,
  Scope,
  tensor,
  uniform,
  useDevice,
} from "@heddle/tensor";
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { assertClose, assertSame } from "../assert_close.ts";
import { openReference } from "./reference_backend.ts";

Deno.test("two devices in one process keep their tensors apart", async () => {
  using _scope = new Scope();
  using first = useDevice(openReference());
  const a = await tensor([1, 2]).add(1).realize();
  using second = useDevice(openReference());
  const b = await tensor([1, 2]).mul(5).realize();
  assertEquals(first.memory().buffers, 2);
  assertEquals(second.memory().buffers, 2);
  await assertSame(a, [2, 3]); // read where it is
  await assertSame(b, [5, 10]);
  await assertRejects(
    () => a.add(b).data(),
    Error,
    "compute: an input is on another device (wasm)",
  );
  await assertSame(tensor(await a.data()).add(b), [7, 13]);
  useDevice(first);
  await assertSame(a.add(1), [3, 4]);
});

Deno.test("wasm and the reference compute the same in one process", async () => {
  using _scope = new Scope();
  using reference = openReference();
  using wasm = await openDevice("wasm", { threads: 1 });
  const results = [];
  for (const device of [reference, wasm]) {
    useDevice(device);
    const x = uniform(randomKey(3), [7, 5]);
    results.push(
      await x.matmul(x.transpose()).softmax().sum({ axis: 0 }).data(),
    );
  }
  await assertClose(results[1]!, results[0]!);
});

Deno.test("openDevice() makes the device the default, useDevice() another", async () => {
  using wasm = await openDevice("wasm", { threads: 1 });
  assertEquals(currentDevice(), wasm);
  assertEquals(wasm.name, "wasm");
  assert(wasm.adapter.includes("WebAssembly, 1 thread"), wasm.adapter);
  using reference = openReference();
  assertEquals(currentDevice(), wasm);
  assertEquals(useDevice(reference), reference);
  assertEquals(currentDevice(), reference);
});

Deno.test("openDevice() refuses names that are none", async () => {
  await assertRejects(
    () => openDevice("cuda" as "wasm"),
    RangeError,
    `openDevice: no such device: got "cuda": use webgpu, wasm or auto`,
  );
  assertThrows(
    () => useDevice({} as Parameters<typeof useDevice>[0]),
    TypeError,
    "useDevice: not a device: pass what openDevice gave",
  );
});

Deno.test("close() ends a device; its tensors are gone, the next one opens", async () => {
  using _scope = new Scope();
  const closed = await openDevice("wasm", { threads: 1 });
  const x = await tensor([1, 2]).add(1).realize();
  closed.close();
  closed.close();
  assertEquals(currentDevice(), undefined);
  await assertRejects(() => x.data(), Error, "closed");
  using _next = useDevice(openReference());
  await assertRejects(() => x.add(1).data(), Error, "has been closed");
  await assertSame(tensor([1, 2]).add(1), [2, 3]);
});

Deno.test("memory() counts what tensors hold", async () => {
  using scope = new Scope();
  using device = useDevice(openReference());
  assertEquals(device.memory(), {
    buffers: 0,
    bytes: 0,
    peakBytes: 0,
    pooledBytes: 0,
    collected: 0,
  });
  const x = tensor(new Float32Array(100));
  assertEquals(device.memory().buffers, 0);
  const y = x.add(1);
  const z = x.mul(2);
  await realize(y, z);
  assertEquals([device.memory().buffers, device.memory().bytes], [3, 1200]);
  scope.dispose();
  assertEquals([device.memory().buffers, device.memory().bytes], [0, 0]);
  assertEquals(device.memory().peakBytes, 1200);
});
