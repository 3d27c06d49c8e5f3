/**
 * Where spreading work over workers pays, and where it does not.
 *
 * @module
 */
import { type Pool, remote, type RemoteFunction } from "@heddle/data/pool";
import { Random } from "@heddle/tensor/jit";
import { join } from "@std/path";
import type { Part } from "./_pi_count.ts";
import { countFile } from "./_pi_files.ts";
import { median } from "./_pi_measure.ts";

/** A map of cosines, in a loop and over a pool. */
export interface PiCosines {
  /** How many cosines. */
  readonly items: number;
  /** Milliseconds of the loop. */
  readonly loopMs: number;
  /** Milliseconds of the pool with a message for each item. */
  readonly poolMs: number;
  /** Milliseconds of the pool as it decides by itself. */
  readonly adaptiveMs: number;
  /** The share of the items that it then ran in the calling thread. */
  readonly inCaller: number;
}

/** A cosine, for workers. */
export const cosine: RemoteFunction<[x: number], number> = remote(
  import.meta,
  function cosine(x: number): number {
    return Math.cos(x);
  },
);

/**
 * Maps cosines over a thousand items: a message costs more than the work.
 *
 * @param pool Its workers run.
 * @param onRun Called between two runs.
 */
export async function mapCosines(
  pool: Pool,
  onRun: (share: number) => Promise<void>,
): Promise<PiCosines> {
  const items = Array.from({ length: 1000 }, (_, i) => i / 100);
  const want = items.map(cosine);
  const times = { loop: [], pool: [], adaptive: [] } as {
    readonly [Way in "loop" | "pool" | "adaptive"]: number[];
  };
  const ways: { [Way in keyof typeof times]: () => unknown } = {
    loop: () => items.map(cosine),
    pool: () => pool.map(cosine, items, { chunkSize: 1 }),
    adaptive: () => pool.map(cosine, items),
  };
  const before = pool.statistics.itemsInCaller;
  const runs = 5;
  for (let run = 0; run <= runs; run++) {
    for (const [name, way] of Object.entries(ways)) {
      const start = performance.now();
      const got = await way() as number[];
      const ms = performance.now() - start;
      if (!got.every((value, i) => value === want[i])) {
        throw new Error(
          `pi: the cosines of the ${name} are not those expected`,
        );
      }
      // The first run loads the module in each worker.
      if (run > 0) times[name as keyof typeof times].push(ms);
    }
    await onRun(run / runs);
  }
  const here = pool.statistics.itemsInCaller - before;
  return {
    items: items.length,
    loopMs: median(times.loop),
    poolMs: median(times.pool),
    adaptiveMs: median(times.adaptive),
    inCaller: here / ((runs + 1) * items.length),
  };
}

/** Files read in a row and over a pool. */
export interface PiFiles {
  /** How many files. */
  readonly files: number;
  /** Rows in all of them. */
  readonly rows: number;
  /** Milliseconds of reading one after the other. */
  readonly rowMs: number;
  /** Milliseconds of reading over the pool. */
  readonly poolMs: number;
  /** What the points in them say. */
  readonly estimate: number;
}

const FILES = 50;
const ROWS = 1000;

/**
 * Reads 50 CSV files of points, written to a temporary folder for that.
 *
 * @param pool Its workers run.
 * @param seed What the points are drawn from.
 * @param onFile Called between two files.
 */
export async function readFiles(
  pool: Pool,
  seed: number,
  onFile: (share: number) => Promise<void>,
): Promise<PiFiles> {
  const folder = await Deno.makeTempDir({ prefix: "heddle-pi-" });
  try {
    const paths = await writeFiles(folder, seed);
    const passes = 2;
    const [inRow, overPool] = [[] as number[], [] as number[]];
    let estimate = 0;
    for (let pass = 0; pass < passes; pass++) {
      const start = performance.now();
      const row: Part[] = [];
      for (const path of paths) {
        row.push(await countFile(path));
        await onFile((pass + row.length / FILES / 2) / passes);
      }
      const middle = performance.now();
      const pooled = await pool.map(countFile, paths);
      inRow.push(middle - start);
      overPool.push(performance.now() - middle);
      await onFile((pass + 1) / passes);
      estimate = estimateOf(row);
      if (estimateOf(pooled) !== estimate) {
        throw new Error("pi: workers read other points from the files");
      }
    }
    return {
      files: FILES,
      rows: FILES * ROWS,
      // The first pass over the pool also loads the module in each worker.
      rowMs: Math.min(...inRow),
      poolMs: Math.min(...overPool),
      estimate,
    };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function writeFiles(folder: string, seed: number): Promise<string[]> {
  const random = new Random(seed);
  const paths: string[] = [];
  for (let file = 1; file <= FILES; file++) {
    const lines = ["x,y"];
    for (let row = 0; row < ROWS; row++) {
      lines.push(`${random.next()},${random.next()}`);
    }
    const path = join(folder, `points-${file}.csv`);
    await Deno.writeTextFile(path, `${lines.join("\n")}\n`);
    paths.push(path);
  }
  return paths;
}

function estimateOf(parts: readonly Part[]): number {
  const sum = (pick: (part: Part) => number) =>
    parts.reduce((total, part) => total + pick(part), 0);
  return 4 * sum(({ inside }) => inside) / sum(({ points }) => points);
}
