import { assert, assertEquals } from "@std/assert";
import type { Backend } from "../../../tensor/device/device.ts";
import { openWasmSync } from "../../../tensor/device/wasm.ts";
import type { HostBuffer } from "../../../tensor/kernel/interpret.ts";
import {
  kernelKey,
  type LoopKernel,
  type Value,
} from "../../../tensor/kernel/kernel.ts";
import {
  type Axis,
  axisIndex,
  flatten,
  type Index,
  linear,
} from "../../../tensor/view.ts";
import { generate } from "../../../tensor/wasm/generate.ts";
import { Random, randomKernel } from "./random_kernel.ts";
import { reference, runOn } from "./run_kernel.ts";

function withDevice(body: (backend: Backend) => void): void {
  const backend = openWasmSync({ threads: 1 });
  try {
    body(backend);
  } finally {
    backend.close();
  }
}

Deno.test("wasm runs random kernels as the interpreter does, to the bit", () => {
  const count = Number(Deno.env.get("KERNELS") ?? 400);
  const from = Number(Deno.env.get("SEED") ?? 1);
  withDevice((backend) => {
    for (let seed = from; seed < from + count; seed++) {
      const { kernel, buffers, params } = randomKernel(seed);
      const want = reference(kernel, buffers, params);
      const message = () => `seed ${seed}\n${kernelKey(kernel)}`;
      let got;
      try {
        got = runOn(backend, kernel, buffers, params);
      } catch (error) {
        throw new Error(message(), { cause: error });
      }
      assertEquals(got, want, message());
    }
  });
});

function axes(...extents: number[]): Axis[] {
  return extents.map((extent, id) => ({ id, extent }));
}

function contiguous(list: readonly Axis[]): Index {
  return flatten(list.map(axisIndex), list.map((axis) => axis.extent));
}

/** One input with an index, some values of it, one output. */
function simple(
  rows: readonly Axis[],
  cols: readonly Axis[],
  load: Index,
  rest: readonly Value[],
  store: Index,
): LoopKernel {
  const values: Value[] = [
    { op: "load", dtype: "float32", buffer: 0, index: load, bounds: [] },
    ...rest,
  ];
  return {
    kind: "loop",
    name: "simple",
    rows,
    cols,
    params: [],
    values,
    buffers: [
      { dtype: "float32", size: load.high + 1, output: false },
      { dtype: "float32", size: store.high + 1, output: true },
    ],
    stores: [{ buffer: 1, index: store, value: values.length - 1 }],
  };
}

/** Runs the items of a kernel in pieces, as threads would. */
function runInPieces(
  kernel: LoopKernel,
  buffers: readonly HostBuffer[],
  random: Random,
): Float32Array {
  const target = { relaxedSimd: true, sharedMemory: false };
  const { bytes, stages } = generate(kernel, target);
  const memory = new WebAssembly.Memory({ initial: 200, maximum: 65536 });
  const { exports } = new WebAssembly.Instance(
    new WebAssembly.Module(bytes),
    { env: { memory } },
  );
  let address = 4096;
  const frame = new Uint32Array(memory.buffer, 64);
  const places = buffers.map((data, slot) => {
    const view = new Float32Array(memory.buffer, address, data.length);
    view.set(data);
    frame[slot] = address;
    address += Math.ceil((4 * data.length + 16) / 64) * 64;
    return view;
  });
  for (const { name, items } of stages) {
    const run = exports[name] as (
      frame: number,
      start: number,
      end: number,
    ) => void;
    const pieces: [number, number][] = [];
    for (let start = 0; start < items;) {
      const end = Math.min(items, start + random.integer(1, items));
      pieces.push([start, end]);
      start = end;
    }
    for (const [start, end] of random.shuffle(pieces)) run(64, start, end);
  }
  return places.at(-1)!.slice();
}

Deno.test("wasm gives the same bits however the items are shared", () => {
  const random = new Random(11);
  const exp: Value = { op: "exp", dtype: "float32", args: [0] };
  const sum: Value = {
    op: "reduce",
    dtype: "float32",
    reducer: "sum",
    args: [0],
  };
  const cases: LoopKernel[] = [];
  for (const n of [1, 100, 4099, 20_000]) {
    const [i] = axes(n);
    cases.push(simple([i!], [], contiguous([i!]), [exp], contiguous([i!])));
  }
  for (const [m, n] of [[3, 7], [70, 33], [33, 130], [2, 3000]]) {
    const [i, j] = axes(m!, n!);
    const along = contiguous([i!, j!]);
    const across = contiguous([j!, i!]);
    cases.push(simple([i!], [j!], along, [sum], contiguous([i!])));
    cases.push(simple([j!], [i!], along, [sum], contiguous([j!])));
    cases.push(simple([i!, j!], [], across, [exp], along));
  }
  for (const kernel of cases) {
    const { size } = kernel.buffers[0]!;
    const input = Float32Array.from({ length: size }, () => random.unit());
    const output = new Float32Array(kernel.buffers[1]!.size);
    const want = runInPieces(kernel, [input, output], new Random(0));
    for (let seed = 1; seed < 4; seed++) {
      const got = runInPieces(kernel, [input, output], new Random(seed));
      assertEquals(got, want, kernelKey(kernel));
    }
    const [, plain] = reference(kernel, [input, output]);
    want.forEach((x, at) => {
      const limit = 1e-5 * Math.abs(plain![at]!) + 1e-6;
      assert(Math.abs(x - plain![at]!) <= limit, kernelKey(kernel));
    });
  }
});

function softmaxKernel(m: number, n: number): LoopKernel {
  const [i, j] = axes(m, n);
  const at = contiguous([i!, j!]);
  return simple([i!], [j!], at, [
    { op: "reduce", dtype: "float32", reducer: "max", args: [0] },
    { op: "sub", dtype: "float32", args: [0, 1] },
    { op: "exp", dtype: "float32", args: [2] },
    { op: "reduce", dtype: "float32", reducer: "sum", args: [3] },
    { op: "div", dtype: "float32", args: [3, 4] },
  ], at);
}

Deno.test("wasm computes softmax in three passes for every row length", () => {
  withDevice((backend) => {
    const random = new Random(12);
    for (const n of [1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 31, 32, 33, 100, 1000]) {
      const kernel = softmaxKernel(5, n);
      const input = Float32Array.from(
        { length: 5 * n },
        () => random.unit() * 60 - 30,
      );
      const buffers = [input, new Float32Array(5 * n)];
      const [, got] = runOn(backend, kernel, buffers);
      for (let row = 0; row < 5; row++) {
        const logits = [...input.subarray(row * n, (row + 1) * n)];
        const most = Math.max(...logits);
        const powers = logits.map((x) => Math.exp(x - most));
        const total = powers.reduce((a, b) => a + b);
        powers.forEach((power, j) => {
          const want = power / total;
          const error = Math.abs(got![row * n + j]! - want);
          assert(error <= 1e-6 * want + 1e-9, `${n}: ${error}`);
        });
      }
    }
  });
});

Deno.test("wasm reads nothing outside of memory for a pad much wider than its input", () => {
  withDevice((backend) => {
    const [i] = axes(100_000);
    const shifted = linear([[1, axisIndex(i!)]], -50_000);
    const bounds = [{ index: shifted, low: 0, high: 3 }];
    const whole = simple([i!], [], shifted, [], axisIndex(i!));
    const load = { ...whole.values[0]!, bounds } as Value;
    const kernel: LoopKernel = {
      ...whole,
      values: [load],
      buffers: [{ ...whole.buffers[0]!, size: 3 }, whole.buffers[1]!],
    };
    const buffers = [Float32Array.of(1, 2, 3), new Float32Array(100_000)];
    const [, got] = runOn(backend, kernel, buffers);
    assertEquals([...got!.subarray(49_998, 50_005)], [0, 0, 1, 2, 3, 0, 0]);
    assertEquals([...got!].reduce((a, b) => a + b), 6);
  });
});

Deno.test("wasm computes both words of threefry as its test vector has them", () => {
  withDevice((backend) => {
    const [i] = axes(6);
    const zero: Value = { op: "const", dtype: "uint32", value: 0 };
    const word = (word: 0 | 1): Value => ({
      op: "threefry",
      dtype: "uint32",
      args: [0, 0, 0, 0],
      word,
    });
    const kernel: LoopKernel = {
      ...simple([i!], [], axisIndex(i!), [], axisIndex(i!)),
      values: [zero, word(0), word(1)],
      buffers: [0, 1].map(() => ({ dtype: "uint32", size: 6, output: true })),
      stores: [1, 2].map((value) => ({
        buffer: value - 1,
        index: axisIndex(i!),
        value,
      })),
    };
    const buffers = [new Uint32Array(6), new Uint32Array(6)];
    const [first, second] = runOn(backend, kernel, buffers);
    assertEquals([...first!], new Array(6).fill(0x6b200159));
    assertEquals([...second!], new Array(6).fill(0x99ba4efe));
  });
});

Deno.test("wasm finds no true value where there is none", () => {
  withDevice((backend) => {
    for (const [m, n] of [[1, 3], [5, 2], [5, 40], [40, 5], [3, 0]]) {
      const [i, j] = axes(m!, n!);
      const at = contiguous([i!, j!]);
      const kernel: LoopKernel = {
        kind: "loop",
        name: "any",
        rows: [i!],
        cols: [j!],
        params: [],
        buffers: [
          { dtype: "bool", size: m! * n!, output: false },
          { dtype: "bool", size: m!, output: true },
        ],
        values: [
          { op: "load", dtype: "bool", buffer: 0, index: at, bounds: [] },
          { op: "reduce", dtype: "bool", reducer: "max", args: [0] },
        ],
        stores: [{ buffer: 1, index: axisIndex(i!), value: 1 }],
      };
      const input = new Uint32Array(m! * n!);
      const want = new Uint32Array(m!);
      const buffers = [input, new Uint32Array(m!).fill(7)];
      assertEquals(runOn(backend, kernel, buffers)[1], want);
      assertEquals(reference(kernel, buffers)[1], want);
      if (n === 0) continue;
      input[m! * n! - 1] = 1;
      want[m! - 1] = 1;
      assertEquals(runOn(backend, kernel, buffers)[1], want);
    }
  });
});
