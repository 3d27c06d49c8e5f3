import { MessageChannel } from "node:worker_threads";
import type { FromWorker } from "./_messages.ts";
import type { Host, HostEnd } from "./_host.ts";

/**
 * How long a terminated thread may take to end. One in a long loop takes until
 * its function returns: Deno does not interrupt it.
 */
const CLOSE_MS = 500;

/**
 * Starts a worker thread.
 *
 * Whichever way a thread ends, its port closes, after the last message. Only
 * the port of Node says so, and it says so at once.
 */
export function startThread(onMessage: (message: FromWorker) => void): Host {
  const worker = new Worker(new URL("./_thread_worker.ts", import.meta.url), {
    type: "module",
  });
  const { port1, port2 } = new MessageChannel();
  const { promise: ended, resolve } = Promise.withResolvers<HostEnd>();
  let end: HostEnd = { how: "ended without a word", exitCode: 1 };
  const finish = () => {
    worker.terminate();
    port1.close();
    clearTimeout(timer);
    resolve(end);
  };
  let timer: ReturnType<typeof setTimeout> | undefined;
  const terminate = () => {
    worker.terminate();
    timer ??= setTimeout(finish, CLOSE_MS);
  };
  port1.on("message", onMessage);
  port1.on("close", finish);
  worker.onerror = (event) => {
    event.preventDefault();
    end = { how: event.message, exitCode: 1 };
    terminate();
  };
  worker.postMessage(port2, [port2 as unknown as Transferable]);
  return {
    post: (message, transfer) =>
      port1.postMessage(
        message,
        transfer as Parameters<typeof port1.postMessage>[1],
      ),
    terminate,
    ended,
  };
}
