/**
 * Prints the table of a file that `deno task bench` wrote.
 *
 * `deno run --allow-read tests/bench/table.ts out/bench.jsonl`
 */

import { parse } from "./_results.ts";
import { tableOf } from "./_table.ts";

const [path = "out/bench.jsonl"] = Deno.args;
const table = tableOf(parse(await Deno.readTextFile(path)));
await Deno.stdout.write(new TextEncoder().encode(`${table}\n`));
