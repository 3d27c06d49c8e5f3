import {
  assert,
  assertEquals,
  assertGreater,
  assertInstanceOf,
  assertLess,
  assertRejects,
} from "@std/assert";
import {
  moved,
  Pool,
  remoteModule,
  TaskError,
  WorkerDiedError,
} from "@heddle/data/pool";
import {
  crashy,
  type End,
  end,
  exitAt7,
  negate,
  square,
  sumThenExit,
  wait,
} from "./work.ts";

const ENDS: readonly [End, string, number][] = [
  ["exit", "Deno.exit(7)", 7],
  ["process", "Deno.exit(8)", 8],
  ["close", "close()", 0],
  ["timer", "an uncaught error", 1],
  ["rejection", "an unhandled rejection", 1],
];

for (const [how, said, exitCode] of ENDS) {
  Deno.test(`Pool replaces a worker that ends by ${said}`, async () => {
    await using pool = new Pool({ workers: 2 });
    await pool.map(wait, [1, 1]); // until they are there
    const started = performance.now();
    const error = await assertRejects(
      () => pool.apply(end, [how, 1]),
      WorkerDiedError,
      `end: item 0: its worker ended by ${said}`,
    );
    assertLess(performance.now() - started, 2000 * 2);
    assertEquals([error.exitCode, error.attempts, error.index], [
      exitCode,
      2,
      0,
    ]);
    if (how === "timer") {
      assertInstanceOf(error.cause, RangeError);
      assertEquals(error.cause.message, "late");
    }
    assertEquals(await pool.map(wait, [1, 1, 1]), [1, 1, 1]);
    const { deaths, retried, failed, restarts } = pool.statistics;
    assertEquals([deaths, retried, failed], [2, 1, 1]);
    assertGreater(restarts, 0);
  });
}

Deno.test("Pool retries an item whose worker died once", async () => {
  await using pool = new Pool({ workers: 1 });
  const words = new Int32Array(new SharedArrayBuffer(4));
  // Dies the first time that it sees the words.
  assertEquals(await pool.apply(crashy, [words, 0, 1]), 0);
  assertEquals(words[0], 2);
  assertEquals(pool.statistics.retried, 1);
});

Deno.test("Pool does not run items again that were done before the death", async () => {
  await using pool = new Pool({ workers: 1, inCaller: false });
  const runs = new Int32Array(new SharedArrayBuffer(4 * 50));
  // One chunk; a worker that ends in the middle leaves results and a rest.
  const items = Array.from(
    { length: 50 },
    (_, i): [Int32Array, number, number] => [runs, i, i % 20 === 13 ? 1 : 0],
  );
  const results = await pool.starmap(crashy, items, { chunkSize: 50 });
  assertEquals(results, items.map(([, i]) => i));
  assertEquals([...runs], items.map(([, , crashes]) => 1 + crashes));
  assertEquals(pool.statistics.retried, 2);
});

Deno.test("Pool keeps a function that ends its thread out of the caller", async () => {
  await using pool = new Pool({ workers: 2 });
  const harmless = Array.from({ length: 3000 }, (_, i) => 10 + i);
  for (let maps = 0; pool.statistics.itemsInCaller === 0; maps++) {
    assertLess(maps, 100);
    await pool.map(exitAt7, harmless); // until it counts as cheap
  }
  const outcomes = await pool.mapSettled(
    exitAt7,
    Array.from({ length: 12 }, (_, i) => i),
  );
  for (const [i, outcome] of outcomes.entries()) {
    if (i !== 7) assertEquals(outcome, { status: "fulfilled", value: -i });
    else {
      assertEquals(outcome.status, "rejected");
      const { reason } = outcome as PromiseRejectedResult;
      assertInstanceOf(reason, WorkerDiedError);
      assertEquals([reason.index, reason.attempts], [7, 2]);
    }
  }
});

Deno.test("Pool does not try again what had been moved to the dead worker", async () => {
  await using pool = new Pool({ workers: 1 });
  const error = await assertRejects(
    () => pool.apply(sumThenExit, [moved(new Float64Array(3))]),
    WorkerDiedError,
    "it had been moved there and is lost",
  );
  assertEquals(error.attempts, 1);
});

Deno.test("Pool gives up a module that ends the worker that loads it", async () => {
  await using pool = new Pool({ workers: 2 });
  const deadly = remoteModule<{ f(x: number): number }>(
    "data:text/javascript,Deno.exit(5); export const f = (x) => x;",
  );
  const error = await assertRejects(
    () => pool.map(deadly.f, Array.from({ length: 500 }, (_, i) => i)),
    WorkerDiedError,
    "ends the worker by Deno.exit(5)",
  );
  assertEquals(error.exitCode, 5);
  assertLess(pool.statistics.deaths, 5);
  const throwing = remoteModule<{ f(x: number): number }>(
    "data:text/javascript,throw new RangeError('at the top'); export const f = 1;",
  );
  await assertRejects(
    () => pool.map(throwing.f, [1, 2, 3]),
    Error,
    "f: cannot load data:text/javascript,",
  );
  assertEquals(await pool.map(negate, [1]), [-1]);
});

Deno.test("Pool.imap() goes on where a worker died", async () => {
  await using pool = new Pool({ workers: 2 });
  const results = pool.imap(exitAt7, [6, 7, 8]);
  assertEquals((await results.next()).value, -6);
  const error = await assertRejects(() => results.next(), WorkerDiedError);
  assertEquals(error.index, 1);
  assertEquals((await results.next()).value, -8);
  assertEquals((await results.next()).done, true);
});

Deno.test("Pool finds a thread that is gone without a word by its heartbeat", async () => {
  // A stopped thread cannot be had here: its beat is held back instead.
  const held = remoteModule<{ hold(): void }>(
    new URL("./held_beat.ts", import.meta.url),
  );
  await using pool = new Pool({ workers: 1 });
  await pool.apply(held.hold, []);
  const started = performance.now();
  while (pool.statistics.deaths === 0) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    assertLess(performance.now() - started, 3000);
  }
  assertEquals(await pool.map(square, [3]), [9]);
});

Deno.test("Pool loses and repeats nothing under 10000 tasks with random crashes", async () => {
  const count = 10_000;
  const random = seededUniform(1);
  // Most of them are fine, some die once, a few at each try, some throw.
  const fate = Array.from({ length: count }, () => {
    const u = random();
    return u < 0.003 ? 1 : u < 0.005 ? 99 : u < 0.05 ? -1 : 0;
  });
  const runs = new Int32Array(new SharedArrayBuffer(4 * count));
  const pool = new Pool({ workers: 2 });
  const outcomes = await Promise.all([
    ...await settle(pool, runs, fate, 0, 4000),
    ...fate.slice(4000).map((crashes, i) =>
      pool.apply(crashy, [runs, 4000 + i, crashes], { index: 4000 + i }).then(
        (value) => ({ status: "fulfilled", value } as const),
        (reason) => ({ status: "rejected", reason } as const),
      )
    ),
  ]);
  const deaths = fate.filter((crashes) => crashes === 1).length +
    2 * fate.filter((crashes) => crashes === 99).length;
  for (const [i, outcome] of outcomes.entries()) {
    const crashes = fate[i]!;
    const expected = crashes === 1 || crashes === 99 ? 2 : 1;
    assertEquals(runs[i], expected, `runs of item ${i}, fate ${crashes}`);
    if (outcome.status === "fulfilled") {
      assertEquals(outcome.value, i);
      assert(crashes === 0 || crashes === 1, `item ${i}, fate ${crashes}`);
    } else {
      const { reason } = outcome;
      assertInstanceOf(reason, crashes === 99 ? WorkerDiedError : TaskError);
      assertEquals((reason as TaskError).index, i);
    }
  }
  const statistics = pool.statistics;
  assertEquals(statistics.items, count);
  assertEquals(statistics.deaths, deaths);
  assertEquals(
    statistics.retried,
    fate.filter((crashes) => crashes > 0).length,
  );
  pool.close();
  await pool.join(); // and the sanitizers see that nothing is left behind
});

async function settle(
  pool: Pool,
  runs: Int32Array,
  fate: readonly number[],
  from: number,
  to: number,
): Promise<PromiseSettledResult<number>[]> {
  const { crashyItem } = remoteModule<typeof import("./work.ts")>(
    import.meta.resolve("./work.ts"),
  );
  return await pool.mapSettled(
    crashyItem,
    fate.slice(from, to).map((
      crashes,
      i,
    ): [Int32Array, number, number] => [runs, from + i, crashes]),
  );
}

function seededUniform(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}
