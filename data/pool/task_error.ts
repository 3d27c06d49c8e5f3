/**
 * A function failed where it ran. `cause` is what it threw: an error with its
 * own name, message and the stack of the worker, or the value that was thrown.
 * Its own stack shows who awaits the call.
 */
export class TaskError extends Error {
  /** `TaskError`. */
  override readonly name: string = "TaskError";
  /** Which item of the map it was; 0 for a single call. */
  readonly index: number;

  /** Of the item at `index`. */
  constructor(message: string, index: number, cause: unknown) {
    super(message, { cause });
    this.index = index;
    // This one would show how the pool heard of it.
    this.stack = `${this.name}: ${message}`;
  }
}
