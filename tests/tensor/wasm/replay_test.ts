import { assert, assertEquals, assertThrows } from "@std/assert";
import type {
  Backend,
  DeviceBuffer,
  RecordedRun,
} from "../../../tensor/device/device.ts";
import { openWasmSync } from "../../../tensor/device/wasm.ts";
import {
  type HostBuffer,
  hostBuffer,
} from "../../../tensor/kernel/interpret.ts";
import type { BufferSlot, Kernel } from "../../../tensor/kernel/kernel.ts";
import { at, KernelBuilder } from "../kernel_builder.ts";
import { matmul } from "./contract_cases.ts";
import { Random, randomData, randomKernel } from "./random_kernel.ts";

/** `y = a * x + b`, over so many elements. */
function affineMap(size: number): Kernel {
  const b = new KernelBuilder();
  const i = at(b.row(size));
  const x = b.input("float32", size);
  const y = b.output("float32", size);
  const scaled = b.op("mul", b.load(x, i), b.param());
  b.store(y, i, b.op("add", scaled, b.param()));
  return b.build(`affine[${size}]`);
}

function words(...numbers: number[]): Uint32Array {
  return new Uint32Array(Float32Array.from(numbers).buffer);
}

/** A list of kernels over numbered buffers and params. */
class Program {
  readonly runs: { kernel: Kernel; buffers: number[]; params: number[] }[] = [];
  readonly slots: BufferSlot[] = [];
  params = 0;

  /** Adds a kernel; some of its inputs are what an earlier one wrote. */
  add(kernel: Kernel, random: Random): void {
    const written = this.runs.flatMap(({ kernel, buffers }) =>
      buffers.filter((_, slot) => kernel.buffers[slot]!.output)
    );
    const buffers = kernel.buffers.map((slot) => {
      const fits = written.filter((number) => {
        const { dtype, size } = this.slots[number]!;
        return dtype === slot.dtype && size >= slot.size;
      });
      return !slot.output && fits.length > 0 && random.chance(0.7)
        ? random.pick(fits)
        : this.slots.push(slot) - 1;
    });
    const count = kernel.kind === "loop" ? kernel.params.length : 0;
    const params = Array.from(
      { length: count },
      () =>
        random.chance(0.5) && this.params > 0
          ? random.integer(0, this.params - 1)
          : this.params++,
    );
    this.runs.push({ kernel, buffers, params });
  }

  prepare(device: Backend): RecordedRun[] {
    return this.runs.map(({ kernel, buffers, params }) => ({
      executable: device.prepare(kernel),
      buffers,
      params,
    }));
  }

  data(random: Random): HostBuffer[] {
    return this.slots.map(({ dtype, size }) => randomData(random, dtype, size));
  }
}

function upload(
  device: Backend,
  data: readonly HostBuffer[],
  buffers: readonly DeviceBuffer[] = data.map(({ byteLength }) =>
    device.allocate(byteLength)
  ),
): DeviceBuffer[] {
  data.forEach((values, i) => device.write(buffers[i]!, values));
  return [...buffers];
}

function download(
  device: Backend,
  slots: readonly BufferSlot[],
  buffers: readonly DeviceBuffer[],
): HostBuffer[] {
  return buffers.map((buffer, i) =>
    hostBuffer(
      slots[i]!.dtype,
      device.readSync!(buffer, 4 * slots[i]!.size),
    )
  );
}

/** Runs each kernel alone. */
function runEach(
  device: Backend,
  runs: readonly RecordedRun[],
  buffers: readonly DeviceBuffer[],
  params: Uint32Array,
): void {
  for (const run of runs) {
    device.run(
      run.executable,
      run.buffers.map((number) => buffers[number]!),
      Uint32Array.from(run.params, (number) => params[number]!),
    );
  }
}

/** Opens a device and gives its threads time to start. */
async function openThreads(threads: number): Promise<Backend> {
  const device = openWasmSync({ threads, startAfterMs: 0 });
  if (threads === 1) return device;
  const size = 1 << 18;
  const [x, y] = [device.allocate(4 * size), device.allocate(4 * size)];
  const executable = device.prepare(affineMap(size));
  for (let i = 0; i < 20 * threads; i++) {
    device.run(executable, [x, y], words(1, 2));
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  device.free(x);
  device.free(y);
  return device;
}

for (const threads of [1, 2, 4]) {
  Deno.test(`replay() equals run() for random kernels on ${threads} threads`, async () => {
    const alone = openWasmSync({ threads: 1 });
    const device = await openThreads(threads);
    for (let seed = 1; seed <= 12; seed++) {
      const random = new Random(1000 * threads + seed);
      const program = new Program();
      for (let i = random.integer(1, 6); i > 0; i--) {
        program.add(randomKernel(random.integer(0, 1e6)).kernel, random);
        if (random.chance(0.5)) {
          const [m, n, k] = [40, 50, 60].map((most) => random.integer(1, most));
          program.add(matmul(m!, n!, k!), random);
        }
        // Long enough to be shared.
        program.add(affineMap(random.integer(30_000, 60_000)), random);
      }
      const prepared = program.prepare(device);
      const recording = device.record(prepared);
      const reference = program.prepare(alone);
      let buffers: DeviceBuffer[] = [];
      for (let round = 0; round < 4; round++) {
        const data = program.data(random);
        const params = new Uint32Array(
          randomData(random, "int32", program.params),
        );
        // On the same buffers, on others, or on some others.
        buffers = round === 2 ? upload(device, data) : round === 3
          ? upload(
            device,
            data,
            buffers.map((old) =>
              random.chance(0.5) ? device.allocate(old.byteLength) : old
            ),
          )
          : upload(device, data, round === 0 ? undefined : buffers);
        const others = upload(alone, data);
        device.replay(recording, buffers, params);
        runEach(alone, reference, others, params);
        assertEquals(
          download(device, program.slots, buffers),
          download(alone, program.slots, others),
          `seed ${seed}, round ${round}`,
        );
        for (const buffer of others) alone.free(buffer);
      }
      device.discard(recording);
    }
    device.close();
    alone.close();
  });
}

function chain(
  device: Backend,
  length: number,
  size: number,
): { runs: RecordedRun[]; buffers: DeviceBuffer[] } {
  const executable = device.prepare(affineMap(size));
  return {
    runs: Array.from({ length }, (_, i) => ({
      executable,
      buffers: [i, i + 1],
      params: [0, 1],
    })),
    buffers: Array.from(
      { length: length + 1 },
      () => device.allocate(4 * size),
    ),
  };
}

function first(device: Backend, buffer: DeviceBuffer): number {
  return new Float32Array(device.readSync!(buffer, 4))[0]!;
}

Deno.test("replay() reads its params anew and keeps nothing of them", () => {
  const device = openWasmSync({ threads: 1 });
  const { runs, buffers } = chain(device, 3, 9);
  const recording = device.record(runs);
  device.write(buffers[0]!, new Float32Array(9).fill(1));
  const params = words(2, 1);
  device.replay(recording, buffers, params);
  assertEquals(first(device, buffers[3]!), 15);
  params.set(words(3, 0));
  device.replay(recording, buffers, params);
  assertEquals(first(device, buffers[3]!), 27);
  device.close();
});

for (const threads of [1, 2]) {
  Deno.test(`replay() holds no more memory after 10,000 times on ${threads} threads`, async () => {
    const device = await openThreads(threads);
    const { runs, buffers } = chain(device, 4, threads === 1 ? 16 : 20_000);
    const recording = device.record(runs);
    device.write(buffers[0]!, new Float32Array(16).fill(3));
    const params = words(1, 1);
    device.replay(recording, buffers, params);
    const before = device.memory();
    for (let i = 0; i < 10_000; i++) device.replay(recording, buffers, params);
    assertEquals(device.memory(), before);
    assertEquals(first(device, buffers[4]!), 7);
    device.close();
  });
}

/** Buffers of sevens in all memory that is free, but for small pieces. */
function fillFree(device: Backend): DeviceBuffer[] {
  const buffers: DeviceBuffer[] = [];
  for (const size of [1 << 20, 1 << 13]) {
    const data = new Uint8Array(size).fill(7);
    for (let free = Infinity;;) {
      buffers.push(device.allocate(size));
      device.write(buffers.at(-1)!, data);
      const { pooledBytes } = device.memory();
      // There was no such piece: the memory has grown.
      if (pooledBytes > free) break;
      free = pooledBytes;
    }
  }
  return buffers;
}

Deno.test("replay() follows scratch memory that moves and memory that grows", () => {
  for (const shared of [true, false]) {
    withIsolation(shared, () => {
      const device = openWasmSync({ threads: 1 });
      const program = new Program();
      const random = new Random(5);
      // The sum is split: it needs both kinds of scratch memory.
      program.add(matmul(8, 8, 20_000), random);
      program.add(matmul(70, 80, 90), random);
      const data = program.slots.map(({ size }) =>
        Float32Array.from({ length: size }, () => random.integer(-3, 3))
      );
      const buffers = upload(device, data);
      const runs = program.prepare(device);
      const recording = device.record(runs);
      const none = new Uint32Array();
      device.replay(recording, buffers, none);
      const want = download(device, program.slots, buffers);
      for (let i = 1; i <= (shared ? 2 : 1); i++) {
        const other = device.allocate(30_000_000);
        device.write(other, new Uint8Array(30_000_000));
        const large = device.prepare(matmul(300 * i, 500, 400));
        const operands = large.kernel.buffers.map(({ size }) =>
          device.allocate(4 * size)
        );
        device.run(large, operands, none);
        upload(device, data, buffers);
        // What the recording has left may be given to others.
        const others = fillFree(device);
        device.replay(recording, buffers, none);
        for (const buffer of others) {
          const { byteLength } = buffer;
          const words = new Int32Array(device.readSync!(buffer, byteLength));
          assert(words.every((word) => word === 0x07070707), "not its own");
          device.free(buffer);
        }
        assertEquals(download(device, program.slots, buffers), want);
      }
      device.close();
    });
  }
});

/** As in a page of a browser that does, or does not, isolate itself. */
function withIsolation(isolated: boolean, body: () => void): void {
  const name = "crossOriginIsolated";
  const before = Object.getOwnPropertyDescriptor(globalThis, name);
  Object.defineProperty(globalThis, name, {
    value: isolated,
    configurable: true,
  });
  try {
    body();
  } finally {
    if (before) Object.defineProperty(globalThis, name, before);
    else delete (globalThis as Record<string, unknown>)[name];
  }
}

Deno.test("record() takes no runs and kernels without elements", () => {
  const device = openWasmSync({ threads: 1 });
  device.replay(device.record([]), [], new Uint32Array());
  const { runs, buffers } = chain(device, 2, 0);
  device.replay(device.record(runs), buffers, words(1, 2));
  device.close();
});

Deno.test("discard() gives the memory of a recording back, once", () => {
  const device = openWasmSync({ threads: 1 });
  const { runs, buffers } = chain(device, 500, 4);
  const before = device.memory().pooledBytes;
  const recording = device.record(runs);
  assert(device.memory().pooledBytes < before);
  device.replay(recording, buffers, words(1, 1));
  device.discard(recording);
  device.discard(recording);
  assertEquals(device.memory().pooledBytes, before);
  assertThrows(
    () => device.replay(recording, buffers, words(1, 1)),
    Error,
    "replay: the recording is discarded",
  );
  device.close();
  device.discard(recording);
});

Deno.test("replay() refuses what does not fit, is freed or is another's", () => {
  const device = openWasmSync({ threads: 1 });
  const { runs, buffers } = chain(device, 2, 4);
  const recording = device.record(runs);
  const params = words(1, 1);
  const replay = (given: readonly DeviceBuffer[]) =>
    device.replay(recording, given, params);
  assertThrows(
    () => device.replay(recording, buffers, params.subarray(1)),
    RangeError,
    "replay: too few params: 1 of 2",
  );
  assertThrows(
    () => replay(buffers.slice(1)),
    RangeError,
    "replay: too few buffers: no number 2",
  );
  replay(buffers);
  device.free(buffers[1]!);
  assertThrows(() => replay(buffers), Error, "the buffer has been freed");
  replay([buffers[0]!, device.allocate(16), buffers[2]!]);
  const other = openWasmSync({ threads: 1 });
  const foreign = [buffers[0]!, other.allocate(16), buffers[2]!];
  assertThrows(() => replay(foreign), TypeError, "of another device");
  assertThrows(() => other.record(runs), TypeError, "of another device");
  assertThrows(() => other.discard(recording), TypeError, "another device");
  assertThrows(
    () => other.replay(recording, buffers, params),
    TypeError,
    "of another device",
  );
  other.close();
  device.close();
  assertThrows(() => replay(buffers), Error, "the device is closed");
  assertThrows(() => device.record(runs), Error, "the device is closed");
});
