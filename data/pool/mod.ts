/**
 * Work over cores: pools of workers, parallel calls, processes, and memory,
 * locks and barriers that threads share.
 *
 * A function goes to a worker as the URL of its module and the name of its
 * export, never as text: {@linkcode remote} marks one of your own,
 * {@linkcode remoteModule} names those of any module. Arguments and results are
 * structured clones; {@linkcode moved} moves instead, and shared memory is
 * shared. What cannot be sent, as a function or a {@linkcode Future}, is refused
 * with the way to it: `argument 0, .config.done`. A {@linkcode Pool} measures
 * what items cost: it sends them in chunks, or leaves them in the calling thread
 * where that is faster.
 *
 * What throws in a worker rejects with a {@linkcode TaskError}, whose `cause`
 * has the stack of the worker. A worker that ends is replaced and its item
 * tried once more, then rejected with a {@linkcode WorkerDiedError}. Memory that
 * runs out in a thread ends the whole process: `isolation: "process"` survives
 * it.
 *
 * Permissions: threads have those of the program. Where modules lie on the
 * disk, starting a worker needs `--allow-read` for them. Worker processes need
 * `--allow-run` for `deno` and `--allow-env=NODE_V8_COVERAGE`, and get
 * `--allow-read` and what `permissions` names.
 *
 * A worker loads the module of a function, and with it everything at its top
 * level: what only the main program does belongs behind
 * `if (import.meta.main)`. Leave a pool by `await using`, or by `close()` and
 * `join()`; a forgotten one lets the program end once it has been idle for
 * five seconds.
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
 * @example A function of your own
 * ```ts ignore
 * // work.ts
 * export const square = remote(import.meta, function square(x: number) {
 *   return x * x;
 * });
 *
 * // main.ts
 * import { square } from "./work.ts";
 *
 * await using pool = new Pool();
 * for await (const y of pool.imap(square, readings())) console.log(y);
 * ```
 *
 * @module
 */
export * from "./async_result.ts";
export * from "./delayed.ts";
export * from "./executor.ts";
export type { Argument, Gathered } from "./graph/_arguments.ts";
export type { TaskState } from "./graph/_task.ts";
export { Future } from "./graph/future.ts";
export * from "./graph/task_failed_error.ts";
export * from "./graph/task_graph.ts";
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
