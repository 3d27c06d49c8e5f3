/**
 * Pools beside plain loops: where they lose nothing, where they win, and what
 * a call and a worker cost.
 */

import { assertEquals } from "@std/assert";
import { Pool } from "@heddle/data/pool";
import { cosine, harmonics, nothing, polynomial } from "./_pool_work.ts";
import { record, setGoals } from "./_medians.ts";

const WORKERS = 2;
const RUNS = 30;
const WARMUP = 5;

interface Work {
  readonly name: string;
  run(): unknown;
}

function group(
  name: string,
  works: readonly Work[],
  runs = RUNS,
  warmup = WARMUP,
): void {
  for (const { name: entry, run } of works) {
    const add = record(name, entry, warmup);
    Deno.bench({
      name: entry,
      group: name,
      baseline: entry === "heddle",
      n: runs,
      warmup,
      fn: async (bench) => {
        bench.start();
        const start = performance.now();
        await run();
        const end = performance.now();
        bench.end();
        add(end - start);
      },
    });
  }
}

/** What a user would write without a pool. */
function loop(f: (x: number) => number, items: ArrayLike<number>): number[] {
  const results = new Array<number>(items.length);
  for (let i = 0; i < items.length; i++) results[i] = f(items[i]!);
  return results;
}

// Kept open: the runs of a bench are no place to start workers.
const pool = new Pool({ workers: WORKERS, idleMs: Infinity });
globalThis.addEventListener("unload", () => pool.terminate());

const million = Array.from({ length: 1_000_000 }, (_, i) => i / 2);
assertEquals(
  await pool.map(polynomial, million),
  loop((x) => x * x + 1, million),
);
setGoals("pool map 1M tiny items", { ahead: { "plain loop": 1 / 1.5 } });
group("pool map 1M tiny items", [
  { name: "heddle", run: () => pool.map(polynomial, million) },
  { name: "plain loop", run: () => loop((x) => x * x + 1, million) },
  {
    name: "in workers",
    run: () => pool.map(polynomial, million, { chunkSize: 100_000 }),
  },
]);

const thousand = million.slice(0, 1000);
assertEquals(await pool.map(cosine, thousand), loop(Math.cos, thousand));
setGoals("pool map 1000 cosines", { ahead: { "in workers": 1 } });
group("pool map 1000 cosines", [
  { name: "heddle", run: () => pool.map(cosine, thousand) },
  { name: "plain loop", run: () => loop(Math.cos, thousand) },
  {
    name: "in workers",
    run: () => pool.map(cosine, thousand, { chunkSize: 500 }),
  },
], 200);

const heavy = Array.from({ length: 32 }, (_, i) => 0.1 + i);
assertEquals(await pool.map(harmonics, heavy), loop(harmonics, heavy));
setGoals("pool map 32 items of 10 ms", { ahead: { "plain loop": 1.5 } });
group(
  "pool map 32 items of 10 ms",
  [
    { name: "heddle", run: () => pool.map(harmonics, heavy) },
    { name: "plain loop", run: () => loop(harmonics, heavy) },
  ],
  8,
  1,
);

group(
  "pool apply",
  [
    { name: "heddle", run: () => pool.apply(nothing, []) },
  ],
  500,
  50,
);

group(
  "pool start of a worker",
  [
    {
      name: "heddle",
      run: async () => {
        await using fresh = new Pool({ workers: 1 });
        await fresh.apply(nothing, []);
      },
    },
    {
      name: "a process",
      run: async () => {
        await using fresh = new Pool({ workers: 1, isolation: "process" });
        await fresh.apply(nothing, []);
      },
    },
  ],
  10,
  2,
);
