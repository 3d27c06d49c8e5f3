import { readCsv } from "@heddle/data";
import { remote, type RemoteFunction } from "@heddle/data/pool";
import type { Part } from "./_pi_count.ts";

/**
 * Counts the points that a CSV file has, by its columns `x` and `y`.
 *
 * In a module of its own: only workers that read files load what reads them.
 */
export const countFile: RemoteFunction<[path: string], Promise<Part>> = remote(
  import.meta,
  async function countFile(path: string): Promise<Part> {
    const { columns, length } = await readCsv(path, {
      columns: { x: "float64", y: "float64" },
    });
    const { x, y } = columns;
    let inside = 0;
    for (let i = 0; i < length; i++) if (x[i]! ** 2 + y[i]! ** 2 < 1) inside++;
    return { points: length, inside };
  },
);
