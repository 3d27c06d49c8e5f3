/**
 * 50 CSV files, 60 MB in all, each to the number of its rows and characters: in
 * a row, and by a `DataLoader` with 2 workers: started for the loop, or kept
 * from the one before.
 */

import { assertEquals } from "@std/assert";
import { DataLoader, remoteDataset } from "@heddle/data";
import { delayed } from "@heddle/data/pool";
import { csvFiles } from "../data/worker_datasets.ts";
import { seeded } from "../seeded.ts";

const FILES = 50;
const ROWS = 12_000;

/** Rows like those of tweets: every fourth text is in quotes. */
function table(file: number): string {
  const random = seeded(file);
  const rows = Array.from({ length: ROWS }, (_, row) => {
    const word = `word${Math.floor(random.next() * 1000)} `;
    const text = word.repeat(Math.ceil(random.next() * 17));
    return `${file}-${row},${
      row % 4 === 0 ? `"${text}, ""so"""` : text
    },neutral`;
  });
  return `id,text,sentiment\n${rows.join("\n")}\n`;
}

const folder = await Deno.makeTempDir();
addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
const paths = Array.from({ length: FILES }, (_, i) => `${folder}/${i}.csv`);
for (const [file, path] of paths.entries()) {
  await Deno.writeTextFile(path, table(file));
}
const dataset = await remoteDataset(delayed(csvFiles)(paths));

/** Rows and characters of all files. */
async function read(
  loader: DataLoader<{ rows: number; characters: number }>,
): Promise<[number, number]> {
  let [rows, characters] = [0, 0];
  for await (const batch of loader) {
    rows += batch.rows.data[0]!;
    characters += batch.characters.data[0]!;
  }
  return [rows, characters];
}

const [rows, characters] = await read(new DataLoader(dataset));
assertEquals(rows, FILES * ROWS);

const group = `read ${FILES} csv files`;
const loaders = [
  ["in a row", new DataLoader(dataset)],
  ["DataLoader, 2 workers", new DataLoader(dataset, { workers: 2 })],
  [
    "DataLoader, 2 workers, kept",
    new DataLoader(dataset, { workers: 2, persistentWorkers: true }),
  ],
] as const;
for (const [at, [name, loader]] of loaders.entries()) {
  Deno.bench(name, { group, baseline: at === 0, n: 5 }, async () => {
    assertEquals(await read(loader), [rows, characters]);
  });
}
