/** How a worker ended that was running an item. */
export interface WorkerDeath {
  /** Which item of the map it was; 0 for a single call. */
  readonly index: number;
  /** How many workers ended while they ran it. */
  readonly attempts: number;
  /** As passed to `Deno.exit()`; 128 + n for a signal. */
  readonly exitCode: number;
  /** The uncaught error, if it was one. */
  readonly cause?: unknown;
}

/**
 * Workers ended while they ran an item, at the second try as at the first:
 * by `Deno.exit()`, `close()`, an uncaught error in a timer, memory that ran
 * out.
 */
export class WorkerDiedError extends Error {
  /** `WorkerDiedError`. */
  override readonly name: string = "WorkerDiedError";
  /** Which item of the map it was; 0 for a single call. */
  readonly index: number;
  /** How many workers ended while they ran it. */
  readonly attempts: number;
  /** As passed to `Deno.exit()`; 128 + n for a signal. */
  readonly exitCode: number;

  /** With what is known of it. */
  constructor(message: string, death: WorkerDeath) {
    super(message, death.cause === undefined ? {} : { cause: death.cause });
    this.index = death.index;
    this.attempts = death.attempts;
    this.exitCode = death.exitCode;
  }
}
