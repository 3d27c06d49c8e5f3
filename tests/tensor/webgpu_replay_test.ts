import {
  assert,
  assertEquals,
  assertNotEquals,
  assertRejects,
  assertThrows,
} from "@std/assert";
import type { DeviceBuffer, RecordedRun } from "../../tensor/device/device.ts";
import { WebgpuBackend } from "../../tensor/device/webgpu.ts";
import { openAdapter } from "../../tensor/device/webgpu_adapter.ts";
import { DeviceLostError } from "../../tensor/device/webgpu_errors.ts";
import { planTemporaries } from "../../tensor/device/webgpu_temporaries.ts";
import { layOutWords } from "../../tensor/device/webgpu_uniforms.ts";
import type { LoopKernel, SortKernel } from "../../tensor/kernel/kernel.ts";
import type { Word } from "../../tensor/wgsl/program.ts";
import { at, KernelBuilder } from "./kernel_builder.ts";
import { gpuTest, randomBuffer, withGpu } from "./webgpu_test_device.ts";

/** `out = in op param`, in place where `inPlace` is set. */
function paramKernel(
  op: "add" | "mul",
  size: number,
  inPlace: boolean = false,
): LoopKernel {
  const builder = new KernelBuilder();
  const axis = builder.row(size);
  const input = builder.input("float32", size);
  const output = builder.output("float32", size);
  const value = builder.load(input, at(axis));
  builder.store(output, at(axis), builder.op(op, value, builder.param()));
  const kernel = builder.build(`${op}[${size}]`);
  if (!inPlace) return kernel;
  const [from, to] = kernel.buffers;
  return { ...kernel, buffers: [from!, { ...to!, overwrites: 0 }] };
}

/** `[m, k] x [k, n]` with a sine after it: it needs temporaries. */
function productKernel(m: number, n: number, k: number): LoopKernel {
  const builder = new KernelBuilder();
  const [i, j, sum] = [builder.row(m), builder.row(n), builder.col(k)];
  const a = builder.input("float32", m * k);
  const b = builder.input("float32", k * n);
  const output = builder.output("float32", m * n);
  const left = builder.load(a, at(i, sum));
  const right = builder.load(b, at(sum, j));
  const product = builder.reduce("sum", builder.op("mul", left, right));
  builder.store(output, at(i, j), builder.op("sin", product));
  return builder.build(`product[${m},${n},${k}]`, {
    batch: [],
    m: [i],
    n: [j],
    product,
    left,
    right,
  });
}

function sortKernel(size: number): SortKernel {
  return {
    kind: "sort",
    name: `sort[${size}]`,
    shape: [1, size],
    descending: false,
    buffers: [
      { dtype: "float32", size, output: false },
      { dtype: "float32", size, output: true },
      { dtype: "int32", size, output: true },
    ],
  };
}

function words(...values: number[]): Uint32Array {
  return new Uint32Array(new Float32Array(values).buffer);
}

function upload(gpu: WebgpuBackend, values: Float32Array): DeviceBuffer {
  const buffer = gpu.allocate(values.byteLength);
  gpu.write(buffer, values);
  return buffer;
}

async function download(
  gpu: WebgpuBackend,
  buffer: DeviceBuffer,
): Promise<number[]> {
  return [...new Float32Array(await gpu.read(buffer, buffer.byteLength))];
}

/** The runs of a recording, one by one. */
function runAll(
  gpu: WebgpuBackend,
  runs: readonly RecordedRun[],
  buffers: readonly DeviceBuffer[],
  params: Uint32Array,
): void {
  for (const run of runs) {
    gpu.run(
      run.executable,
      run.buffers.map((number) => buffers[number]!),
      Uint32Array.from(run.params, (number) => params[number]!),
    );
  }
}

/** Calls of the GPU that make an object, but for those that encode. */
function countObjects(): { readonly made: string[]; stop(): void } {
  const made: string[] = [];
  const patched: (() => void)[] = [];
  type Create = (this: GPUDevice, ...args: unknown[]) => unknown;
  const prototype = GPUDevice.prototype as unknown as Record<string, Create>;
  for (const name of Object.getOwnPropertyNames(prototype)) {
    if (!name.startsWith("create") || name === "createCommandEncoder") continue;
    const original = prototype[name]!;
    prototype[name] = function (...args) {
      made.push(name);
      return original.apply(this, args);
    };
    patched.push(() => prototype[name] = original);
  }
  return { made, stop: () => patched.forEach((restore) => restore()) };
}

/** Submissions to the queue. */
function countSubmissions(): { count: number; stop(): void } {
  const { submit } = GPUQueue.prototype;
  const counter = {
    count: 0,
    stop: () => {
      GPUQueue.prototype.submit = submit;
    },
  };
  GPUQueue.prototype.submit = function (buffers) {
    counter.count++;
    return submit.call(this, buffers);
  };
  return counter;
}

gpuTest("webgpu.replay() does what the runs do one by one", async () => {
  await withGpu(async (gpu) => {
    // Products and sorts have temporaries, of which the recording shares some.
    const kernels = {
      add: gpu.prepare(paramKernel("add", 400)),
      scale: gpu.prepare(paramKernel("mul", 400, true)),
      product: gpu.prepare(productKernel(20, 20, 20)),
      wide: gpu.prepare(productKernel(40, 50, 20)),
      sort: gpu.prepare(sortKernel(2000)),
    };
    const sizes = [400, 400, 800, 1000, 2000, 2000, 2000];
    const runs: RecordedRun[] = [
      { executable: kernels.add, buffers: [0, 1], params: [0] },
      { executable: kernels.scale, buffers: [1, 1], params: [1] },
      { executable: kernels.product, buffers: [0, 1, 2], params: [] },
      { executable: kernels.wide, buffers: [2, 3, 4], params: [] },
      { executable: kernels.sort, buffers: [4, 5, 6], params: [] },
      { executable: kernels.scale, buffers: [0, 0], params: [0] },
    ];
    const make = () =>
      sizes.map((size, seed) =>
        upload(gpu, randomBuffer("float32", size, seed + 1) as Float32Array)
      );
    const [mine, theirs] = [make(), make()];
    const recording = gpu.record(runs);
    for (const params of [words(1, 2), words(1, 2), words(-0.5, 3)]) {
      gpu.replay(recording, mine, params);
      runAll(gpu, runs, theirs, params);
      for (const [number, buffer] of mine.entries()) {
        assertEquals(
          await download(gpu, buffer),
          await download(gpu, theirs[number]!),
        );
      }
    }
    gpu.discard(recording);
  });
});

gpuTest("webgpu.replay() follows buffers that change places", async () => {
  await withGpu(async (gpu) => {
    const runs: RecordedRun[] = [
      {
        executable: gpu.prepare(paramKernel("add", 3)),
        buffers: [0, 1],
        params: [0],
      },
      {
        executable: gpu.prepare(paramKernel("mul", 3)),
        buffers: [1, 2],
        params: [1],
      },
    ];
    const recording = gpu.record(runs);
    let [from, to] = [
      upload(gpu, new Float32Array([1, 2, 3])),
      upload(gpu, new Float32Array(3)),
    ];
    const between = gpu.allocate(12);
    const want = [1, 2, 3];
    for (let step = 0; step < 5; step++) {
      gpu.replay(recording, [from, between, to], words(step, 2));
      want.forEach((value, i) => want[i] = (value + step) * 2);
      [from, to] = [to, from];
    }
    assertEquals(await download(gpu, from), want);
    // Memory that was given back and lent again is another buffer.
    gpu.free(to);
    to = gpu.allocate(12);
    gpu.replay(recording, [from, between, to], words(1, 1));
    assertEquals(await download(gpu, to), want.map((value) => value + 1));
    gpu.free(between);
    const replay = () =>
      gpu.replay(recording, [from, between, to], words(1, 1));
    assertThrows(replay, Error, "after free");
  });
});

gpuTest(
  "webgpu.replay() keeps its order among writes, runs and copies",
  async () => {
    await withGpu(async (gpu) => {
      const add = gpu.prepare(paramKernel("add", 4));
      const scale = gpu.prepare(paramKernel("mul", 4));
      const recording = gpu.record([
        { executable: add, buffers: [0, 1], params: [0] },
      ]);
      const [input, output] = [gpu.allocate(16), gpu.allocate(16)];
      const results: DeviceBuffer[] = [];
      for (let step = 0; step < 6; step++) {
        // Nothing is flushed by hand: each write must see to that.
        gpu.write(input, new Float32Array(4).fill(step));
        gpu.replay(recording, [input, output], words(10 * step));
        const doubled = gpu.allocate(16);
        gpu.run(scale, [output, doubled], words(2));
        const copied = gpu.allocate(16);
        gpu.copy(doubled, copied, 16);
        gpu.write(doubled, new Float32Array(4).fill(-1));
        results.push(copied);
      }
      for (const [step, result] of results.entries()) {
        assertEquals(await download(gpu, result), Array(4).fill(22 * step));
      }
      // What is written after a copy to the same place stays.
      gpu.copy(results[5]!, results[0]!, 16);
      gpu.write(results[0]!, new Float32Array(4).fill(7));
      assertEquals(await download(gpu, results[0]!), Array(4).fill(7));
    });
  },
);

gpuTest(
  "webgpu.replay() of thousands of dispatches flushes midway",
  async () => {
    await withGpu(async (gpu) => {
      const executable = gpu.prepare(paramKernel("add", 5, true));
      const runs = Array.from({ length: 2501 }, (_, at): RecordedRun => ({
        executable,
        buffers: [0, 0],
        params: [at % 3],
      }));
      const recording = gpu.record(runs);
      const total = upload(gpu, new Float32Array(5));
      const submissions = countSubmissions();
      try {
        gpu.replay(recording, [total], words(1, 2, 3));
        gpu.flush();
        assertEquals(submissions.count, 3);
        gpu.replay(recording, [total], words(0, 0, -1));
        assertEquals(await download(gpu, total), Array(5).fill(5001 - 833));
      } finally {
        submissions.stop();
      }
    });
  },
);

gpuTest("webgpu.replay() makes no object and submits once", async () => {
  await withGpu(async (gpu) => {
    const add = gpu.prepare(paramKernel("add", 400));
    const product = gpu.prepare(productKernel(20, 20, 20));
    const recording = gpu.record([
      { executable: add, buffers: [0, 1], params: [0] },
      { executable: product, buffers: [1, 0, 2], params: [] },
      { executable: add, buffers: [2, 3], params: [1] },
    ]);
    const input = randomBuffer("float32", 400) as Float32Array;
    const buffers = [0, 1, 2, 3].map(() => gpu.allocate(1600));
    const other = gpu.allocate(1600);
    const params = words(1, 2);
    const step = (number: number) => {
      params[0] = number;
      gpu.write(buffers[0]!, input);
      // The result goes to one of two buffers in turn.
      buffers[3] = number % 2 === 0 ? results[0]! : results[1]!;
      gpu.replay(recording, buffers, params);
      gpu.flush();
    };
    const results = [buffers[3]!, other];
    step(0);
    step(1);
    const objects = countObjects();
    const submissions = countSubmissions();
    try {
      for (let number = 0; number < 100; number++) {
        step(number);
        await gpu.ready();
      }
      assertEquals(objects.made, []);
      assertEquals(submissions.count, 100);
    } finally {
      objects.stop();
      submissions.stop();
    }
    await gpu.finish();
  });
});

gpuTest("webgpu.replay() binds anew only what changes", async () => {
  await withGpu(async (gpu) => {
    const executable = gpu.prepare(paramKernel("add", 4));
    const runs = Array.from({ length: 20 }, (_, at): RecordedRun => ({
      executable,
      buffers: [at, at + 1],
      params: [0],
    }));
    const recording = gpu.record(runs);
    const buffers = Array.from({ length: 21 }, () => gpu.allocate(16));
    gpu.replay(recording, buffers, words(1));
    buffers[20] = gpu.allocate(16);
    const objects = countObjects();
    try {
      gpu.replay(recording, buffers, words(1));
    } finally {
      objects.stop();
    }
    assertEquals(objects.made, ["createBindGroup"]);
    await gpu.finish();
  });
});

gpuTest(
  "webgpu.record() shares temporaries, discard() gives them back",
  async () => {
    await withGpu(async (gpu) => {
      const product = gpu.prepare(productKernel(20, 20, 20));
      const before = gpu.memory();
      const one = gpu.record([
        { executable: product, buffers: [0, 1, 2], params: [] },
      ]);
      const held = gpu.memory().bytes;
      const many = gpu.record(
        Array.from({ length: 9 }, () => ({
          executable: product,
          buffers: [0, 1, 2],
          params: [],
        })),
      );
      assertEquals(gpu.memory().bytes - held, held - before.bytes);
      const buffers = [1, 2, 3].map((seed) =>
        upload(gpu, randomBuffer("float32", 400, seed) as Float32Array)
      );
      gpu.replay(many, buffers, words());
      // The replay is not sent off yet, and still right.
      gpu.discard(many);
      gpu.discard(many);
      gpu.discard(one);
      const got = await download(gpu, buffers[2]!);
      gpu.run(product, buffers, words());
      assertEquals(got, await download(gpu, buffers[2]!));
      for (const buffer of buffers) gpu.free(buffer);
      assertEquals(gpu.memory().bytes, before.bytes);
      const replay = () => gpu.replay(many, buffers, words());
      assertThrows(replay, Error, "was discarded");
    });
  },
);

gpuTest(
  "webgpu.record() runs nothing where there is nothing to do",
  async () => {
    await withGpu(async (gpu) => {
      gpu.replay(gpu.record([]), [], words());
      const executable = gpu.prepare(paramKernel("add", 0));
      const empty = gpu.record([{ executable, buffers: [0, 1], params: [0] }]);
      gpu.replay(empty, [gpu.allocate(4), gpu.allocate(4)], words(1));
      assertEquals(await gpu.profile(empty, [], words(1)), [0]);
      await gpu.finish();
    });
  },
);

gpuTest("webgpu.replay() refuses what does not fit the recording", async () => {
  await withGpu(async (gpu) => {
    const executable = gpu.prepare(paramKernel("add", 4));
    const recording = gpu.record([
      { executable, buffers: [0, 1], params: [1] },
    ]);
    const [a, b] = [gpu.allocate(16), gpu.allocate(16)];
    const replay = (buffers: DeviceBuffer[], params: Uint32Array) => () =>
      gpu.replay(recording, buffers, params);
    assertThrows(replay([a, b], words(1)), RangeError, "too few params");
    assertThrows(replay([a], words(1, 2)), TypeError, "another device");
    assertThrows(replay([a, a], words(1, 2)), Error, "a buffer of its own");
    gpu.write(a, new Float32Array(4));
    replay([a, b], words(1, 2))();
    assertEquals(await download(gpu, b), [2, 2, 2, 2]);
    assertThrows(
      () => gpu.replay({ runs: [] }, [], words()),
      TypeError,
      "another device",
    );
    assertThrows(
      () =>
        gpu.record([{
          executable: { kernel: executable.kernel },
          buffers: [],
          params: [],
        }]),
      TypeError,
      "another device",
    );
  });
});

gpuTest("webgpu.replay() goes on after one that was refused", async () => {
  await withGpu(async (gpu) => {
    const executable = gpu.prepare(paramKernel("add", 4));
    const recording = gpu.record([
      { executable, buffers: [0, 1], params: [0] },
      { executable, buffers: [2, 3], params: [0] },
    ]);
    const buffers = [1, 2, 3, 4, 5].map((value) =>
      upload(gpu, new Float32Array(4).fill(value))
    );
    const [a, b, c, d, e] = buffers as [
      DeviceBuffer,
      DeviceBuffer,
      DeviceBuffer,
      DeviceBuffer,
      DeviceBuffer,
    ];
    const replay = (...bound: DeviceBuffer[]) =>
      gpu.replay(recording, bound, words(10));
    replay(a, b, c, d);
    // The first two are taken up before the fourth is found wanting.
    assertThrows(() => replay(e, b, c, { byteLength: 4 }), TypeError);
    replay(e, b, c, d);
    assertEquals(await download(gpu, b), [15, 15, 15, 15]);
    assertThrows(() => replay(a, b, c, c), Error, "a buffer of its own");
    replay(a, b, c, d);
    assertEquals(await download(gpu, b), [11, 11, 11, 11]);
  });
});

gpuTest("webgpu.ready() waits from the third replay on", async () => {
  await withGpu(async (gpu) => {
    const recording = gpu.record([{
      executable: gpu.prepare(paramKernel("add", 4, true)),
      buffers: [0, 0],
      params: [0],
    }]);
    const total = upload(gpu, new Float32Array(4));
    const { onSubmittedWorkDone } = GPUQueue.prototype;
    let waits = 0;
    GPUQueue.prototype.onSubmittedWorkDone = function () {
      waits++;
      return onSubmittedWorkDone.call(this);
    };
    try {
      const seen: number[] = [];
      for (let step = 0; step < 7; step++) {
        gpu.replay(recording, [total], words(1));
        await gpu.ready();
        seen.push(waits);
      }
      assertEquals(seen, [0, 0, 1, 1, 1, 2, 2]);
      // Reading waits as well.
      assertEquals(await download(gpu, total), [7, 7, 7, 7]);
      gpu.replay(recording, [total], words(1));
      await gpu.ready();
      assertEquals(waits, 2);
    } finally {
      GPUQueue.prototype.onSubmittedWorkDone = onSubmittedWorkDone;
    }
    await gpu.finish();
  });
});

gpuTest(
  "webgpu.profile() times each run, by queries and by the clock",
  async () => {
    for (const withQueries of [true, false]) {
      const opened = await openAdapter();
      if (!withQueries) {
        Object.defineProperty(opened.device, "features", { value: new Set() });
      }
      const gpu = new WebgpuBackend(opened, {});
      try {
        const small = gpu.prepare(paramKernel("add", 4));
        const large = gpu.prepare(productKernel(300, 300, 300));
        const recording = gpu.record([
          { executable: small, buffers: [0, 1], params: [0] },
          { executable: large, buffers: [2, 3, 4], params: [] },
          { executable: small, buffers: [1, 0], params: [0] },
        ]);
        const buffers = [16, 16, 360000, 360000, 360000].map((bytes) =>
          gpu.allocate(bytes)
        );
        gpu.replay(recording, buffers, words(1));
        const times = await gpu.profile(recording, buffers, words(1));
        assertEquals(times.length, 3);
        assert(times.every((time) => time >= 0), `${times}`);
        assert(times[1]! > times[0]! && times[1]! > times[2]!, `${times}`);
        await gpu.finish();
      } finally {
        gpu.close();
      }
    }
  },
);

gpuTest(
  "webgpu.replay() throws DeviceLostError when the GPU is gone",
  async () => {
    const opened = await openAdapter();
    const gpu = new WebgpuBackend(opened, {});
    const recording = gpu.record([{
      executable: gpu.prepare(paramKernel("add", 4, true)),
      buffers: [0, 0],
      params: [0],
    }]);
    const total = upload(gpu, new Float32Array(4));
    gpu.replay(recording, [total], words(1));
    opened.device.destroy();
    await gpu.lost;
    const replay = () => gpu.replay(recording, [total], words(1));
    assertThrows(replay, DeviceLostError, "the GPU device was lost");
    assertThrows(() => gpu.record([]), DeviceLostError);
    await assertRejects(() => gpu.ready(), DeviceLostError);
    await assertRejects(() => gpu.read(total, 16), DeviceLostError);
    // To let go of what is gone is no error.
    gpu.discard(recording);
    gpu.free(total);
    gpu.close();
  },
);

Deno.test("planTemporaries() takes the largest of each program", () => {
  const buffer = (byteLength: number) =>
    ({ kind: "buffer", byteLength }) as const;
  const texture = (texels: number) => ({ kind: "texture", texels }) as const;
  const plan = planTemporaries([
    { dispatches: [], temporaries: [buffer(4), buffer(100), texture(7)] },
    { dispatches: [], temporaries: [] },
    { dispatches: [], temporaries: [texture(9), texture(8), buffer(200)] },
  ]);
  assertEquals(plan.places[1], []);
  const shown = plan.places.map((places) =>
    places.map((place) => plan.taken[place])
  );
  assertEquals(shown[0], [buffer(4), buffer(200), texture(9)]);
  assertEquals(shown[2], [texture(9), texture(8), buffer(200)]);
  assertEquals(plan.taken.length, 4);
  // No program has one place for two of its temporaries.
  for (const places of plan.places) {
    assertEquals(new Set(places).size, places.length);
  }
});

Deno.test("layOutWords() puts words that change first, and equal blocks once", () => {
  const bits = (bits: number): Word => ({ kind: "bits", bits });
  const param = (slot: number): Word => ({ kind: "param", slot });
  const layout = layOutWords([
    { words: [bits(5), bits(6)], params: [] },
    { words: [param(0), bits(7)], params: [3] },
    { words: [], params: [] },
    { words: [param(1), bits(7)], params: [9, 3] },
    { words: [param(0)], params: [4] },
  ], 16);
  assertEquals([...layout.offsets], [32, 0, 0, 0, 16]);
  assertEquals([...layout.words], [0, 7, 0, 0, 0, 0, 0, 0, 5, 6]);
  assertEquals([...layout.targets], [0, 4]);
  assertEquals([...layout.sources], [3, 4]);
  assertNotEquals(layout.offsets[1], layout.offsets[4]);
});
