import { TaskFailedError } from "./graph/task_failed_error.ts";
import { TaskError } from "./task_error.ts";
import { WorkerDiedError } from "./worker_died_error.ts";

/**
 * Gives an error of a call the stack of those who await it. Its own shows how
 * this thread heard of it.
 *
 * @param below The function that awaited it first; the stack begins below.
 */
export function showCaller(
  error: unknown,
  below: (...args: never[]) => unknown,
): void {
  if (
    error instanceof TaskError || error instanceof WorkerDiedError ||
    error instanceof TaskFailedError
  ) Error.captureStackTrace(error, below);
}
