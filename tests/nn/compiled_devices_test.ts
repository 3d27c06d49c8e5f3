import { readCheckpoint, writeCheckpoint } from "@heddle/nn";
import {
  compile,
  type Device,
  DeviceLostError,
  openDevice,
  Scope,
  tensor,
  useDevice,
} from "@heddle/tensor";
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { openReference } from "../tensor/reference_backend.ts";
import { gpuTest } from "../tensor/webgpu_test_device.ts";
import { randomTraining, train, valuesOf } from "./random_training.ts";

Deno.test("compile() keeps the traces of two devices apart", async () => {
  using wasm = await openDevice("wasm", { threads: 1 });
  using reference = openReference();
  const f = compile((x) => x.mul(2).cumsum(0));
  for (let run = 1; run < 4; run++) {
    for (const [device, factor] of [[wasm, 1], [reference, 10]] as const) {
      useDevice(device);
      assertEquals(await f(tensor([factor, run])).toArray(), [
        2 * factor,
        2 * factor + 2 * run,
      ]);
    }
  }
  assertEquals(f.traces, 2);
});

Deno.test("compile() trains a model on each of two devices, in turns", async () => {
  const devices = [await openDevice("wasm", { threads: 1 }), openReference()];
  const seeds = [3, 16];
  const want: Record<string, unknown>[] = [];
  for (const [at, device] of devices.entries()) {
    useDevice(device);
    want.push((await train(randomTraining(seeds[at]!), 4, true)).values);
  }
  const trainings = [];
  for (const [at, device] of devices.entries()) {
    useDevice(device);
    const training = randomTraining(seeds[at]!);
    await train(training, 1, true);
    trainings.push({ training, step: compile(training.step), device });
  }
  for (let at = 1; at < 4; at++) {
    for (const { training, step, device } of trainings) {
      useDevice(device);
      using _scope = new Scope();
      step(training.batch(at));
      training.after();
    }
  }
  for (const [at, { training, device }] of trainings.entries()) {
    useDevice(device);
    assertEquals(await valuesOf(training), want[at]);
  }
  for (const device of devices) device.close();
});

Deno.test("compile() says that its tensors are on another device, or gone", async () => {
  using reference = openReference();
  const wasm = await openDevice("wasm", { threads: 1 });
  const weight = tensor([1]);
  const f = compile((x) => {
    weight.assign(weight.add(x));
    return weight.mul(2);
  });
  const x = tensor([1]);
  assertEquals(await f(x).item(), 4);
  useDevice(reference);
  const message = "compute: an input is on another device (wasm)";
  assertThrows(() => f(x), Error, message);
  useDevice(wasm);
  const last = f(x);
  wasm.close();
  await assertRejects(() => last.data(), Error, "the device is closed");
  useDevice(reference);
  assertThrows(
    () => f(x),
    Error,
    "compute: an input was on a wasm device that has been closed",
  );
  weight.assign(tensor([5]));
  assertEquals(await f(x).item(), 12);
  f.dispose();
});

/** Opens a GPU that a test can lose. */
async function openGpu(): Promise<{ gpu: Device; lose: () => void }> {
  const prototype = GPUAdapter.prototype;
  const { requestDevice } = prototype;
  let raw: GPUDevice | undefined;
  prototype.requestDevice = async function (...args) {
    return raw = await requestDevice.apply(this, args);
  };
  try {
    const gpu = await openDevice("webgpu");
    return { gpu, lose: () => raw!.destroy() };
  } finally {
    prototype.requestDevice = requestDevice;
  }
}

gpuTest(
  "DeviceLostError ends compiled training, and the checkpoint goes on",
  async () => {
    const seed = 4;
    const steps = 8;
    const first = await openGpu();
    const want = await train(randomTraining(seed), steps, true);
    const training = randomTraining(seed);
    const { model, optimizer, schedule, meter } = training;
    const parts = { model, optimizer, schedule, meter };
    const { losses } = await train(training, 3, true);
    const bytes = await writeCheckpoint(parts);
    const step = compile(training.step);
    let at = 3;
    const once = async () => {
      using _scope = new Scope();
      losses.push(await step(training.batch(at++)).loss.item());
      training.after();
    };
    await once();
    await once();
    first.lose();
    await first.gpu.lost;
    for (let call = 0; call < 2; call++) {
      const error = await assertRejects(once, DeviceLostError);
      assert(error.message.includes("the GPU device was lost"), error.message);
    }
    step.dispose();
    const second = await openGpu();
    await readCheckpoint(bytes, parts);
    at = losses.length = 3;
    while (at < steps) await once();
    assertEquals(losses, want.losses);
    assertEquals(await valuesOf(training), want.values);
    first.gpu.close();
    second.gpu.close();
  },
);
