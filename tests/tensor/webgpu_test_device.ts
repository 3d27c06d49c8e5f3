/**
 * The GPU of the tests: one for all, opened when first asked for.
 *
 * @module
 */

import {
  openWebgpu,
  type WebgpuBackend,
  type WebgpuOptions,
} from "../../tensor/device/webgpu.ts";
import { hostBuffer } from "../../tensor/kernel/interpret.ts";
import type { HostBuffer } from "../../tensor/kernel/interpret.ts";
import type { Kernel } from "../../tensor/kernel/kernel.ts";

const hasAdapter = Boolean(await navigator.gpu?.requestAdapter());

/** Tests on a GPU are ignored where there is none, unless one is required. */
export function gpuTest(
  name: string,
  test: () => void | Promise<void>,
): void {
  const ignore = !hasAdapter && Deno.env.get("REQUIRE_GPU") !== "1";
  Deno.test({ name, ignore, fn: test });
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
  const buffers = kernel.buffers.map(({ size, output }) => {
    const buffer = gpu.allocate(size * 4);
    if (!output) gpu.write(buffer, inputs[next++]!);
    return buffer;
  });
  gpu.run(gpu.prepare(kernel), buffers, params);
  const results = await Promise.all(
    kernel.buffers.map(async ({ dtype, size, output }, slot) =>
      output
        ? hostBuffer(dtype, await gpu.read(buffers[slot]!, size * 4))
        : undefined
    ),
  );
  for (const buffer of buffers) gpu.free(buffer);
  return results.filter((result) => result !== undefined);
}
