import { findFunction } from "./_find_function.ts";
import { summary } from "./_wire_error.ts";
import type { CallOptions, Executor } from "./executor.ts";
import { checkRemote, type RemoteReference } from "./remote.ts";
import { TaskError } from "./task_error.ts";

/** Runs calls in the calling thread, one after the other. */
export class InlineExecutor implements Executor {
  readonly size = 1;
  readonly sharesMemory = true;
  #turn: Promise<unknown> = Promise.resolve();

  apply<Args extends unknown[], Result>(
    f: RemoteReference<Args, Result>,
    args: Args,
    { signal, index = 0 }: CallOptions = {},
  ): Promise<Awaited<Result>> {
    const { moduleUrl, exportName } = checkRemote("parallel", f);
    const result = this.#turn.then(async (): Promise<Awaited<Result>> => {
      signal?.throwIfAborted();
      const found = await findFunction(moduleUrl, exportName);
      try {
        return (await found(...args)) as Awaited<Result>;
      } catch (error) {
        throw new TaskError(
          `${exportName}: item ${index}: ${summary(error)}`,
          index,
          error,
        );
      }
    });
    this.#turn = result.catch(() => {});
    return result as Promise<Awaited<Result>>;
  }
}
