import {
  checkHandle,
  handleOf,
  makeHandle,
  type SharedClone,
  type SharedHandle,
} from "./_handle.ts";
import { waitFor, waitForSync } from "./_sleep.ts";
import type { BlockOptions, WaitOptions } from "./wait_options.ts";

/** Counts changes: odd while the event is set. */
const CHANGES = 0;

/**
 * A flag that threads wait for, as `Event` of Python's `threading`.
 *
 * It goes to other threads as a {@linkcode Lock} does.
 *
 * @example Waiting for a start
 * ```ts
 * import { SharedEvent } from "@heddle/data/pool";
 * import { assert } from "@std/assert";
 *
 * const start = new SharedEvent();
 * setTimeout(() => start.set(), 10);
 * await start.wait({ timeoutMs: 1000 });
 * assert(start.isSet);
 * ```
 */
export class SharedEvent {
  /** Its memory, for messages. */
  readonly handle: SharedHandle<"SharedEvent">;
  readonly #words: Int32Array;

  /**
   * A new event, not set.
   *
   * @param handle The memory of another one, to be the same event.
   */
  constructor(
    handle: SharedHandle<"SharedEvent"> = makeHandle("SharedEvent", 1),
  ) {
    this.handle = checkHandle("SharedEvent", handle);
    this.#words = handle.words;
  }

  /**
   * The event that another thread sent.
   *
   * @param clone What arrived.
   * @returns The same event, for this thread.
   * @throws {TypeError} If it was no event.
   */
  static from(clone: SharedClone<"SharedEvent">): SharedEvent {
    return new SharedEvent(handleOf("SharedEvent", clone));
  }

  /** Whether it is set. */
  get isSet(): boolean {
    return isOdd(Atomics.load(this.#words, CHANGES));
  }

  /** Sets it: all who wait go on, also if it is cleared at once. */
  set(): void {
    this.#change(false);
    Atomics.notify(this.#words, CHANGES);
  }

  /** Clears it: who comes from now on waits. */
  clear(): void {
    this.#change(true);
  }

  /**
   * Waits until it is set; the thread goes on meanwhile.
   *
   * @param options Timeout and signal.
   * @throws {DOMException} `TimeoutError`, if it took too long.
   */
  async wait(options: WaitOptions = {}): Promise<void> {
    const words = this.#words;
    await waitFor("SharedEvent.wait", words, CHANGES, this.#done(), options);
  }

  /**
   * Waits until it is set; the thread blocks meanwhile.
   *
   * @param options Timeout.
   * @throws {DOMException} `TimeoutError`, if it took too long.
   * @throws {TypeError} If this thread may not block, as a page's.
   */
  waitSync(options: BlockOptions = {}): void {
    const words = this.#words;
    waitForSync("SharedEvent.waitSync", words, CHANGES, this.#done(), options);
  }

  /** Not only now: an event that was set and cleared meanwhile was set. */
  #done(): (changes: number) => true | undefined {
    const began = Atomics.load(this.#words, CHANGES);
    return (changes) => isOdd(changes) || changes !== began ? true : undefined;
  }

  #change(from: boolean): void {
    for (;;) {
      const changes = Atomics.load(this.#words, CHANGES);
      if (isOdd(changes) !== from) return;
      const { compareExchange } = Atomics;
      const next = changes + 1 | 0;
      if (compareExchange(this.#words, CHANGES, changes, next) === changes) {
        return;
      }
    }
  }
}

function isOdd(value: number): boolean {
  return (value & 1) === 1;
}
