import { manualSeed } from "@heddle/nn";
import {
  compile,
  type Device,
  Generator,
  noGrad,
  ones,
  Profile,
  Scope,
  type Tensor,
  tensor,
  uniform,
  useDevice,
} from "@heddle/tensor";
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import type { Kernel } from "../../../tensor/kernel/kernel.ts";
import type { Device as AnyDevice } from "../../../tensor/device/runtime.ts";
import { deviceTest } from "../../devices.ts";
import { randomTraining, valuesOf } from "../../nn/random_training.ts";
import { openReference } from "../reference_backend.ts";

/** A step that multiplies, adds up and assigns. */
function smallStep() {
  const weight = tensor([[1, 2], [3, 4]], { requiresGrad: true });
  const generator = new Generator(1);
  const f = (x: Tensor) => {
    const loss = x.matmul(weight).tanh().mul(uniform(generator.next(), [3, 2]))
      .sum();
    loss.backward();
    noGrad(() => weight.assign(weight.sub(weight.grad!)));
    weight.grad = null;
    return loss;
  };
  return { weight, f, x: ones([3, 2]) };
}

Deno.test("Profile of no kernels says so", () => {
  assertEquals(
    `${new Profile("f", [])}`.split("\n")[0],
    "f: 0 kernels, 0.000 ms",
  );
});

deviceTest("compile().explain() lists the kernels", () => {
  const { f, x } = smallStep();
  const step = compile(f, { name: "small" });
  const text = step.explain(x);
  const lines = text.split("\n");
  assert(
    /^small: \d+ kernels, [\d.]+ k?flop, [\d.]+ k?B$/.test(lines[0]!),
    text,
  );
  assert(lines[1]!.includes("fused operations"), text);
  assertEquals(
    lines.length - 2,
    Number(lines[0]!.match(/: (\d+) kernels/)![1]),
  );
  assert(text.includes("contract") && text.includes("exp"), text);
  assertEquals(step.traces, 1);
});

deviceTest(
  "compile().verify(), profile() and memory() leave tensors as they are",
  async (device) => {
    manualSeed(1);
    const training = randomTraining(1);
    const step = compile(training.step);
    step(training.batch(0));
    const { steps: _, generators: __, meter: ___, ...before } = await valuesOf(
      training,
    );
    const { buffers, bytes } = device.memory();
    const batch = training.batch(1);
    assertEquals(await step.verify(batch), undefined);
    const profile = await step.profile(batch);
    step.memory(batch);
    step.explain(batch);
    const after = device.memory();
    const { steps: a, generators: b, meter: c, ...values } = await valuesOf(
      training,
    );
    assertEquals(values.schedule, {
      ...Object(before.schedule),
      ...Object(values.schedule),
    });
    const tensors = (all: Record<string, unknown>) =>
      Object.entries(all).filter(([, value]) => value instanceof Float32Array);
    assertEquals(tensors(values), tensors(before));
    assert(a && b && c);
    assert(after.buffers <= buffers + 2 && after.bytes <= bytes + 512);
    assertEquals(
      profile.kernels.length,
      step.explain(batch).split("\n").length - 2,
    );
    if (device.adapter !== "reference") {
      assert(profile.ms > 0 && profile.floorMs > 0);
      assert(profile.toString().includes("x floor"));
    }
    assertEquals(step.traces, 1);
  },
);

/** Spoils what a device makes of some kernels. */
function spoil(device: Device, change: (kernel: Kernel) => Kernel): void {
  const { backend } = device as AnyDevice;
  const { prepare } = backend;
  backend.prepare = (kernel) => prepare.call(backend, change(kernel));
}

Deno.test("compile().verify() names the first value that is wrong", async () => {
  using device = openReference();
  useDevice(device);
  using _scope = new Scope();
  // Fused kernels take no root: those of single operations do.
  spoil(device, (kernel) => {
    if (kernel.kind !== "loop" || kernel.values.length < 4) return kernel;
    const values = kernel.values.map((value) =>
      value.op === "sqrt" ? { ...value, op: "abs" as const } : value
    );
    return { ...kernel, values };
  });
  const weight = tensor([1, 2, 3]);
  const step = compile((x) => {
    const first = x.mul(2).cumsum(0);
    const second = first.mul(0.3).sqrt().add(1);
    weight.assign(weight.add(second));
    return second.sum();
  });
  const found = await step.verify(ones([3]));
  assert(found !== undefined);
  assert(found.kernel.includes("sqrt"), found.kernel);
  assert(/^%\d+ = (add|sum)/.test(found.node), found.node);
  assert(Math.abs(found.got - found.want) > 1e-3);
  const loose = compile((x) => x.mul(0.3).sqrt().add(1).mul(2), {
    tolerance: { atol: 10 },
  });
  assertEquals(await loose.verify(ones([3])), undefined);
  assertEquals(await weight.toArray(), [1, 2, 3]);
});

Deno.test("compile().verify() tells kernels from the replay as a whole", async () => {
  using device = openReference();
  useDevice(device);
  using _scope = new Scope();
  const { backend } = device;
  const { replay } = backend;
  backend.replay = (recording, buffers, params) => {
    const { runs } = recording;
    const most = runs.length - 1;
    replay.call(
      backend,
      { ...recording, runs: runs.slice(0, most) },
      buffers,
      params,
    );
  };
  const x = ones([4]);
  const found = await compile((x) => x.cumsum(0).add(1).cumsum(0)).verify(x);
  assertEquals(found?.kernel, "the replay as a whole");
});

deviceTest(
  "nanWatch names the first value that is not finite",
  async (device) => {
    const weight = tensor([1, 2]);
    const step = compile((x) => {
      const logarithm = x.log();
      weight.assign(weight.mul(2));
      return [logarithm.mul(3).sum(), x.div(x.sub(x)).sum()].slice(0, 1);
    }, { nanWatch: true });
    const bad = tensor([1, -1]);
    const good = tensor([1, 2]);
    const message =
      /^compile: a value is not finite: %\d+ = log float32\[2\]: element 1 is NaN$/;
    step(good);
    const { buffers } = device.memory();
    if (device.name === "webgpu") {
      step(bad).forEach((result) => result.dispose());
      // It is read meanwhile: a later call tells.
      const error = await assertRejects(async () => {
        for (let call = 0; call < 100; call++) {
          await new Promise((resolve) => setTimeout(resolve, 20));
          step(good);
        }
      }, Error);
      assert(message.test(error.message), error.message);
    } else {
      const error = assertThrows(() => step(bad), Error);
      assert(message.test(error.message), error.message);
      assertEquals(device.memory().buffers, buffers);
    }
    // It has run all the same, and goes on.
    const [first] = await weight.toArray() as number[];
    step(good);
    assertEquals(await weight.toArray(), [2 * first!, 4 * first!]);
  },
);

deviceTest(
  "nanWatch tells an input, and what is overwritten, as it was",
  async () => {
    const pause = () => new Promise((resolve) => setTimeout(resolve, 300));
    const double = compile((x) => x.mul(2), { nanWatch: true });
    const weight = tensor([1, 0]);
    const invert = compile(() => {
      weight.assign(weight.reciprocal().mul(2));
    }, { nanWatch: true });
    const cases: readonly [() => void, RegExp][] = [
      [
        () => void double(tensor([1, NaN])),
        /an input float32\[2\]: element 1 is NaN/,
      ],
      [() => invert(), /%\d+ = \w+ float32\[2\]: element 1 is Infinity/],
    ];
    for (const [run, message] of cases) {
      const error = await assertRejects(async () => {
        run();
        await pause();
        run();
      }, Error);
      assert(message.test(error.message), error.message);
    }
  },
);

Deno.test("compile() says that its tools need a device", async () => {
  const device = openReference();
  useDevice(device);
  device.close();
  const f = compile((x) => x.mul(2));
  const x = ones([2]);
  assertThrows(() => f.memory(x), Error, "compile: memory: no device is open");
  assertThrows(
    () => f.explain(x),
    Error,
    "compile: explain: no device is open",
  );
  await assertRejects(() => f.verify(x), Error, "compile: verify: no device");
  await assertRejects(() => f.profile(x), Error, "compile: profile: no device");
  // Without one it is lazy.
  assertEquals([f(x).isComputed, f.traces], [false, 0]);
});
