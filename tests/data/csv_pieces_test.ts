import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import {
  csvPieces,
  type CsvPiecesOptions,
  readCsv,
  readCsvPiece,
} from "@heddle/data";
import { parse } from "@std/csv/parse";
import { seeded } from "../seeded.ts";

/** A file with a text in it, for as long as a function runs. */
async function withFile<Result>(
  text: string | Uint8Array,
  use: (path: string) => Promise<Result>,
  suffix = ".csv",
): Promise<Result> {
  const path = await Deno.makeTempFile({ suffix });
  try {
    await Deno.writeFile(
      path,
      typeof text === "string" ? new TextEncoder().encode(text) : text,
    );
    return await use(path);
  } finally {
    await Deno.remove(path);
  }
}

/** The cells of all pieces, and where the pieces end. */
async function readAll(path: string, options: CsvPiecesOptions) {
  const rows: string[][] = [];
  const ends: number[] = [];
  for await (const piece of csvPieces(path, options)) {
    // As a message carries it.
    const { columns, length } = await readCsvPiece(
      JSON.parse(JSON.stringify(piece)),
    );
    const lists = Object.values(columns) as string[][];
    for (let at = 0; at < length; at++) rows.push(lists.map((l) => l[at]!));
    ends.push(piece.end);
  }
  return { rows, ends };
}

/** A table with everything that makes rows hard to find. */
function awkwardTable(rows: number): string {
  const cells = ["a", '"b ""c"" d"', '"line\nend"', '"\r\n"', "", "é🙂", '""'];
  const random = seeded(3);
  const ends = ["\n", "\r\n", "\n\n", "\r\n\r\n"];
  const pick = <T>(list: readonly T[]) =>
    list[Math.floor(random.next() * list.length)]!;
  let text = "\ufeffx,y\r\n";
  for (let row = 0; row < rows; row++) {
    text += `${pick(cells)},${row}${pick(ends)}`;
  }
  return text;
}

for (const bytes of [1, 2, 7, 64, 1000, 2 ** 24]) {
  Deno.test(`csvPieces() of ${bytes} bytes have the rows of the whole file`, async () => {
    await withFile(awkwardTable(200), async (path) => {
      const whole = await readCsv(path);
      const { rows, ends } = await readAll(path, { bytes });
      const { x, y } = whole.columns as Record<string, string[]>;
      assertEquals(rows, x!.map((cell, at) => [cell, y![at]!]));
      assertEquals(ends.at(-1), (await Deno.stat(path)).size);
      if (bytes < 1000) assert(ends.length > 1);
      if (bytes === 2 ** 24) assertEquals(ends.length, 1);
    });
  });
}

Deno.test("readCsv() reads what the parser of @std/csv reads", async () => {
  const text = awkwardTable(500);
  await withFile(text, async (path) => {
    const { columns } = await readCsv(path);
    const { x, y } = columns as Record<string, string[]>;
    assertEquals(
      x!.map((cell, at) => [cell, y![at]!]),
      parse(text.slice(1)).slice(1), // behind the mark and the header
    );
  });
});

Deno.test("csvPieces() go over chunks, with a row that ends at each place", async () => {
  // Line ends and quotes around the border of a chunk of 2^20 bytes.
  for (let shift = -3; shift <= 3; shift++) {
    const long = "z".repeat(2 ** 20 - 10 + shift);
    const text = `x\n"${long}"\r\n"1\n2"\r\nlast`;
    await withFile(text, async (path) => {
      const { rows } = await readAll(path, { bytes: 1 });
      assertEquals(rows, [[long], ["1\n2"], ["last"]]);
    });
  }
});

Deno.test("csvPieces() read tab-separated files, quotes as text, and files without a header", async () => {
  await withFile('x\ty\n"a\tb\nc"\td\n', async (path) => {
    const { rows } = await readAll(path, { bytes: 1, quotes: "none" });
    assertEquals(rows, [['"a', "b"], ['c"', "d"]]);
  }, ".tsv");
  await withFile("1;2\n3;4", async (path) => {
    const names = ["x", "y"];
    const { rows } = await readAll(path, {
      bytes: 1,
      header: false,
      names,
      separator: ";",
    });
    assertEquals(rows, [["1", "2"], ["3", "4"]]);
  });
});

Deno.test("csvPieces() of a header alone are none; of nothing an error", async () => {
  for (const text of ["x,y", "x,y\n", "\n\nx,y\r\n"]) {
    await withFile(text, async (path) => {
      assertEquals(await Array.fromAsync(csvPieces(path)), []);
    });
  }
  for (const text of ["", "\n\r\n"]) {
    await withFile(text, async (path) => {
      const { message } = await assertRejects(
        () => Array.fromAsync(csvPieces(path)),
        SyntaxError,
      );
      assertStringIncludes(message, "there is no header");
    });
  }
});

Deno.test("readCsvPiece() reads columns by their kinds, and names the row in the file", async () => {
  await withFile("x,n\n\na,1\nb,2\nc,three\n", async (path) => {
    const pieces = await Array.fromAsync(csvPieces(path, { bytes: 1 }));
    assertEquals(pieces.map(({ row }) => row), [1, 2, 3]);
    const columns = { n: "int32" } as const;
    const second = await readCsvPiece(pieces[1]!, { columns });
    assertEquals(second.columns.n, Int32Array.of(2));
    const { message } = await assertRejects(
      () => readCsvPiece(pieces[2]!, { columns }),
      SyntaxError,
    );
    assertStringIncludes(message, 'row 4, column "n": must be a whole number');
    // As the whole file has it.
    const whole = await assertRejects(() => readCsv(path, { columns }));
    assertStringIncludes((whole as Error).message, 'row 4, column "n"');
    const bad = await Array.fromAsync(csvPieces(path, { bytes: 1 }));
    await Deno.writeTextFile(path, 'x,n\n\na,1\nb,2\n"c"xxx,3\n');
    const quote = await assertRejects(
      () => readCsvPiece(bad[2]!),
      SyntaxError,
    );
    assertStringIncludes(quote.message, "row 4, character");
  });
});

Deno.test("csvPieces() and readCsvPiece() refuse what cannot be", async () => {
  await withFile("x\n1\n2\n", async (path) => {
    const wrong: [CsvPiecesOptions, string][] = [
      [{ bytes: 0 }, "bytes must be a whole number from 1: got 0"],
      [{ bytes: 1.5 }, "got 1.5"],
      [{ header: false }, "without a header the columns have no names"],
      [{ names: ["x"] }, "the header has names already"],
      [{ separator: "" }, "the separator must be text"],
    ];
    for (const [options, why] of wrong) {
      const error = await assertRejects(
        () => Array.fromAsync(csvPieces(path, options)),
      );
      assertStringIncludes((error as Error).message, why);
    }
    const [piece] = await Array.fromAsync(csvPieces(path));
    await Deno.truncate(path, 4);
    await assertRejects(
      () => readCsvPiece(piece!),
      Error,
      "the file ends at byte 4: the piece at 6: it became shorter",
    );
  });
});
