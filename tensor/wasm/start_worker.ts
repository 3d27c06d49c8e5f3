/**
 * Workers of Deno, Node and browsers.
 *
 * @module
 */

import { serve, type WorkerStart } from "./threads_worker.ts";

/** A running worker. */
export interface Thread {
  /** Ends it at once. */
  terminate(): unknown;
}

interface NodeWorker extends Thread {
  unref(): void;
  on(event: "error", listener: (error: unknown) => void): void;
}

interface WorkerThreads {
  readonly Worker: new (
    code: string,
    options: {
      eval: true;
      workerData: WorkerStart;
      env: Readonly<Record<string, string>>;
    },
  ) => NodeWorker;
}

/**
 * A worker of Deno or Node that does not keep the process alive, or one of a
 * browser. Its code is text: no file is read.
 */
export function startWorker(
  start: WorkerStart,
  onError: (reason: string) => void,
): Thread {
  const { process } = globalThis as {
    process?: { getBuiltinModule?: (name: string) => unknown };
  };
  const node = process?.getBuiltinModule?.("node:worker_threads") as
    | WorkerThreads
    | undefined;
  if (node) {
    const code = `(${serve})(require("node:worker_threads").workerData);`;
    const worker = new node.Worker(code, {
      eval: true,
      workerData: start,
      // Else it copies the environment: Deno then asks whether it may.
      env: {},
    });
    worker.on("error", (error) => onError(`a worker failed: ${error}`));
    worker.unref();
    return worker;
  }
  const code = `onmessage = ({ data }) => { (${serve})(data); close(); };`;
  const url = URL.createObjectURL(
    new Blob([code], { type: "text/javascript" }),
  );
  const worker = new Worker(url);
  worker.onerror = (event) => onError(`a worker failed: ${event.message}`);
  worker.postMessage(start);
  URL.revokeObjectURL(url);
  return worker;
}

/** Resolves after the event loop has had a turn, without a timer. */
export function macrotask(): Promise<void> {
  const { port1, port2 } = new MessageChannel();
  return new Promise((resolve) => {
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(0);
  });
}
