import { assert } from "@std/assert";
import type { Kernel, LoopKernel } from "../../tensor/kernel/kernel.ts";
import type { WebgpuBackend } from "../../tensor/device/webgpu.ts";
import { axisIndex, linear } from "../../tensor/view.ts";
import { productOf } from "../../tensor/wgsl/contract.ts";
import type { ContractStrategy } from "../../tensor/wgsl/contract_strategy.ts";
import { lowerContract } from "../../tensor/wgsl/lower.ts";
import type { Program, ShaderLimits } from "../../tensor/wgsl/program.ts";
import { affine, at, KernelBuilder } from "./kernel_builder.ts";
import {
  convolution,
  inputGradient,
  weightGradient,
} from "./wasm/contract_cases.ts";
import {
  checkKernel,
  gpuTest,
  randomBuffer,
  sumTolerance,
  withGpu,
} from "./webgpu_test_device.ts";

type Strategy = Exclude<ContractStrategy, { readonly kind: "loop" }>;

const tiled = (
  tile: readonly [number, number],
  block: readonly [number, number],
  depth: number,
  parts: number,
): Strategy => ({ kind: "tiled", tile, block, depth, parts });

/** A large block is slow to compile on a processor: few terms at a time. */
const TILED: readonly Strategy[] = [
  tiled([32, 32], [4, 4], 8, 3),
  tiled([64, 64], [8, 8], 4, 1),
];
const OTHER_TILES: readonly Strategy[] = [
  tiled([64, 64], [4, 4], 16, 1),
  tiled([128, 32], [8, 4], 16, 1),
  tiled([32, 128], [4, 8], 16, 2),
  tiled([128, 128], [8, 8], 8, 1),
];
/** Small textures too, so that products are cut in pieces. */
const PACKED: readonly Strategy[] = [
  { kind: "packed", swap: false, rows: 8, columns: 2 },
  { kind: "packed", swap: true, rows: 8, columns: 2 },
  { kind: "packed", swap: false, rows: 8, columns: 2, maxTexels: 200 },
  { kind: "packed", swap: true, rows: 8, columns: 2, maxTexels: 600 },
];

/** Runs matrix products in one way only. */
function only(strategy: Strategy) {
  const lower = (kernel: Kernel, limits: ShaderLimits): Program => {
    const product = productOf(kernel as LoopKernel);
    assert(product);
    return lowerContract(product, limits, strategy);
  };
  return { lower };
}

/** Runs the test in many ways, and in the one that is chosen. */
async function inEveryWay(
  test: (gpu: WebgpuBackend) => Promise<void>,
): Promise<void> {
  await withGpu(test);
  for (const way of [...TILED, ...PACKED]) await withGpu(test, only(way));
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

/** `bias + P + a b`, which lies where P lay. */
function overwritingKernel(m: number, n: number, k: number) {
  const builder = new KernelBuilder();
  const [i, j, term] = [builder.row(m), builder.row(n), builder.col(k)];
  const a = builder.input("float32", m * k);
  const b = builder.input("float32", k * n);
  const present = builder.input("float32", m * n);
  const bias = builder.input("float32", n);
  const output = builder.output("float32", m * n);
  const left = builder.load(a, at(i, term));
  const right = builder.load(b, at(term, j));
  const product = builder.reduce("sum", builder.op("mul", left, right));
  const old = builder.load(present, at(i, j));
  const sum = builder.op("add", old, builder.load(bias, at(j)));
  builder.store(output, at(i, j), builder.op("add", sum, product));
  const built = builder.build(`update[${m},${n},${k}]`, {
    batch: [],
    m: [i],
    n: [j],
    product,
    left,
    right,
  });
  const kernel: LoopKernel = {
    ...built,
    buffers: built.buffers.map((slot) =>
      slot.output ? { ...slot, overwrites: present } : slot
    ),
  };
  const inputs = [m * k, k * n, m * n, n].map((size, seed) =>
    randomBuffer("float32", size, seed + 1)
  );
  return { kernel, inputs };
}

function operandsOf(
  [batch, m, n, k]: readonly [number, number, number, number],
) {
  return [
    randomBuffer("float32", batch * m * k, 1),
    randomBuffer("float32", batch * k * n, 2),
  ];
}

interface Case {
  readonly shape: readonly [number, number, number, number];
  readonly transposed: boolean;
}

async function checkCases(
  gpu: WebgpuBackend,
  cases: readonly Case[],
): Promise<void> {
  for (const { shape, transposed } of cases) {
    const kernel = matmulKernel(shape, transposed);
    const operands = operandsOf(shape);
    await checkKernel(gpu, kernel, operands, sumTolerance(shape[3]));
  }
}

gpuTest("webgpu multiplies matrices of odd sizes in every way", async () => {
  await inEveryWay((gpu) =>
    checkCases(gpu, [
      { shape: [1, 1, 1, 1], transposed: false },
      { shape: [3, 17, 9, 33], transposed: true },
      { shape: [1, 37, 70, 29], transposed: false },
    ])
  );
});

gpuTest(
  "webgpu multiplies in tiles of any shape, four numbers a load",
  async () => {
    const cases = [
      { shape: [2, 37, 131, 20], transposed: false },
      // Rows of four: one load for four numbers.
      { shape: [1, 36, 68, 40], transposed: false },
      { shape: [1, 132, 36, 33], transposed: true },
    ] as const;
    for (const way of OTHER_TILES) {
      await withGpu((gpu) => checkCases(gpu, cases), only(way));
    }
  },
);

gpuTest("webgpu multiplies few rows or columns with a matrix", async () => {
  const shapes = [
    [1, 1, 70, 300],
    [2, 3, 37, 1100],
    [1, 41, 4, 65],
    [1, 130, 1, 257],
  ] as const;
  for (const swap of [false, true]) {
    for (const columns of [4, 32]) {
      for (const alongTerms of [false, true]) {
        const parts = columns === 4 ? 3 : 1;
        const way = {
          kind: "vector",
          swap,
          columns,
          alongTerms,
          parts,
        } as const;
        await withGpu(async (gpu) => {
          for (const shape of shapes) {
            if (swap !== shape[2] < shape[1]) continue;
            await checkCases(gpu, [{ shape, transposed: alongTerms }]);
          }
        }, only(way));
      }
    }
  }
});

gpuTest("webgpu follows a product of one row with more", async () => {
  for (const [m, n] of [[3, 50], [50, 2]] as const) {
    for (const parts of [1, 4]) {
      const { kernel, inputs } = overwritingKernel(m, n, 70);
      const way = {
        kind: "vector",
        swap: n < m,
        columns: 32,
        alongTerms: false,
        parts,
      } as const;
      await withGpu(
        (gpu) => checkKernel(gpu, kernel, inputs, sumTolerance(70)),
        only(way),
      );
    }
  }
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

gpuTest(
  "webgpu convolves forward and backward by way of textures",
  async () => {
    const plain = {
      batch: 3,
      channels: 5,
      outputs: 9,
      size: 6,
      kernel: 3,
      stride: 1,
      padding: 0,
      dilation: 1,
    };
    const cases = [plain, { ...plain, padding: 2, dilation: 2 }, {
      ...plain,
      stride: 2,
      padding: 1,
      channels: 4,
    }];
    for (const swap of [false, true]) {
      const way = { kind: "packed", swap, rows: 8, columns: 2 } as const;
      await withGpu(async (gpu) => {
        for (const make of [convolution, weightGradient, inputGradient]) {
          for (const kernel of cases.map(make)) {
            const inputs = kernel.buffers.filter(({ output }) => !output)
              .map(({ size }, seed) => randomBuffer("float32", size, seed + 1));
            await checkKernel(gpu, kernel, inputs, sumTolerance(108));
          }
        }
      }, only(way));
    }
  },
);
