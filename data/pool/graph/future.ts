import { checkOptions } from "../_check_options.ts";
import { showCaller } from "../_show_caller.ts";
import { keepHere } from "../_not_sendable.ts";
import { within } from "../_within.ts";
import type { Task, TaskState } from "./_task.ts";

/**
 * The result of a task that may not have run yet: what `submit()` returns, and
 * what other calls take as an argument in its place.
 *
 * The result is kept as long as the future is, or a task needs it.
 *
 * @typeParam Result What the task gives.
 */
export class Future<Result = unknown> {
  readonly #task: Task;
  /** Only for the type checker; there is nothing at run time. */
  declare readonly type?: Result;

  /** Made by a graph. */
  constructor(task: Task) {
    this.#task = task;
    tasks.set(this, task);
    keepHere(this, "await its result(), or submit() the call to its graph");
  }

  /** The name of the function, with a number. */
  get name(): string {
    return this.#task.record.name;
  }

  /** How far the task is. */
  get state(): TaskState {
    return this.#task.state;
  }

  /**
   * The result.
   *
   * @param options `timeoutMs`: how long to wait at most; the task goes on.
   * @returns What the function returned.
   * @throws {TaskFailedError} If this task, or one that it needs, failed or was
   * cancelled.
   * @throws {DOMException} `TimeoutError`, if it took too long.
   */
  async result(
    options: { readonly timeoutMs?: number } = {},
  ): Promise<Result> {
    checkOptions("Future.result", options, { timeoutMs: true });
    const { timeoutMs } = options;
    const ended = this.#task.ended as Promise<Result>;
    try {
      return await within("Future.result", ended, timeoutMs, () => {
        throw new DOMException(
          `Future.result: ${this.name} took more than ${timeoutMs} ms`,
          "TimeoutError",
        );
      });
    } catch (error) {
      showCaller(error, this.result);
      throw error;
    }
  }

  /**
   * Drops the task, and all that need its result; where it runs already, its
   * worker is ended and replaced.
   *
   * @param reason What `result()` gives as its cause.
   * @returns Whether it had not ended before.
   */
  cancel(
    reason: unknown = new DOMException(
      `${this.name} was cancelled`,
      "AbortError",
    ),
  ): boolean {
    return this.#task.cancel(reason);
  }
}

const tasks = new WeakMap<object, Task>();

/** The task behind a future; none behind anything else. */
export function taskOf(value: unknown): Task | undefined {
  return typeof value === "object" && value !== null
    ? tasks.get(value)
    : undefined;
}
