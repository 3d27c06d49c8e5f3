/**
 * What goes wrong on a GPU after the call that caused it has returned.
 *
 * @module
 */

/**
 * The GPU is gone: unplugged, reset by its driver, or out of reach. Each call
 * throws it from then on: open another device and go on from a checkpoint.
 *
 * @example Telling it apart from other errors
 * ```ts
 * import { DeviceLostError } from "@heddle/tensor";
 * import { assert } from "@std/assert";
 *
 * const isFatal = (error: unknown) => !(error instanceof DeviceLostError);
 * assert(!isFatal(new DeviceLostError("unplugged")));
 * ```
 */
export class DeviceLostError extends Error {
  /** Always "DeviceLostError". */
  override readonly name: string = "DeviceLostError";
}

/** Keeps failures that arrive late and throws them from the next call. */
export class Failures {
  #first: Error | undefined;
  #lost: string | undefined;
  #closed = false;

  /** Throws what has been reported, if anything has. */
  check(operation: string): void {
    if (this.#closed) {
      throw new Error(`${operation}: the device is closed: open another`);
    }
    if (this.#lost !== undefined) {
      throw new DeviceLostError(
        `${operation}: the GPU device was lost: ${this.#lost}: open another`,
      );
    }
    const failure = this.#first;
    if (failure === undefined) return;
    // One can go on with less memory, but not with a program that is wrong.
    if (failure instanceof RangeError) this.#first = undefined;
    throw failure;
  }

  /** Keeps the first failure: later ones tend to follow from it. */
  report(failure: Error): void {
    this.#first ??= failure;
  }

  /** All later checks throw. */
  lose(reason: string): void {
    this.#lost = reason;
  }

  /** All later checks throw. */
  close(): void {
    this.#closed = true;
  }

  /** Whether the device is closed or lost. */
  get ended(): boolean {
    return this.#closed || this.#lost !== undefined;
  }
}
