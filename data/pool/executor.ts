import type { RemoteReference } from "./remote.ts";

/** How one call runs. */
export interface CallOptions {
  /**
   * Drops the call; where it runs already, its worker is ended and replaced.
   */
  readonly signal?: AbortSignal;
  /**
   * The number by which errors name the call.
   * @default 0
   */
  readonly index?: number;
  /**
   * What errors call the call.
   * @default the name of the function, and the index
   */
  readonly name?: string;
}

/**
 * What runs functions elsewhere: a {@linkcode Pool} here, several machines by
 * another implementation. Task graphs and {@linkcode parallel} ask for no more.
 */
export interface Executor {
  /** How many calls run at the same time. */
  readonly size: number;
  /**
   * Whether calls see shared memory of this thread.
   * @default false
   */
  readonly sharesMemory?: boolean;
  /**
   * Runs a function once. Calls that wait may travel together.
   *
   * @returns What it returned, awaited.
   */
  apply<Args extends unknown[], Result>(
    f: RemoteReference<Args, Result>,
    args: Args,
    options?: CallOptions,
  ): Promise<Awaited<Result>>;
}
