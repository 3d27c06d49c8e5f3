import { csvRecords } from "./_csv_records.ts";
import type { CsvColumns, CsvKind, CsvOptions, CsvTable } from "./csv.ts";

/** Where text begins that is not the beginning of a file. */
export interface CsvStart {
  /** The columns of the file, in order. */
  readonly names: readonly string[];
  /** How many rows stand before it, the header among them. */
  readonly row: number;
}

/** All rows, column by column. */
export async function collect<Kinds extends CsvColumns>(
  operation: string,
  text: ReadableStream<string>,
  options: CsvOptions<Kinds>,
  start?: CsvStart,
): Promise<CsvTable<Kinds>> {
  const { kinds, rows } = await open(operation, text, options, start);
  const values: unknown[][] = kinds.map(() => []);
  let length = 0;
  for await (const batch of rows) {
    for (const row of batch) {
      for (let index = 0; index < row.length; index++) {
        values[index]!.push(row[index]);
      }
    }
    length += batch.length;
  }
  const columns = Object.fromEntries(
    kinds.map(([name, kind], index) => [name, toColumn(kind, values[index]!)]),
  ) as CsvTable<Kinds>["columns"];
  return { length, columns };
}

/** The first rows that there are, at least one; undefined if there is none. */
export async function firstRecord(
  records: AsyncGenerator<readonly (readonly string[])[], void>,
): Promise<readonly [readonly string[], ...(readonly string[])[]] | undefined> {
  for (;;) {
    const { done, value } = await records.next();
    if (done) return undefined;
    const [first, ...rest] = value!;
    if (first !== undefined) return [first, ...rest];
  }
}

function toColumn(kind: CsvKind, values: unknown[]): unknown {
  if (kind === "float32") return Float32Array.from(values as number[]);
  if (kind === "float64") return Float64Array.from(values as number[]);
  if (kind === "boolean") return Uint8Array.from(values as number[]);
  return kind === "int32" || typeof kind === "object"
    ? Int32Array.from(values as number[])
    : values;
}

/** Reads the header; what is left are the rows, as values of the columns. */
export async function open<Kinds extends CsvColumns>(
  operation: string,
  text: ReadableStream<string>,
  options: CsvOptions<Kinds>,
  start?: CsvStart,
): Promise<{ kinds: [string, CsvKind][]; rows: AsyncIterable<unknown[][]> }> {
  const { separator = ",", quotes = "double", header = true } = options;
  const records = csvRecords(
    operation,
    text,
    separator,
    quotes,
    start?.row,
  );
  /** Rows that came along with the header. */
  let first: readonly (readonly string[])[] = [];
  let names: readonly string[];
  if (start) {
    names = start.names;
  } else if (header) {
    const head = await firstRecord(records);
    if (head === undefined) {
      throw new SyntaxError(`${operation}: there is no header: it is empty`);
    }
    [names, ...first] = head;
  } else if (options.columns === undefined) {
    throw new TypeError(
      `${operation}: without a header the columns have no names: give columns`,
    );
  } else {
    names = Object.keys(options.columns);
  }
  const kinds: [string, CsvKind][] = options.columns === undefined
    ? names.map((name) => [name, "string"])
    : Object.entries(options.columns);
  const places = kinds.map(([name]) => {
    const place = names.indexOf(name);
    const wrong = place < 0
      ? "there is no column"
      : names.indexOf(name, place + 1) < 0
      ? undefined
      : "there are two columns";
    if (wrong !== undefined) {
      throw new SyntaxError(
        `${operation}: ${wrong} ${JSON.stringify(name)}: the header has ` +
          `[${names.map((known) => JSON.stringify(known)).join(", ")}]`,
      );
    }
    return place;
  });
  const parsers = kinds.map(([name, kind]) => parserOf(operation, name, kind));

  let row = start ? start.row : header ? 1 : 0;
  const toValues = (cells: readonly string[]): unknown[] => {
    row++;
    if (cells.length !== names.length) {
      throw new SyntaxError(
        `${operation}: row ${row} has ${cells.length} cells: there are ` +
          `${names.length} columns`,
      );
    }
    return parsers.map((parser, index) => parser(cells[places[index]!]!, row));
  };
  async function* typed(): AsyncGenerator<unknown[][]> {
    yield* valuesOf(first);
    for await (const batch of records) yield* valuesOf(batch);
  }
  /** Also those before a row that is wrong. */
  function* valuesOf(
    batch: readonly (readonly string[])[],
  ): Generator<unknown[][]> {
    const values: unknown[][] = [];
    try {
      for (const cells of batch) values.push(toValues(cells));
    } finally {
      yield values;
    }
  }
  return { kinds, rows: typed() };
}

function parserOf(
  operation: string,
  name: string,
  kind: CsvKind,
): (text: string, row: number) => unknown {
  const fail = (text: string, row: number, wanted: string, cause?: unknown) => {
    throw new SyntaxError(
      `${operation}: row ${row}, column ${JSON.stringify(name)}: must be ` +
        `${wanted}: got ${JSON.stringify(text)}`,
      { cause },
    );
  };
  if (kind === "string") return (text) => text;
  if (typeof kind === "function") {
    return (text, row) => {
      try {
        return kind(text);
      } catch (cause) {
        fail(text, row, `accepted (${(cause as Error).message})`, cause);
      }
    };
  }
  if (typeof kind === "object") {
    const ids = new Map(kind.map((category, id) => [category, id]));
    return (text, row) =>
      ids.get(text) ?? fail(text, row, `one of ${kind.join(", ")}`);
  }
  const [parse, wanted] = PARSERS[kind];
  return (text, row) => parse(text.trim()) ?? fail(text, row, wanted);
}

type CellParser = (text: string) => number | boolean | undefined;

const PARSERS: Readonly<
  Record<
    Exclude<
      CsvKind,
      "string" | readonly string[] | ((text: string) => unknown)
    >,
    readonly [CellParser, string]
  >
> = {
  float32: [toNumber, "a number"],
  float64: [toNumber, "a number"],
  int32: [toInt32, "a whole number of 32 bits"],
  boolean: [toBoolean, "true, false, 1 or 0"],
};

function toNumber(text: string): number | undefined {
  if (/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) return Number(text);
  if (/^[+-]?nan$/i.test(text)) return NaN;
  if (!/^[+-]?inf(inity)?$/i.test(text)) return undefined;
  return text.startsWith("-") ? -Infinity : Infinity;
}

function toInt32(text: string): number | undefined {
  const value = Number(text);
  return /^[+-]?\d+$/.test(text) && value === (value | 0) ? value : undefined;
}

function toBoolean(text: string): boolean | undefined {
  if (/^(true|1)$/i.test(text)) return true;
  return /^(false|0)$/i.test(text) ? false : undefined;
}
