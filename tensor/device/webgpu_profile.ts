/**
 * How long each run of a recording takes on a GPU.
 *
 * @module
 */

import { median } from "./median.ts";
import type { Idle } from "./webgpu_idle.ts";
import type { WebgpuRecording } from "./webgpu_recording.ts";

/** Times that each run is timed: what else happens disturbs few of them. */
const ROUNDS = 3;
/** Runs timed in one submission: two queries each, of at most 4096. */
const MOST_TIMED = 1024;

/** The feature by which the GPU itself tells the time. */
export const TIMESTAMPS: GPUFeatureName = "timestamp-query";

/**
 * Milliseconds of each run of a recording whose buffers are bound.
 *
 * @param repeats Times that each run is done in one timing.
 */
export async function timeRuns(
  device: GPUDevice,
  idle: Idle,
  recording: WebgpuRecording,
  repeats: number = 1,
): Promise<number[]> {
  const count = recording.runs.length;
  const runs = [...recording.runs.keys()].filter((run) =>
    recording.dispatchesOf(run) > 0
  );
  const rounds: number[][] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const times: number[] = Array(count).fill(0);
    if (device.features.has(TIMESTAMPS)) {
      for (let first = 0; first < runs.length; first += MOST_TIMED) {
        const part = runs.slice(first, first + MOST_TIMED);
        const found = await timeByQueries(device, recording, part, repeats);
        part.forEach((run, at) => times[run] = found[at]!);
      }
    } else {
      await idle.wait();
      const nothing = await timeByClock(device, idle, () => {});
      for (const run of runs) {
        const time = await timeByClock(device, idle, (pass) => {
          for (let i = 0; i < repeats; i++) recording.encodeRun(pass, run);
        });
        times[run] = Math.max(0, time - nothing);
      }
    }
    rounds.push(times);
  }
  return Array.from(
    { length: count },
    (_, run) => median(rounds.map((times) => times[run]! / repeats)),
  );
}

/** Passes without dispatches, whose least time is that of any pass. */
const EMPTY_PASSES = 4;

/** One pass a run, each between two timestamps. */
async function timeByQueries(
  device: GPUDevice,
  recording: WebgpuRecording,
  runs: readonly number[],
  repeats: number,
): Promise<number[]> {
  const passes = [...runs, ...Array<undefined>(EMPTY_PASSES)];
  const count = passes.length * 2;
  const size = count * 8;
  const querySet = device.createQuerySet({ type: "timestamp", count });
  const resolved = device.createBuffer({
    size,
    usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC,
  });
  const staging = device.createBuffer({
    size,
    usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
  });
  try {
    const encoder = device.createCommandEncoder();
    passes.forEach((run, at) => {
      const pass = encoder.beginComputePass({
        timestampWrites: {
          querySet,
          beginningOfPassWriteIndex: at * 2,
          endOfPassWriteIndex: at * 2 + 1,
        },
      });
      if (run !== undefined) {
        for (let i = 0; i < repeats; i++) recording.encodeRun(pass, run);
      }
      pass.end();
    });
    encoder.resolveQuerySet(querySet, 0, count, resolved, 0);
    encoder.copyBufferToBuffer(resolved, 0, staging, 0, size);
    device.queue.submit([encoder.finish()]);
    await staging.mapAsync(GPUMapMode.READ);
    const stamps = new BigInt64Array(staging.getMappedRange().slice(0));
    const times = passes.map((_, at) =>
      Number(stamps[at * 2 + 1]! - stamps[at * 2]!) / 1e6
    );
    // Drivers may set their clock back.
    const empty = Math.max(0, Math.min(...times.slice(runs.length)));
    return runs.map((_, at) => Math.max(0, times[at]! - empty));
  } finally {
    querySet.destroy();
    resolved.destroy();
    staging.destroy();
  }
}

/** From the submission of a pass until the GPU is idle. */
async function timeByClock(
  device: GPUDevice,
  idle: Idle,
  encode: (pass: GPUComputePassEncoder) => void,
): Promise<number> {
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  encode(pass);
  pass.end();
  const commands = encoder.finish();
  const start = performance.now();
  device.queue.submit([commands]);
  await idle.wait();
  return performance.now() - start;
}
