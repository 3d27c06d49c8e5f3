/**
 * Where the frames of recorded runs lie, and what is written into them.
 *
 * @module
 */

import type { RecordedRun } from "./device.ts";

/**
 * The frames of runs one behind the other, in 32-bit words from the start:
 * each has the addresses of its buffers, its params, and the addresses of the
 * shared scratch memory and of that of the threads.
 */
export interface FrameLayout {
  /** Where each run's frame begins. */
  readonly frames: readonly number[];
  /** Words of all frames. */
  readonly size: number;
  /** The numbers of the buffers that the runs name. */
  readonly buffers: readonly number[];
  /** For each of them, the words that hold its address. */
  readonly places: readonly (readonly number[])[];
  /** The params that the runs name, and the words that hold them. */
  readonly paramFrom: Uint32Array;
  readonly paramTo: Uint32Array;
  /** Params that there are at least. */
  readonly params: number;
  /** Where the address of the shared scratch memory is; the other is behind. */
  readonly scratch: readonly number[];
}

/** Lays out the frames of runs. */
export function layOutFrames(runs: readonly RecordedRun[]): FrameLayout {
  const frames: number[] = [];
  const scratch: number[] = [];
  const byNumber = new Map<number, number[]>();
  const from: number[] = [];
  const to: number[] = [];
  let at = 0;
  for (const { buffers, params } of runs) {
    frames.push(at);
    for (const number of buffers) {
      const places = byNumber.get(number);
      if (places) places.push(at++);
      else byNumber.set(number, [at++]);
    }
    for (const number of params) {
      from.push(number);
      to.push(at++);
    }
    scratch.push(at);
    at += 2;
  }
  return {
    frames,
    size: at,
    buffers: [...byNumber.keys()],
    places: [...byNumber.values()],
    paramFrom: Uint32Array.from(from),
    paramTo: Uint32Array.from(to),
    params: from.reduce((most, number) => Math.max(most, number + 1), 0),
    scratch,
  };
}
