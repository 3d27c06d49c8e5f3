import {
  compile,
  openDevice,
  type Tensor,
  tensor,
  useDevice,
} from "@heddle/tensor";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { Device } from "../../tensor/device/runtime.ts";
import { tuningKey } from "../../tensor/device/tuning.ts";
import { openWebgpu, type WebgpuOptions } from "../../tensor/device/webgpu.ts";
import { WebgpuExecutable } from "../../tensor/device/webgpu_executable.ts";
import type { Kernel } from "../../tensor/kernel/kernel.ts";
import { nodeOf } from "../../tensor/tensor.ts";
import { wayName, waysToTry } from "../../tensor/wgsl/contract_strategy.ts";
import { assertClose } from "../assert_close.ts";
import { gpuTest, randomBuffer } from "./webgpu_test_device.ts";

/** Few ways, which compile quickly on a processor. */
const SMALL_GPU: WebgpuOptions = {
  shader: { isFallback: false, maxWorkgroupBytes: 9000 },
};

async function withDevice(
  options: WebgpuOptions,
  test: (device: Device) => Promise<void>,
): Promise<void> {
  const device = new Device(await openWebgpu(options));
  try {
    useDevice(device);
    await test(device);
  } finally {
    device.close();
  }
}

function random(shape: readonly number[], seed: number): Tensor {
  const size = shape.reduce((a, b) => a * b, 1);
  const values = randomBuffer("float32", size, seed) as Float32Array;
  return tensor(values, { shape });
}

const linear = (x: Tensor, weight: Tensor) => x.matmul(weight).relu();

/** The one kernel of a product. */
function kernelOf(device: Device, x: Tensor, weight: Tensor): Kernel {
  const { steps } = device.plan([nodeOf(linear(x, weight))]);
  assertEquals(steps.length, 1);
  return steps[0]!.kernel;
}

function textOf(device: Device, kernel: Kernel): string {
  const executable = device.backend.prepare(kernel);
  assert(executable instanceof WebgpuExecutable);
  return executable.program.dispatches.map(({ wgsl }) => wgsl).join("\n");
}

gpuTest("compile().tune() takes the fastest way that it tried", async () => {
  for (const options of [{}, SMALL_GPU]) {
    await withDevice(options, async (device) => {
      const [x, weight] = [random([70, 150], 1), random([150, 90], 2)];
      const step = compile(linear);
      const before = await step(x, weight).data();
      const report = await step.tune(x, weight);
      assertEquals(report.adapter, device.adapter);
      assertEquals(report.reason, undefined);
      const [kernel, ...others] = report.kernels;
      assertEquals(others.length, 0);
      const { key, tried, way } = kernel!;
      assert(tried.length > 1, options.shader ? "a GPU" : "a processor");
      const least = Math.min(...tried.map(({ ms }) => ms));
      assertEquals(tried.find(({ ms }) => ms === least)!.way, way);
      assertEquals(device.tuning, { [device.adapter]: { [key]: way } });
      await assertClose(step(x, weight).flatten(), before, {
        rtol: 1e-5,
        atol: 1e-5,
      });
      assertEquals(step.traces, 1);
    });
  }
});

gpuTest("device.tuning decides how kernels run from then on", async () => {
  await withDevice(SMALL_GPU, async (device) => {
    const [x, weight] = [random([70, 150], 1), random([150, 90], 2)];
    const kernel = kernelOf(device, x, weight);
    const key = tuningKey(kernel);
    const before = textOf(device, kernel);
    assert(before.includes("var<workgroup>"));
    const want = await linear(x, weight).data();
    const stored = JSON.stringify({ [device.adapter]: { [key]: "loop" } });
    device.tuning = JSON.parse(stored);
    assert(!textOf(device, kernel).includes("var<workgroup> left"));
    for (const run of [linear, compile(linear)]) {
      await assertClose(run(x, weight).flatten(), want, {
        rtol: 1e-5,
        atol: 1e-5,
      });
    }
    // A way that this version does not know is none.
    device.tuning = { [device.adapter]: { [key]: "quantum" } };
    assertEquals(textOf(device, kernel), before);
  });
});

gpuTest("device.tuning keeps what is of another adapter unused", async () => {
  await withDevice(SMALL_GPU, async (device) => {
    const [x, weight] = [random([70, 150], 1), random([150, 90], 2)];
    const kernel = kernelOf(device, x, weight);
    const before = textOf(device, kernel);
    const other = { "Another GPU": { [tuningKey(kernel)]: "loop" } };
    device.tuning = other;
    assertEquals(textOf(device, kernel), before);
    const { kernels } = await compile(linear).tune(x, weight);
    const ours = { [device.adapter]: { [kernels[0]!.key]: kernels[0]!.way } };
    assertEquals(device.tuning, { ...other, ...ours });
  });
});

gpuTest(
  "compile().tune() leaves a function without products alone",
  async () => {
    await withDevice({}, async (device) => {
      const step = compile((x: Tensor) => x.exp().sum());
      const report = await step.tune(random([9], 1));
      assertEquals(report.kernels, []);
      assertEquals(report.reason, "no kernel has several ways");
      assertEquals(device.tuning, {});
    });
  },
);

Deno.test("compile().tune() has nothing to choose on wasm", async () => {
  using device = await openDevice("wasm", { threads: 1 });
  const [x, weight] = [random([7, 15], 1), random([15, 9], 2)];
  const report = await compile(linear).tune(x, weight);
  assertEquals(report.kernels, []);
  assertEquals(report.reason, "wasm has one way to run each kernel");
  assertEquals(device.tuning, {});
  const stored = { "Some GPU": { kernel: "loop" } };
  device.tuning = stored;
  assertEquals(device.tuning, stored);
});

Deno.test("device.tuning refuses what is no tuning", async () => {
  using device = await openDevice("wasm", { threads: 1 });
  for (const wrong of [null, [], "loop", { gpu: null }, { gpu: { a: 1 } }]) {
    assertThrows(
      () => device.tuning = wrong as unknown as typeof device.tuning,
      TypeError,
      "device.tuning: ",
    );
  }
  assertEquals(device.tuning, {});
});

Deno.test("waysToTry() gives few ways, the expected one first", () => {
  const limits = {
    maxWorkgroupSize: 1024,
    maxWorkgroupBytes: 32768,
    maxWorkgroups: 65535,
    isFallback: false,
  };
  for (const m of [1, 3, 64, 500, 4096]) {
    for (const k of [64, 1024, 50000]) {
      const sizes = { batch: 1, m, n: 1024, k };
      const ways = waysToTry(sizes, limits);
      assert(ways.length >= 1 && ways.length <= 8);
      const names = ways.map(wayName);
      assertEquals(new Set(names).size, names.length);
    }
  }
  const [first, second] = waysToTry(
    { batch: 1, m: 4096, n: 4096, k: 4096 },
    limits,
  );
  assert(first!.kind === "tiled" && second !== undefined);
});
