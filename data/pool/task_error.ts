/**
 * A function threw where it ran. `cause` is what it threw: an error with its
 * own name, message and the stack of the worker.
 */
export class TaskError extends Error {
  /** `TaskError`. */
  override readonly name: string = "TaskError";
  /** Which item of the map it was; 0 for a single call. */
  readonly index: number;

  /** Names the function and the item in `message`. */
  constructor(message: string, index: number, cause: unknown) {
    super(message, { cause });
    this.index = index;
  }
}
