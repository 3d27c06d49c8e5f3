/**
 * Which of several programs of a kernel is the fastest on this GPU.
 *
 * @module
 */

import { BYTES_PER_ELEMENT } from "../dtype.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { Backend, DeviceBuffer, Recording } from "./device.ts";
import type { WebgpuExecutable } from "./webgpu_executable.ts";

/** Times that each program is timed, in turn with the others. */
const TURNS = 3;
/** Milliseconds that one timing should take, so that clocks can tell. */
const TIMED = 0.5;
const MOST_REPEATS = 20;
/** Numbers that are written to an input; the rest is what was there. */
const MOST_NUMBERS = 2 ** 22;

/** What times the runs of a recording, each so often without a pause. */
export type TimeRuns = (
  recording: Recording,
  repeats: number,
) => Promise<readonly number[]>;

/** Milliseconds of each program of one kernel, on memory of its own. */
export async function timePrograms(
  backend: Backend,
  kernel: Kernel,
  executables: readonly WebgpuExecutable[],
  timeRuns: TimeRuns,
): Promise<number[]> {
  const taken: DeviceBuffer[] = [];
  let recording: Recording | undefined;
  try {
    const places: number[] = [];
    for (const { size, output, overwrites, dtype } of kernel.buffers) {
      if (overwrites !== undefined) {
        places.push(places[overwrites]!);
        continue;
      }
      const bytes = Math.max(size, 1) * BYTES_PER_ELEMENT;
      const buffer = backend.allocate(bytes);
      places.push(taken.push(buffer) - 1);
      if (!output) backend.write(buffer, valuesFor(dtype === "float32", size));
    }
    const params = kernel.kind === "loop" ? kernel.params.map(() => 0) : [];
    const runs = Array.from(
      { length: TURNS },
      () =>
        executables.map((executable) => ({
          executable,
          buffers: places,
          params,
        })),
    ).flat();
    recording = backend.record(runs);
    // The first run of a program may compile it.
    backend.replay(recording, taken, new Uint32Array(1));
    await backend.finish();
    let times = await timeRuns(recording, 1);
    const repeats = Math.min(
      MOST_REPEATS,
      Math.ceil(TIMED / Math.max(1e-3, Math.min(...times))),
    );
    if (repeats > 1) times = await timeRuns(recording, repeats);
    const count = executables.length;
    return executables.map((_, at) =>
      Math.min(...times.filter((_, run) => run % count === at))
    );
  } finally {
    if (recording) backend.discard(recording);
    for (const buffer of taken) backend.free(buffer);
  }
}

/** Numbers in [-1, 1), or zeros, which any other type may be. */
function valuesFor(isFloat: boolean, size: number): ArrayBufferView {
  const count = Math.min(size, MOST_NUMBERS);
  if (!isFloat) return new Uint32Array(count);
  const values = new Float32Array(count);
  let state = 1;
  for (let at = 0; at < count; at++) {
    // Numerical Recipes' congruential generator: any numbers will do.
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    values[at] = state / 2 ** 31;
  }
  return values;
}
