/**
 * Stopping a long loop from the keyboard, and letting the event loop live
 * while it runs.
 *
 * @module
 */
import { setImmediate } from "node:timers";

/** Ways to replace the process in tests. */
export interface StopHost {
  listen(signal: Deno.Signal, handler: () => void): void;
  unlisten(signal: Deno.Signal, handler: () => void): void;
  exit(code: number): void;
}

/** What {@linkcode StopRequest} does besides setting its flag. */
export interface StopOptions {
  /** Called once, at the first signal, say to print what happens now. */
  readonly onRequest?: (signal: Deno.Signal) => void;
  /** Replaces the process. */
  readonly host?: StopHost;
}

/** Codes of shells for a process that a signal ended: 128 + its number. */
const EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const;

/**
 * Listens for Ctrl-C and SIGTERM until it is disposed. The first one asks the
 * loop to stop, the second ends the process at once.
 *
 * The handlers run only when the loop gives the event loop a turn: see
 * {@linkcode yieldToEventLoop}.
 *
 * @example A loop that saves when it is asked to stop
 * ```ts ignore
 * using stop = new StopRequest({ onRequest: () => progress.log("saving …") });
 * for (const batch of batches) {
 *   step(batch);
 *   await yieldToEventLoop();
 *   if (stop.requested) break;
 * }
 * await save();
 * ```
 */
export class StopRequest implements Disposable {
  /** The signal that came, if one did. */
  signal: Deno.Signal | undefined;
  /** Resolves at the first signal; never rejects. */
  readonly promise: Promise<Deno.Signal>;
  readonly #host: StopHost;
  readonly #handlers: [Deno.Signal, () => void][] = [];

  constructor({ onRequest, host = PROCESS }: StopOptions = {}) {
    this.#host = host;
    const { promise, resolve } = Promise.withResolvers<Deno.Signal>();
    this.promise = promise;
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      const handler = () => {
        if (this.signal !== undefined) return host.exit(EXIT_CODES[signal]);
        this.signal = signal;
        resolve(signal);
        onRequest?.(signal);
      };
      try {
        host.listen(signal, handler);
        this.#handlers.push([signal, handler]);
      } catch {
        // Windows has no SIGTERM to listen for.
      }
    }
  }

  /** Whether the loop should stop. */
  get requested(): boolean {
    return this.signal !== undefined;
  }

  /** Gives the signals back their usual meaning. */
  [Symbol.dispose](): void {
    for (const [signal, handler] of this.#handlers.splice(0)) {
      this.#host.unlisten(signal, handler);
    }
  }
}

const PROCESS: StopHost = {
  listen: (signal, handler) => Deno.addSignalListener(signal, handler),
  unlisten: (signal, handler) => Deno.removeSignalListener(signal, handler),
  exit: (code) => Deno.exit(code),
};

/**
 * One turn lets timers and most signals through, but sockets are polled every
 * 61st turn only (Deno 2.9). 64 turns take 0.1 ms; `setTimeout(0)` 2.2 ms; a
 * `MessageChannel` message is quick, but lets no timer through.
 */
const TURNS = 64;

let lastYield = performance.now();

/**
 * Lets timers, signals and servers run, if `everyMs` have passed since they
 * last could. To be awaited in each turn of a loop; costs next to nothing when
 * it is not yet time.
 *
 * @param everyMs Milliseconds between two turns; 0 always yields. @default 50
 */
export async function yieldToEventLoop(everyMs = 50): Promise<void> {
  if (performance.now() - lastYield < everyMs) return;
  for (let turn = 0; turn < TURNS; turn++) {
    await new Promise<void>((resolve) => setImmediate(() => resolve()));
  }
  lastYield = performance.now();
}
