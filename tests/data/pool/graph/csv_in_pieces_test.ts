import { assert, assertEquals } from "@std/assert";
import { readCsv } from "@heddle/data";
import { Pool } from "@heddle/data/pool";
import { realData, TempFolder } from "../../places.ts";
import { repeatRows } from "./repeat_rows.ts";
import { summarizeFile } from "./tweets.ts";

const TWEETS = realData("tweet");

Deno.test({
  name: "TaskGraph counts, averages and groups a CSV file in pieces",
  ignore: TWEETS === undefined,
  fn: async () => {
    using folder = new TempFolder();
    const path = `${folder.path}/tweets.csv`;
    const times = await repeatRows(`${TWEETS}/test.csv`, path, 1_000_000);
    await using pool = new Pool({ workers: 2 });
    const { summary, pieces } = await summarizeFile(pool, path, 2 ** 16);
    assert(times > 1 && pieces > 10, `${times} times in ${pieces} pieces`);

    const { length, columns } = await readCsv(`${TWEETS}/test.csv`);
    const { text, sentiment } = columns as Record<string, string[]>;
    assertEquals(summary.rows, times * length);
    for (const [name, [rows, characters]] of Object.entries(summary.groups)) {
      const own = text!.filter((_, row) => sentiment![row] === name);
      assertEquals(rows, times * own.length);
      assertEquals(characters, times * own.join("").length);
    }
    assertEquals(
      Object.values(summary.groups).reduce((sum, [rows]) => sum + rows, 0),
      summary.rows,
    );
  },
});
