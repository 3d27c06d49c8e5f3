import { AsyncResult } from "./async_result.ts";
import type { CallOptions, Executor } from "./executor.ts";
import { checkRemote, type RemoteReference } from "./remote.ts";
import { TaskError } from "./task_error.ts";

/** How a {@linkcode Pool} is made. */
export interface WorkerPoolOptions {
  /**
   * How many workers run at the same time.
   * @default navigator.hardwareConcurrency
   */
  readonly workers?: number;
}

interface Call {
  readonly index: number;
  readonly f: RemoteReference;
  readonly args: readonly unknown[];
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

/** Workers that run functions of modules. */
export class Pool implements Executor, AsyncDisposable {
  /** How many workers run at the same time. */
  readonly size: number;
  readonly #idle: Worker[] = [];
  readonly #queue: Call[] = [];

  /** Starts the workers. */
  constructor(
    { workers = navigator.hardwareConcurrency }: WorkerPoolOptions = {},
  ) {
    this.size = workers;
    for (let i = 0; i < workers; i++) {
      this.#idle.push(
        new Worker(new URL("./_worker.ts", import.meta.url), {
          type: "module",
        }),
      );
    }
  }

  /** Runs a function once. */
  apply<Args extends unknown[], Result>(
    f: RemoteReference<Args, Result>,
    args: Args,
    options: CallOptions = {},
  ): Promise<Awaited<Result>> {
    checkRemote("Pool.apply", f);
    options.signal?.throwIfAborted();
    return this.#call(f, args, 0);
  }

  /** Runs a function once; the call can be asked how far it is. */
  applyAsync<Args extends unknown[], Result>(
    f: RemoteReference<Args, Result>,
    args: Args,
    options: CallOptions = {},
  ): AsyncResult<Awaited<Result>> {
    return new AsyncResult(this.apply(f, args, options));
  }

  /** Runs a function on every item; results in the order of the items. */
  map<Item, Result>(
    f: RemoteReference<[item: Item], Result>,
    items: Iterable<Item>,
  ): Promise<Awaited<Result>[]> {
    checkRemote("Pool.map", f);
    return Promise.all(
      Array.from(items, (item, index) => this.#call(f, [item], index)),
    );
  }

  #call<Args extends unknown[], Result>(
    f: RemoteReference<Args, Result>,
    args: Args,
    index: number,
  ): Promise<Awaited<Result>> {
    return new Promise<Awaited<Result>>((resolve, reject) => {
      this.#queue.push({
        index,
        f: f as unknown as RemoteReference,
        args,
        resolve: resolve as (value: unknown) => void,
        reject,
      });
      this.#pump();
    });
  }

  #pump(): void {
    while (this.#idle.length > 0 && this.#queue.length > 0) {
      const worker = this.#idle.pop()!;
      const { f, args, index, resolve, reject } = this.#queue.shift()!;
      worker.onmessage = ({ data }) => {
        this.#idle.push(worker);
        if ("error" in data) {
          reject(
            new TaskError(`${f.exportName}: ${data.error}`, index, data.error),
          );
        } else resolve(data.value);
        this.#pump();
      };
      worker.postMessage({
        moduleUrl: f.moduleUrl,
        exportName: f.exportName,
        args,
      });
    }
  }

  /** Ends the workers. */
  [Symbol.asyncDispose](): Promise<void> {
    for (const worker of this.#idle) worker.terminate();
    return Promise.resolve();
  }
}
