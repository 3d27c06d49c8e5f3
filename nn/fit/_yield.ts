/**
 * Letting the event loop live during a long loop.
 *
 * @module
 */

/** Milliseconds between two turns of the event loop. */
const EVERY_MS = 50;

/**
 * One turn lets timers and most signals through, but sockets are polled every
 * 61st turn only (Deno 2.9). 64 turns take 0.1 ms, `setTimeout(0)` 2 ms.
 */
const TURNS = 64;

const { setImmediate } = globalThis as {
  readonly setImmediate?: (f: () => void) => unknown;
};

/** Tells when the event loop is due. */
export class Breath {
  #last: number = performance.now();

  /** Whether it is time. */
  get isDue(): boolean {
    return performance.now() - this.#last >= EVERY_MS;
  }

  /** Lets timers, signals and servers run. */
  async take(): Promise<void> {
    if (setImmediate) {
      for (let turn = 0; turn < TURNS; turn++) {
        await new Promise<void>((resolve) => setImmediate(resolve));
      }
    } else await new Promise<void>((resolve) => setTimeout(resolve));
    this.#last = performance.now();
  }
}
