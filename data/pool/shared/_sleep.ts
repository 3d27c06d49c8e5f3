import { checkOptions } from "../_check_options.ts";
import type { BlockOptions, WaitOptions } from "./wait_options.ts";

/**
 * How long a thread sleeps at a stretch. One that sleeps cannot be terminated,
 * and looks after what no other thread may be alive to tell it.
 */
export const SLICE_MS = 25;

/** How a sleep ended. */
export type Awakening = "ok" | "not-equal" | "timed-out";

/** A moment after which a call gives up. */
export class Deadline {
  readonly #operation: string;
  readonly #timeoutMs: number;
  readonly #at: number;

  constructor(operation: string, options: WaitOptions) {
    checkOptions(operation, options, { timeoutMs: true, signal: true });
    const { timeoutMs = Infinity } = options;
    if (typeof timeoutMs !== "number" || !(timeoutMs >= 0)) {
      throw new RangeError(
        `${operation}: timeoutMs must be a number from 0: got ${timeoutMs}`,
      );
    }
    this.#operation = operation;
    this.#timeoutMs = timeoutMs;
    this.#at = performance.now() + timeoutMs;
  }

  /** How long to sleep until things are looked at again; throws when over. */
  slice(): number {
    const left = this.#at - performance.now();
    if (left > 0) return Math.min(left, SLICE_MS);
    throw new DOMException(
      `${this.#operation}: not possible within ${this.#timeoutMs} ms`,
      "TimeoutError",
    );
  }
}

/** Blocks the thread while a word has a value. */
export function sleepSync(
  operation: string,
  words: Int32Array,
  index: number,
  value: number,
  ms: number,
): Awakening {
  try {
    return Atomics.wait(words, index, value, ms);
  } catch (cause) {
    throw new TypeError(
      `${operation}: this thread may not block: await ` +
        `${operation.replace("Sync", "")} instead`,
      { cause },
    );
  }
}

/** Waits while a word has a value, and keeps the program alive meanwhile. */
export async function sleep(
  words: Int32Array,
  index: number,
  value: number,
  ms: number,
  signal: AbortSignal | undefined,
): Promise<Awakening> {
  const wait = Atomics.waitAsync(words, index, value, ms);
  if (!wait.async) return wait.value;
  // Neither the waiting nor its timeout keeps the event loop alive.
  const alive = setInterval(() => {}, 2 ** 30);
  try {
    return await (signal === undefined
      ? wait.value
      : untilAborted(wait.value, signal));
  } finally {
    clearInterval(alive);
  }
}

async function untilAborted<T>(
  value: Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  signal.throwIfAborted();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([value, promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/**
 * Blocks until `done` gives something other than undefined; it is asked again
 * whenever the word changed and was notified, and now and then.
 */
export function waitForSync<T>(
  operation: string,
  words: Int32Array,
  index: number,
  done: (value: number) => T | undefined,
  options: BlockOptions,
): T {
  const deadline = new Deadline(operation, options);
  for (;;) {
    const value = Atomics.load(words, index);
    const result = done(value);
    if (result !== undefined) return result;
    sleepSync(operation, words, index, value, deadline.slice());
  }
}

/** As {@linkcode waitForSync}, without blocking. */
export async function waitFor<T>(
  operation: string,
  words: Int32Array,
  index: number,
  done: (value: number) => T | undefined,
  options: BlockOptions & { readonly signal?: AbortSignal | undefined },
): Promise<T> {
  const { signal } = options;
  const deadline = new Deadline(operation, options);
  for (;;) {
    const value = Atomics.load(words, index);
    const result = done(value);
    if (result !== undefined) return result;
    signal?.throwIfAborted();
    await sleep(words, index, value, deadline.slice(), signal);
  }
}
