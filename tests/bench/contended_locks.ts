/**
 * A million increments by 1, 2 and 4 threads at once: what each takes with a
 * lock that all want, and how many are lost without one.
 *
 * `deno run -A tests/bench/contended_locks.ts`
 */

import { assertEquals } from "@std/assert";
import {
  Barrier,
  Lock,
  Pool,
  RLock,
  Semaphore,
  SharedArray,
} from "@heddle/data/pool";
import { type Guard, increment } from "./_increment.ts";
import { say } from "./_say.ts";

const TIMES = 1_000_000;
const REPETITIONS = 5;

const guards: readonly (readonly [string, () => Guard])[] = [
  ["Lock", () => new Lock()],
  ["RLock", () => new RLock()],
  ["Semaphore", () => new Semaphore(1)],
  ["SharedArray.add", () => "add"],
  ["nothing", () => "nothing"],
];

say("threads | with | least and median ns an increment | lost");
for (const threads of [1, 2, 4]) {
  await using pool = new Pool({ workers: threads, inCaller: false });
  for (const [name, makeGuard] of guards) {
    const took: number[] = [];
    let lost = 0;
    for (let repetition = 0; repetition < REPETITIONS; repetition++) {
      const guard = makeGuard();
      const counter = new SharedArray("int32", 1);
      const together = new Barrier(threads);
      const ms = await Promise.all(Array.from(
        { length: threads },
        () =>
          pool.apply(increment, [guard, counter, together, TIMES / threads]),
      ));
      took.push(Math.max(...ms) * 1e6 / TIMES);
      lost = Math.max(lost, TIMES - counter.get(0));
      if (guard !== "nothing") assertEquals(counter.get(0), TIMES);
    }
    took.sort((a, b) => a - b);
    const median = took[REPETITIONS >> 1]!;
    say(
      `${threads} | ${name} | ${took[0]!.toFixed(0)}, ${median.toFixed(0)} | ` +
        lost,
    );
  }
}
