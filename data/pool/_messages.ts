/**
 * What a pool and its workers say to each other.
 *
 * @module
 */

import type { WireError } from "./_wire_error.ts";

/** Items or results of a chunk; numbers alone travel as one typed array. */
export type Packed = ArrayLike<unknown>;

/** A function by name, and what it is called with. */
export interface WireCall {
  readonly moduleUrl: string;
  readonly exportName: string;
  readonly args: readonly unknown[];
}

/** The first message to a worker. */
export interface StartMessage {
  readonly type: "start";
  /** Called before any item. */
  readonly initializer: WireCall | undefined;
  /** Sends each result at once: the worker may end without a word. */
  readonly sendEach: boolean;
}

/** Items to run. */
export interface ChunkMessage {
  readonly type: "chunk";
  /** From 1 on, without gaps. */
  readonly id: number;
  readonly moduleUrl: string;
  readonly exportName: string;
  /** Items are lists of arguments. */
  readonly spread: boolean;
  readonly items: Packed;
  /** Nobody wants the results. */
  readonly silent?: boolean;
}

/** Messages to a worker. */
export type ToWorker = StartMessage | ChunkMessage;

/** The worker may be sent chunks. */
export interface ReadyMessage {
  readonly type: "ready";
}

/** The initializer failed, or a function cannot be loaded. */
export interface UnusableMessage {
  readonly type: "unusable";
  /** The chunk that asked for the function; the initializer has none. */
  readonly id: number | undefined;
  readonly error: WireError;
}

/** Results of the next items of a chunk, in order. */
export interface ResultsMessage {
  readonly type: "results";
  readonly id: number;
  readonly values: Packed;
  /** With the last ones. */
  readonly done?: ChunkDone;
}

/** How a chunk went. */
export interface ChunkDone {
  /** Time spent in the function. */
  readonly busyMs: number;
  /** The function gave a promise. */
  readonly asynchronous: boolean;
}

/** The next item of a chunk threw, or gave what cannot be sent. */
export interface ErrorMessage {
  readonly type: "error";
  readonly id: number;
  readonly error: WireError;
}

/** The worker is about to end by itself. */
export interface DyingMessage {
  readonly type: "dying";
  readonly how: string;
  readonly exitCode: number;
  /** Set while that module is being loaded. */
  readonly importing: string | undefined;
  /** The chunk that was running. */
  readonly id: number | undefined;
  readonly error?: WireError;
}

/** What was left of a chunk when it was cut. */
export interface CutMessage {
  readonly type: "cut";
  readonly id: number;
  /** See `cut()` in `_board.ts`. */
  readonly from: number;
}

/** Messages from a worker, or from what hosts it. */
export type FromWorker =
  | ReadyMessage
  | UnusableMessage
  | ResultsMessage
  | ErrorMessage
  | DyingMessage
  | CutMessage;
