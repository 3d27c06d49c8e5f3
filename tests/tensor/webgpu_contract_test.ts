import { assert } from "@std/assert";
import type { Kernel, LoopKernel } from "../../tensor/kernel/kernel.ts";
import { axisIndex, linear } from "../../tensor/view.ts";
import { productOf } from "../../tensor/wgsl/contract.ts";
import { lowerPacked } from "../../tensor/wgsl/contract_packed.ts";
import { lowerTiled } from "../../tensor/wgsl/contract_tiled.ts";
import type { Program, ShaderLimits } from "../../tensor/wgsl/program.ts";
import type { ContractStrategy } from "../../tensor/wgsl/strategy.ts";
import { affine, at, KernelBuilder } from "./kernel_builder.ts";
import {
  checkKernel,
  gpuTest,
  randomBuffer,
  sumTolerance,
  withGpu,
} from "./webgpu_test_device.ts";

/** Small textures too, so that products are cut in pieces. */
const STRATEGIES: readonly ContractStrategy[] = [
  { kind: "tiled", tile: 16, parts: 1 },
  { kind: "tiled", tile: 32, parts: 3 },
  { kind: "tiled", tile: 64, parts: 1 },
  { kind: "packed", swap: false, rows: 8, columns: 2 },
  { kind: "packed", swap: true, rows: 8, columns: 2 },
  { kind: "packed", swap: false, rows: 8, columns: 2, maxTexels: 200 },
  { kind: "packed", swap: true, rows: 8, columns: 2, maxTexels: 600 },
];

/** Runs matrix products in one way only. */
function only(strategy: ContractStrategy) {
  const lower = (kernel: Kernel, limits: ShaderLimits): Program => {
    const product = productOf(kernel as LoopKernel);
    assert(product);
    if (strategy.kind === "tiled") {
      return lowerTiled(product, limits, strategy);
    }
    assert(strategy.kind === "packed");
    return lowerPacked(product, limits, strategy);
  };
  return { lower };
}

/** Runs the test in every way, and in the one that is chosen. */
async function inEveryWay(
  test: (gpu: Parameters<Parameters<typeof withGpu>[0]>[0]) => Promise<void>,
): Promise<void> {
  await withGpu(test);
  for (const strategy of STRATEGIES) await withGpu(test, only(strategy));
}

/** `[batch, m, k] x [batch, k, n]`, with or without transposed operands. */
function matmulKernel(
  [batch, m, n, k]: readonly [number, number, number, number],
  transposed: boolean = false,
): LoopKernel {
  const builder = new KernelBuilder();
  const [bAxis, mAxis] = [builder.row(batch), builder.row(m)];
  const [nAxis, kAxis] = [builder.row(n), builder.col(k)];
  const a = builder.input("float32", batch * m * k);
  const b = builder.input("float32", batch * k * n);
  const output = builder.output("float32", batch * m * n);
  const left = builder.load(
    a,
    transposed ? at(bAxis, kAxis, mAxis) : at(bAxis, mAxis, kAxis),
  );
  const right = builder.load(
    b,
    transposed ? at(bAxis, nAxis, kAxis) : at(bAxis, kAxis, nAxis),
  );
  const product = builder.reduce("sum", builder.op("mul", left, right));
  builder.store(output, at(bAxis, mAxis, nAxis), product);
  return builder.build(`matmul[${batch},${m},${n},${k}]`, {
    batch: [bAxis],
    m: [mAxis],
    n: [nAxis],
    product,
    left,
    right,
  });
}

function operandsOf(
  [batch, m, n, k]: readonly [number, number, number, number],
) {
  return [
    randomBuffer("float32", batch * m * k, 1),
    randomBuffer("float32", batch * k * n, 2),
  ];
}

gpuTest("webgpu multiplies matrices of odd sizes in every way", async () => {
  const shapes = [
    { shape: [1, 1, 1, 1], transposed: false },
    { shape: [1, 37, 41, 29], transposed: false },
    { shape: [3, 17, 9, 33], transposed: true },
    { shape: [2, 16, 70, 5], transposed: false },
    { shape: [1, 64, 64, 64], transposed: true },
  ] as const;
  await inEveryWay(async (gpu) => {
    for (const { shape, transposed } of shapes) {
      const kernel = matmulKernel(shape, transposed);
      const operands = operandsOf(shape);
      await checkKernel(gpu, kernel, operands, sumTolerance(shape[3]));
    }
  });
});

gpuTest("webgpu gives zeros for a product over no terms", async () => {
  await withGpu(async (gpu) => {
    for (const shape of [[1, 3, 5, 0], [1, 0, 5, 3], [0, 3, 5, 7]] as const) {
      await checkKernel(gpu, matmulKernel(shape), operandsOf(shape));
    }
  });
});

gpuTest("webgpu adds bias, residual and activation to a product", async () => {
  await inEveryWay(async (gpu) => {
    const builder = new KernelBuilder();
    const [m, n, k] = [builder.row(19), builder.row(37), builder.col(23)];
    const a = builder.input("float32", 19 * 23);
    const b = builder.input("float32", 23 * 37);
    const bias = builder.input("float32", 37);
    const residual = builder.input("float32", 19 * 37);
    const activated = builder.output("float32", 19 * 37);
    const positive = builder.output("bool", 19 * 37);
    const rate = builder.param();
    const left = builder.load(a, at(m, k));
    const right = builder.load(b, at(k, n));
    const product = builder.reduce("sum", builder.op("mul", left, right));
    const scaled = builder.op("mul", product, rate);
    const biased = builder.op("add", scaled, builder.load(bias, at(n)));
    const zero = builder.constant(0);
    const relu = builder.op("max", biased, zero);
    const sum = builder.op("add", relu, builder.load(residual, at(m, n)));
    // The output is transposed: a store of another layout.
    builder.store(activated, at(n, m), sum);
    builder.store(positive, at(m, n), builder.op("lt", zero, product));
    const kernel = builder.build("linear", {
      batch: [],
      m: [m],
      n: [n],
      product,
      left,
      right,
    });
    const params = new Uint32Array(new Float32Array([0.5]).buffer);
    await checkKernel(
      gpu,
      kernel,
      [
        randomBuffer("float32", 19 * 23, 1),
        randomBuffer("float32", 23 * 37, 2),
        randomBuffer("float32", 37, 3),
        randomBuffer("float32", 19 * 37, 4),
      ],
      sumTolerance(23),
      params,
    );
  });
});

gpuTest(
  "webgpu convolves: a product whose load is a padded window",
  async () => {
    await inEveryWay(async (gpu) => {
      const [batch, channels, size, outChannels, window] = [2, 3, 7, 5, 3];
      const builder = new KernelBuilder();
      const [o, b] = [builder.row(outChannels), builder.row(batch)];
      const [y, x] = [builder.row(4), builder.row(4)]; // stride 2, padding 1
      const [c, dy, dx] = [
        builder.col(channels),
        builder.col(window),
        builder.col(window),
      ];
      const images = builder.input("float32", batch * channels * size * size);
      const weights = builder.input("float32", outChannels * channels * 9);
      const output = builder.output("float32", batch * outChannels * 16);
      const row = affine([[2, y], [1, dy]], -1);
      const column = affine([[2, x], [1, dx]], -1);
      const place = linear([
        [channels * size * size, axisIndex(b)],
        [size * size, axisIndex(c)],
        [size, row],
        [1, column],
      ]);
      const left = builder.load(weights, at(o, c, dy, dx));
      const padded = builder.load(images, place, [
        { index: row, low: 0, high: size },
        { index: column, low: 0, high: size },
      ]);
      // A prologue: the derivative of an activation, say.
      const right = builder.op("mul", padded, builder.op("abs", padded));
      const product = builder.reduce("sum", builder.op("mul", left, right));
      builder.store(output, at(b, o, y, x), product);
      const kernel = builder.build("conv", {
        batch: [],
        m: [o],
        n: [b, y, x],
        product,
        left,
        right,
      });
      await checkKernel(gpu, kernel, [
        randomBuffer("float32", batch * channels * size * size, 1),
        randomBuffer("float32", outChannels * channels * 9, 2),
      ], sumTolerance(27));
    });
  },
);

gpuTest("webgpu multiplies one operand by constants", async () => {
  await inEveryWay(async (gpu) => {
    const builder = new KernelBuilder();
    const [m, n, k] = [builder.row(9), builder.row(9), builder.col(40)];
    const b = builder.input("float32", 40 * 9);
    const output = builder.output("float32", 81);
    const left = builder.constant(1);
    const right = builder.load(b, at(k, n));
    const product = builder.reduce("sum", builder.op("mul", left, right));
    // The constant that is an operand is needed after the product as well.
    builder.store(output, at(m, n), builder.op("add", product, left));
    const kernel = builder.build("ones", {
      batch: [],
      m: [m],
      n: [n],
      product,
      left,
      right,
    });
    await checkKernel(
      gpu,
      kernel,
      [randomBuffer("float32", 360)],
      sumTolerance(40),
    );
  });
});
