import type { DType } from "../../tensor/dtype.ts";
import type {
  Kernel,
  LoopKernel,
  Reducer,
} from "../../tensor/kernel/kernel.ts";
import { axisIndex, linear, quotient, remainder } from "../../tensor/view.ts";
import { lowerLoop } from "../../tensor/wgsl/loop.ts";
import type { Program, ShaderLimits } from "../../tensor/wgsl/program.ts";
import type { LoopStrategy } from "../../tensor/wgsl/strategy.ts";
import { affine, at, KernelBuilder } from "./kernel_builder.ts";
import type { WebgpuOptions } from "../../tensor/device/webgpu.ts";
import {
  checkKernel,
  EXACT,
  gpuTest,
  POINTWISE,
  provenSubgroups,
  randomBuffer,
  sumTolerance,
  withGpu,
} from "./webgpu_test_device.ts";

const subgroups = await provenSubgroups();

/** One way only; with subgroups where there are any, and without. */
const WAYS: readonly WebgpuOptions[] = ([
  { kind: "invocation", workgroupSize: 64 },
  { kind: "workgroup", workgroupSize: 32 },
  { kind: "workgroup", workgroupSize: 256 },
  { kind: "block", workgroupSize: 64, rows: 8 },
] as const).flatMap((strategy) => {
  const way = only(strategy);
  return strategy.kind === "workgroup" && subgroups !== undefined
    ? [way, { ...way, shader: { subgroups } }]
    : [way];
});

/** Runs loop kernels in one way only. */
function only(strategy: LoopStrategy): WebgpuOptions {
  const lower = (kernel: Kernel, limits: ShaderLimits): Program => ({
    dispatches: [lowerLoop(kernel as LoopKernel, limits, strategy)],
    temporaries: [],
  });
  return { lower };
}

function reduceKernel(
  reducer: Reducer,
  dtype: DType,
  rows: number,
  cols: number,
): LoopKernel {
  const builder = new KernelBuilder();
  const [i, j] = [builder.row(rows), builder.col(cols)];
  const input = builder.input(dtype, rows * cols);
  const output = builder.output(dtype, rows);
  const value = builder.load(input, at(i, j));
  builder.store(output, at(i), builder.reduce(reducer, value));
  return builder.build(`${reducer} ${dtype}[${rows},${cols}]`);
}

/** Softmax: two reductions, of which the second needs the first. */
function softmaxKernel(rows: number, cols: number): LoopKernel {
  const builder = new KernelBuilder();
  const [i, j] = [builder.row(rows), builder.col(cols)];
  const input = builder.input("float32", rows * cols);
  const probs = builder.output("float32", rows * cols);
  const exponents = builder.output("float32", rows * cols);
  const logSums = builder.output("float32", rows);
  const x = builder.load(input, at(i, j));
  const most = builder.reduce("max", x);
  const shifted = builder.op("sub", x, most);
  const exponent = builder.op("exp", shifted);
  const sum = builder.reduce("sum", exponent);
  builder.store(probs, at(i, j), builder.op("div", exponent, sum));
  builder.store(exponents, at(i, j), shifted);
  const logSum = builder.op("add", builder.op("log", sum), most);
  builder.store(logSums, at(i), logSum);
  return builder.build(`softmax[${rows},${cols}]`);
}

gpuTest("webgpu maps over 0, 1 and one past a workgroup", async () => {
  await withGpu(async (gpu) => {
    for (const size of [0, 1, 63, 64, 65, 4099]) {
      const builder = new KernelBuilder();
      const axis = builder.row(size);
      const input = builder.input("float32", size);
      const [double, flags] = [
        builder.output("float32", size),
        builder.output("bool", size),
      ];
      const value = builder.load(input, at(axis));
      builder.store(double, at(axis), builder.op("add", value, value));
      const zero = builder.constant(0);
      builder.store(flags, at(axis), builder.op("lt", zero, value));
      await checkKernel(gpu, builder.build(`map[${size}]`), [
        randomBuffer("float32", size),
      ]);
    }
  });
});

gpuTest(
  "webgpu broadcasts, transposes, flips and tiles by its indices",
  async () => {
    await withGpu(async (gpu) => {
      const builder = new KernelBuilder();
      const [i, j, k] = [builder.row(3), builder.row(5), builder.row(7)];
      const whole = builder.input("float32", 105);
      const bias = builder.input("float32", 5);
      const output = builder.output("float32", 105);
      const flat = at(i, j, k);
      const terms = [
        builder.load(whole, flat),
        builder.load(whole, at(k, i, j)),
        builder.load(whole, affine([[-35, i], [-7, j], [-1, k]], 104)),
        builder.load(bias, at(j)),
        builder.load(whole, remainder(linear([[1, flat]], 9), 16)),
        builder.load(whole, quotient(linear([[2, flat]], 3), 11)),
        // Dividends that go below zero.
        builder.load(
          whole,
          linear([[1, remainder(affine([[4, i], [-9, k]]), 7)]]),
        ),
        builder.load(
          whole,
          linear([[1, quotient(affine([[4, i], [-9, k]]), 7)]], 8),
        ),
        builder.load(
          whole,
          linear([[1, quotient(affine([[4, i], [-9, k]]), 8)]], 8),
        ),
      ];
      const sum = terms.reduce((a, b) => builder.op("sub", a, b));
      builder.store(output, at(i, j, k), sum);
      await checkKernel(gpu, builder.build("movements"), [
        randomBuffer("float32", 105),
        randomBuffer("float32", 5, 2),
      ]);
    });
  },
);

gpuTest("webgpu pads: outside its bounds a load gives zero", async () => {
  await withGpu(async (gpu) => {
    for (const dtype of ["float32", "int32", "uint32", "bool"] as const) {
      const builder = new KernelBuilder();
      const [i, j] = [builder.row(9), builder.row(11)];
      const input = builder.input(dtype, 35);
      const output = builder.output(dtype, 99);
      const row = linear([[1, axisIndex(i)]], -2);
      const column = linear([[1, axisIndex(j)]], -2);
      const bounds = [
        { index: row, low: 0, high: 5 },
        { index: column, low: 0, high: 7 },
      ];
      const place = linear([[7, row], [1, column]]);
      builder.store(output, at(i, j), builder.load(input, place, bounds));
      await checkKernel(gpu, builder.build(`pad ${dtype}`), [
        randomBuffer(dtype, 35, 3, 100),
      ]);
    }
  });
});

gpuTest("webgpu gathers, with zero for an index out of range", async () => {
  await withGpu(async (gpu) => {
    for (const dtype of ["float32", "bool"] as const) {
      const builder = new KernelBuilder();
      const [i, j] = [builder.row(9), builder.row(3)];
      const table = builder.input(dtype, 15);
      const ids = builder.input("int32", 9);
      const output = builder.output(dtype, 27);
      const index = affine([[1, j]]);
      const bounds = [{ index: axisIndex(i), low: 1, high: 8 }];
      const chosen = builder.value({
        op: "gather",
        dtype,
        buffer: table,
        index,
        bounds,
        at: builder.load(ids, at(i)),
        stride: 3,
        extent: 5,
      });
      builder.store(output, at(i, j), chosen);
      await checkKernel(gpu, builder.build(`gather ${dtype}`), [
        randomBuffer(dtype, 15),
        new Int32Array([4, 0, 3, -1, 5, 2, 2 ** 30, -(2 ** 31), 1]),
      ]);
    }
  });
});

gpuTest(
  "webgpu reduces with each reducer and type in each strategy",
  async () => {
    const cases: readonly (readonly [Reducer, DType])[] = [
      ["sum", "float32"],
      ["prod", "float32"],
      ["max", "float32"],
      ["min", "float32"],
      ["sum", "int32"],
      ["prod", "int32"],
      ["max", "int32"],
      ["min", "int32"],
      ["sum", "uint32"],
      ["max", "uint32"],
      ["min", "uint32"],
      ["max", "bool"],
      ["min", "bool"],
    ];
    for (const way of WAYS) {
      await withGpu(async (gpu) => {
        for (const [reducer, dtype] of cases) {
          const kernel = reduceKernel(reducer, dtype, 5, 67);
          const scale = dtype === "float32" ? 1 : 1000;
          const input = randomBuffer(dtype, 5 * 67, 4, scale);
          await checkKernel(gpu, kernel, [input], sumTolerance(67));
        }
      }, way);
    }
  },
);

gpuTest("webgpu reduces rows of 0, 1 and one past a workgroup", async () => {
  for (const way of WAYS) {
    await withGpu(async (gpu) => {
      for (const cols of [0, 1, 31, 33, 257]) {
        for (const rows of [1, 3, 65]) {
          const kernel = reduceKernel("sum", "float32", rows, cols);
          const input = randomBuffer("float32", rows * cols);
          await checkKernel(gpu, kernel, [input], sumTolerance(cols));
        }
      }
      const kernel = reduceKernel("prod", "int32", 3, 0);
      await checkKernel(gpu, kernel, [new Int32Array()]);
    }, way);
  }
});

gpuTest("webgpu gives NaN where a maximum or minimum meets one", async () => {
  for (const way of WAYS) {
    await withGpu(async (gpu) => {
      for (const reducer of ["max", "min"] as const) {
        const kernel = reduceKernel(reducer, "float32", 4, 70);
        const input = randomBuffer("float32", 280);
        input[0] = NaN;
        input[70 + 69] = NaN;
        input[140 + 33] = Infinity;
        input[210 + 1] = -Infinity;
        await checkKernel(gpu, kernel, [input], EXACT);
      }
    }, way);
  }
});

gpuTest("webgpu runs several passes, each with its stores", async () => {
  for (const way of WAYS) {
    await withGpu(async (gpu) => {
      for (
        const [rows, cols] of [[1, 1], [3, 7], [7, 300], [65, 33]] as const
      ) {
        const kernel = softmaxKernel(rows, cols);
        const input = randomBuffer("float32", rows * cols, 5, 10);
        await checkKernel(gpu, kernel, [input], POINTWISE);
      }
    }, way);
  }
});

gpuTest("webgpu reduces several axes at several places at once", async () => {
  for (const way of WAYS) {
    await withGpu(async (gpu) => {
      const builder = new KernelBuilder();
      const [n, c] = [builder.row(5), builder.row(3)];
      const [h, w] = [builder.col(7), builder.col(11)];
      const input = builder.input("float32", 5 * 3 * 7 * 11);
      const scale = builder.input("float32", 3);
      const [sums, most, count] = [
        builder.output("float32", 15),
        builder.output("float32", 15),
        builder.output("int32", 15),
      ];
      const x = builder.load(input, at(n, h, c, w));
      const scaled = builder.op("mul", x, builder.load(scale, at(c)));
      builder.store(sums, at(n, c), builder.reduce("sum", scaled));
      builder.store(most, at(n, c), builder.reduce("max", x));
      const positive = builder.op("lt", builder.constant(0), x);
      const ones = builder.cast(positive, "int32");
      builder.store(count, at(n, c), builder.reduce("sum", ones));
      await checkKernel(gpu, builder.build("axes"), [
        randomBuffer("float32", 5 * 3 * 7 * 11),
        randomBuffer("float32", 3, 2),
      ], sumTolerance(77));
    }, way);
  }
});

gpuTest("webgpu reduces what does not depend on the columns", async () => {
  for (const way of WAYS) {
    await withGpu(async (gpu) => {
      const builder = new KernelBuilder();
      const [i, j] = [builder.row(3), builder.col(37)];
      const input = builder.input("float32", 3);
      const [sums, copies] = [
        builder.output("float32", 3),
        builder.output("float32", 111),
      ];
      const value = builder.load(input, at(i));
      const sum = builder.reduce("sum", value);
      builder.store(sums, at(i), sum);
      // A value of a row that is stored for each column.
      builder.store(copies, at(i, j), sum);
      await checkKernel(gpu, builder.build("constant in columns"), [
        randomBuffer("float32", 3),
      ], sumTolerance(37));
    }, way);
  }
});

gpuTest("webgpu fills more workgroups than one dimension holds", async () => {
  await withGpu(async (gpu) => {
    const size = 65535 * 64 + 1;
    const builder = new KernelBuilder();
    const axis = builder.row(size);
    const output = builder.output("int32", size);
    const index = affine([[1, axis]], 3);
    const value = builder.value({ op: "index", dtype: "int32", index });
    builder.store(output, at(axis), value);
    const kernel = builder.build("large");
    const buffer = gpu.allocate(size * 4);
    gpu.run(gpu.prepare(kernel), [buffer], new Uint32Array());
    const got = new Int32Array(await gpu.read(buffer, size * 4));
    const wrong = got.findIndex((value, i) => value !== i + 3);
    if (wrong >= 0) throw new Error(`at ${wrong}: ${got[wrong]}`);
  });
});
