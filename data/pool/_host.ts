import type { FromWorker, ToWorker } from "./_messages.ts";

/** Where one worker runs. */
export interface Host {
  /**
   * Sends it a message.
   *
   * @throws {DOMException} If the message cannot be cloned.
   */
  post(message: ToWorker, transfer: Transferable[]): void;
  /** Cuts a chunk, whatever the worker does; a message says what was left. */
  cut(id: number): void;
  /** Its board, if this process sees it. */
  readonly board: Int32Array | undefined;
  /** Ends it at once, whatever it does. */
  terminate(): void;
  /**
   * Resolves, after the last message, with why it ended by itself as far as
   * its host knows.
   */
  readonly ended: Promise<HostEnd>;
}

/** How a host ended. */
export interface HostEnd {
  readonly how: string;
  readonly exitCode: number;
}

/** Starts a host. */
export type StartHost = (onMessage: (message: FromWorker) => void) => Host;
