/**
 * Runs the benches, each file in a process of its own, then the first calls;
 * writes what they find to `out/bench.jsonl` and prints it as a table. With
 * words only the files are run whose names have one of them.
 *
 * `deno task bench matmul siamese`
 */

import { parse, RESULTS, write } from "./_results.ts";
import { say } from "./_say.ts";
import { tableOf } from "./_table.ts";

const FOLDER = new URL("./", import.meta.url);
const RESULTS_FILE = new URL("../../out/bench.jsonl", FOLDER);
const SUFFIX = "_bench.ts";
const FIRST_CALL = "first_call.ts";

/** The files to run, in order. */
function files(words: readonly string[]): string[] {
  const names = [...Deno.readDirSync(FOLDER)].map(({ name }) => name)
    .filter((name) => name.endsWith(SUFFIX)).sort();
  const wanted = [...names, FIRST_CALL].filter((name) =>
    words.length === 0 || words.some((word) => name.includes(word))
  );
  if (wanted.length === 0) {
    say(`bench: no file is called so: ${words.join(" ")}: ${names.join(" ")}`);
    Deno.exit(1);
  }
  return wanted;
}

/** Runs a file; whether it ended well. */
async function run(file: string): Promise<boolean> {
  const args = file.endsWith(SUFFIX) ? ["bench", "-A"] : ["run", "-A"];
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: [...args, new URL(file, FOLDER).href],
    stdin: "null",
  }).spawn().status;
  return success;
}

function load(): string {
  return Deno.loadavg()[0]!.toFixed(1);
}

const wanted = files(Deno.args);
await Deno.mkdir(new URL("./", RESULTS_FILE), { recursive: true });
await Deno.writeTextFile(RESULTS_FILE, "");
Deno.env.set(RESULTS, new URL(RESULTS_FILE).pathname);
const [before, start] = [load(), performance.now()];
const failed: string[] = [];
for (const file of wanted) {
  if (!await run(file)) failed.push(file);
}
const minutes = ((performance.now() - start) / 60_000).toFixed(1);
write([{
  about: `Deno ${Deno.version.deno}, ${navigator.hardwareConcurrency} cores, ` +
    `${minutes} minutes, load ${before} before and ${load()} after`,
}]);
const table = tableOf(parse(await Deno.readTextFile(RESULTS_FILE)));
await Deno.stdout.write(new TextEncoder().encode(`\n${table}\n`));
if (failed.length > 0) {
  say(`bench: failed: ${failed.join(", ")}`);
  Deno.exit(1);
}
