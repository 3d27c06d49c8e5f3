import { AbandonedLockError } from "./abandoned_lock_error.ts";
import { type SharedHandle, threadIdFor } from "./_handle.ts";
import { isDead } from "./_threads.ts";
import { RESERVED, TURN_WORDS, Turns } from "./_turns.ts";
import { Held } from "./held.ts";
import type { BlockOptions, WaitOptions } from "./wait_options.ts";

/** The thread that holds the lock; 0 for none. */
const OWNER = TURN_WORDS;
/** How often the owner holds it. */
const DEPTH = TURN_WORDS + 1;
/** Counts acquisitions, so that each is released by its own guard. */
const ACQUISITION = TURN_WORDS + 2;

/** How many words {@linkcode Ownership} needs. */
export const OWNERSHIP_WORDS = TURN_WORDS + 3;

const ABANDONED = -1;

/** A thread's exclusive hold on a lock. */
export class Ownership {
  readonly #kind: string;
  readonly #words: Int32Array;
  readonly #threads: Int32Array;
  readonly #id: number;
  readonly #turns: Turns;

  constructor(handle: SharedHandle) {
    this.#kind = handle.kind;
    this.#words = handle.words;
    this.#threads = handle.threads;
    this.#id = threadIdFor(handle);
    this.#turns = new Turns(
      handle,
      () => Atomics.compareExchange(this.#words, OWNER, 0, this.#id) === 0,
      () => this.#checkOwner("acquire"),
    );
  }

  get isHere(): boolean {
    return Atomics.load(this.#words, OWNER) === this.#id;
  }

  get isAnywhere(): boolean {
    return Atomics.load(this.#words, OWNER) !== 0;
  }

  /** Takes it if that needs no waiting. */
  tryTake(): Held | undefined {
    const words = this.#words;
    if (
      Atomics.load(words, RESERVED) === 0 &&
      Atomics.compareExchange(words, OWNER, 0, this.#id) === 0
    ) return this.#taken();
    if (this.#turns.tryTake()) return this.#taken();
    this.#checkOwner("tryAcquire");
    return undefined;
  }

  takeSync(options: BlockOptions): Held {
    const words = this.#words;
    // Without Turns where nobody waits: that is twice as fast.
    if (
      Atomics.load(words, RESERVED) !== 0 ||
      Atomics.compareExchange(words, OWNER, 0, this.#id) !== 0
    ) this.#turns.takeSync(`${this.#kind}.acquireSync`, options);
    return this.#taken();
  }

  async take(options: WaitOptions): Promise<Held> {
    await this.#turns.take(`${this.#kind}.acquire`, options);
    return this.#taken();
  }

  /** Takes it once more; the thread has it. */
  again(): Held {
    this.#words[DEPTH]!++;
    return new Held(this, this.#words[ACQUISITION]!);
  }

  recover(): Held {
    const words = this.#words;
    try {
      this.#checkOwner("recover");
    } catch (error) {
      if (!(error instanceof AbandonedLockError)) throw error;
    }
    const { compareExchange } = Atomics;
    if (compareExchange(words, OWNER, ABANDONED, this.#id) === ABANDONED) {
      return this.#taken();
    }
    throw new Error(
      `${this.#kind}.recover: the lock is not abandoned: it is ` +
        `${this.#state()}: recover after an AbandonedLockError`,
    );
  }

  /** Gives back what was taken last, or a certain acquisition. */
  release(acquisition?: number): void {
    const words = this.#words;
    if (
      Atomics.load(words, OWNER) !== this.#id ||
      acquisition !== undefined && words[ACQUISITION] !== acquisition
    ) {
      throw new Error(
        `${this.#kind}.release: this thread does not hold the lock` +
          `${acquisition === undefined ? "" : " as acquired here"}: it is ` +
          `${this.#state()}: release once what was acquired, where it was`,
      );
    }
    if (words[DEPTH]! > 1) {
      words[DEPTH]!--;
      return;
    }
    Atomics.store(words, OWNER, 0);
    this.#turns.wakeOne();
  }

  #taken(): Held {
    // No other thread writes these while this one owns the lock.
    this.#words[DEPTH] = 1;
    return new Held(this, ++this.#words[ACQUISITION]!);
  }

  #state(): string {
    const owner = Atomics.load(this.#words, OWNER);
    if (owner === 0) return "free";
    if (owner === ABANDONED) return "abandoned";
    return owner === this.#id ? "held by this thread" : "held by another";
  }

  #checkOwner(method: string): void {
    const owner = Atomics.load(this.#words, OWNER);
    if (owner === 0 || owner === this.#id) return;
    if (owner !== ABANDONED) {
      if (!isDead(this.#threads, owner)) return;
      const { compareExchange } = Atomics;
      const was = compareExchange(this.#words, OWNER, owner, ABANDONED);
      if (was !== owner && was !== ABANDONED) return; // recovered meanwhile
      this.#turns.wakeAll();
    }
    throw new AbandonedLockError(`${this.#kind}.${method}`);
  }
}
