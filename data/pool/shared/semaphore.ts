import { checkOptions } from "../_check_options.ts";
import {
  checkHandle,
  handleOf,
  makeHandle,
  type SharedClone,
  type SharedHandle,
} from "./_handle.ts";
import { TURN_WORDS, Turns } from "./_turns.ts";
import { Held } from "./held.ts";
import type { BlockOptions, WaitOptions } from "./wait_options.ts";

const PERMITS = TURN_WORDS;
const MAXIMUM = TURN_WORDS + 1;
const LARGEST = 2 ** 31 - 1;

/** How a {@linkcode Semaphore} is made. */
export interface SemaphoreOptions {
  /**
   * The most permits there may be: releasing more is an error.
   *
   * @default 2 ** 31 - 1
   */
  readonly maximum?: number | undefined;
}

/**
 * Permits that threads share: so many at a time hold one.
 *
 * It goes to other threads as a {@linkcode Lock} does, and is as fair.
 *
 * A permit belongs to no thread, and may be given by one that took none (a
 * producer, to its consumers). So nothing tells whether a thread that ended owed
 * one: its permits are missing from then on, and no error says so. Whoever hears
 * of the end, by a {@linkcode WorkerDiedError} or {@linkcode Process.exitCode},
 * gives them back by `release()`; where that cannot be known, acquire with a
 * timeout, or use a {@linkcode Lock}, which reports the death of its holder.
 *
 * @example At most two at a time
 * ```ts
 * import { Semaphore } from "@heddle/data/pool";
 * import { assertEquals } from "@std/assert";
 *
 * const connections = new Semaphore(2);
 * {
 *   using _first = await connections.acquire();
 *   using _second = await connections.acquire();
 *   assertEquals(connections.tryAcquire(), undefined);
 * }
 * assertEquals(connections.permits, 2);
 * ```
 */
export class Semaphore {
  /** Its memory, for messages. */
  readonly handle: SharedHandle<"Semaphore">;
  readonly #words: Int32Array;
  readonly #turns: Turns;

  /**
   * A new semaphore.
   *
   * @param permits How many may hold one at first; or the memory of another
   * semaphore, to be the same.
   * @param options Bounds.
   * @throws {RangeError} If a number is out of range.
   */
  constructor(
    permits: number | SharedHandle<"Semaphore">,
    options: SemaphoreOptions = {},
  ) {
    checkOptions("Semaphore", options, { maximum: true });
    const { maximum = LARGEST } = options;
    if (typeof permits === "number") {
      checkPermits("Semaphore: maximum", maximum, 1, LARGEST);
      checkPermits("Semaphore: permits", permits, 0, maximum);
      this.handle = makeHandle("Semaphore", TURN_WORDS + 2);
      this.handle.words[PERMITS] = permits;
      this.handle.words[MAXIMUM] = maximum;
    } else this.handle = checkHandle("Semaphore", permits);
    const { words } = this.handle;
    this.#words = words;
    this.#turns = new Turns(this.handle, () => takePermit(words), () => {});
  }

  /**
   * The semaphore that another thread sent.
   *
   * @param clone What arrived.
   * @returns The same semaphore, for this thread.
   * @throws {TypeError} If it was no semaphore.
   */
  static from(clone: SharedClone<"Semaphore">): Semaphore {
    return new Semaphore(handleOf("Semaphore", clone));
  }

  /** How many could be taken now. */
  get permits(): number {
    return Atomics.load(this.#words, PERMITS);
  }

  /**
   * Takes a permit; the thread goes on meanwhile.
   *
   * @param options Timeout and signal.
   * @returns Releases the permit when disposed of.
   * @throws {DOMException} `TimeoutError`, if it took too long.
   */
  async acquire(options: WaitOptions = {}): Promise<Held> {
    await this.#turns.take("Semaphore.acquire", options);
    return this.#taken();
  }

  /**
   * Takes a permit; the thread blocks meanwhile.
   *
   * @param options Timeout.
   * @returns Releases the permit when disposed of.
   * @throws {DOMException} `TimeoutError`, if it took too long.
   * @throws {TypeError} If this thread may not block, as a page's.
   */
  acquireSync(options: BlockOptions = {}): Held {
    if (!this.#turns.tryTake()) {
      this.#turns.takeSync("Semaphore.acquireSync", options);
    }
    return this.#taken();
  }

  /**
   * Takes a permit if there is one.
   *
   * @returns Releases the permit when disposed of; undefined if there was none.
   */
  tryAcquire(): Held | undefined {
    return this.#turns.tryTake() ? this.#taken() : undefined;
  }

  /**
   * Gives permits, taken or new.
   *
   * @param permits How many.
   * @throws {RangeError} If there would be more than the maximum.
   */
  release(permits: number = 1): void {
    const words = this.#words;
    const maximum = words[MAXIMUM]!;
    checkPermits("Semaphore.release: permits", permits, 1, maximum);
    for (;;) {
      const there = Atomics.load(words, PERMITS);
      const sum = there + permits;
      if (sum > maximum) {
        throw new RangeError(
          `Semaphore.release: more than was taken: ${there} of ${maximum} ` +
            `permits are free, ${permits} released: release once what was ` +
            "acquired",
        );
      }
      const { compareExchange } = Atomics;
      if (compareExchange(words, PERMITS, there, sum) === there) break;
    }
    this.#turns.wakeOne();
  }

  #taken(): Held {
    // One waiter at a time is woken: it sees to the next.
    if (this.permits > 0) this.#turns.wakeOne();
    return new Held({ release: () => this.release() }, 0);
  }
}

function takePermit(words: Int32Array): boolean {
  for (;;) {
    const there = Atomics.load(words, PERMITS);
    if (there === 0) return false;
    const { compareExchange } = Atomics;
    if (compareExchange(words, PERMITS, there, there - 1) === there) {
      return true;
    }
  }
}

function checkPermits(
  what: string,
  permits: number,
  least: number,
  most: number,
): void {
  if (Number.isInteger(permits) && permits >= least && permits <= most) return;
  throw new RangeError(
    `${what} must be a whole number from ${least} to ${most}: got ${permits}`,
  );
}
