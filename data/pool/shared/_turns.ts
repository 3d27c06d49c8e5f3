import { type SharedHandle, threadIdFor } from "./_handle.ts";
import { Deadline, sleep, sleepSync, SLICE_MS } from "./_sleep.ts";
import { isDead, now } from "./_threads.ts";
import type { BlockOptions, WaitOptions } from "./wait_options.ts";

// Who is next, where one must wait for what others give back.
//
// Taking is free for all, which is fast: who runs need not wait until a sleeper
// is awake. Sleepers are woken in the order in which they came. One that was
// woken and found nothing left reserves the next turn, so that it is passed
// over only while it wakes. A reservation lapses unless it is renewed, who does
// not answer a signal is left out, and all sleepers look around now and then: a
// thread that dies at any point here delays the others, but does not stop them.

/** Waiters, with or without a place. */
const WAITING = 0;
/** Whether one was woken and did not move yet: no need for another. */
const WOKEN = 1;
/** Whose turn is next: its place, counted from 1, or 0. */
export const RESERVED = 2;
/** Until when. */
const RESERVED_UNTIL = 3;
/** Counts waiters, for their order. */
const TICKETS = 4;
/** Changes when a place becomes free that somebody may lack. */
const FREED = 5;
/** The places in use are before this one. */
const USED = 6;
const PLACES = 7;

// Words of a place.
/** The ticket of the waiter there, 0 for none. */
const TICKET = 0;
/** Whether it is to look. */
const SIGNAL = 1;
/** Its thread. */
const THREAD = 2;
const PLACE_WORDS = 3;

/** Waiters beyond these wait for a place, in any order. */
const PLACE_COUNT = 128;

/** How many words {@linkcode Turns} needs. */
export const TURN_WORDS = PLACES + PLACE_COUNT * PLACE_WORDS;

/** Longer than a thread takes to wake; then the others may go on without it. */
const RESERVED_MS = 20;
/** Slices for which one that was woken may not move: its thread is busy. */
const PATIENCE = 4;
const SPINS = 40;

/** One waiter on its way. */
interface Waiter {
  readonly ticket: number;
  /** Counted from 1; 0 while it has none. */
  place: number;
  /** It was woken before, in vain: the next turn is its own. */
  due: boolean;
  /** It was woken, or is the first of those who were not. */
  looks: boolean;
  /** For so many slices it waits for one that was woken. */
  patience: number;
  /** The word that it sleeps on, */
  word: number;
  /** and its value before the waiter looked. */
  seen: number;
}

const { add, compareExchange, exchange, load, store } = Atomics;

/** A line of waiters. */
export class Turns {
  readonly #words: Int32Array;
  readonly #threads: Int32Array;
  readonly #thread: number;
  readonly #take: () => boolean;
  readonly #check: () => void;

  /**
   * @param handle Memory of all threads: its first {@linkcode TURN_WORDS}.
   * @param take Takes what is waited for, if it is there.
   * @param check Throws if it will never be there.
   */
  constructor(handle: SharedHandle, take: () => boolean, check: () => void) {
    this.#words = handle.words;
    this.#threads = handle.threads;
    this.#thread = threadIdFor(handle);
    this.#take = take;
    this.#check = check;
  }

  /** Takes if it can be done at once and is nobody else's turn. */
  tryTake(): boolean {
    return this.#takeAs(0);
  }

  /** Takes, and blocks until that is possible. */
  takeSync(operation: string, options: BlockOptions): void {
    const deadline = new Deadline(operation, options);
    for (let spin = 0; spin < SPINS; spin++) if (this.tryTake()) return;
    this.#check();
    const waiter = this.#begin();
    try {
      while (!this.#attempt(waiter)) {
        const { word, seen } = waiter;
        const ms = this.#slice(waiter, deadline);
        const how = sleepSync(operation, this.#words, word, seen, ms);
        this.#wake(waiter, how === "timed-out");
      }
    } finally {
      this.#end(waiter);
    }
  }

  /** Takes once that is possible. */
  async take(operation: string, options: WaitOptions): Promise<void> {
    const { signal } = options;
    const deadline = new Deadline(operation, options);
    signal?.throwIfAborted();
    if (this.tryTake()) return;
    this.#check();
    const waiter = this.#begin();
    try {
      while (!this.#attempt(waiter)) {
        const { word, seen } = waiter;
        const ms = this.#slice(waiter, deadline);
        const how = await sleep(this.#words, word, seen, ms, signal);
        this.#wake(waiter, how === "timed-out");
      }
    } finally {
      this.#end(waiter);
    }
  }

  /** Wakes the next waiter: something was given back. */
  wakeOne(): void {
    const words = this.#words;
    if (load(words, WAITING) === 0) return;
    while (exchange(words, WOKEN, 1) === 0) {
      const place = this.#next();
      if (place === 0) {
        // Whoever is about to take a place will look once it has it.
        store(words, WOKEN, 0);
        return;
      }
      const at = placeAt(place);
      const ticket = load(words, at + TICKET);
      store(words, at + SIGNAL, 1);
      Atomics.notify(words, at + SIGNAL);
      if (ticket !== 0 && load(words, at + TICKET) === ticket) return;
      // It left. Either it saw the signal, and passes it on, or nobody did.
      if (compareExchange(words, at + SIGNAL, 1, 0) === 0) return;
      store(words, WOKEN, 0);
    }
  }

  /** Wakes all waiters, to check. */
  wakeAll(): void {
    for (let place = 1; place <= load(this.#words, USED); place++) {
      const at = placeAt(place);
      store(this.#words, at + SIGNAL, 1);
      Atomics.notify(this.#words, at + SIGNAL);
    }
  }

  #begin(): Waiter {
    add(this.#words, WAITING, 1);
    const ticket = add(this.#words, TICKETS, 1) + 1 | 0 || 1;
    return {
      ticket,
      place: 0,
      due: false,
      looks: false,
      patience: PATIENCE,
      word: 0,
      seen: 0,
    };
  }

  #end({ ticket, place }: Waiter): void {
    const words = this.#words;
    add(words, WAITING, -1);
    if (place === 0) return;
    const at = placeAt(place);
    store(words, at + THREAD, 0);
    compareExchange(words, at + TICKET, ticket, 0);
    const signalled = exchange(words, at + SIGNAL, 0) === 1;
    if (signalled) store(words, WOKEN, 0);
    const reserved = compareExchange(words, RESERVED, place, 0) === place;
    if (load(words, WAITING) === 0) return;
    add(words, FREED, 1);
    Atomics.notify(words, FREED, 1);
    // What was meant for this one is the next one's.
    if (signalled || reserved) this.wakeOne();
  }

  /** Tries to take; if not, what to sleep on is noted in `waiter`. */
  #attempt(waiter: Waiter): boolean {
    const words = this.#words;
    waiter.word = FREED;
    waiter.seen = load(words, FREED);
    if (waiter.place === 0) {
      waiter.place = this.#findPlace(waiter.ticket);
      waiter.looks = this.#next() === waiter.place;
    }
    if (waiter.place !== 0) {
      waiter.word = placeAt(waiter.place) + SIGNAL;
      waiter.seen = 0; // before it looks: what comes then is not missed
    }
    if (waiter.looks && this.#takeAs(waiter.place)) return true;
    if (waiter.due && this.#reserve(waiter.place)) return true;
    this.#check();
    return false;
  }

  #takeAs(place: number): boolean {
    return this.#isOpen(place) && this.#take();
  }

  /** Reserves the next turn, and takes it if it is there. */
  #reserve(place: number): boolean {
    const words = this.#words;
    const was = compareExchange(words, RESERVED, 0, place);
    if (was !== 0 && was !== place) return false;
    store(words, RESERVED_UNTIL, now() + RESERVED_MS | 0);
    return this.#takeAs(place);
  }

  #slice({ due }: Waiter, deadline: Deadline): number {
    // In time to renew the reservation.
    return Math.min(deadline.slice(), due ? RESERVED_MS / 2 : SLICE_MS);
  }

  #wake(waiter: Waiter, unasked: boolean): void {
    const { place } = waiter;
    if (place === 0) return;
    const words = this.#words;
    if (exchange(words, placeAt(place) + SIGNAL, 0) === 1) {
      waiter.due = true;
      store(words, WOKEN, 0);
    } else if (unasked && load(words, WOKEN) === 0) {
      waiter.patience = PATIENCE;
    } else if (unasked && --waiter.patience === 0) {
      // Whoever was woken has not come for long: the next one may.
      waiter.patience = PATIENCE;
      store(words, WOKEN, 0);
      this.wakeOne();
    }
    waiter.looks = waiter.due ||
      load(words, WOKEN) === 0 && this.#next() === place;
  }

  /** Whether the next turn is nobody's, or of this place. */
  #isOpen(place: number): boolean {
    const words = this.#words;
    const reserved = load(words, RESERVED);
    if (reserved === 0 || reserved === place) return true;
    if ((load(words, RESERVED_UNTIL) - now() | 0) > 0) return false;
    // Lapsed for good: looking at the clock takes long.
    compareExchange(words, RESERVED, reserved, 0);
    return true;
  }

  #findPlace(ticket: number): number {
    const words = this.#words;
    for (let place = 1; place <= PLACE_COUNT; place++) {
      const at = placeAt(place);
      if (compareExchange(words, at + TICKET, 0, ticket) !== 0) continue;
      store(words, at + THREAD, this.#thread);
      for (;;) {
        const used = load(words, USED);
        if (used >= place) return place;
        if (compareExchange(words, USED, used, place) === used) return place;
      }
    }
    this.#freeDead();
    return 0;
  }

  /** Frees the places of threads that ended while they waited. */
  #freeDead(): void {
    const words = this.#words;
    for (let place = 1; place <= PLACE_COUNT; place++) {
      const at = placeAt(place);
      const ticket = load(words, at + TICKET);
      const thread = load(words, at + THREAD);
      if (ticket === 0 || thread === 0 || !isDead(this.#threads, thread)) {
        continue;
      }
      store(words, at + THREAD, 0);
      store(words, at + SIGNAL, 0);
      compareExchange(words, at + TICKET, ticket, 0);
    }
  }

  /** The place to wake: whose turn it is, or the first that was not woken. */
  #next(): number {
    const words = this.#words;
    const reserved = load(words, RESERVED);
    if (reserved !== 0 && !this.#isOpen(0)) return reserved;
    const used = load(words, USED);
    let first = 0;
    let firstTicket = 0;
    for (let place = 1; place <= used; place++) {
      const ticket = load(words, placeAt(place) + TICKET);
      if (ticket === 0 || load(words, placeAt(place) + SIGNAL) === 1) continue;
      // Tickets wrap: their difference tells which is older.
      if (first === 0 || (ticket - firstTicket | 0) < 0) {
        first = place;
        firstTicket = ticket;
      }
    }
    return first;
  }
}

function placeAt(place: number): number {
  return PLACES + (place - 1) * PLACE_WORDS;
}
