/**
 * The thread that held a lock ended without releasing it. What the lock guards
 * may be half done: `recover()` takes the lock, to put it right.
 */
export class AbandonedLockError extends Error {
  /** `AbandonedLockError`. */
  override readonly name: string = "AbandonedLockError";

  /** Names the call that found it. */
  constructor(operation: string) {
    super(
      `${operation}: the thread that held the lock ended: what it guards may ` +
        "be half done: recover() takes the lock, to put it right",
    );
  }
}
