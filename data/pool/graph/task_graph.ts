import type { Executor } from "../executor.ts";
import { checkOptions, type OptionNames } from "../_check_options.ts";
import { showCaller } from "../_show_caller.ts";
import { keepHere } from "../_not_sendable.ts";
import { within } from "../_within.ts";
import { checkRemote, describe, type RemoteReference } from "../remote.ts";
import {
  type Argument,
  type Gathered,
  tasksIn,
  withResults,
} from "./_arguments.ts";
import { Scheduler } from "./_scheduler.ts";
import { shareArrays } from "./_share_arrays.ts";
import { Task, type TaskRecord } from "./_task.ts";
import { Future, taskOf } from "./future.ts";

/** How tasks run. */
export interface TaskOptions {
  /**
   * How often a task that fails is tried again. One that was cancelled is not,
   * nor one whose arguments were moved to it.
   *
   * @default 0
   */
  readonly retries?: number;
  /**
   * What the drawing and errors call the tasks.
   *
   * @default the name of the function
   */
  readonly name?: string;
}

/** Futures that ended, and those that did not. */
export interface WaitResult<Result> {
  /** With a result, or without one. */
  readonly done: readonly Future<Result>[];
  /** The others. */
  readonly pending: readonly Future<Result>[];
}

/** When {@linkcode TaskGraph.wait} returns. */
export interface GraphWaitOptions {
  /**
   * At the end of all of them, of one of them, or of all or the first that
   * fails.
   *
   * @default "all"
   */
  readonly until?: "all" | "first" | "firstFailure";
  /**
   * How long to wait at most, in milliseconds.
   *
   * @default no limit
   */
  readonly timeoutMs?: number;
}

const TASK_OPTIONS: OptionNames<TaskOptions> = { retries: true, name: true };
const WAIT_OPTIONS: OptionNames<GraphWaitOptions> = {
  until: true,
  timeoutMs: true,
};

/** What tasks of all {@linkcode TaskGraph.with} have in common. */
interface Shared {
  readonly executor: Executor;
  readonly scheduler: Scheduler;
  readonly records: TaskRecord[];
  readonly open: Set<Task>;
  readonly counts: Map<string, number>;
}

/**
 * Calls that take each other's results, run as soon as these are there.
 *
 * `submit()` returns at once; its {@linkcode Future} stands for the result, also
 * as an argument of other calls. What runs the calls is a {@linkcode Pool}, or
 * anything else that is an {@linkcode Executor}. Results come back to this
 * thread and go from here to the calls that need them: give large ones shared
 * memory (`scatter()`, {@linkcode SharedArray}), or move them.
 *
 * A result is kept as long as its future is held, or a task needs it. A task that
 * fails fails those that need it, with the way from one to the other in the
 * error.
 *
 * @example A sum of squares
 * ```ts
 * import { Pool, remoteModule, TaskGraph } from "@heddle/data/pool";
 * import { assertEquals } from "@std/assert";
 *
 * const { square, add } = remoteModule<{
 *   square(x: number): number;
 *   add(x: number, y: number): number;
 * }>(
 *   "data:text/javascript,export const square = (x) => x * x;" +
 *     "export const add = (x, y) => x + y",
 * );
 * await using pool = new Pool({ workers: 2 });
 * const graph = new TaskGraph(pool);
 * const squares = graph.map(square, [1, 2, 3]);
 * const sum = graph.reduce(add, squares);
 * assertEquals(await sum.result(), 14);
 * assertEquals(await graph.gather({ squares }), { squares: [1, 4, 9] });
 * ```
 */
export class TaskGraph implements Disposable {
  readonly #shared: Shared;
  readonly #options: TaskOptions;

  /**
   * A graph without tasks.
   *
   * @param executor What runs them, which is not closed with the graph; or a
   * graph to add tasks to.
   * @param options How tasks run, unless `with()` says otherwise.
   */
  constructor(executor: Executor | TaskGraph, options: TaskOptions = {}) {
    checkOptions("TaskGraph", options, TASK_OPTIONS);
    const { retries = 0 } = options;
    if (!Number.isSafeInteger(retries) || retries < 0) {
      throw new RangeError(
        `TaskGraph: retries must be a whole number from 0: got ${retries}`,
      );
    }
    keepHere(this, "a worker makes its own");
    this.#options = options;
    if (executor instanceof TaskGraph) {
      this.#shared = executor.#shared;
      return;
    }
    if (typeof executor?.apply !== "function" || !(executor.size >= 1)) {
      throw new TypeError(
        `TaskGraph: expected a Pool or another executor: got ` +
          describe(executor),
      );
    }
    const open = new Set<Task>();
    this.#shared = {
      executor,
      scheduler: new Scheduler(executor, (task) => open.delete(task)),
      records: [],
      open,
      counts: new Map(),
    };
  }

  /**
   * The same graph, whose tasks are submitted with other options.
   *
   * @param options Those that differ.
   * @returns A view of this graph.
   *
   * @example A task that may fail
   * ```ts
   * import { Pool, remoteModule, TaskGraph } from "@heddle/data/pool";
   * import { assertEquals } from "@std/assert";
   *
   * const path = remoteModule<typeof import("@std/path")>(
   *   import.meta.resolve("@std/path"),
   * );
   * await using pool = new Pool({ workers: 1 });
   * const graph = new TaskGraph(pool);
   * const name = graph.with({ retries: 2 }).submit(path.basename, "a/b.csv");
   * assertEquals(await graph.submit(path.extname, name).result(), ".csv");
   * ```
   */
  with(options: TaskOptions): TaskGraph {
    return new TaskGraph(this, { ...this.#options, ...options });
  }

  /**
   * Runs a function once what it takes is there.
   *
   * @param f The function.
   * @param args Its arguments: values, futures of them; arrays, records, maps
   * and sets with futures in them.
   * @returns Stands for the result.
   * @throws {TypeError} If `f` is not named by a module.
   */
  submit<Args extends unknown[], Result>(
    f: RemoteReference<Args, Result>,
    ...args: { [Index in keyof Args]: Argument<Args[Index]> }
  ): Future<Awaited<Result>> {
    checkRemote("TaskGraph.submit", f);
    const { retries = 0, name = f.exportName } = this.#options;
    const call = { f: f as unknown as RemoteReference, args, retries };
    const task = this.#add(name, call, tasksIn(args));
    if (task.isReady) this.#shared.scheduler.onReady(task);
    return new Future(task);
  }

  /**
   * Submits a call for each item.
   *
   * @param f The function.
   * @param columns For each argument its values, or futures of them; the
   * shortest counts.
   * @returns A future for each, in order.
   */
  map<Args extends unknown[], Result>(
    f: RemoteReference<Args, Result>,
    ...columns: { [Index in keyof Args]: Iterable<Argument<Args[Index]>> }
  ): Future<Awaited<Result>>[] {
    const lists = (columns as Iterable<unknown>[]).map((column) => [...column]);
    const length = Math.min(...lists.map((list) => list.length));
    return Array.from(
      { length: lists.length === 0 ? 0 : length },
      (_, index) =>
        this.submit(
          f,
          ...lists.map((list) => list[index]) as {
            [Index in keyof Args]: Argument<Args[Index]>;
          },
        ),
    );
  }

  /**
   * Makes one result of many, two neighbours at a time: results are gone as soon
   * as they are part of another, and the order does not depend on the time.
   *
   * @param f Makes one of two.
   * @param futures At least one.
   * @returns Stands for the result.
   * @throws {RangeError} If there are no futures.
   */
  reduce<Value>(
    f: RemoteReference<[first: Value, second: Value], Value>,
    futures: readonly Future<Value>[],
  ): Future<Value> {
    let level = futures;
    if (level.length === 0) {
      throw new RangeError("TaskGraph.reduce: there are no futures to reduce");
    }
    while (level.length > 1) {
      const next: Future<Value>[] = [];
      for (let at = 0; at + 1 < level.length; at += 2) {
        const pair: [unknown, unknown] = [level[at], level[at + 1]];
        next.push(
          this.submit(f, ...pair as [Future<Value>, Future<Value>]) as Future<
            Value
          >,
        );
      }
      if (level.length % 2 === 1) next.push(level.at(-1)!);
      level = next;
    }
    return level[0]!;
  }

  /**
   * Puts a value where all calls find it.
   *
   * Typed arrays in it, as deep as arrays, plain objects, maps and sets go, are
   * copied to shared memory, once: calls see that memory, and should not write to it.
   * Anything else is copied for each call. Where workers share no memory
   * everything is.
   *
   * @param value The value.
   * @returns Stands for it.
   */
  scatter<Value>(value: Value): Future<Value> {
    const { sharesMemory } = this.#shared.executor;
    const task = this.#add("scatter", undefined, []);
    task.done(sharesMemory ? shareArrays(value) : value);
    return new Future(task);
  }

  /**
   * The results of futures.
   *
   * @param futures An array, record, map or set with futures in it, as deep as
   * you like.
   * @returns The same with results in their places.
   * @throws {TaskFailedError} The first failure, in time.
   */
  async gather<const Futures>(futures: Futures): Promise<Gathered<Futures>> {
    try {
      await Promise.all(tasksIn(futures).map((task) => task.ended));
    } catch (error) {
      showCaller(error, this.gather);
      throw error;
    }
    return withResults(futures) as Gathered<Futures>;
  }

  /**
   * Waits for futures, whether they succeed or not.
   *
   * @param futures Which ones.
   * @param options How many, and how long.
   * @returns Those that ended and those that did not.
   */
  async wait<Result>(
    futures: readonly Future<Result>[],
    options: GraphWaitOptions = {},
  ): Promise<WaitResult<Result>> {
    const operation = "TaskGraph.wait";
    checkOptions(operation, options, WAIT_OPTIONS);
    const { until = "all", timeoutMs } = options;
    if (!["all", "first", "firstFailure"].includes(until)) {
      throw new RangeError(
        `${operation}: until must be "all", "first" or "firstFailure": got ` +
          until,
      );
    }
    const ends = checkFutures(operation, futures).map((future) =>
      taskOf(future)!.ended
    );
    const any = ends.map((end) => end.then(() => {}, () => {}));
    const enough = ends.length === 0
      ? Promise.resolve()
      : until === "first"
      ? Promise.race(any)
      : until === "firstFailure"
      ? Promise.all(ends).then(() => {}, () => {})
      : Promise.all(any);
    await within(operation, enough.then(() => {}), timeoutMs, () => {});
    const isOver = (future: Future<Result>) => taskOf(future)!.isOver;
    return {
      done: futures.filter(isOver),
      pending: futures.filter((future) => !isOver(future)),
    };
  }

  /**
   * Futures as their tasks end, whether they succeed or not.
   *
   * @param futures Which ones.
   * @returns Each of them once.
   */
  async *asCompleted<Result>(
    futures: Iterable<Future<Result>>,
  ): AsyncGenerator<Future<Result>, void> {
    const ended: Future<Result>[] = [];
    let wake = () => {};
    let left = 0;
    const all = checkFutures("TaskGraph.asCompleted", futures);
    for (const future of new Set(all)) {
      left++;
      const onEnd = () => {
        ended.push(future);
        wake();
      };
      taskOf(future)!.ended.then(onEnd, onEnd);
    }
    for (; left > 0; left--) {
      while (ended.length === 0) {
        await new Promise<void>((resolve) => wake = resolve);
      }
      yield ended.shift()!;
    }
  }

  /**
   * Drops the tasks of futures and all that need their results; where they run
   * already, their workers are ended and replaced.
   *
   * @param futures Which ones.
   * @default futures all that have not ended
   * @param reason What `result()` gives as its cause.
   */
  cancel(futures?: Iterable<Future>, reason?: unknown): void {
    const tasks = futures === undefined
      ? [...this.#shared.open]
      : checkFutures("TaskGraph.cancel", futures).map((one) => taskOf(one)!);
    for (const task of tasks) {
      task.cancel(
        reason ??
          new DOMException(`${task.record.name} was cancelled`, "AbortError"),
      );
    }
  }

  /** Drops what has not ended. */
  [Symbol.dispose](): void {
    this.cancel();
  }

  /**
   * Draws the graph: tasks with what they took, where they ran and what held up
   * the end, and what each worker did when.
   *
   * @returns A page that needs nothing else.
   */
  async html(): Promise<string> {
    const { drawGraph } = await import("./_draw_graph.ts");
    return drawGraph(this.#shared.records);
  }

  #add(
    group: string,
    call: Task["call"],
    needs: readonly Task[],
  ): Task {
    const { records, counts, scheduler, open } = this.#shared;
    const count = (counts.get(group) ?? 0) + 1;
    counts.set(group, count);
    const record: TaskRecord = {
      id: records.length,
      name: `${group}-${count}`,
      group,
      needs: needs.map((need) => need.record)
        .filter((need) => records[need.id] === need) // not of another graph
        .map((need) => need.id),
      state: "waiting",
      startedAt: undefined,
      endedAt: undefined,
      worker: undefined,
      tries: 0,
    };
    records.push(record);
    const task = new Task(scheduler, record, call, needs);
    if (!task.isOver) open.add(task);
    return task;
  }
}

/** Futures, as plain JavaScript may not have passed them. */
function checkFutures<Result>(
  operation: string,
  futures: Iterable<Future<Result>>,
): Future<Result>[] {
  if (typeof Object(futures)[Symbol.iterator] !== "function") {
    throw new TypeError(
      `${operation}: expected futures in an array: got ${describe(futures)}`,
    );
  }
  return Array.from(futures, (future, at) => {
    if (taskOf(future)) return future;
    throw new TypeError(
      `${operation}: expected futures: got ${describe(future)} at ${at}`,
    );
  });
}
