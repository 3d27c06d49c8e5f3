import { type CsvPiece, csvPieces, readCsvPiece } from "@heddle/data";
import { type Future, type Pool, remote, TaskGraph } from "@heddle/data/pool";

/** What is known of some tweets. */
export interface Summary {
  readonly rows: number;
  /** All characters of the texts. */
  readonly characters: number;
  /** Rows and characters for each sentiment. */
  readonly groups: Readonly<Record<string, readonly [number, number]>>;
}

/** Reads a piece and counts. */
export const summarize = remote(
  import.meta,
  async function summarize(piece: CsvPiece): Promise<Summary> {
    const { length, columns } = await readCsvPiece(piece, {
      columns: { text: "string", sentiment: "string" },
    });
    const groups: Record<string, [number, number]> = {};
    let characters = 0;
    for (const [at, text] of columns.text.entries()) {
      const group = groups[columns.sentiment[at]!] ??= [0, 0];
      group[0]++;
      group[1] += text.length;
      characters += text.length;
    }
    return { rows: length, characters, groups };
  },
);

/** One summary of two. */
export const merge = remote(
  import.meta,
  function merge(a: Summary, b: Summary): Summary {
    const groups: Record<string, [number, number]> = {};
    for (
      const [name, [rows, characters]] of [
        ...Object.entries(a.groups),
        ...Object.entries(b.groups),
      ]
    ) {
      const group = groups[name] ??= [0, 0];
      group[0] += rows;
      group[1] += characters;
    }
    const rows = a.rows + b.rows;
    return { rows, characters: a.characters + b.characters, groups };
  },
);

/** Summarizes a file of tweets over a pool, piece by piece. */
export async function summarizeFile(
  pool: Pool,
  path: string,
  bytes: number,
): Promise<{ summary: Summary; pieces: number; html: string }> {
  const graph = new TaskGraph(pool);
  const parts: Future<Summary>[] = [];
  for await (const piece of csvPieces(path, { bytes })) {
    parts.push(graph.submit(summarize, piece));
  }
  const summary = await graph.reduce(merge, parts).result();
  return { summary, pieces: parts.length, html: await graph.html() };
}
