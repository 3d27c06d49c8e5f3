/**
 * Which of many numbered rooms are taken at which times.
 *
 * @module
 */

import { BitSet } from "./bit_set.ts";

/**
 * Spans of time that rooms are taken for. A tree over the times: what it costs
 * to ask grows with the logarithm of their number, not with the spans.
 */
export class Occupancy {
  /** Times, a power of two. The tree's root is 1, its leaves begin here. */
  readonly #times: number;
  /** Rooms taken throughout the span of a node, by it alone. */
  readonly #throughout = new Map<number, BitSet>();
  /** Rooms taken at any time of a node's span, by it or by nodes below. */
  readonly #atTimes = new Map<number, BitSet>();

  /** @param times Their number; the first is 0. */
  constructor(times: number) {
    this.#times = 2 ** Math.ceil(Math.log2(Math.max(times, 1)));
  }

  /** Takes a room from the first time to the last. */
  take(room: number, first: number, last: number): void {
    for (const node of this.#spans(first, last)) {
      add(this.#throughout, node, room);
      for (let at = node; at > 0; at >>= 1) add(this.#atTimes, at, room);
    }
  }

  /** The rooms that are taken at any time from the first to the last. */
  taken(first: number, last: number): BitSet {
    const found = new BitSet();
    const seen = new Set<number>();
    for (const node of this.#spans(first, last)) {
      addAll(found, this.#atTimes.get(node));
      for (let at = node >> 1; at > 0 && !seen.has(at); at >>= 1) {
        seen.add(at);
        addAll(found, this.#throughout.get(at));
      }
    }
    return found;
  }

  /** The fewest nodes whose spans together are from the first to the last. */
  *#spans(first: number, last: number): Generator<number> {
    let [low, high] = [first + this.#times, last + this.#times];
    for (; low <= high; low >>= 1, high >>= 1) {
      if (low & 1) yield low++;
      if (!(high & 1)) yield high--;
    }
  }
}

function add(sets: Map<number, BitSet>, at: number, room: number): void {
  let set = sets.get(at);
  if (!set) sets.set(at, set = new BitSet());
  set.add(room);
}

function addAll(found: BitSet, other: BitSet | undefined): void {
  if (other) found.addAll(other);
}
