/**
 * Where a worker thread begins.
 *
 * @module
 */
import { fromFrame, toFrame } from "./_frames.ts";
import type { ToWorker } from "./_messages.ts";
import { serve } from "./_serve.ts";

/** What starts a thread. */
export interface ThreadStart {
  readonly port: MessagePort;
  /** Held as long as the thread is there. */
  readonly trap: MessagePort;
  /** One word: how many messages the thread has sent. */
  readonly sent: Int32Array;
  /** See `_board.ts`. */
  readonly board: Int32Array;
  /** Messages are frames: the thread stands behind a pipe. */
  readonly framed: boolean;
}

/** What the types of a window do not have. */
const scope = globalThis as unknown as {
  onmessage: ((event: MessageEvent<ThreadStart>) => void) | null;
};

scope.onmessage = ({ data }) => {
  scope.onmessage = null; // the rest goes through the port
  const { port, trap, sent, board, framed } = data;
  trap.start();
  const post = (message: unknown, transfer: Transferable[]) => {
    // Before, so that the other side never takes the last one for missing.
    Atomics.add(sent, 0, 1);
    try {
      port.postMessage(message, transfer);
    } catch (error) {
      Atomics.sub(sent, 0, 1);
      throw error;
    }
  };
  const receive = serve(
    framed
      ? (message) => {
        const frame = toFrame(message);
        post(frame, [frame.buffer]);
      }
      : post,
    board,
  );
  port.onmessage = ({ data }: MessageEvent) =>
    receive((framed ? fromFrame(data) : data) as ToWorker);
};
