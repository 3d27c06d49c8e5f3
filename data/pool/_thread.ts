import { MessageChannel as NodeChannel } from "node:worker_threads";
import { cut, makeBoard } from "./_board.ts";
import type { Host, HostEnd } from "./_host.ts";
import type { FromWorker, ToWorker } from "./_messages.ts";
import type { ThreadStart } from "./_thread_worker.ts";

/**
 * How long a terminated thread may take to end. One in a long loop takes until
 * its function returns: Deno does not interrupt it.
 */
const CLOSE_MS = 500;

/** How long the last messages of a thread may take. */
const LAST_MESSAGE_MS = 250;

/** A worker thread; messages are values, or frames for one behind a pipe. */
export interface Thread<Outgoing> {
  /** Sends it a message. */
  post(message: Outgoing, transfer: Transferable[]): void;
  /** The words that are shared with it. */
  readonly board: Int32Array;
  /** Ends it. */
  terminate(): void;
  /** Resolves when it ended, after its last message. */
  readonly ended: Promise<HostEnd>;
}

/** Starts a worker thread as the host of a worker. */
export function startThread(onMessage: (message: FromWorker) => void): Host {
  const thread = openThread<FromWorker, ToWorker>(false, onMessage);
  return {
    ...thread,
    cut: (id) => {
      const from = cut(thread.board, id);
      // Not at once, as from a process: whoever cuts is amid something.
      queueMicrotask(() => onMessage({ type: "cut", id, from }));
    },
  };
}

/**
 * Starts a worker thread.
 *
 * Whichever way a thread ends, a port of Node that it held says so, at once.
 * Messages take a port of the web: Node's looks at each element of a typed
 * array that it receives.
 *
 * @param framed Its messages are frames.
 */
export function openThread<Incoming, Outgoing>(
  framed: boolean,
  onMessage: (message: Incoming) => void,
): Thread<Outgoing> {
  const worker = new Worker(new URL("./_thread_worker.ts", import.meta.url), {
    type: "module",
  });
  const { port1: port, port2: farPort } = new MessageChannel();
  const trap = new NodeChannel();
  const farTrap = trap.port2 as unknown as MessagePort;
  const sent = new Int32Array(new SharedArrayBuffer(4));
  const board = makeBoard();
  const { promise: ended, resolve } = Promise.withResolvers<HostEnd>();
  let end: HostEnd = { how: "an end without a word", exitCode: 1 };
  let timer: ReturnType<typeof setTimeout> | undefined;
  let received = 0;
  let gone = false;

  const finish = () => {
    clearTimeout(timer);
    worker.terminate();
    port.close();
    trap.port1.close();
    resolve(end);
  };
  const terminate = () => {
    worker.terminate();
    if (!gone) timer ??= setTimeout(finish, CLOSE_MS);
  };
  port.onmessage = ({ data }: MessageEvent<Incoming>) => {
    received++;
    onMessage(data);
    if (gone && received === Atomics.load(sent, 0)) finish();
  };
  trap.port1.on("close", () => {
    if (gone) return;
    gone = true;
    clearTimeout(timer);
    // One that never said anything may still get an error event.
    if (received > 0 && received === Atomics.load(sent, 0)) finish();
    else timer = setTimeout(finish, LAST_MESSAGE_MS);
  });
  trap.port1.on("message", () => {}); // else it does not listen
  worker.onerror = (event) => {
    event.preventDefault();
    end = { how: event.message, exitCode: 1 };
    if (gone) finish();
    else terminate();
  };
  const start: ThreadStart = {
    port: farPort,
    trap: farTrap,
    sent,
    board,
    framed,
  };
  worker.postMessage(start, [farPort, farTrap]);
  return {
    post: (message, transfer) => port.postMessage(message, transfer),
    board,
    terminate,
    ended,
  };
}
