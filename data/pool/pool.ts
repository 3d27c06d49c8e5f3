import { checkArguments, checkCall } from "./_check_call.ts";
import { checkOptions, type OptionNames } from "./_check_options.ts";
import { CallsJob } from "./_calls_job.ts";
import { Crew } from "./_crew.ts";
import { hostsFor } from "./_isolation.ts";
import { ItemsJob, type OnItemError } from "./_items_job.ts";
import type { Job } from "./_job.ts";
import type { Packed } from "./_messages.ts";
import { keepHere } from "./_not_sendable.ts";
import { showCaller } from "./_show_caller.ts";
import { StreamJob } from "./_stream_job.ts";
import { workerScope } from "./_worker_scope.ts";
import { AsyncResult } from "./async_result.ts";
import type { DelayedCall } from "./delayed.ts";
import type { CallOptions, Executor } from "./executor.ts";
import { checkRemote, describe, type RemoteReference } from "./remote.ts";
import type { PoolStatistics } from "./statistics.ts";

/** How a {@linkcode Pool} is made. */
export interface WorkerPoolOptions {
  /**
   * How many workers run at the same time.
   * @default navigator.hardwareConcurrency
   */
  readonly workers?: number;
  /** Called in each worker before its first item: `delayed(f)(...args)`. */
  readonly initializer?: DelayedCall;
  /**
   * A worker is replaced by a fresh one after so many items.
   * @default Infinity
   */
  readonly maxTasksPerWorker?: number;
  /**
   * Items that cost less than the way to a worker may run in the calling
   * thread. Not where there is an initializer.
   * @default true
   */
  readonly inCaller?: boolean;
  /**
   * `"thread"`: shared memory, quick to start; where memory runs out in one,
   * the whole process ends. `"process"`: each worker is a process of its own,
   * with memory of its own, whose end no other feels; it takes longer to start
   * and copies everything. It needs `--allow-run` for `deno` and
   * `--allow-env=NODE_V8_COVERAGE`.
   * @default "thread"
   */
  readonly isolation?: "thread" | "process";
  /**
   * Permissions of worker processes, as flags: `["--allow-net=example.com"]`.
   * Threads have those of the program.
   * @default `["--allow-read"]`, which a process needs to load modules, and
   * has in any case
   */
  readonly permissions?: readonly string[];
  /**
   * Flags of V8 for worker processes: `["--max-old-space-size=512"]`, in MiB.
   * @default none
   */
  readonly v8Flags?: readonly string[];
  /**
   * Workers that had nothing to do for so long end, and start again when there
   * is work: a forgotten pool does not keep the program from ending. The
   * initializer runs again.
   * @default 5000
   */
  readonly idleMs?: number;
}

/** How a map runs. */
export interface MapOptions {
  /**
   * Items a message. Without it sizes follow from what items take, as
   * measured.
   */
  readonly chunkSize?: number;
  /**
   * Drops what is left; workers that stay in an item of it are replaced, see
   * {@linkcode Pool.terminate}.
   */
  readonly signal?: AbortSignal;
}

/** How a map runs whose items are drawn as its results are taken. */
export interface StreamMapOptions extends MapOptions {
  /**
   * How many items may be drawn beyond the results that were asked for.
   * @default 32 a worker
   */
  readonly ahead?: number;
}

const POOL_OPTIONS: OptionNames<WorkerPoolOptions> = {
  workers: true,
  initializer: true,
  maxTasksPerWorker: true,
  inCaller: true,
  isolation: true,
  permissions: true,
  v8Flags: true,
  idleMs: true,
};
const MAP_OPTIONS: OptionNames<MapOptions> = { chunkSize: true, signal: true };
const STREAM_OPTIONS: OptionNames<StreamMapOptions> = {
  ahead: true,
  ...MAP_OPTIONS,
};
const CALL_OPTIONS: OptionNames<CallOptions> = {
  signal: true,
  index: true,
  name: true,
};

/** An iterator that nobody reads for so long was put aside. */
const ASIDE_MS = 5000;
/** How often {@linkcode Pool.join} looks whether iterators are read. */
const LOOK_MS = 100;

/** Items of a map. */
export type Items<Item> = Iterable<Item> | AsyncIterable<Item>;

/**
 * Workers that run functions of modules, as Python's `multiprocessing.Pool`.
 *
 * Everything takes its turn: calls made while a long map runs do not wait for
 * its end. Results come once, whatever happens to workers: what
 * {@linkcode Pool.statistics} counts as `retried` was begun twice, since its
 * worker died.
 *
 * @example Results as they come, and what was done where
 * ```ts
 * import { Pool, remoteModule } from "@heddle/data/pool";
 * import { assertEquals } from "@std/assert";
 *
 * const texts = remoteModule<{ count(text: string): number }>(
 *   "data:text/javascript,export const count = (x) => x.split(' ').length",
 * );
 * await using pool = new Pool({ workers: 2 });
 * const counts: number[] = [];
 * for await (const count of pool.imap(texts.count, ["a b", "c", "d e f"])) {
 *   counts.push(count);
 * }
 * assertEquals(counts, [2, 1, 3]);
 * assertEquals(pool.statistics.items, 3);
 * ```
 */
export class Pool implements Executor, Disposable, AsyncDisposable {
  /** How many workers run at the same time. */
  readonly size: number;
  /** Whether workers see shared memory of this thread: not as processes. */
  readonly sharesMemory: boolean;
  readonly #crew: Crew;
  readonly #inCaller: boolean;
  readonly #calls: Map<string, CallsJob> = new Map();
  /** What was promised and has not ended. */
  readonly #open: Set<{ readonly promise?: Promise<unknown> }> = new Set();
  /** Streams that have not ended, and how they were made. */
  readonly #streams: Map<StreamJob, string> = new Map();
  /** Called when one of them ended. */
  readonly #onStreamEnd: Set<() => void> = new Set();

  /**
   * Starts the workers.
   *
   * @throws {RangeError} If a number is out of range, or a flag is none.
   * @throws {TypeError} If an option is of the wrong kind.
   * @throws {Error} In a worker that loads a module for a call: the module
   * should make its pool behind `if (import.meta.main)`.
   */
  constructor(options: WorkerPoolOptions = {}) {
    checkOptions("Pool", options, POOL_OPTIONS);
    const {
      workers = navigator.hardwareConcurrency,
      initializer,
      maxTasksPerWorker = Infinity,
      inCaller = true,
      isolation = "thread",
      idleMs = 5000,
    } = options;
    const importing = workerScope()?.importing;
    if (importing !== undefined) {
      throw new Error(
        `Pool: made by ${importing} while a worker loads it: each worker ` +
          "would start workers: make it behind if (import.meta.main)",
      );
    }
    checkCount("Pool", "workers", workers);
    if (maxTasksPerWorker !== Infinity) {
      checkCount("Pool", "maxTasksPerWorker", maxTasksPerWorker);
    }
    const startHost = hostsFor("Pool", options);
    const init = initializer && checkCall("Pool: initializer", initializer);
    if (typeof idleMs !== "number" || !(idleMs >= 0)) {
      throw new RangeError(`Pool: idleMs must be 0 or more: got ${idleMs}`);
    }
    keepHere(this, "a worker makes its own");
    this.size = workers;
    this.sharesMemory = isolation === "thread";
    this.#inCaller = inCaller;
    this.#crew = new Crew({
      workers,
      startHost,
      shared: isolation === "thread",
      initializer: init && {
        moduleUrl: init.f.moduleUrl,
        exportName: init.f.exportName,
        args: init.args,
      },
      maxTasksPerWorker,
      idleMs,
    });
  }

  /** What the pool did so far. */
  get statistics(): PoolStatistics {
    return this.#crew.statistics;
  }

  /**
   * Runs a function on every item.
   *
   * @param f Takes one item.
   * @param items Of a typed array over shared memory workers see the memory
   * itself; any other one is copied piece by piece.
   * @returns The results in the order of the items.
   * @throws {TaskError} What the first failing item threw; the items that did
   * not begin yet are dropped.
   * @throws {WorkerDiedError} If an item ends the workers that run it.
   */
  map<Item, Result>(
    f: RemoteReference<[item: Item], Result>,
    items: Items<Item>,
    options: MapOptions = {},
  ): Promise<Awaited<Result>[]> {
    return this.#runItems(
      "Pool.map",
      f as RemoteReference,
      items,
      false,
      "reject",
      options,
    ) as Promise<Awaited<Result>[]>;
  }

  /**
   * As {@linkcode Pool.map}, and tells how far it is.
   */
  mapAsync<Item, Result>(
    f: RemoteReference<[item: Item], Result>,
    items: Items<Item>,
    options: MapOptions = {},
  ): AsyncResult<Awaited<Result>[]> {
    return new AsyncResult(this.map(f, items, options));
  }

  /**
   * As {@linkcode Pool.map}, but an item that fails does not stop the others.
   *
   * @returns As `Promise.allSettled()` has it.
   */
  mapSettled<Item, Result>(
    f: RemoteReference<[item: Item], Result>,
    items: Items<Item>,
    options: MapOptions = {},
  ): Promise<PromiseSettledResult<Awaited<Result>>[]> {
    return this.#runItems(
      "Pool.mapSettled",
      f as RemoteReference,
      items,
      false,
      "settle",
      options,
    ) as Promise<PromiseSettledResult<Awaited<Result>>[]>;
  }

  /** As {@linkcode Pool.map}; each item is a list of arguments. */
  starmap<Args extends unknown[], Result>(
    f: RemoteReference<Args, Result>,
    items: Items<Args>,
    options: MapOptions = {},
  ): Promise<Awaited<Result>[]> {
    return this.#runItems(
      "Pool.starmap",
      f as RemoteReference,
      items,
      true,
      "reject",
      options,
    ) as Promise<Awaited<Result>[]>;
  }

  #runItems(
    operation: string,
    f: RemoteReference,
    items: Items<unknown>,
    spread: boolean,
    onError: OnItemError,
    options: MapOptions,
  ): Promise<unknown[]> {
    return this.#follow(async () => {
      checkOptions(operation, options, MAP_OPTIONS);
      const { chunkSize, signal } = options;
      this.#check(operation, f, chunkSize, signal);
      checkItems(operation, items);
      const job = new ItemsJob(f, onError, {
        spread,
        chunkSize,
        mayRunHere: this.#inCaller && chunkSize === undefined,
      });
      const begin = (list: Packed) => {
        if (spread) checkLists(operation, list);
        job.begin(list);
        this.#crew.wake(job);
      };
      const unlisten = this.#listen(job, signal);
      try {
        if (isAsync(items)) {
          this.#crew.wake(job); // close() waits for it, terminate() ends it
          collect(items, job).then(begin).catch((error) => {
            job.abandon(error);
            this.#crew.wake(job);
          });
        } else {
          const list = isList(items) ? items : Array.from(items);
          signal?.throwIfAborted();
          begin(list);
        }
        return await job.done;
      } finally {
        unlisten();
      }
    });
  }

  /** Runs a call to its end, with the caller in the stack of its errors. */
  #follow<Result>(run: () => Promise<Result>): Promise<Result> {
    const call: { promise?: Promise<unknown> } = {};
    const follow = async () => {
      this.#open.add(call);
      try {
        return await run();
      } catch (error) {
        showCaller(error, follow);
        throw error;
      } finally {
        this.#open.delete(call);
      }
    };
    const promise = follow();
    call.promise = promise;
    return promise;
  }

  /**
   * Runs a function on items that are drawn while the results are taken, which
   * come in the order of the items. Begins with the first `next()`, or with
   * {@linkcode Pool.join}.
   *
   * @param f Takes one item.
   * @param items May be without end: no more than `ahead` of them are drawn
   * beyond the results that were asked for.
   * @returns The results. An item that failed rejects its own `next()`; asked
   * again, the iterator goes on. Leaving the loop drops the rest, and so does
   * `return()`: an iterator that is put aside instead is still to be served.
   *
   * @example Closed before the results are read
   * ```ts
   * import { Pool, remoteModule } from "@heddle/data/pool";
   * import { assertEquals } from "@std/assert";
   *
   * const path = remoteModule<typeof import("@std/path")>(
   *   import.meta.resolve("@std/path"),
   * );
   * const pool = new Pool({ workers: 1 });
   * const names = pool.imap(path.basename, ["a/b", "c/d"]);
   * pool.close();
   * await pool.join(); // the results wait in the iterator
   * assertEquals(await Array.fromAsync(names), ["b", "d"]);
   * ```
   */
  imap<Item, Result>(
    f: RemoteReference<[item: Item], Result>,
    items: Items<Item>,
    options: StreamMapOptions = {},
  ): AsyncIterableIterator<Awaited<Result>, undefined> {
    const stream = this.#stream(
      "Pool.imap",
      f as RemoteReference,
      items,
      true,
      options,
    );
    return stream as AsyncIterableIterator<Awaited<Result>, undefined>;
  }

  /** As {@linkcode Pool.imap}; results come as they are there. */
  imapUnordered<Item, Result>(
    f: RemoteReference<[item: Item], Result>,
    items: Items<Item>,
    options: StreamMapOptions = {},
  ): AsyncIterableIterator<Awaited<Result>, undefined> {
    const stream = this.#stream(
      "Pool.imapUnordered",
      f as RemoteReference,
      items,
      false,
      options,
    );
    return stream as AsyncIterableIterator<Awaited<Result>, undefined>;
  }

  #stream(
    operation: string,
    f: RemoteReference,
    items: Items<unknown>,
    ordered: boolean,
    options: StreamMapOptions,
  ): AsyncIterableIterator<unknown, undefined> {
    checkOptions(operation, options, STREAM_OPTIONS);
    const { ahead = 32 * this.size, chunkSize, signal } = options;
    this.#check(operation, f, chunkSize, signal);
    checkCount(operation, "ahead", ahead);
    checkItems(operation, items);
    const source = isAsync(items)
      ? items[Symbol.asyncIterator]()
      : items[Symbol.iterator]();
    let unlisten = () => {};
    const job: StreamJob = new StreamJob(f, source, {
      spread: false,
      chunkSize,
      mayRunHere: this.#inCaller && chunkSize === undefined,
      ahead,
      finite: isCollection(items),
      ordered,
      onChange: () => this.#crew.wake(job),
      onEnd: () => {
        unlisten();
        this.#streams.delete(job);
        for (const onEnd of this.#onStreamEnd) onEnd();
      },
    });
    unlisten = this.#listen(job, signal);
    this.#streams.set(job, `${operation}(${f.exportName})`);
    this.#crew.wake(job); // close() waits for it
    return job;
  }

  /**
   * Runs a function once, in a worker.
   *
   * @param f The function.
   * @param args Its arguments.
   * @returns What it returned, awaited.
   * @throws {TaskError} If it threw.
   * @throws {WorkerDiedError} If it ends the workers that run it.
   */
  apply<Args extends unknown[], Result>(
    f: RemoteReference<Args, Result>,
    args: Args,
    options: CallOptions = {},
  ): Promise<Awaited<Result>> {
    return this.#follow(() => this.#call(f as RemoteReference, args, options));
  }

  #call<Result>(
    f: RemoteReference,
    args: readonly unknown[],
    options: CallOptions,
  ): Promise<Result> {
    checkOptions("Pool.apply", options, CALL_OPTIONS);
    const { signal, index = 0, name } = options;
    this.#check("Pool.apply", f, undefined, signal);
    checkArguments("Pool.apply", args);
    return new Promise((resolve, reject) => {
      const key = `${f.moduleUrl} ${f.exportName}`;
      let job = this.#calls.get(key);
      if (!job) {
        this.#calls.set(key, job = new CallsJob(f));
      }
      const calls = job;
      const unlisten = () => signal?.removeEventListener("abort", onAbort);
      const position = job.add({
        args,
        index,
        name,
        resolve: (value) => {
          unlisten();
          resolve(value as Result);
        },
        reject: (reason) => {
          unlisten();
          reject(reason);
        },
      });
      const onAbort = () => {
        calls.drop(position);
        reject(signal?.reason);
        this.#crew.stop(calls, true, position);
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#crew.wake(job);
    });
  }

  /** As {@linkcode Pool.apply}, and tells how far it is. */
  applyAsync<Args extends unknown[], Result>(
    f: RemoteReference<Args, Result>,
    args: Args,
    options: CallOptions = {},
  ): AsyncResult<Awaited<Result>> {
    return new AsyncResult(this.apply(f, args, options));
  }

  /** Takes no more work; the workers end when they have done what is there. */
  close(): void {
    this.#crew.close();
  }

  /**
   * Waits until every worker ended, and so for iterators of
   * {@linkcode Pool.imap} that are being read.
   *
   * One that nobody asked for 5 seconds was put aside, from the start of this
   * call on; one of a collection, as an array or a `Set`, that was never asked
   * is so at once. Of a collection the rest is done then, and the results wait
   * in the iterator. A source that may have no end must have come to it within
   * `ahead` items, or its loop been left.
   *
   * @throws {Error} If workers would never end: the pool was not closed, or
   * an iterator over such a source was put aside.
   */
  async join(): Promise<void> {
    if (!this.#crew.closing) {
      throw new Error(
        "Pool.join: the pool is open: call close() or terminate() first",
      );
    }
    const start = performance.now();
    while (this.#streams.size > 0) {
      this.#drawAside(start);
      await this.#streamEnd(LOOK_MS);
    }
    await this.#crew.ended;
  }

  /**
   * Draws the rest of collections whose iterators were put aside: once no other
   * iterator can be a reason to throw.
   */
  #drawAside(start: number): void {
    const streams = [...this.#streams];
    const aside = streams.filter(([job]) => job.isAside(ASIDE_MS, start));
    for (const [job, name] of aside) {
      if (!job.mayBeEndless) continue;
      throw new Error(
        `Pool.join: the iterator of ${name} holds the pool: its source may ` +
          `have no end, ${job.untaken} results wait in it, and nobody asked ` +
          `for ${ASIDE_MS / 1000} seconds: take all of them, leave its loop, ` +
          "call its return(), or pass an array",
      );
    }
    if (streams.some(([job]) => job.mayBeEndless)) return;
    for (const [job] of aside) job.drawAll();
  }

  /** Waits until an iterator ended, or for so long. */
  async #streamEnd(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, ms);
    this.#onStreamEnd.add(resolve);
    await promise;
    this.#onStreamEnd.delete(resolve);
    clearTimeout(timer);
  }

  /**
   * Ends the workers whatever they do. What is not done fails with a
   * `DOMException` named `AbortError`, or stays silent where nobody waits for
   * it: so an error that leaves the block of a pool is the one that is heard.
   *
   * Deno does not interrupt a thread in a long synchronous function: nothing
   * hears of it any more, but it takes its core, and keeps the program from
   * ending by itself, until the function returns. A process ends at once.
   */
  terminate(): void {
    for (const { promise } of this.#open) promise?.catch(() => {});
    this.#crew.terminate(
      new DOMException("Pool: terminated before this was done", "AbortError"),
    );
  }

  /** Calls {@linkcode Pool.terminate}. */
  [Symbol.dispose](): void {
    this.terminate();
  }

  /** Calls {@linkcode Pool.terminate} and waits until the workers ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.terminate();
    await this.join();
  }

  #check(
    operation: string,
    f: RemoteReference,
    chunkSize: number | undefined,
    signal: AbortSignal | undefined,
  ): void {
    if (this.#crew.closing) {
      throw new Error(`${operation}: the pool is closed: make a new one`);
    }
    checkRemote(operation, f);
    if (chunkSize !== undefined) checkCount(operation, "chunkSize", chunkSize);
    signal?.throwIfAborted();
  }

  /** Gives a job up when `signal` says so. */
  #listen(job: Job, signal: AbortSignal | undefined): () => void {
    const onAbort = () => {
      job.abandon(signal?.reason);
      this.#crew.stop(job, true);
    };
    signal?.addEventListener("abort", onAbort, { once: true });
    return () => signal?.removeEventListener("abort", onAbort);
  }
}

function isList(
  items: Iterable<unknown>,
): items is unknown[] | (Iterable<unknown> & ArrayLike<unknown>) {
  return Array.isArray(items) ||
    ArrayBuffer.isView(items) && !(items instanceof DataView);
}

function isAsync(items: Items<unknown>): items is AsyncIterable<unknown> {
  return Symbol.asyncIterator in Object(items);
}

/** Whether items are of a collection, and not of a source without end. */
function isCollection(items: Items<unknown>): boolean {
  return typeof items === "string" || items instanceof Set ||
    items instanceof Map || isList(items as Iterable<unknown>);
}

/** All that an iterable gives, as long as somebody waits for it. */
async function collect(
  items: AsyncIterable<unknown>,
  job: Job,
): Promise<unknown[]> {
  const list: unknown[] = [];
  for await (const item of items) {
    if (!job.open) break;
    list.push(item);
  }
  return list;
}

function checkItems(operation: string, items: Items<unknown>): void {
  const { iterator, asyncIterator } = Symbol;
  const given: Partial<Record<symbol, unknown>> = Object(items);
  if (
    typeof given[iterator] === "function" ||
    typeof given[asyncIterator] === "function"
  ) return;
  throw new TypeError(
    `${operation}: items must be iterable: got ${describe(items)}`,
  );
}

function checkLists(operation: string, items: Packed): void {
  for (let at = 0; at < items.length; at++) {
    if (Array.isArray(items[at])) continue;
    throw new TypeError(
      `${operation}: item ${at} must be a list of arguments: got ` +
        `${describe(items[at])}: map() passes items as they are`,
    );
  }
}

function checkCount(operation: string, name: string, count: number): void {
  if (!Number.isSafeInteger(count) || count < 1) {
    throw new RangeError(
      `${operation}: ${name} must be a whole number from 1 on: got ${count}`,
    );
  }
}
