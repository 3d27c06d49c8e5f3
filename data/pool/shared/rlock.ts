import {
  checkHandle,
  handleOf,
  makeHandle,
  type SharedClone,
  type SharedHandle,
} from "./_handle.ts";
import { Ownership, OWNERSHIP_WORDS } from "./_ownership.ts";
import type { Held } from "./held.ts";
import type { BlockOptions, WaitOptions } from "./wait_options.ts";

/**
 * A lock that the thread which holds it may take again: it is free once it was
 * released as often.
 *
 * Otherwise as {@linkcode Lock}. The owner is the thread, so that tasks of one
 * thread do not exclude each other, whether they block or not.
 *
 * @example A function that locks calls another one
 * ```ts
 * import { RLock } from "@heddle/data/pool";
 * import { assertEquals } from "@std/assert";
 *
 * const lock = new RLock();
 * function inner() {
 *   using _held = lock.acquireSync();
 *   return lock.locked;
 * }
 * function outer() {
 *   using _held = lock.acquireSync();
 *   return inner() && lock.locked;
 * }
 * assertEquals([outer(), lock.locked], [true, false]);
 * ```
 */
export class RLock {
  /** Its memory, for messages. */
  readonly handle: SharedHandle<"RLock">;
  readonly #ownership: Ownership;

  /**
   * A new lock, not held.
   *
   * @param handle The memory of another one, to be the same lock.
   */
  constructor(
    handle: SharedHandle<"RLock"> = makeHandle("RLock", OWNERSHIP_WORDS),
  ) {
    this.handle = checkHandle("RLock", handle);
    this.#ownership = new Ownership(handle);
  }

  /**
   * The lock that another thread sent.
   *
   * @param clone What arrived.
   * @returns The same lock, for this thread.
   * @throws {TypeError} If it was no such lock.
   */
  static from(clone: SharedClone<"RLock">): RLock {
    return new RLock(handleOf("RLock", clone));
  }

  /** Whether any thread holds it. */
  get locked(): boolean {
    return this.#ownership.isAnywhere;
  }

  /**
   * Takes the lock, at once if this thread has it; the thread goes on meanwhile.
   *
   * @param options Timeout and signal.
   * @returns Releases it once when disposed of.
   * @throws {AbandonedLockError} If the thread that held it ended.
   * @throws {DOMException} `TimeoutError`, if it took too long.
   */
  async acquire(options: WaitOptions = {}): Promise<Held> {
    return this.#ownership.isHere
      ? this.#ownership.again()
      : await this.#ownership.take(options);
  }

  /**
   * Takes the lock, at once if this thread has it; the thread blocks meanwhile.
   *
   * @param options Timeout.
   * @returns Releases it once when disposed of.
   * @throws {AbandonedLockError} If the thread that held it ended.
   * @throws {DOMException} `TimeoutError`, if it took too long.
   * @throws {TypeError} If this thread may not block, as a page's.
   */
  acquireSync(options: BlockOptions = {}): Held {
    return this.#ownership.isHere
      ? this.#ownership.again()
      : this.#ownership.takeSync(options);
  }

  /**
   * Takes the lock if it is free or this thread's.
   *
   * @returns Releases it once when disposed of; undefined if another holds it.
   * @throws {AbandonedLockError} If the thread that held it ended.
   */
  tryAcquire(): Held | undefined {
    return this.#ownership.isHere
      ? this.#ownership.again()
      : this.#ownership.tryTake();
  }

  /**
   * Gives the lock back once: where neither `using` nor
   * {@linkcode Held.release} does.
   *
   * @throws {Error} If this thread does not hold it.
   */
  release(): void {
    this.#ownership.release();
  }

  /**
   * Takes a lock whose owner ended, to put right what it guards.
   *
   * @returns Releases it when disposed of.
   * @throws {Error} If it is not abandoned, or another thread recovered it.
   */
  recover(): Held {
    return this.#ownership.recover();
  }
}
