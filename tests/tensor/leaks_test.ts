import { assert, assertEquals, assertRejects } from "@std/assert";
import { openDevice, realize, tensor, useDevice } from "@heddle/tensor";
import { noteOrigins } from "../../tensor/device/leaks.ts";
import { openReference } from "./reference_backend.ts";

/** Runs the garbage collector until it has told of all that it found. */
async function collect(found: () => boolean): Promise<void> {
  const { gc } = globalThis as { gc?: () => void };
  for (let tries = 0; tries < 200 && !found(); tries++) {
    if (gc) gc();
    else Array.from({ length: 20_000 }, () => new Float64Array(64));
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function leave(): Promise<void> {
  for (let at = 0; at < 3; at++) await realize(tensor([at, 2]).add(1));
  await tensor([1, 2, 3, 4]).gt(2).realize();
}

Deno.test("leaks() groups what was left to the garbage collector", async () => {
  using device = useDevice(openReference());
  assertEquals(device.leaks(), []);
  await leave();
  await collect(() => device.memory().collected >= 8);
  const [most, ...rest] = device.leaks();
  assertEquals(most, { shape: [2], dtype: "float32", count: 6, bytes: 48 });
  // The order of equal ones is the garbage collector's.
  assertEquals(rest.sort((a, b) => a.dtype < b.dtype ? -1 : 1), [
    { shape: [4], dtype: "bool", count: 1, bytes: 16 },
    { shape: [4], dtype: "float32", count: 1, bytes: 16 },
  ]);
});

Deno.test("leaks() names the lines where it is told to track them", async () => {
  using device = useDevice(openReference());
  noteOrigins(true);
  try {
    await leave();
  } finally {
    noteOrigins(false);
  }
  await collect(() => device.memory().collected >= 8);
  const [most] = device.leaks();
  assertEquals(most!.count, 3);
  assert(
    device.leaks().every(({ madeAt }) =>
      /leaks_test\.ts:\d+:\d+$/.test(madeAt!)
    ),
  );
});

Deno.test("openDevice() refuses threads that are no whole number from 1", async () => {
  for (const threads of [0, 1.5, NaN]) {
    await assertRejects(
      () => openDevice("wasm", { threads }),
      RangeError,
      `openDevice: threads must be a whole number from 1: got ${threads}`,
    );
  }
});

Deno.test("Device prints its name, hardware and memory", async () => {
  using device = await openDevice("wasm", { threads: 1 });
  assert(
    /^Device\(wasm, WebAssembly, 1 thread.*, 0 buffers, 0 bytes\)$/.test(
      Deno.inspect(device),
    ),
    Deno.inspect(device),
  );
  device.close();
  assert(Deno.inspect(device).endsWith(", closed)"));
});
