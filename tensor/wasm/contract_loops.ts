/**
 * Loops as the functions of a matrix product need them.
 *
 * @module
 */

import type { FunctionBuilder, Local } from "./assembler.ts";

/** `for (at = 0; at < limit; at += step)`, both signed. */
export function emitFor(
  f: FunctionBuilder,
  at: Local,
  limit: Local,
  step: number,
  body: () => void,
): void {
  f.i32(0).set(at);
  emitSteps(f, at, limit, step, body);
}

/** `for (; at < limit; at += step)`, signed. */
export function emitSteps(
  f: FunctionBuilder,
  at: Local,
  limit: Local,
  step: number,
  body: () => void,
): void {
  f.get(at).get(limit).op("i32.lt_s").if(() => {
    f.loop((again) => {
      body();
      f.get(at).i32(step).op("i32.add").tee(at);
      f.get(limit).op("i32.lt_s").brIf(again);
    });
  });
}

/** Runs the body a fixed number of times, at least once. */
export function emitTimes(
  f: FunctionBuilder,
  at: Local,
  times: number,
  body: () => void,
): void {
  f.i32(times).set(at);
  f.loop((again) => {
    body();
    f.get(at).i32(1).op("i32.sub").tee(at).brIf(again);
  });
}
