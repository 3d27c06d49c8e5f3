import { keepHere } from "./_not_sendable.ts";
import { within } from "./_within.ts";

/**
 * A call that is under way.
 *
 * A failure that nobody asks for stays silent.
 */
export class AsyncResult<T> {
  readonly #promise: Promise<T>;
  #state: "pending" | "fulfilled" | "rejected" = "pending";

  /** Follows a promise. */
  constructor(promise: Promise<T>) {
    this.#promise = promise;
    keepHere(this, "await get() and send what it gives");
    promise.then(
      () => this.#state = "fulfilled",
      () => this.#state = "rejected",
    );
  }

  /**
   * What the call gives.
   *
   * @param timeoutMs How long to wait at most; the call itself goes on.
   * @throws {RangeError} If `timeoutMs` is no number from 0.
   * @throws What the call failed with, or a `DOMException` named
   * `TimeoutError`.
   */
  async get(timeoutMs?: number): Promise<T> {
    return await within("AsyncResult.get", this.#promise, timeoutMs, () => {
      throw new DOMException(
        `AsyncResult.get: no result after ${timeoutMs} ms`,
        "TimeoutError",
      );
    });
  }

  /**
   * Waits until the call ended, either way.
   *
   * @param timeoutMs How long to wait at most.
   * @returns Whether it ended.
   */
  async wait(timeoutMs?: number): Promise<boolean> {
    const ended = this.#promise.then(() => true, () => true);
    const onLate = () => this.ready();
    return await within("AsyncResult.wait", ended, timeoutMs, onLate);
  }

  /** Whether the call ended, either way. */
  ready(): boolean {
    return this.#state !== "pending";
  }

  /**
   * Whether the call ended without an error.
   *
   * @throws {Error} If it has not ended.
   */
  successful(): boolean {
    if (!this.ready()) {
      throw new Error("AsyncResult.successful: the call has not ended");
    }
    return this.#state === "fulfilled";
  }
}
