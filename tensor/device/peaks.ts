/**
 * What a device reaches at best, by the engine's own kernels.
 *
 * @module
 */

import * as build from "../graph/build.ts";
import type { Node } from "../graph/node.ts";
import { signatureOf } from "../kernel/program.ts";
import { type Device, hostSource } from "./runtime.ts";

/** Rates of a device. */
export interface Peaks {
  /** Operations on floats a second, in a matrix product. */
  readonly flopsPerSecond: number;
  /** Bytes moved a second, in a sum of two arrays. */
  readonly bytesPerSecond: number;
}

const known = new WeakMap<Device, Promise<Peaks>>();
const SIDE = 384;
const LENGTH = 1 << 20;
const ROUNDS = 5;

/** Measures a device, once. */
export function peaksOf(device: Device): Promise<Peaks> {
  let peaks = known.get(device);
  if (!peaks) known.set(device, peaks = measure(device));
  return peaks;
}

async function measure(device: Device): Promise<Peaks> {
  const square = filledSource([SIDE, SIDE]);
  const line = filledSource([LENGTH]);
  const expanded = (axes: readonly number[], lone: number) => {
    const shape = [SIDE, SIDE];
    shape.splice(lone, 0, 1);
    const whole = build.reshape(build.permute(square, axes), shape);
    return build.expand(whole, [SIDE, SIDE, SIDE]);
  };
  const product = build.reduce(
    "sum",
    build.map("mul", [expanded([0, 1], 1), expanded([1, 0], 0)]),
    [2],
  );
  const flops = await bestSeconds(device, product);
  const bytes = await bestSeconds(device, build.map("add", [line, line]));
  return {
    flopsPerSecond: 2 * SIDE ** 3 / flops,
    bytesPerSecond: 8 * LENGTH / bytes,
  };
}

function filledSource(shape: readonly number[]): Node {
  const size = shape.reduce((product, extent) => product * extent, 1);
  return hostSource(new Float32Array(size).fill(0.5), shape, "float32");
}

/** The least of a few runs, by the device's own clock where it has one. */
async function bestSeconds(device: Device, root: Node): Promise<number> {
  const { backend } = device;
  const signature = signatureOf([root]);
  const plan = device.planOf(signature);
  const buffers = plan.buffers.map(({ source, size }) => {
    const buffer = backend.allocate(4 * size);
    if (source !== undefined) {
      backend.write(buffer, new Float32Array(size).fill(0.5));
    }
    return buffer;
  });
  const recording = backend.record(
    plan.steps.map((step) => ({
      executable: backend.prepare(step.kernel),
      buffers: step.buffers,
      params: step.params,
    })),
  );
  try {
    let best = Infinity;
    for (let round = 0; round < ROUNDS; round++) {
      const times = await backend.profile(
        recording,
        buffers,
        new Uint32Array(),
      );
      best = Math.min(best, times.reduce((sum, time) => sum + time, 0));
    }
    return best / 1e3;
  } finally {
    backend.discard(recording);
    for (const buffer of buffers) backend.free(buffer);
  }
}
