/**
 * The GPU of the tests, and kernels run on it against the interpreter.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import type { DeviceBuffer } from "../../tensor/device/device.ts";
import {
  openWebgpu,
  type WebgpuBackend,
  type WebgpuOptions,
} from "../../tensor/device/webgpu.ts";
import type { DType } from "../../tensor/dtype.ts";
import { hostBuffer } from "../../tensor/kernel/interpret.ts";
import type { HostBuffer } from "../../tensor/kernel/interpret.ts";
import type { Kernel } from "../../tensor/kernel/kernel.ts";
import type { Subgroups } from "../../tensor/wgsl/program.ts";
import { expected } from "./kernel_builder.ts";

const hasAdapter = Boolean(await navigator.gpu?.requestAdapter());

/** Tests on a GPU are ignored where there is none, unless one is required. */
export function gpuTest(
  name: string,
  test: () => void | Promise<void>,
): void {
  const ignore = !hasAdapter && Deno.env.get("REQUIRE_GPU") !== "1";
  Deno.test({ name, ignore, fn: test });
}

/** The subgroups of the GPU of the tests, if they work there. */
export async function provenSubgroups(): Promise<Subgroups | undefined> {
  if (!hasAdapter) return undefined;
  const gpu = await openWebgpu();
  try {
    return gpu.subgroups;
  } finally {
    gpu.close();
  }
}

/** Opens a device, gives it to the function, closes it. */
export async function withGpu(
  use: (gpu: WebgpuBackend) => void | Promise<void>,
  options: WebgpuOptions = {},
): Promise<void> {
  const gpu = await openWebgpu(options);
  try {
    await use(gpu);
  } finally {
    gpu.close();
  }
}

/** Runs a kernel and reads its outputs. */
export async function runKernel(
  gpu: WebgpuBackend,
  kernel: Kernel,
  inputs: readonly HostBuffer[],
  params: Uint32Array = new Uint32Array(),
): Promise<HostBuffer[]> {
  let next = 0;
  const buffers: DeviceBuffer[] = [];
  for (const { size, output, overwrites } of kernel.buffers) {
    if (overwrites !== undefined) {
      buffers.push(buffers[overwrites]!);
      continue;
    }
    const buffer = gpu.allocate(size * 4);
    // What is not written must show.
    gpu.write(
      buffer,
      output ? new Float32Array(size).fill(NaN) : inputs[next++]!,
    );
    buffers.push(buffer);
  }
  gpu.run(gpu.prepare(kernel), buffers, params);
  const results = await Promise.all(
    kernel.buffers.map(async ({ dtype, size, output }, slot) =>
      output
        ? hostBuffer(dtype, await gpu.read(buffers[slot]!, size * 4))
        : undefined
    ),
  );
  for (const buffer of new Set(buffers)) gpu.free(buffer);
  return results.filter((result) => result !== undefined);
}

/** How near to the interpreter a float must be; the rest must be equal. */
export interface Tolerance {
  /** Part of the expected value. */
  readonly rtol: number;
  /** Added to it. */
  readonly atol: number;
}

/** No difference at all. */
export const EXACT: Tolerance = { rtol: 0, atol: 0 };
/** Float32, elementwise. */
export const POINTWISE: Tolerance = { rtol: 1e-5, atol: 1e-6 };

/** Sums of `k` terms of size up to 1. */
export function sumTolerance(k: number): Tolerance {
  return { rtol: 1e-5, atol: 1e-7 * k };
}

/** Runs a kernel and compares each output with the interpreter's. */
export async function checkKernel(
  gpu: WebgpuBackend,
  kernel: Kernel,
  inputs: readonly HostBuffer[],
  { rtol, atol }: Tolerance = EXACT,
  params: Uint32Array = new Uint32Array(),
): Promise<void> {
  const want = expected(kernel, inputs, params);
  const got = await runKernel(gpu, kernel, inputs, params);
  want.forEach((array, output) => {
    const other = got[output]!;
    assertEquals(other.length, array.length);
    array.forEach((value, i) => {
      const found = other[i]!;
      const same = Object.is(value, found) || value === found ||
        Math.abs(value - found) <= atol + rtol * Math.abs(value);
      assert(
        same,
        `${kernel.name}: output ${output}[${i}]: ${found}, not ${value}`,
      );
    });
  });
}

/** Numbers that are the same in each run. */
export function randomBuffer(
  dtype: DType,
  size: number,
  seed: number = 1,
  scale: number = 1,
): HostBuffer {
  let state = seed * 2654435761 >>> 0 || 1;
  const buffer = hostBuffer(dtype, size);
  for (let i = 0; i < size; i++) {
    // Xorshift: Marsaglia 2003.
    state ^= state << 13;
    state ^= state >>> 17;
    state = (state ^ state << 5) >>> 0;
    const unit = state / 2 ** 32;
    buffer[i] = dtype === "float32"
      ? (2 * unit - 1) * scale
      : dtype === "int32"
      ? Math.floor((2 * unit - 1) * scale)
      : dtype === "bool"
      ? Number(unit < 0.5)
      : Math.floor(unit * scale);
  }
  return buffer;
}
