import { collect, open } from "./_csv_table.ts";

/**
 * What the cells of a column are: text, numbers, booleans (true, false, 1, 0),
 * one of a list of categories (its index), or what a function makes of the text
 * (write the type of its parameter, `(text: string) => ...`: without it the
 * types of the columns are lost).
 */
export type CsvKind =
  | "string"
  | "float32"
  | "float64"
  | "int32"
  | "boolean"
  | readonly string[]
  | ((text: string) => unknown);

/** The columns to read, by name. */
export type CsvColumns = Readonly<Record<string, CsvKind>>;

/** The value of one cell. */
export type CsvValue<Kind extends CsvKind> = Kind extends "string" ? string
  : Kind extends "float32" | "float64" | "int32" | readonly string[] ? number
  : Kind extends "boolean" ? boolean
  : Kind extends (text: string) => infer Value ? Value
  : never;

/** The values of a column, in the type that a tensor is made of. */
export type CsvColumn<Kind extends CsvKind> = Kind extends "float32"
  ? Float32Array
  : Kind extends "float64" ? Float64Array
  : Kind extends "int32" | readonly string[] ? Int32Array
  : Kind extends "boolean" ? Uint8Array
  : CsvValue<Kind>[];

/** One row: a value per column. */
export type CsvRow<Kinds extends CsvColumns> = {
  readonly [Name in keyof Kinds]: CsvValue<Kinds[Name]>;
};

/** A whole file, column by column. */
export interface CsvTable<Kinds extends CsvColumns> {
  /** How many rows there are, without the header. */
  readonly length: number;
  /** The values of each column. */
  readonly columns: {
    readonly [Name in keyof Kinds]: CsvColumn<Kinds[Name]>;
  };
}

/** How a file of separated values is read. */
export interface CsvOptions<Kinds extends CsvColumns> {
  /**
   * The columns to read and what they hold; the others are left out.
   *
   * @default all of them, as text
   */
  readonly columns?: Kinds | undefined;
  /**
   * What stands between cells.
   *
   * @default a tab for files that end in `.tsv`, else a comma
   */
  readonly separator?: string | undefined;
  /**
   * Whether the first row names the columns. Without it `columns` must list
   * every column, in order.
   *
   * @default true
   */
  readonly header?: boolean | undefined;
  /**
   * "double": quotes around a cell may hold separators, line ends and doubled
   * quotes (RFC 4180). "none": a quote is a character like any other, as in the
   * TSV files of many text corpora.
   *
   * @default "double"
   */
  readonly quotes?: "double" | "none" | undefined;
}

/** All columns as text. */
export type CsvText = Readonly<Record<string, "string">>;

/**
 * Reads a file of separated values, column by column.
 *
 * Errors name the row (the header is row 1) and the column. Empty lines are
 * skipped. An empty cell is no number: give the column a function that says what
 * it stands for.
 *
 * @param path The file, in UTF-8.
 * @param options Columns, separator, header, quotes.
 * @returns Typed arrays and arrays of text, for `columns` and tensors.
 * @throws {SyntaxError} If a cell, row or header is not as expected.
 *
 * @example A table with categories
 * ```ts
 * import { readCsv } from "@heddle/data";
 * import { assertEquals } from "@std/assert";
 *
 * const path = await Deno.makeTempFile({ suffix: ".csv" });
 * await Deno.writeTextFile(path, "text,mood,weight\n\"a, b\",good,0.5\nc,bad,2\n");
 * const { columns } = await readCsv(path, {
 *   columns: { text: "string", mood: ["bad", "good"], weight: "float32" },
 * });
 * assertEquals(columns.text, ["a, b", "c"]);
 * assertEquals(columns.mood, Int32Array.of(1, 0));
 * assertEquals(columns.weight, Float32Array.of(0.5, 2));
 * ```
 */
export async function readCsv<const Kinds extends CsvColumns = CsvText>(
  path: string,
  options: CsvOptions<Kinds> = {},
): Promise<CsvTable<Kinds>> {
  using file = await Deno.open(path);
  return await collect(
    `readCsv: ${path}`,
    decoded(file.readable),
    withSeparator(path, options),
  );
}

/**
 * Reads a file of separated values row by row: for files that are larger than
 * memory.
 *
 * @param path The file, in UTF-8.
 * @param options Columns, separator, header, quotes.
 * @returns The rows; the file is closed when the loop ends.
 * @throws {SyntaxError} If a cell, row or header is not as expected.
 *
 * @example A mean without the table in memory
 * ```ts
 * import { readCsvRows } from "@heddle/data";
 * import { assertEquals } from "@std/assert";
 *
 * const path = await Deno.makeTempFile({ suffix: ".tsv" });
 * await Deno.writeTextFile(path, "name\tage\nAda\t36\nAlan\t41\n");
 * let sum = 0;
 * for await (const { age } of readCsvRows(path, { columns: { age: "int32" } })) {
 *   sum += age;
 * }
 * assertEquals(sum / 2, 38.5);
 * ```
 */
export async function* readCsvRows<const Kinds extends CsvColumns = CsvText>(
  path: string,
  options: CsvOptions<Kinds> = {},
): AsyncGenerator<CsvRow<Kinds>, void> {
  using file = await Deno.open(path);
  const { kinds, rows } = await open(
    `readCsvRows: ${path}`,
    decoded(file.readable),
    withSeparator(path, options),
  );
  for await (const batch of rows) {
    for (const values of batch) {
      yield Object.fromEntries(
        kinds.map(([name], index) => [name, values[index]]),
      ) as CsvRow<Kinds>;
    }
  }
}

/**
 * Reads text of separated values, column by column: see {@linkcode readCsv}.
 *
 * @param text The content of a file.
 * @param options Columns, separator, header, quotes.
 * @returns Typed arrays and arrays of text.
 * @throws {SyntaxError} If a cell, row or header is not as expected.
 *
 * @example Without a header
 * ```ts
 * import { parseCsv } from "@heddle/data";
 * import { assertEquals } from "@std/assert";
 *
 * const table = await parseCsv("1;0.5\n2;1.5\n", {
 *   columns: { id: "int32", value: "float64" },
 *   header: false,
 *   separator: ";",
 * });
 * assertEquals(table.length, 2);
 * assertEquals(table.columns.value, Float64Array.of(0.5, 1.5));
 * ```
 */
export async function parseCsv<const Kinds extends CsvColumns = CsvText>(
  text: string,
  options: CsvOptions<Kinds> = {},
): Promise<CsvTable<Kinds>> {
  const stream = ReadableStream.from([text.replace(/^\ufeff/, "")]);
  return await collect("parseCsv", stream, options);
}

function decoded(file: ReadableStream<Uint8Array>): ReadableStream<string> {
  return (file as ReadableStream<Uint8Array<ArrayBuffer>>)
    .pipeThrough(new TextDecoderStream("utf-8", { fatal: true }));
}

function withSeparator<Kinds extends CsvColumns>(
  path: string,
  options: CsvOptions<Kinds>,
): CsvOptions<Kinds> {
  const byName = path.toLowerCase().endsWith(".tsv") ? "\t" : ",";
  return { ...options, separator: options.separator ?? byName };
}
