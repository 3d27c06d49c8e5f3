import {
  checkHandle,
  handleOf,
  makeHandle,
  type SharedClone,
  type SharedHandle,
} from "./_handle.ts";
import { Deadline, waitFor, waitForSync } from "./_sleep.ts";
import { BrokenBarrierError } from "./broken_barrier_error.ts";
import type { BlockOptions, WaitOptions } from "./wait_options.ts";

// All in one word, so that it changes at once: from the low bits, how many
// wait; whether it is broken; which of the last rounds were reset (the newest
// in the lowest bit); the number of the round.
const STATE = 0;
const PARTIES = 1;

const COUNT_BITS = 10;
const COUNT = (1 << COUNT_BITS) - 1;
const BROKEN = 1 << COUNT_BITS;
const RESETS_SHIFT = COUNT_BITS + 1;
const RESETS = 0xff;
const ROUND_SHIFT = RESETS_SHIFT + 8;
const ROUND = 0x1fff;

/**
 * A place where threads wait for each other: once `parties` are there, all go
 * on, and the barrier is ready for the next round.
 *
 * As `Barrier` of Python's `threading`: who gives up, by timeout or signal,
 * breaks it, and the others get a {@linkcode BrokenBarrierError} until it is
 * reset. It goes to other threads as a {@linkcode Lock} does.
 *
 * Any thread may come, as long as their number is right. So nothing tells that
 * one that ended would have come: it is waited for. Whoever hears of the end, by
 * a {@linkcode WorkerDiedError} or {@linkcode Process.exitCode}, calls `abort()`;
 * where that cannot be known, wait with a timeout. One that ends while it waits
 * has come, and counts in that round.
 *
 * @example Two tasks start together
 * ```ts
 * import { Barrier } from "@heddle/data/pool";
 * import { assertEquals } from "@std/assert";
 *
 * const start = new Barrier(2);
 * const places = await Promise.all([start.wait(), start.wait()]);
 * assertEquals(places, [0, 1]);
 * ```
 */
export class Barrier {
  /** Its memory, for messages. */
  readonly handle: SharedHandle<"Barrier">;
  readonly #words: Int32Array;

  /**
   * A new barrier.
   *
   * @param parties How many wait for each other, up to 1023; or the memory of
   * another barrier, to be the same.
   * @throws {RangeError} If `parties` is out of range.
   */
  constructor(parties: number | SharedHandle<"Barrier">) {
    if (typeof parties === "number") {
      if (!Number.isInteger(parties) || parties < 1 || parties > COUNT) {
        throw new RangeError(
          `Barrier: parties must be a whole number from 1 to ${COUNT}: got ` +
            `${parties}`,
        );
      }
      this.handle = makeHandle("Barrier", 2);
      this.handle.words[PARTIES] = parties;
    } else this.handle = checkHandle("Barrier", parties);
    this.#words = this.handle.words;
  }

  /**
   * The barrier that another thread sent.
   *
   * @param clone What arrived.
   * @returns The same barrier, for this thread.
   * @throws {TypeError} If it was no barrier.
   */
  static from(clone: SharedClone<"Barrier">): Barrier {
    return new Barrier(handleOf("Barrier", clone));
  }

  /** How many wait for each other. */
  get parties(): number {
    return this.#words[PARTIES]!;
  }

  /** How many wait now. */
  get waiting(): number {
    return Atomics.load(this.#words, STATE) & COUNT;
  }

  /** Whether it is broken: it stays so until it is reset. */
  get broken(): boolean {
    return (Atomics.load(this.#words, STATE) & BROKEN) !== 0;
  }

  /**
   * Waits for the others; the thread goes on meanwhile.
   *
   * @param options Timeout and signal: who gives up breaks the barrier.
   * @returns The place in which it came, from 0: the one with
   * `parties - 1` came last.
   * @throws {BrokenBarrierError} If it is broken, or is reset meanwhile.
   * @throws {DOMException} `TimeoutError`, if it took too long.
   */
  async wait(options: WaitOptions = {}): Promise<number> {
    new Deadline("Barrier.wait", options); // refused before this one counts
    options.signal?.throwIfAborted();
    const { place, round } = this.#arrive("wait");
    if (round === undefined) return place;
    const done = (state: number) => outcome(state, round);
    try {
      await waitFor("Barrier.wait", this.#words, STATE, done, options);
    } catch (error) {
      this.#giveUp(round, error);
    }
    return place;
  }

  /**
   * Waits for the others; the thread blocks meanwhile.
   *
   * @param options Timeout: who gives up breaks the barrier.
   * @returns The place in which it came, from 0: the one with
   * `parties - 1` came last.
   * @throws {BrokenBarrierError} If it is broken, or is reset meanwhile.
   * @throws {DOMException} `TimeoutError`, if it took too long.
   * @throws {TypeError} If this thread may not block, as a page's.
   */
  waitSync(options: BlockOptions = {}): number {
    new Deadline("Barrier.waitSync", options);
    const { place, round } = this.#arrive("waitSync");
    if (round === undefined) return place;
    const done = (state: number) => outcome(state, round);
    try {
      waitForSync("Barrier.waitSync", this.#words, STATE, done, options);
    } catch (error) {
      this.#giveUp(round, error);
    }
    return place;
  }

  /** Breaks it: who waits, or comes, gets a {@linkcode BrokenBarrierError}. */
  abort(): void {
    this.#change((state) => state | BROKEN);
  }

  /**
   * Makes it whole and empty: who waits gets a {@linkcode BrokenBarrierError},
   * who comes begins a new round.
   */
  reset(): void {
    this.#change((state) =>
      (state & (COUNT | BROKEN)) === 0 ? state : nextRound(state, 1)
    );
  }

  /** The place, and the round to wait for, unless this was the last to come. */
  #arrive(method: string): { place: number; round: number | undefined } {
    const before = this.#change((state) => {
      if ((state & BROKEN) !== 0) {
        throw new BrokenBarrierError(
          `Barrier.${method}: the barrier is broken: reset() it`,
        );
      }
      return (state & COUNT) + 1 === this.parties
        ? nextRound(state, 0)
        : state + 1;
    });
    const place = before & COUNT;
    const last = place + 1 === this.parties;
    return { place, round: last ? undefined : roundOf(before) };
  }

  #giveUp(round: number, error: unknown): void {
    if (error instanceof BrokenBarrierError) throw error;
    let over: unknown;
    this.#change((state) => {
      try {
        over = outcome(state, round);
      } catch {
        over = undefined; // broken by another
      }
      return over === undefined && roundOf(state) === round
        ? state | BROKEN
        : state;
    });
    // Those who came last were faster than the end of this wait.
    if (over === undefined) throw error;
  }

  /** Changes the state, tells those who wait; returns what it was. */
  #change(next: (state: number) => number): number {
    for (;;) {
      const state = Atomics.load(this.#words, STATE);
      const changed = next(state) | 0;
      const { compareExchange } = Atomics;
      if (compareExchange(this.#words, STATE, state, changed) !== state) {
        continue;
      }
      // One more that waits changes nothing for the others.
      if (changed !== state + 1) Atomics.notify(this.#words, STATE);
      return state;
    }
  }
}

function roundOf(state: number): number {
  return state >>> ROUND_SHIFT & ROUND;
}

function nextRound(state: number, wasReset: number): number {
  const resets = (state >>> RESETS_SHIFT << 1 | wasReset) & RESETS;
  return (roundOf(state) + 1 & ROUND) << ROUND_SHIFT | resets << RESETS_SHIFT;
}

/** Whether a round is over; throws if it did not end well. */
function outcome(state: number, round: number): true | undefined {
  const rounds = roundOf(state) - round & ROUND;
  if (rounds === 0) {
    if ((state & BROKEN) === 0) return undefined;
    throw new BrokenBarrierError("Barrier.wait: the barrier was broken");
  }
  const resets = state >>> RESETS_SHIFT & RESETS;
  if ((resets >>> rounds - 1 & 1) === 1) {
    throw new BrokenBarrierError("Barrier.wait: the barrier was reset");
  }
  return true;
}
