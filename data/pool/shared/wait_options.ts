/** How long a call that blocks its thread waits. */
export interface BlockOptions {
  /**
   * How long to wait at most, in milliseconds.
   *
   * @default no limit
   */
  readonly timeoutMs?: number | undefined;
}

/** How long an asynchronous call waits. */
export interface WaitOptions extends BlockOptions {
  /** Ends the waiting. */
  readonly signal?: AbortSignal | undefined;
}
