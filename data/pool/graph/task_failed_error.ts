/**
 * A task failed or was cancelled, or one whose result it needs. `cause` is what
 * the first of them failed with.
 */
export class TaskFailedError extends Error {
  /** `TaskFailedError`. */
  override readonly name: string = "TaskFailedError";
  /** The tasks from the one that failed to the one that was asked for. */
  readonly path: readonly string[];

  /** Of the last task in `path`. */
  constructor(path: readonly string[], cause: unknown) {
    const why = cause instanceof Error
      ? `${cause.name}: ${cause.message}`
      : String(cause);
    super(`${path.join(" -> ")}: ${path[0]} failed: ${why}`, { cause });
    this.path = path;
  }
}
