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
 * A lock that threads share: one of them at a time holds it.
 *
 * It goes to a pool's function as an argument. A plain `Worker` gets it by
 * `postMessage(lock)`, which carries its memory, and makes it a lock again with
 * `Lock.from()`.
 *
 * Who runs may take it before a thread that still wakes, which is fast; a
 * thread that was woken in vain is next, so that none is passed over for
 * longer, and sleepers wake in the order in which they came.
 *
 * The thread is the owner. Tasks of one thread exclude each other with
 * `acquire()`, which does not block it; `acquireSync()` while the thread has the
 * lock could never end, and is an error. A lock whose owner ended is reported by
 * {@linkcode AbandonedLockError}, in threads that wait as well, within a second
 * (later by a fifth of the time that the owner last computed without a pause).
 * A worker that was terminated while it computes has not ended yet.
 *
 * @example An update that is not lost
 * ```ts
 * import { Lock, SharedArray } from "@heddle/data/pool";
 * import { assertEquals } from "@std/assert";
 *
 * const lock = new Lock();
 * const balance = new SharedArray("float64", [100, 0]);
 * {
 *   using _held = await lock.acquire({ timeoutMs: 1000 });
 *   balance.data[0]! -= 30;
 *   balance.data[1]! += 30;
 * }
 * assertEquals([...balance.data], [70, 30]);
 * assertEquals(lock.locked, false);
 * ```
 */
export class Lock {
  /** Its memory, for messages. */
  readonly handle: SharedHandle<"Lock">;
  readonly #ownership: Ownership;

  /**
   * A new lock, not held.
   *
   * @param handle The memory of another one, to be the same lock.
   */
  constructor(
    handle: SharedHandle<"Lock"> = makeHandle("Lock", OWNERSHIP_WORDS),
  ) {
    this.handle = checkHandle("Lock", handle);
    this.#ownership = new Ownership(handle);
  }

  /**
   * The lock that another thread sent.
   *
   * @param clone What arrived.
   * @returns The same lock, for this thread.
   * @throws {TypeError} If it was no lock.
   *
   * @example What a message makes of it
   * ```ts
   * import { Lock } from "@heddle/data/pool";
   * import { assert } from "@std/assert";
   *
   * const lock = new Lock();
   * const same = Lock.from(structuredClone(lock));
   * using _held = same.acquireSync();
   * assert(lock.locked);
   * ```
   */
  static from(clone: SharedClone<"Lock">): Lock {
    return new Lock(handleOf("Lock", clone));
  }

  /** Whether any thread holds it. */
  get locked(): boolean {
    return this.#ownership.isAnywhere;
  }

  /**
   * Takes the lock; the thread goes on meanwhile.
   *
   * @param options Timeout and signal.
   * @returns Releases the lock when disposed of.
   * @throws {AbandonedLockError} If the thread that held it ended.
   * @throws {DOMException} `TimeoutError`, if it took too long.
   */
  acquire(options: WaitOptions = {}): Promise<Held> {
    return this.#ownership.take(options);
  }

  /**
   * Takes the lock; the thread blocks meanwhile.
   *
   * @param options Timeout.
   * @returns Releases the lock when disposed of.
   * @throws {AbandonedLockError} If the thread that held it ended.
   * @throws {DOMException} `TimeoutError`, if it took too long.
   * @throws {Error} If this thread holds it: it would wait for itself.
   * @throws {TypeError} If this thread may not block, as a page's.
   */
  acquireSync(options: BlockOptions = {}): Held {
    if (this.#ownership.isHere) {
      throw new Error(
        "Lock.acquireSync: this thread holds the lock and would wait for " +
          "itself: release it before, await acquire(), or use an RLock",
      );
    }
    return this.#ownership.takeSync(options);
  }

  /**
   * Takes the lock if it is free.
   *
   * @returns Releases the lock when disposed of; undefined if it is held.
   * @throws {AbandonedLockError} If the thread that held it ended.
   */
  tryAcquire(): Held | undefined {
    return this.#ownership.tryTake();
  }

  /**
   * Gives the lock back: where neither `using` nor {@linkcode Held.release}
   * does.
   *
   * @throws {Error} If this thread does not hold it.
   */
  release(): void {
    this.#ownership.release();
  }

  /**
   * Takes a lock whose owner ended, to put right what it guards; afterwards it
   * is a lock as before.
   *
   * @returns Releases the lock when disposed of.
   * @throws {Error} If it is not abandoned, or another thread recovered it.
   */
  recover(): Held {
    return this.#ownership.recover();
  }
}
