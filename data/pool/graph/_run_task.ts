/**
 * Runs the call of a task, and notes when and where.
 *
 * @module
 */

import { findFunction, knownFunction } from "../_find_function.ts";
import { moved, movedParts } from "../moved.ts";
import type { RemoteReference } from "../remote.ts";

/** What comes back of a task. */
export interface TaskRun {
  readonly value: unknown;
  /** A name of the thread's own. */
  readonly worker: string;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  readonly endedAt: number;
}

const worker = crypto.randomUUID();

/**
 * Calls a function of a module.
 *
 * @param call Its arguments, first since errors count them; then the URL of the
 * module and the name of the export.
 */
export async function runTask(...call: unknown[]): Promise<TaskRun> {
  const args = call.slice(0, -2);
  const [moduleUrl, exportName] = call.slice(-2) as [string, string];
  const f = knownFunction(moduleUrl, exportName) ??
    await findFunction(moduleUrl, exportName);
  const startedAt = now();
  const value = await f(...args);
  const run = { value, worker, startedAt, endedAt: now() };
  const parts = movedParts([value], 0, 1, false);
  return parts.length > 0 ? moved(run, parts) : run;
}

/** {@linkcode runTask}, for executors. */
export const RUN_TASK: RemoteReference<unknown[], TaskRun> = {
  moduleUrl: import.meta.url,
  exportName: "runTask",
};

function now(): number {
  return performance.timeOrigin + performance.now();
}
