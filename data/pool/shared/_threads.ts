/**
 * Which threads are alive, known to all who share memory.
 *
 * A thread cannot say that it died, and one that computes does not beat. But
 * the engine drops the asynchronous waiters of a thread that ended: so each
 * thread waits asynchronously on a word of its own, many times over, and
 * `Atomics.notify` there tells at once, from any thread, whether a waiter was
 * left. Each question uses one up, and the thread replaces it as soon as its
 * event loop turns. One that does not turn is asked ever less often, so that
 * its waiters last for hours of computing.
 *
 * @module
 */

/** Threads of one table that live at the same time. */
const SLOTS = 1024;
/** Words of a slot: a cache line. */
const STRIDE = 16;
/** The table's own words, before the slots. */
const HEAD = 16;

// Words of the head.
const KEY = 0; // and 1
const NEXT = 2;

// Words of a slot.
const ID = 0;
const GENERATION = 1;
const WAITERS = 2;
const ARMED_AT = 3;
const ASKED_AT = 4;
/** A word for each of the last generations: late questions find the old one. */
const ALIVE = 8;
const GENERATIONS = 4;

const WAITERS_ARMED = 64;
/** The pause between two questions: at least this, */
const PAUSE_MS = 100;
/** and this part of the time since the thread's event loop turned. */
const PAUSE_RATE = 0.2;

/** A thread's place in a table. */
export interface Membership {
  /** The table. */
  readonly threads: Int32Array;
  /** Positive, and never that of another thread. */
  readonly id: number;
}

const memberships = new Map<number, Membership>();

/** This thread's place in the table that new objects of it refer to. */
export function ownMembership(): Membership {
  for (const first of memberships.values()) return first;
  const words = HEAD + SLOTS * STRIDE;
  const buffer = new SharedArrayBuffer(words * Int32Array.BYTES_PER_ELEMENT);
  const threads = new Int32Array(buffer);
  // Not over the shared memory: getRandomValues() refuses it.
  threads.set(crypto.getRandomValues(new Int32Array(2)), KEY);
  return membershipIn(threads);
}

/** This thread's place in a table, which it takes at the first call. */
export function membershipIn(threads: Int32Array): Membership {
  // By what is in it: each message makes new arrays over the same memory.
  const key = (threads[KEY]! >>> 0) * 2 ** 21 + (threads[KEY + 1]! >>> 11);
  let membership = memberships.get(key);
  if (membership === undefined) {
    membership = { threads, id: join(threads) };
    memberships.set(key, membership);
  }
  return membership;
}

function join(threads: Int32Array): number {
  for (const clear of [false, true]) {
    if (clear) clearDead(threads);
    for (let tries = 0; tries < SLOTS; tries++) {
      const slot = (Atomics.add(threads, NEXT, 1) >>> 0) % SLOTS;
      const at = HEAD + slot * STRIDE;
      if (Atomics.load(threads, at + ID) !== 0) continue;
      const generation = Atomics.add(threads, at + GENERATION, 1) + 1 &
        0x1fffff;
      const id = generation * SLOTS + slot & 0x7fffffff || SLOTS + slot;
      // Before the slot has an owner: who takes it finds its words cleared.
      if (Atomics.compareExchange(threads, at + ID, 0, id) !== 0) continue;
      Atomics.store(threads, at + WAITERS, 0);
      Atomics.store(threads, at + ASKED_AT, now());
      arm(threads, id, WAITERS_ARMED);
      return id;
    }
  }
  throw new RangeError(
    `Lock: ${SLOTS} threads use shared objects already: end some of them`,
  );
}

function arm(threads: Int32Array, id: number, waiters: number): void {
  const at = slotOf(id);
  for (let i = 0; i < waiters; i++) {
    const wait = Atomics.waitAsync(threads, aliveWord(id), 0);
    if (wait.async) wait.value.then(() => arm(threads, id, 1));
  }
  Atomics.store(threads, at + ARMED_AT, now());
  // Last: who counts on a waiter must find it.
  Atomics.add(threads, at + WAITERS, waiters);
}

/**
 * Whether a thread died. True is certain; a thread that just died may pass for
 * alive for a while.
 */
export function isDead(threads: Int32Array, id: number): boolean {
  const at = slotOf(id);
  if (Atomics.load(threads, at + ID) !== id) return true;
  const time = now();
  const askedAt = Atomics.load(threads, at + ASKED_AT);
  const silentMs = time - Atomics.load(threads, at + ARMED_AT) | 0;
  const pauseMs = Math.max(PAUSE_MS, PAUSE_RATE * silentMs);
  const sinceMs = time - askedAt | 0;
  // A clock that was set back does not stop the questions.
  if (sinceMs >= 0 && sinceMs < pauseMs) return false;
  const mine = Atomics.compareExchange(threads, at + ASKED_AT, askedAt, time);
  if (mine !== askedAt) return false; // another thread asks
  return !answers(threads, id);
}

function answers(threads: Int32Array, id: number): boolean {
  const at = slotOf(id);
  if (Atomics.sub(threads, at + WAITERS, 1) <= 0) {
    Atomics.add(threads, at + WAITERS, 1);
    return true; // nobody left to ask
  }
  if (Atomics.notify(threads, aliveWord(id), 1) === 1) return true;
  Atomics.compareExchange(threads, at + ID, id, 0);
  return false;
}

function clearDead(threads: Int32Array): void {
  for (let slot = 0; slot < SLOTS; slot++) {
    const id = Atomics.load(threads, HEAD + slot * STRIDE + ID);
    if (id !== 0) answers(threads, id);
  }
}

function slotOf(id: number): number {
  return HEAD + id % SLOTS * STRIDE;
}

function aliveWord(id: number): number {
  const generation = Math.floor(id / SLOTS);
  return slotOf(id) + ALIVE + generation % GENERATIONS;
}

/** Milliseconds that wrap: for differences, also between threads. */
export function now(): number {
  return Date.now() | 0;
}
