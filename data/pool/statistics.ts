/** What one worker did, over all that stood in its place. */
export interface WorkerStatistics {
  /** Items that it ran. */
  readonly items: number;
  /** Messages in which they came. */
  readonly chunks: number;
  /** Time spent in functions, in ms. */
  readonly busyMs: number;
  /** How many workers died in this place. */
  readonly deaths: number;
}

/** What a pool did so far. */
export interface PoolStatistics {
  /** Items that ended, with a result or an error. */
  readonly items: number;
  /** Of those, run in the calling thread because that was faster. */
  readonly itemsInCaller: number;
  /** Time spent on those, in ms. */
  readonly callerMs: number;
  /** Messages with items that were sent to workers. */
  readonly chunks: number;
  /** Items that ended with an error. */
  readonly failed: number;
  /** Items that were begun again since their worker died. */
  readonly retried: number;
  /** Workers that died by themselves. */
  readonly deaths: number;
  /** Workers started in place of others: died, stopped or worn out. */
  readonly restarts: number;
  /** One a worker. */
  readonly workers: readonly WorkerStatistics[];
}
