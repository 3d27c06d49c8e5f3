import type { ToThread } from "./thread.ts";

/** A worker that runs one of the functions of `thread.ts`. */
export interface Thread extends Disposable {
  /** What the function returned, or threw as `name: message`. */
  readonly result: Promise<unknown>;
  terminate(): void;
}

/** Starts a worker with a function of `thread.ts`, by plain messages. */
export function start(
  name: ToThread["name"],
  ...args: readonly unknown[]
): Thread {
  const worker = new Worker(new URL("./thread.ts", import.meta.url), {
    type: "module",
  });
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  worker.onmessage = ({ data }) =>
    "error" in data ? reject(new Error(data.error)) : resolve(data.value);
  worker.onerror = (event) => {
    event.preventDefault();
    reject(new Error(event.message));
  };
  promise.catch(() => {});
  worker.postMessage({ name, args });
  const terminate = () => worker.terminate();
  return { result: promise, terminate, [Symbol.dispose]: terminate };
}

/** Waits until `condition` holds. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
}
