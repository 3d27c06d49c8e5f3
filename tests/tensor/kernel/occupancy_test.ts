import { assertEquals } from "@std/assert";
import { Occupancy } from "../../../tensor/kernel/occupancy.ts";
import { BitSet } from "../../../tensor/kernel/bit_set.ts";

/** Whole numbers below a limit, the same in each run. */
function numbers(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor(state / 2 ** 32 * limit);
  };
}

Deno.test("Occupancy.taken() agrees with a list that is gone through", () => {
  for (const times of [1, 2, 5, 64, 100]) {
    const next = numbers(times);
    const rooms = new Occupancy(times);
    const spans: { room: number; first: number; last: number }[] = [];
    const span = () => {
      const [a, b] = [next(times), next(times)];
      return { first: Math.min(a, b), last: Math.max(a, b) };
    };
    for (let trial = 0; trial < 200; trial++) {
      const { first, last } = span();
      const taken = rooms.taken(first, last);
      const overlapping = spans.filter((other) =>
        other.first <= last && first <= other.last
      );
      const wanted = new Set(overlapping.map(({ room }) => room));
      for (let room = 0; room < 70; room++) {
        assertEquals(taken.has(room), wanted.has(room));
      }
      // Mostly short ones, so that rooms are free at some times.
      const made = { room: next(70), first, last: Math.min(first + 2, last) };
      spans.push(made);
      rooms.take(made.room, made.first, made.last);
    }
  }
});

Deno.test("BitSet.nextAbsent() finds the first number that is not in it", () => {
  const set = new BitSet();
  assertEquals([0, 31, 32, 1000].map((at) => set.nextAbsent(at)), [
    0,
    31,
    32,
    1000,
  ]);
  for (let number = 0; number < 96; number++) {
    if (number !== 40) set.add(number);
  }
  assertEquals(set.nextAbsent(0), 40);
  assertEquals(set.nextAbsent(40), 40);
  assertEquals(set.nextAbsent(41), 96);
  assertEquals(set.nextAbsent(95), 96);
});

Deno.test("BitSet.sizeWithout() counts what another set has not", () => {
  const [set, other] = [new BitSet(), new BitSet()];
  for (const number of [0, 31, 32, 63, 200]) set.add(number);
  for (const number of [31, 64, 200]) other.add(number);
  assertEquals(set.sizeWithout(other), 3);
  assertEquals(other.sizeWithout(set), 1);
  assertEquals(set.sizeWithout(new BitSet()), 5);
});
