import type { DType } from "../../tensor/dtype.ts";
import type {
  Kernel,
  ScanKernel,
  ScatterKernel,
  SortKernel,
} from "../../tensor/kernel/kernel.ts";
import type { Program, ShaderLimits } from "../../tensor/wgsl/program.ts";
import { lowerScan } from "../../tensor/wgsl/scan.ts";
import { lowerSort } from "../../tensor/wgsl/sort.ts";
import {
  checkKernel,
  gpuTest,
  randomBuffer,
  sumTolerance,
  withGpu,
} from "./webgpu_test_device.ts";

function scanKernel(
  shape: readonly [number, number, number],
  dtype: DType,
): ScanKernel {
  const size = shape[0] * shape[1] * shape[2];
  return {
    kind: "scan",
    name: `scan[${shape}]`,
    shape,
    buffers: [
      { dtype, size, output: false },
      { dtype, size, output: true },
    ],
  };
}

function sortKernel(
  shape: readonly [number, number],
  dtype: DType,
  descending: boolean,
): SortKernel {
  const size = shape[0] * shape[1];
  return {
    kind: "sort",
    name: `sort[${shape}]`,
    shape,
    descending,
    buffers: [
      { dtype, size, output: false },
      { dtype, size, output: true },
      { dtype: "int32", size, output: true },
    ],
  };
}

function scatterKernel(
  outer: number,
  count: number,
  size: number,
  inner: number,
  dtype: DType = "float32",
): ScatterKernel {
  return {
    kind: "scatter",
    name: `scatter[${outer},${count},${size},${inner}]`,
    outer,
    count,
    size,
    inner,
    buffers: [
      { dtype: "int32", size: outer * count, output: false },
      { dtype: "int32", size: outer * count, output: false },
      { dtype, size: outer * count * inner, output: false },
      { dtype, size: outer * size * inner, output: true },
    ],
  };
}

gpuTest("webgpu scans along any axis, by lanes and by workgroups", async () => {
  for (const lanes of [1, 32, 256]) {
    const lower = (kernel: Kernel, limits: ShaderLimits): Program => ({
      dispatches: [lowerScan(kernel as ScanKernel, limits, lanes)],
      temporaries: [],
    });
    await withGpu(async (gpu) => {
      for (const dtype of ["float32", "int32", "uint32"] as const) {
        for (const shape of [[1, 1, 1], [3, 257, 2], [70, 5, 1]] as const) {
          const size = shape[0] * shape[1] * shape[2];
          const scale = dtype === "float32" ? 1 : 1000;
          const input = randomBuffer(dtype, size, 2, scale);
          const tolerance = sumTolerance(shape[1]);
          await checkKernel(gpu, scanKernel(shape, dtype), [input], tolerance);
        }
      }
    }, { lower });
  }
});

gpuTest("webgpu scans nothing", async () => {
  await withGpu(async (gpu) => {
    const kernel = scanKernel([3, 0, 5], "float32");
    await checkKernel(gpu, kernel, [new Float32Array()]);
  });
});

gpuTest(
  "webgpu sorts in both directions, stable, in each strategy",
  async () => {
    for (const strategy of ["count", "merge"] as const) {
      const lower = (kernel: Kernel, limits: ShaderLimits) =>
        lowerSort(kernel as SortKernel, limits, strategy);
      await withGpu(async (gpu) => {
        for (const dtype of ["float32", "int32", "uint32", "bool"] as const) {
          for (const descending of [false, true]) {
            for (const shape of [[1, 1], [3, 67]] as const) {
              // Few values, so that many are equal.
              const input = randomBuffer(dtype, shape[0] * shape[1], 3, 9);
              input.forEach((value, i) => input[i] = Math.trunc(value));
              const kernel = sortKernel(shape, dtype, descending);
              await checkKernel(gpu, kernel, [input]);
            }
          }
        }
      }, { lower });
    }
  },
);

gpuTest("webgpu sorts more than a workgroup holds", async () => {
  await withGpu(async (gpu) => {
    for (const size of [1023, 1025, 2500, 5000]) {
      for (const descending of [false, true]) {
        const input = randomBuffer("float32", 2 * size, 4, 300);
        input.forEach((value, i) => input[i] = Math.round(value));
        const kernel = sortKernel([2, size], "float32", descending);
        await checkKernel(gpu, kernel, [input]);
      }
    }
  });
});

gpuTest("webgpu sorts NaN last, and -0 beside 0", async () => {
  for (const strategy of ["count", "merge"] as const) {
    const lower = (kernel: Kernel, limits: ShaderLimits) =>
      lowerSort(kernel as SortKernel, limits, strategy);
    await withGpu(async (gpu) => {
      const input = new Float32Array([
        0,
        NaN,
        -0,
        Infinity,
        -1,
        -Infinity,
        0,
        -NaN,
        1e-45,
        -1e-45,
        2,
      ]);
      for (const descending of [false, true]) {
        const kernel = sortKernel([1, input.length], "float32", descending);
        await checkKernel(gpu, kernel, [input]);
      }
      const extremes = new Int32Array([0, 2 ** 31 - 1, -(2 ** 31), -1, 5]);
      for (const descending of [false, true]) {
        const kernel = sortKernel([1, 5], "int32", descending);
        await checkKernel(gpu, kernel, [extremes]);
      }
    }, { lower });
  }
});

gpuTest(
  "webgpu scatters: equal targets add up, others are dropped",
  async () => {
    await withGpu(async (gpu) => {
      const cases = [[1, 1, 1, 1], [2, 33, 7, 5], [3, 5, 40, 1], [1, 0, 9, 2]];
      for (
        const [outer, count, size, inner] of cases as [
          number,
          number,
          number,
          number,
        ][]
      ) {
        const sorted = new Int32Array(outer * count);
        const order = new Int32Array(outer * count);
        for (let o = 0; o < outer; o++) {
          const targets = randomBuffer("int32", count, o + 1, size * 1.2);
          const positions = Array.from(targets, (_, position) => position);
          positions.sort((p, q) => targets[p]! - targets[q]!);
          positions.forEach((from, to) => {
            sorted[o * count + to] = targets[from]!;
            order[o * count + to] = from;
          });
        }
        for (const dtype of ["float32", "int32", "uint32"] as const) {
          const kernel = scatterKernel(outer, count, size, inner, dtype);
          const scale = dtype === "float32" ? 1 : 1000;
          const elements = outer * count * inner;
          const updates = randomBuffer(dtype, elements, 5, scale);
          const tolerance = sumTolerance(count);
          await checkKernel(gpu, kernel, [sorted, order, updates], tolerance);
        }
      }
    });
  },
);
