/** Tasks from the one that failed to one that needs it, last one first. */
export interface FailurePath {
  /** The last one. */
  readonly name: string;
  /** The way to it. */
  readonly before: FailurePath | undefined;
  /** The one that failed. */
  readonly origin: string;
  /** How many there are. */
  readonly length: number;
}

/** A message names so many of the last tasks. */
const SHOWN = 10;

/**
 * A task failed or was cancelled, or one whose result it needs. `cause` is what
 * the first of them failed with.
 */
export class TaskFailedError extends Error {
  /** `TaskFailedError`. */
  override readonly name: string = "TaskFailedError";
  readonly #path: FailurePath;

  /** Made by a graph. */
  constructor(path: FailurePath, cause: unknown) {
    const why = cause instanceof Error
      ? `${cause.name}: ${cause.message}`
      : String(cause);
    super(`${shortText(path)}: ${path.origin} failed: ${why}`, { cause });
    this.#path = path;
  }

  /** The tasks from the one that failed to the one that was asked for. */
  get path(): readonly string[] {
    return namesOf(this.#path, Infinity);
  }
}

function namesOf(path: FailurePath, most: number): string[] {
  const names: string[] = [];
  let at: FailurePath | undefined = path;
  for (; at && names.length < most; at = at.before) names.push(at.name);
  return names.reverse();
}

function shortText(path: FailurePath): string {
  const names = namesOf(path, SHOWN);
  const left = path.length - names.length - 1; // the first one is named anyway
  if (left > 0) names.unshift(`... ${left} more ...`);
  if (left >= 0) names.unshift(path.origin);
  return names.join(" -> ");
}
