/**
 * Counts, averages and groups a CSV file that may be larger than memory, in
 * pieces over a pool: time, rate and the most memory that the process took.
 * The file is made of another one's rows, over and over.
 *
 * `deno run -A tests/bench/csv_in_pieces.ts --from tweets.csv --bytes 2e9`
 */

import { assertEquals } from "@std/assert";
import { parseArgs } from "@std/cli/parse-args";
import { readCsv } from "@heddle/data";
import { Pool } from "@heddle/data/pool";
import { repeatRows } from "../data/pool/graph/repeat_rows.ts";
import { summarizeFile } from "../data/pool/graph/tweets.ts";
import { say } from "./_say.ts";

const args = parseArgs(Deno.args, {
  string: ["from", "html"],
  default: {
    from: "../shared/data/tweet/train.csv",
    bytes: 2e9,
    piece: 2 ** 22,
    workers: navigator.hardwareConcurrency,
  },
});

const path = await Deno.makeTempFile({ suffix: ".csv" });
try {
  const times = await repeatRows(args.from, path, Number(args.bytes));
  const { size } = await Deno.stat(path);
  const mb = (bytes: number) => `${(bytes / 1e6).toFixed(0)} MB`;
  say(`${mb(size)} on disk; resident before: ${mb(Deno.memoryUsage().rss)}`);
  let peak = 0;
  const watch = setInterval(() => {
    peak = Math.max(peak, Deno.memoryUsage().rss);
  }, 50);
  await using pool = new Pool({ workers: Number(args.workers) });
  const began = performance.now();
  const { summary, pieces, html } = await summarizeFile(
    pool,
    path,
    Number(args.piece),
  );
  const seconds = (performance.now() - began) / 1000;
  clearInterval(watch);
  const { length } = await readCsv(args.from);
  assertEquals(summary.rows, times * length);
  say(
    `${summary.rows} rows in ${pieces} pieces: ${seconds.toFixed(1)} s, ` +
      `${(size / 1e6 / seconds).toFixed(0)} MB/s, at most ${mb(peak)} resident`,
  );
  for (const [name, [rows, characters]] of Object.entries(summary.groups)) {
    say(`${name}: ${rows} rows, ${(characters / rows).toFixed(1)} characters`);
  }
  if (args.html !== undefined) await Deno.writeTextFile(args.html, html);
} finally {
  await Deno.remove(path);
}
