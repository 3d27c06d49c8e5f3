/**
 * Batches, one ahead.
 *
 * @module
 */

import type { BatchLoader } from "./options.ts";

type Given<Batch> = IteratorResult<Batch, unknown>;

/** Takes batches from a loader, one before it is needed. */
export class Batches<Batch> {
  readonly #loader: BatchLoader<Batch>;
  readonly #signal: AbortSignal | undefined;
  #iterator: Iterator<Batch> | AsyncIterator<Batch> | undefined;
  #ahead: Promise<Given<Batch>> | undefined;
  /** Where the loader stood before the batch ahead. */
  #state: unknown;
  /** Ends the wait for a batch. */
  #abort: ((reason: unknown) => void) | undefined;

  /**
   * Begins nothing yet.
   *
   * @throws {TypeError} If the loader is no iterable.
   */
  constructor(
    operation: string,
    loader: BatchLoader<Batch>,
    signal: AbortSignal | undefined,
  ) {
    const parts = Object(loader) as Partial<
      AsyncIterable<Batch> & Iterable<Batch>
    >;
    if (!parts[Symbol.asyncIterator] && !parts[Symbol.iterator]) {
      throw new TypeError(
        `${operation}: the loader gives no batches: got ${typeof loader}: ` +
          "pass a DataLoader, an array of batches or another iterable",
      );
    }
    this.#loader = loader;
    this.#signal = signal;
    signal?.addEventListener("abort", this.#onAbort);
  }

  /** Asks for the next batch, so that it is there when it is wanted. */
  prefetch(): void {
    const iterator = this.#iterator ??= this.#begin();
    this.#state = this.#loader.state?.();
    const ahead = this.#state instanceof Promise
      ? this.#state.then(() => next(iterator))
      : next(iterator);
    // Reported where it is awaited, or not at all if nobody wants it.
    ahead.catch(() => {});
    this.#ahead = ahead;
  }

  /**
   * The next batch, or undefined at the end of an epoch: what comes then is the
   * first of another.
   *
   * @throws The signal's reason; the batch is still ahead then.
   */
  async next(): Promise<{ readonly batch: Batch } | undefined> {
    if (this.#ahead === undefined) this.prefetch();
    const given = await this.#orAborted(this.#ahead!);
    this.#ahead = undefined;
    if (!given.done) return { batch: given.value };
    this.#iterator = undefined;
    return undefined;
  }

  /** Where the loader stands, behind the last batch that `next` gave. */
  async state(): Promise<unknown> {
    const state = this.#ahead ? this.#state : this.#loader.state?.();
    return await state ?? null;
  }

  /**
   * Goes to where a loader stood.
   *
   * @param done Batches that a loader without a state is to skip.
   */
  async restore(state: unknown, done: number): Promise<void> {
    if (state !== null && this.#loader.restore) {
      return this.#loader.restore(state as never);
    }
    for (let batch = 0; batch < done; batch++) {
      if (await this.next() === undefined) return;
    }
  }

  /** Puts back the batch ahead, if the loader can. */
  async close(): Promise<void> {
    this.#signal?.removeEventListener("abort", this.#onAbort);
    const ahead = this.#ahead !== undefined;
    const state = ahead ? await this.state() : null;
    // Not waited for: it comes behind the batch ahead.
    Promise.resolve(this.#iterator?.return?.()).catch(() => {});
    this.#iterator = undefined;
    this.#ahead = undefined;
    if (state !== null) this.#loader.restore?.(state as never);
  }

  readonly #onAbort = (): void => this.#abort?.(this.#signal!.reason);

  #begin(): Iterator<Batch> | AsyncIterator<Batch> {
    const loader = this.#loader;
    return Symbol.asyncIterator in loader
      ? loader[Symbol.asyncIterator]()
      : loader[Symbol.iterator]();
  }

  /** A promise for each wait: one for all would remember all of them. */
  async #orAborted<T>(promise: Promise<T>): Promise<T> {
    if (this.#signal === undefined) return await promise;
    this.#signal.throwIfAborted();
    const { promise: aborted, reject } = Promise.withResolvers<never>();
    this.#abort = reject;
    try {
      return await Promise.race([promise, aborted]);
    } finally {
      this.#abort = undefined;
    }
  }
}

async function next<Batch>(
  iterator: Iterator<Batch> | AsyncIterator<Batch>,
): Promise<Given<Batch>> {
  return await iterator.next();
}

/** The first axis of the first tensor or array in a batch, or 1. */
export function batchSizeOf(batch: unknown): number {
  return firstAxis(batch) ?? 1;
}

function firstAxis(value: unknown): number | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { shape } = value as { readonly shape?: unknown };
  if (Array.isArray(shape)) return shape[0] as number | undefined;
  if (ArrayBuffer.isView(value)) {
    return (value as { readonly length?: number }).length;
  }
  for (const part of Object.values(value)) {
    const size = firstAxis(part);
    if (size !== undefined) return size;
  }
  return undefined;
}
