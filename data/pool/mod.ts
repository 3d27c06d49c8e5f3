/**
 * Work over cores: pools of workers that run functions of modules.
 *
 * @example A map over two workers
 * ```ts
 * import { Pool, remoteModule } from "@heddle/data/pool";
 * import { assertEquals } from "@std/assert";
 *
 * const path = remoteModule<typeof import("@std/path")>(
 *   import.meta.resolve("@std/path"),
 * );
 * await using pool = new Pool({ workers: 2 });
 * assertEquals(await pool.map(path.extname, ["a.csv", "b.txt"]), [
 *   ".csv",
 *   ".txt",
 * ]);
 * ```
 *
 * @module
 */
export * from "./async_result.ts";
export * from "./delayed.ts";
export * from "./executor.ts";
export * from "./moved.ts";
export * from "./parallel.ts";
export * from "./pool.ts";
export * from "./process.ts";
export { remote, remoteModule } from "./remote.ts";
export type {
  RemoteFunction,
  RemoteModule,
  RemoteReference,
} from "./remote.ts";
export * from "./statistics.ts";
export * from "./task_error.ts";
export type { SharedClone, SharedHandle } from "./shared/_handle.ts";
export * from "./shared/abandoned_lock_error.ts";
export * from "./shared/barrier.ts";
export * from "./shared/broken_barrier_error.ts";
export * from "./shared/held.ts";
export * from "./shared/lock.ts";
export * from "./shared/rlock.ts";
export * from "./shared/semaphore.ts";
export * from "./shared/shared_array.ts";
export * from "./shared/shared_event.ts";
export * from "./shared/shared_value.ts";
export * from "./shared/wait_options.ts";
export * from "./worker_died_error.ts";
