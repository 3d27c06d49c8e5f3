import {
  Adam,
  Conv2d,
  Flatten,
  Linear,
  manualSeed,
  ReLU,
  Sequential,
} from "@heddle/nn";
import {
  compile,
  type Device,
  endStep,
  onEachRun,
  ones,
  openDevice,
  Scope,
  type Tensor,
  tensor,
  useDevice,
  zeros,
} from "@heddle/tensor";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { openWebgpu } from "../../../tensor/device/webgpu.ts";
import { Device as AnyDevice } from "../../../tensor/device/runtime.ts";
import { deviceTest } from "../../devices.ts";
import { openReference } from "../reference_backend.ts";
import { gpuTest } from "../webgpu_test_device.ts";

/** A small training step. */
function smallStep(): (x: Tensor) => Tensor {
  manualSeed(1);
  const model = new Sequential(new Linear(4, 8), new ReLU(), new Linear(8, 1));
  const optimizer = new Adam(model.parameters());
  return (x) => {
    const loss = model.forward(x).square().mean();
    loss.backward();
    optimizer.step();
    return loss;
  };
}

/** Counts what a device makes while a function runs. */
async function countAllocations(
  device: Device,
  run: () => void | Promise<void>,
): Promise<{ taken: number; given: number }> {
  const { backend } = device as AnyDevice;
  const counts = { taken: 0, given: 0 };
  const { allocate, free } = backend;
  backend.allocate = (bytes) => (counts.taken++, allocate.call(backend, bytes));
  backend.free = (buffer) => (counts.given++, free.call(backend, buffer));
  try {
    await run();
  } finally {
    Object.assign(backend, { allocate, free });
  }
  return counts;
}

deviceTest("compile() leaves memory flat over 10,000 runs", async (device) => {
  const { backend } = device as AnyDevice;
  // A GPU emulated in software takes long for each kernel.
  const total = zeros([4]);
  const few = (x: Tensor) => {
    total.assign(total.mul(0.5).add(x.sum({ axis: 0 })));
    return total.sum();
  };
  const step = compile(device.name === "webgpu" ? few : smallStep());
  const x = ones([2, 4]);
  let last: number | undefined;
  const many = async (runs: number) => {
    for (let run = 0; run < runs; run++) {
      using _scope = new Scope();
      const loss = step(x);
      if (run === runs - 1) last = await loss.item();
      else if (run % 8 === 0) await backend.ready();
    }
    await device.finish();
    return device.memory();
  };
  const before = await many(200);
  const heap = Deno.memoryUsage().rss;
  const after = await many(10_000);
  assertEquals(after, before);
  assert(Number.isFinite(last));
  const grown = Deno.memoryUsage().rss - heap;
  assert(grown < 64e6, `${grown} bytes more`);
}, { devices: ["wasm", "webgpu"] });

deviceTest(
  "compile() takes nothing in its steady state but results",
  async (device) => {
    const step = compile(smallStep());
    const x = ones([2, 4]);
    const once = () => {
      using _scope = new Scope();
      step(x);
    };
    for (let run = 0; run < 3; run++) once();
    const counts = await countAllocations(device, () => {
      for (let run = 0; run < 10; run++) once();
    });
    // The loss, which the scope gives back.
    assertEquals(counts, { taken: 10, given: 10 });
  },
);

gpuTest("compile() makes no GPU object in its steady state", async () => {
  const objects: Record<string, number> = {};
  const prototype = GPUDevice.prototype as unknown as Record<string, unknown>;
  const makers = Object.getOwnPropertyNames(prototype)
    .filter((name) =>
      name.startsWith("create") && name !== "createCommandEncoder"
    );
  const originals = makers.map((name) => [name, prototype[name]] as const);
  const gpu = new AnyDevice(await openWebgpu());
  useDevice(gpu);
  try {
    const step = compile(smallStep());
    const x = ones([2, 4]);
    const results: Tensor[] = [];
    const run = async () => {
      using _scope = new Scope();
      results.push(step(x));
      await gpu.finish();
    };
    for (let at = 0; at < 6; at++) await run();
    for (const [name, make] of originals) {
      prototype[name] = function (this: GPUDevice, ...args: unknown[]) {
        objects[name] = (objects[name] ?? 0) + 1;
        return (make as (...args: unknown[]) => unknown).apply(this, args);
      };
    }
    for (let at = 0; at < 10; at++) await run();
    assertEquals(objects, {});
  } finally {
    for (const [name, make] of originals) prototype[name] = make;
    gpu.close();
  }
});

deviceTest(
  "compile().memory() takes nothing, and foretells the peak",
  async () => {
    // A device of its own: peakBytes counts from its start.
    for (const make of [smallStep, convolutions]) {
      using device = openReference();
      useDevice(device);
      using _scope = new Scope();
      const step = make();
      const x = make === smallStep ? ones([2, 4]) : ones([2, 1, 12, 12]);
      await x.realize();
      endStep();
      let runs = 0;
      const compiled = compile((x) => {
        onEachRun(() => runs++);
        return step(x);
      });
      const before = device.memory();
      const memory = compiled.memory(x);
      assertEquals([device.memory(), runs], [before, 0]);
      const { inputs, state, intermediates, results, peak } = memory;
      assertEquals(inputs + state + intermediates + results, peak);
      assertEquals(results, 4);
      assertEquals(inputs, 4 * x.size);
      compiled(x);
      compiled(x);
      const { peakBytes } = device.memory();
      // The loss of the run before is still there.
      assertEquals(peakBytes - results, peak);
      compiled.dispose();
    }
  },
  { devices: ["reference"] },
);

function convolutions(): (x: Tensor) => Tensor {
  manualSeed(1);
  const model = new Sequential(
    new Conv2d(1, 4, 3),
    new ReLU(),
    new Conv2d(4, 4, 3),
    new ReLU(),
    new Flatten(),
    new Linear(256, 3),
  );
  const optimizer = new Adam(model.parameters());
  return (x) => {
    const loss = model.forward(x).square().mean();
    loss.backward();
    optimizer.step();
    return loss;
  };
}

/** Two large values that are needed at once. */
function large(size: number): () => Tensor {
  return () => {
    const a = zeros([size]).cumsum(0);
    const b = a.add(1).cumsum(0);
    return a.mul(b).sum();
  };
}

Deno.test("compile() refuses what a small device cannot hold", () => {
  using device = openReference({ maxBytes: 16_000, maxBufferBytes: 6000 });
  useDevice(device);
  using _scope = new Scope();
  let runs = 0;
  const step = (size: number) => {
    const f = large(size);
    return compile(() => {
      onEachRun(() => runs++);
      return f();
    }, { name: "step" });
  };
  const fits = step(1000);
  fits();
  const before = [device.memory(), runs];
  const another = step(1001);
  assertEquals(another.memory().intermediates, 3 * 4004);
  for (let at = 0; at < 2; at++) {
    assertThrows(
      () => another(),
      RangeError,
      "compile: step needs 12 kB (intermediates 12 kB, results 4 bytes): the " +
        "wasm device has 4 kB free: take smaller batches, or checkpoint()",
    );
  }
  assertThrows(
    () => step(1600)(),
    RangeError,
    "compile: step needs 6.4 kB in one piece (intermediates): a buffer of " +
      "the wasm device holds 6 kB: take smaller batches, or checkpoint()",
  );
  assertEquals([device.memory(), runs], before);
  fits.dispose();
  another(); // There is room now.
});

Deno.test("compile() refuses what WebAssembly cannot hold", async () => {
  using device = await openDevice("wasm", { threads: 1 });
  const before = device.memory();
  assertThrows(
    () => compile(large(5e8), { name: "step" })(),
    RangeError,
    "compile: step needs 6 GB (intermediates 6 GB, results 4 bytes): the " +
      "wasm device has 4.29 GB free",
  );
  assertThrows(
    () => compile(large(6e8), { name: "step" })(),
    RangeError,
    "compile: step needs 2.4 GB in one piece (intermediates): a buffer of " +
      "the wasm device holds 2.15 GB",
  );
  assertEquals(device.memory(), before);
});

gpuTest("compile() refuses what a GPU's budget cannot hold", async () => {
  const gpu = new AnyDevice(await openWebgpu({ maxBytes: 1e6 }));
  useDevice(gpu);
  try {
    const double = compile((x) => x.mul(2), { name: "double" });
    const before = gpu.memory();
    for (const x of [ones([150_000]), tensor(new Float32Array(150_000))]) {
      assertThrows(
        () => double(x),
        RangeError,
        "compile: double needs 1.2 MB (inputs 600 kB, results 600 kB): the " +
          "webgpu device has 1 MB free",
      );
    }
    assertEquals(gpu.memory(), before);
    assertEquals((await double(ones([100_000])).data())[99_999], 2);
  } finally {
    gpu.close();
  }
});
