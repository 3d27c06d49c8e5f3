import {
  columns,
  type CsvColumns,
  type CsvOptions,
  type CsvTable,
  type CsvText,
  parseCsv,
  readCsv,
  readCsvRows,
} from "@heddle/data";
import { assertEquals, assertRejects } from "@std/assert";
import { realData, TempFolder } from "./places.ts";

/** `readCsv` of a file with this content. */
async function readText<const Kinds extends CsvColumns = CsvText>(
  text: string | Uint8Array,
  options: CsvOptions<Kinds> = {},
  name = "table.csv",
): Promise<CsvTable<Kinds>> {
  using folder = new TempFolder();
  const path = `${folder.path}/${name}`;
  if (typeof text === "string") await Deno.writeTextFile(path, text);
  else await Deno.writeFile(path, text);
  return await readCsv(path, options);
}

Deno.test("parseCsv() gives every column as text unless told otherwise", async () => {
  const table = await parseCsv('a,b\n1,"x, ""y""\nz"\n\n2,\n');
  assertEquals(table.length, 2);
  assertEquals({ ...table.columns }, { a: ["1", "2"], b: ['x, "y"\nz', ""] });
});

Deno.test("parseCsv() gives each kind in its type", async () => {
  const text = "f,d,i,b,c,t,n\r\n" +
    "0.1, 1e3 ,-7,true,no,x,4\r\n" +
    "-.5,inf,+2147483647,0,yes,y,\r\n" +
    "nan,-Infinity,-2147483648,FALSE,no,,9";
  const { columns: got } = await parseCsv(text, {
    columns: {
      f: "float32",
      d: "float64",
      i: "int32",
      b: "boolean",
      c: ["no", "yes"],
      t: "string",
      n: (cell: string) => cell === "" ? null : Number(cell),
    },
  });
  assertEquals(got.f, Float32Array.of(0.1, -0.5, NaN));
  assertEquals(got.d, Float64Array.of(1000, Infinity, -Infinity));
  assertEquals(got.i, Int32Array.of(-7, 2147483647, -2147483648));
  assertEquals(got.b, Uint8Array.of(1, 0, 0));
  assertEquals(got.c, Int32Array.of(0, 1, 0));
  assertEquals(got.t, ["x", "y", ""]);
  assertEquals(got.n, [4, null, 9]);
});

Deno.test("parseCsv() reads some columns, in any order", async () => {
  const { columns: got } = await parseCsv("a,b,c\n1,2,3\n", {
    columns: { c: "int32", a: "int32" },
  });
  assertEquals(Object.entries(got), [
    ["c", Int32Array.of(3)],
    ["a", Int32Array.of(1)],
  ]);
});

Deno.test("parseCsv() names row and column of a wrong cell", async () => {
  const wrong: [string, "int32" | "float32" | "boolean" | string[], string][] =
    [
      ["", "float32", 'must be a number: got ""'],
      ["0x10", "float32", "must be a number"],
      ["1,5", "float32", "row 3 has 3 cells: there are 2 columns"],
      ["1.5", "int32", "must be a whole number of 32 bits"],
      ["2147483648", "int32", "must be a whole number of 32 bits"],
      ["yes", "boolean", "must be true, false, 1 or 0"],
      ["red", ["green", "blue"], 'must be one of green, blue: got "red"'],
    ];
  const good = { int32: "1", float32: "1", boolean: "1" };
  for (const [cell, kind, message] of wrong) {
    const fine = typeof kind === "string"
      ? good[kind as keyof typeof good]
      : kind[0];
    const error = await assertRejects(
      () =>
        parseCsv(`id,value\na,${fine}\nb,${cell}\n`, {
          columns: { value: kind as "int32" },
        }),
      SyntaxError,
      message,
    );
    if (!message.startsWith("row")) {
      assertEquals(error.message.includes('row 3, column "value"'), true);
    }
  }
});

Deno.test("parseCsv() names the cell that a function refuses", async () => {
  const error = await assertRejects(
    () =>
      parseCsv("day\n2020-01-01\nnever\n", {
        columns: {
          day: (cell: string) => {
            if (Number.isNaN(Date.parse(cell))) throw new Error("no date");
            return new Date(cell);
          },
        },
      }),
    SyntaxError,
    'row 3, column "day": must be accepted (no date): got "never"',
  );
  assertEquals((error.cause as Error).message, "no date");
});

Deno.test("parseCsv() counts rows and not lines", async () => {
  await assertRejects(
    () =>
      parseCsv('id,value\n"1\n2\n3",4\n5,x\n', { columns: { value: "int32" } }),
    SyntaxError,
    "row 3",
  );
  await assertRejects(
    () => parseCsv('id,value\n"1\n2\n3",4\n5,x"y\n'),
    SyntaxError,
    'parseCsv: row 3, character 4: bare " in non-quoted-field',
  );
  await assertRejects(
    () => parseCsv('id,value\n1,"never closed\n2,3\n'),
    SyntaxError,
    "row 2",
  );
});

Deno.test("parseCsv() refuses headers that lack, repeat or are nothing", async () => {
  await assertRejects(
    () => parseCsv("a,b\n1,2\n", { columns: { c: "string" } }),
    SyntaxError,
    'there is no column "c": the header has ["a", "b"]',
  );
  await assertRejects(
    () => parseCsv("a,a\n1,2\n"),
    SyntaxError,
    'there are two columns "a"',
  );
  await assertRejects(() => parseCsv(""), SyntaxError, "no header");
  await assertRejects(
    () => parseCsv("1,2\n", { header: false }),
    TypeError,
    "give columns",
  );
  for (const separator of ["", '"', "\n"]) {
    await assertRejects(() => parseCsv("a\n", { separator }), RangeError);
  }
});

Deno.test("parseCsv() reads rows without a header by their places", async () => {
  const options = {
    header: false,
    columns: { x: "float32", y: "float32" },
  } as const;
  const { length, columns: got } = await parseCsv("1,2\n3,4\n", options);
  assertEquals(length, 2);
  assertEquals(got.y, Float32Array.of(2, 4));
  await assertRejects(
    () => parseCsv("1,2,3\n", options),
    SyntaxError,
    "row 1 has 3 cells: there are 2 columns",
  );
  assertEquals((await parseCsv("", options)).columns.x, new Float32Array(0));
});

Deno.test("readCsv() takes the separator from the name, or as told", async () => {
  const want: Record<string, string[]> = { a: ["1,2"], b: ["3"] };
  const tabs = await readText("a\tb\n1,2\t3\n", {}, "T.TSV");
  assertEquals({ ...tabs.columns }, want);
  const told = await readText("a|b\n1,2|3\n", { separator: "|" });
  assertEquals({ ...told.columns }, want);
});

Deno.test('readCsv() with quotes: "none" takes quotes as they are', async () => {
  const text = 'text\tlabel\r\n"quoted" start\t0\r\n\r\nan "inner\t1\r';
  const { columns: got } = await readText(text, { quotes: "none" }, "t.tsv");
  assertEquals({ ...got }, {
    text: ['"quoted" start', 'an "inner'],
    label: ["0", "1"],
  });
});

Deno.test("readCsv() drops a byte order mark and refuses other encodings", async () => {
  const bytes = new TextEncoder().encode("\ufeffä,b\n1,2\n");
  assertEquals(Object.keys((await readText(bytes)).columns), ["ä", "b"]);
  assertEquals(Object.keys((await parseCsv("\ufeffa,b\n")).columns), [
    "a",
    "b",
  ]);
  for (const quotes of ["double", "none"] as const) {
    await assertRejects(
      () => readText(Uint8Array.of(97, 10, 0xe4, 10), { quotes }),
      SyntaxError,
      "not UTF-8",
    );
  }
});

Deno.test("readCsvRows() streams, and closes the file when left early", async () => {
  using folder = new TempFolder();
  const path = `${folder.path}/large.csv`;
  const lines = Array.from({ length: 50_000 }, (_, i) => `${i},"v ${i}"\n`);
  await Deno.writeTextFile(path, "id,value\n" + lines.join(""));
  let sum = 0;
  for await (const { id } of readCsvRows(path, { columns: { id: "int32" } })) {
    sum += id;
  }
  assertEquals(sum, 49_999 * 25_000);
  for await (const row of readCsvRows(path)) {
    assertEquals({ ...row }, { id: "0", value: "v 0" });
    break;
  }
});

Deno.test("readCsv() closes the file when a row is wrong", async () => {
  const rows = "1\n".repeat(100_000);
  await assertRejects(
    () => readText(`a\n1\nx\n${rows}`, { columns: { a: "int32" } }),
    SyntaxError,
    "row 3",
  );
  await assertRejects(
    () => readText(`a\n1\n"x"y\n${rows}`),
    SyntaxError,
    "row 3",
  );
});

Deno.test("readCsv() columns make a data set", async () => {
  const table = await parseCsv("x,y\n1,a\n2,b\n", {
    columns: { x: "int32", y: "string" },
  });
  const data = columns(table.columns);
  assertEquals(data.get(1), {
    x: { data: Int32Array.of(2), shape: [] },
    y: "b",
  });
});

const TWEETS = realData("tweet");

Deno.test({
  name: "readCsv() reads the tweets of the sentiment competition",
  ignore: TWEETS === undefined,
  fn: async () => {
    const { length, columns: got } = await readCsv(`${TWEETS}/train.csv`, {
      columns: {
        text: "string",
        selected_text: "string",
        sentiment: ["neutral", "positive", "negative"],
      },
    });
    assertEquals(length, 27_481);
    const counts = [0, 0, 0];
    for (const sentiment of got.sentiment) counts[sentiment]!++;
    assertEquals(counts, [11_118, 8_582, 7_781]);
    got.text.forEach((text, row) => {
      if (!text.includes(got.selected_text[row]!)) throw new Error(text);
    });
  },
});

const SST2 = realData("sst2");

Deno.test({
  name: "readCsv() reads the sentences of SST-2",
  ignore: SST2 === undefined,
  fn: async () => {
    const { length, columns: got } = await readCsv(`${SST2}/train.tsv`, {
      columns: { sentence: "string", label: "int32" },
      quotes: "none",
    });
    assertEquals(length, 67_349);
    assertEquals(got.label.reduce((sum, label) => sum + label, 0), 37_569);
  },
});
