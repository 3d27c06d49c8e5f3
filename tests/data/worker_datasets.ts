import {
  type Dataset,
  defaultCollate,
  type HostArray,
  readCsv,
} from "@heddle/data";
import { type Barrier, remote } from "@heddle/data/pool";

/** A number, and the epoch it was drawn in. */
export interface Drawn {
  readonly x: number;
  readonly epoch: number;
}

/** Numbers that say in which epoch they were got; some fail, slowly or not. */
export const numbers = remote(
  import.meta,
  function numbers(length: number, bad = -1, ending = -1): Dataset<Drawn> {
    let epoch = -1;
    return {
      length,
      setEpoch: (to) => {
        epoch = to;
      },
      get: async (index) => {
        // The later ones are there first.
        await new Promise((resolve) => setTimeout(resolve, 3 * (index % 3)));
        if (index === bad) throw new RangeError(`number ${index} is bad`);
        if (index === ending) Deno.exit(4);
        return { x: index * 10, epoch };
      },
    };
  },
);

/** The same after a while. */
export const numbersLater = remote(
  import.meta,
  async function numbersLater(length: number): Promise<Dataset<Drawn>> {
    await Promise.resolve();
    return numbers(length);
  },
);

export const nothing = remote(
  import.meta,
  function nothing(): Dataset<number> {
    return 5 as unknown as Dataset<number>;
  },
);

/** Tells the thread from others. */
const thread = crypto.randomUUID();

/** The names of threads, which are got by two at a time. */
export const threads = remote(
  import.meta,
  function threads(length: number, pair: Barrier): Dataset<string> {
    return {
      length,
      get: async () => {
        await pair.wait({ timeoutMs: 30_000 });
        return thread;
      },
    };
  },
);

/** Halves of the numbers, with the thread that made them. */
export const halves = remote(
  import.meta,
  function halves(items: readonly Drawn[]): { half: number[]; in: string } {
    return { half: items.map(({ x }) => x / 2), in: thread };
  },
);

/** Batches of one row a file: how many rows it has, and their characters. */
export const csvFiles = remote(
  import.meta,
  function csvFiles(paths: readonly string[]): Dataset<{
    rows: number;
    characters: number;
  }> {
    return {
      length: paths.length,
      get: async (index) => {
        const { length, columns } = await readCsv(paths[index]!);
        let characters = 0;
        for (const column of Object.values(columns)) {
          for (const cell of column as string[]) characters += cell.length;
        }
        return { rows: length, characters };
      },
    };
  },
);

/** Rows of an array that stays where it is. */
export const views = remote(
  import.meta,
  function views(): Dataset<Float32Array> {
    const all = Float32Array.of(1, 2, 3, 4, 5, 6);
    return {
      length: 3,
      get: (index) => all.subarray(2 * index, 2 * index + 2),
    };
  },
);

export const stackTwice = remote(
  import.meta,
  function stackTwice(items: readonly Float32Array[]): HostArray {
    return defaultCollate([...items, ...items]) as HostArray;
  },
);
