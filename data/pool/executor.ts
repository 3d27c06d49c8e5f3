import type { RemoteReference } from "./remote.ts";

/** How one call runs. */
export interface CallOptions {
  /** Drops the call, or ends it where it runs. */
  readonly signal?: AbortSignal;
}

/**
 * What runs functions elsewhere: a {@linkcode Pool} here, several machines by
 * another implementation. Task graphs and {@linkcode parallel} ask for no more.
 */
export interface Executor {
  /** How many calls run at the same time. */
  readonly size: number;
  /**
   * Runs a function once.
   *
   * @returns What it returned, awaited.
   */
  apply<Args extends unknown[], Result>(
    f: RemoteReference<Args, Result>,
    args: Args,
    options?: CallOptions,
  ): Promise<Awaited<Result>>;
}
