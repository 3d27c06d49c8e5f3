/**
 * What a worker's own pools must know: each module of a task may ask.
 *
 * @module
 */

interface WorkerScope {
  /** The module that is being loaded for a call. */
  importing: string | undefined;
}

let scope: WorkerScope | undefined;

/** Marks this thread as a worker of a pool. */
export function enterWorker(): WorkerScope {
  return scope ??= { importing: undefined };
}

/** Set in a worker of a pool. */
export function workerScope(): WorkerScope | undefined {
  return scope;
}
