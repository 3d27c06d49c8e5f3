import { assertThrows } from "@std/assert";
import type { DeviceBuffer } from "../../tensor/device/device.ts";
import type { DType } from "../../tensor/dtype.ts";
import type {
  Kernel,
  LoopKernel,
  ScanKernel,
} from "../../tensor/kernel/kernel.ts";
import { productOf } from "../../tensor/wgsl/contract.ts";
import type { PackedStrategy } from "../../tensor/wgsl/contract_packed.ts";
import type { TiledStrategy } from "../../tensor/wgsl/contract_tiled.ts";
import { lowerContract } from "../../tensor/wgsl/lower.ts";
import { lowerLoop } from "../../tensor/wgsl/loop.ts";
import type { Program, ShaderLimits } from "../../tensor/wgsl/program.ts";
import type { LoopStrategy } from "../../tensor/wgsl/strategy.ts";
import { at, KernelBuilder } from "./kernel_builder.ts";
import {
  checkKernel,
  EXACT,
  gpuTest,
  POINTWISE,
  randomBuffer,
  sumTolerance,
  withGpu,
} from "./webgpu_test_device.ts";

/** The same kernel with outputs in the memory of inputs. */
function over<K extends Kernel>(
  kernel: K,
  overwrites: Readonly<Record<number, number>>,
): K {
  const buffers = kernel.buffers.map((slot, number) => {
    const input = overwrites[number];
    return input === undefined ? slot : { ...slot, overwrites: input };
  });
  return { ...kernel, buffers };
}

const LOOPS: readonly (LoopStrategy | undefined)[] = [
  undefined,
  { kind: "invocation", workgroupSize: 64 },
  { kind: "workgroup", workgroupSize: 32 },
  { kind: "workgroup", workgroupSize: 256 },
  { kind: "block", workgroupSize: 64, rows: 16 },
];

/** Runs loop kernels in each way. */
async function inEveryLoop(
  test: Parameters<typeof withGpu>[0],
): Promise<void> {
  for (const strategy of LOOPS) {
    const lower = (kernel: Kernel, limits: ShaderLimits): Program => ({
      dispatches: [lowerLoop(kernel as LoopKernel, limits, strategy)],
      temporaries: [],
    });
    await withGpu(test, { lower });
  }
}

gpuTest("webgpu maps an array onto itself, of any size and type", async () => {
  await withGpu(async (gpu) => {
    for (const dtype of ["float32", "int32", "uint32", "bool"] as DType[]) {
      for (const shape of [[1, 1], [7, 9], [1, 64], [13, 5], [11, 97]]) {
        const [rows, cols] = shape as [number, number];
        const builder = new KernelBuilder();
        const [i, j] = [builder.row(rows), builder.row(cols)];
        const x = builder.input(dtype, rows * cols);
        const other = builder.input(dtype, rows * cols);
        const y = builder.output(dtype, rows * cols);
        // Columns lie apart: the element is the same on both sides.
        const value = builder.load(x, at(j, i));
        const transposed = builder.load(other, at(i, j));
        const result = dtype === "bool"
          ? builder.op("ne", value, transposed)
          : builder.op("max", value, transposed);
        builder.store(y, at(j, i), result);
        const kernel = over(builder.build(`map ${dtype}`), { [y]: x });
        await checkKernel(gpu, kernel, [
          randomBuffer(dtype, rows * cols, 1, 1000),
          randomBuffer(dtype, rows * cols, 2, 1000),
        ]);
      }
    }
  });
});

gpuTest("webgpu overwrites several inputs in one kernel", async () => {
  await withGpu(async (gpu) => {
    for (const size of [1, 63, 65, 1031]) {
      const builder = new KernelBuilder();
      const axis = builder.row(size);
      const index = at(axis);
      const input = () => builder.input("float32", size);
      const [weight, mean, square, gradient] = [
        input(),
        input(),
        input(),
        input(),
      ];
      const output = () => builder.output("float32", size);
      const outputs = [output(), output(), output()] as const;
      const g = builder.load(gradient, index);
      const half = builder.constant(0.5);
      const average = (slot: number, value: number) =>
        builder.op(
          "mul",
          half,
          builder.op("add", builder.load(slot, index), value),
        );
      const newMean = average(mean, g);
      const newSquare = average(square, builder.op("mul", g, g));
      const step = builder.op("mul", newMean, newSquare);
      const newWeight = builder.op("add", builder.load(weight, index), step);
      // What is read last is written first.
      builder.store(outputs[1], index, newMean);
      builder.store(outputs[2], index, newSquare);
      builder.store(outputs[0], index, newWeight);
      const kernel = over(builder.build("moments"), {
        [outputs[0]]: weight,
        [outputs[1]]: mean,
        [outputs[2]]: square,
      });
      const inputs = [1, 2, 3, 4].map((seed) =>
        randomBuffer("float32", size, seed)
      );
      await checkKernel(gpu, kernel, inputs, POINTWISE);
    }
  });
});

gpuTest(
  "webgpu loads what another store of the kernel overwrites",
  async () => {
    await inEveryLoop(async (gpu) => {
      const builder = new KernelBuilder();
      const axis = builder.row(77);
      const x = builder.input("float32", 77);
      const replacement = builder.input("float32", 77);
      const negated = builder.output("float32", 77);
      const replaced = builder.output("float32", 77);
      builder.store(replaced, at(axis), builder.load(replacement, at(axis)));
      const value = builder.op("neg", builder.load(x, at(axis)));
      builder.store(negated, at(axis), value);
      const kernel = over(builder.build("swap"), { [replaced]: x });
      const inputs = [1, 2].map((seed) => randomBuffer("float32", 77, seed));
      await checkKernel(gpu, kernel, inputs);
    });
  },
);

gpuTest("webgpu adds a reduction to the array that it updates", async () => {
  await inEveryLoop(async (gpu) => {
    for (const [rows, cols] of [[1, 1], [17, 300], [65, 33]] as const) {
      const builder = new KernelBuilder();
      const [i, j] = [builder.row(rows), builder.col(cols)];
      const total = builder.input("float32", rows);
      const x = builder.input("float32", rows * cols);
      const output = builder.output("float32", rows);
      const sum = builder.reduce("sum", builder.load(x, at(i, j)));
      const value = builder.op("add", builder.load(total, at(i)), sum);
      builder.store(output, at(i), value);
      const kernel = over(builder.build("accumulate"), { [output]: total });
      const inputs = [
        randomBuffer("float32", rows, 1),
        randomBuffer("float32", rows * cols, 2),
      ];
      await checkKernel(gpu, kernel, inputs, sumTolerance(cols));
    }
  });
});

gpuTest("webgpu reduces the elements that it overwrites", async () => {
  await inEveryLoop(async (gpu) => {
    for (const [rows, cols] of [[3, 1], [17, 301], [65, 33]] as const) {
      const builder = new KernelBuilder();
      const [i, j] = [builder.row(rows), builder.col(cols)];
      const x = builder.input("float32", rows * cols);
      const squares = builder.output("float32", rows * cols);
      const sums = builder.output("float32", rows);
      const value = builder.load(x, at(i, j));
      builder.store(squares, at(i, j), builder.op("mul", value, value));
      builder.store(sums, at(i), builder.reduce("sum", value));
      const kernel = over(builder.build("squares"), { [squares]: x });
      const inputs = [randomBuffer("float32", rows * cols)];
      await checkKernel(gpu, kernel, inputs, sumTolerance(cols));
    }
  });
});

/** Undefined is the way that is chosen. */
const CONTRACTS: readonly (TiledStrategy | PackedStrategy | undefined)[] = [
  undefined,
  { kind: "tiled", tile: [32, 32], block: [4, 4], depth: 8, parts: 1 },
  { kind: "tiled", tile: [32, 32], block: [4, 4], depth: 8, parts: 3 },
  { kind: "tiled", tile: [64, 64], block: [8, 8], depth: 4, parts: 1 },
  { kind: "packed", swap: false, rows: 8, columns: 2 },
  { kind: "packed", swap: true, rows: 8, columns: 2, maxTexels: 200 },
];

/** Runs matrix products in one way only. */
function only(strategy: TiledStrategy | PackedStrategy) {
  const lower = (kernel: Kernel, limits: ShaderLimits): Program => {
    const product = productOf(kernel as LoopKernel)!;
    return lowerContract(product, limits, strategy);
  };
  return { lower };
}

gpuTest("webgpu adds a product to the array that it updates", async () => {
  for (const strategy of CONTRACTS) {
    await withGpu(async (gpu) => {
      const shapes = [[1, 1, 1, 1], [2, 19, 37, 23], [1, 65, 64, 70]] as const;
      for (const [batch, m, n, k] of shapes) {
        const builder = new KernelBuilder();
        const b = builder.row(batch);
        const [i, j] = [builder.row(m), builder.row(n)];
        const sum = builder.col(k);
        const a = builder.input("float32", batch * m * k);
        const w = builder.input("float32", batch * k * n);
        const updated = builder.input("float32", batch * m * n);
        const bias = builder.input("float32", n);
        const output = builder.output("float32", batch * m * n);
        const left = builder.load(a, at(b, i, sum));
        const right = builder.load(w, at(b, sum, j));
        const product = builder.reduce("sum", builder.op("mul", left, right));
        const shifted = builder.op("add", product, builder.load(bias, at(j)));
        const before = builder.load(updated, at(b, i, j));
        const zero = builder.constant(0);
        const gate = builder.op("lt", zero, before);
        const gated = builder.where(gate, shifted, zero);
        builder.store(output, at(b, i, j), builder.op("add", before, gated));
        const kernel = builder.build(`update[${batch},${m},${n},${k}]`, {
          batch: [b],
          m: [i],
          n: [j],
          product,
          left,
          right,
        });
        const inputs = [batch * m * k, batch * k * n, batch * m * n, n]
          .map((size, seed) => randomBuffer("float32", size, seed + 1));
        const inPlace = over(kernel, { [output]: updated });
        await checkKernel(gpu, inPlace, inputs, sumTolerance(k));
      }
    }, strategy ? only(strategy) : {});
  }
});

gpuTest("webgpu scans in place", async () => {
  await withGpu(async (gpu) => {
    for (const shape of [[3, 70, 1], [2, 9, 31], [1, 2049, 1]] as const) {
      const size = shape[0] * shape[1] * shape[2];
      const slot = { dtype: "int32", size } as const;
      const kernel: ScanKernel = {
        kind: "scan",
        name: "scan",
        shape,
        buffers: [
          { ...slot, output: false },
          { ...slot, output: true, overwrites: 0 },
        ],
      };
      await checkKernel(
        gpu,
        kernel,
        [randomBuffer("int32", size, 1, 9)],
        EXACT,
      );
    }
  });
});

gpuTest("webgpu overwrites nothing but what the kernel says", async () => {
  await withGpu((gpu) => {
    const builder = new KernelBuilder();
    const axis = builder.row(5);
    const x = builder.input("float32", 5);
    const other = builder.input("float32", 5);
    const output = builder.output("float32", 5);
    const value = builder.load(x, at(axis));
    const sum = builder.op("add", value, builder.load(other, at(axis)));
    builder.store(output, at(axis), sum);
    const executable = gpu.prepare(over(builder.build("sum"), { 2: 0 }));
    const [a, b, c] = [gpu.allocate(20), gpu.allocate(20), gpu.allocate(20)];
    const run = (...buffers: DeviceBuffer[]) =>
      gpu.run(executable, buffers, new Uint32Array());
    run(a, b, a);
    assertThrows(() => run(a, b, c), Error, "give both one buffer");
    assertThrows(() => run(a, b, b), Error, "give both one buffer");
    assertThrows(() => run(a, a, a), Error, "a buffer of its own");
  });
});
