import { checkCall } from "./_check_call.ts";
import { checkOptions, type OptionNames } from "./_check_options.ts";
import { InlineExecutor } from "./_inline_executor.ts";
import { showCaller } from "./_show_caller.ts";
import { workerScope } from "./_worker_scope.ts";
import type { DelayedCall } from "./delayed.ts";
import type { Executor } from "./executor.ts";
import { Pool } from "./pool.ts";
import { describe } from "./remote.ts";

/** How far {@linkcode parallel} is. */
export interface ParallelProgress {
  /** Calls that are done. */
  readonly done: number;
  /** All of them, if they came as an array. */
  readonly total: number | undefined;
  /** Since the start. */
  readonly elapsedMs: number;
}

/** How {@linkcode parallel} runs its calls. */
export interface ParallelOptions {
  /**
   * How many calls run at the same time: -1 is one a core, -2 all but one.
   * With 1 they run in the calling thread, one after the other.
   * @default -1
   */
  readonly jobs?: number;
  /**
   * What runs them instead of a pool made for this: its size counts, and it
   * stays open. After a call that fails, those that wait are dropped, and those
   * that run are ended with their workers.
   */
  readonly executor?: Executor;
  /** Called after each call, in the order in which they end. */
  readonly onProgress?: (progress: ParallelProgress) => void;
  /** Drops what is left, and ends the workers that run it. */
  readonly signal?: AbortSignal;
}

const OPTIONS: OptionNames<ParallelOptions> = {
  jobs: true,
  executor: true,
  onProgress: true,
  signal: true,
};

/** Calls, drawn as there is room for them. */
export type DelayedCalls<Result> =
  | Iterable<DelayedCall<Result>>
  | AsyncIterable<DelayedCall<Result>>;

/** Calls on their way for each worker: cheap ones travel together. */
const CALLS_A_WORKER = 64;

/**
 * Runs many calls over the cores, as joblib's `Parallel` does.
 *
 * In a worker of a pool, where the cores have their work already, the calls run
 * one after the other unless `executor` says otherwise: nested use starts no
 * workers of workers.
 *
 * @param options How.
 * @returns Takes the calls and gives their results, in the order of the calls.
 * The first call that fails rejects; no others begin then.
 * @throws {TypeError} If an option is none.
 * @throws {RangeError} If `jobs` is 0 or no whole number.
 *
 * @example Calls with different arguments
 * ```ts
 * import { delayed, parallel, remoteModule } from "@heddle/data/pool";
 * import { assertEquals } from "@std/assert";
 *
 * const path = remoteModule<typeof import("@std/path")>(
 *   import.meta.resolve("@std/path"),
 * );
 * const names = await parallel({ jobs: 2 })(
 *   [".csv", ".txt"].map((suffix) => delayed(path.basename)("a/b.csv", suffix)),
 * );
 * assertEquals(names, ["b", "b.csv"]);
 * ```
 */
export function parallel(
  options: ParallelOptions = {},
): <Result>(calls: DelayedCalls<Result>) => Promise<Awaited<Result>[]> {
  checkOptions("parallel", options, OPTIONS);
  const workers = countWorkers(options.jobs ?? -1);
  return async <Result>(calls: DelayedCalls<Result>) => {
    options.signal?.throwIfAborted();
    if (options.executor) {
      return await runCalls(options.executor, calls, options);
    }
    if (workers === 1 || workerScope()) {
      return await runCalls(new InlineExecutor(), calls, options);
    }
    await using pool = new Pool({ workers });
    return await runCalls(pool, calls, options);
  };
}

function countWorkers(jobs: number): number {
  if (!Number.isSafeInteger(jobs) || jobs === 0) {
    throw new RangeError(
      `parallel: jobs must be a whole number and not 0: got ${jobs}: ` +
        "use -1 for one a core",
    );
  }
  const cores = navigator.hardwareConcurrency;
  return jobs > 0 ? jobs : Math.max(1, cores + 1 + jobs);
}

async function runCalls<Result>(
  executor: Executor,
  calls: DelayedCalls<Result>,
  { onProgress, signal }: ParallelOptions,
): Promise<Awaited<Result>[]> {
  const started = performance.now();
  const total = Array.isArray(calls) ? calls.length : undefined;
  const source = open(calls);
  const results: Awaited<Result>[] = [];
  /** Tells the executor to drop the calls that nobody wants any more. */
  const stop = new AbortController();
  let drawn = 0;
  let done = 0;
  let ended = false;
  let turn: Promise<unknown> = Promise.resolve();

  /** The next call; sources are asked for one at a time. */
  const draw = async (): Promise<[number, DelayedCall<Result>] | undefined> => {
    if (ended) return undefined;
    const next = await source.next();
    if (next.done) ended = true;
    if (ended || next.done) return undefined;
    const index = drawn++;
    return [index, checkCall(`parallel: call ${index}`, next.value)];
  };
  /** Runs calls, one after the other, until there are no more. */
  const lane = async () => {
    for (;;) {
      const next = turn.then(draw);
      turn = next.catch(() => {});
      const call = await next;
      if (!call) return;
      const [index, { f, args }] = call;
      const options = { index, signal: stop.signal };
      results[index] = await executor.apply(f, args as never[], options);
      done++;
      onProgress?.({ done, total, elapsedMs: performance.now() - started });
    }
  };
  const lanes = executor.size * CALLS_A_WORKER;
  const onAbort = () => stop.abort(signal?.reason);
  signal?.addEventListener("abort", onAbort, { once: true });
  const stopped = new Promise<never>((_, reject) => {
    const onStop = () => reject(stop.signal.reason);
    stop.signal.addEventListener("abort", onStop, { once: true });
  });
  try {
    // Neither a source nor a call that does not end keeps the others.
    await Promise.race([
      stopped,
      Promise.all(
        Array.from({ length: Math.min(lanes, total ?? lanes) }, lane),
      ),
    ]);
    return results;
  } catch (error) {
    if (!ended) leave(source);
    ended = true;
    stop.abort(error);
    showCaller(error, runCalls);
    throw error;
  } finally {
    signal?.removeEventListener("abort", onAbort);
  }
}

type Source<Result> =
  | Iterator<DelayedCall<Result>>
  | AsyncIterator<DelayedCall<Result>>;

function open<Result>(calls: DelayedCalls<Result>): Source<Result> {
  const given: Partial<AsyncIterable<unknown> & Iterable<unknown>> = Object(
    calls,
  );
  const source = given[Symbol.asyncIterator]?.() ?? given[Symbol.iterator]?.();
  if (source) return source as Source<Result>;
  throw new TypeError(
    `parallel: the calls must be iterable: got ${describe(calls)}: ` +
      "pass an array of delayed(f)(...args)",
  );
}

/** Tells a source that it is no longer read; it may be amid something long. */
function leave<Result>(source: Source<Result>): void {
  // What it throws now comes after the error that counts.
  Promise.try(() => source.return?.()).catch(() => {});
}
