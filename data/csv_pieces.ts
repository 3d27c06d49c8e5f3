import { csvRecords } from "./_csv_records.ts";
import { collect, firstRecord } from "./_csv_table.ts";
import type { CsvColumns, CsvOptions, CsvTable, CsvText } from "./csv.ts";

/** How a file of separated values is split. */
export interface CsvPiecesOptions
  extends Omit<CsvOptions<CsvColumns>, "columns"> {
  /**
   * The size of a piece: it ends with the first row that ends at or behind it.
   *
   * @default 2 ** 22
   */
  readonly bytes?: number | undefined;
  /**
   * The names of the columns, in order: where there is no header.
   *
   * @default those in the header
   */
  readonly names?: readonly string[] | undefined;
}

/** Some rows of a file, and what one must know to read them: JSON-safe. */
export interface CsvPiece {
  /** The file. */
  readonly path: string;
  /** The first byte. */
  readonly start: number;
  /** The byte behind the last. */
  readonly end: number;
  /** How many rows stand before it, the header among them. */
  readonly row: number;
  /** The columns of the file, in order. */
  readonly names: readonly string[];
  /** What stands between cells. */
  readonly separator: string;
  /** What quotes are. */
  readonly quotes: "double" | "none";
}

const CHUNK_BYTES = 2 ** 20;
const QUOTE = 0x22;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/**
 * Splits a file of separated values between rows, without reading the cells:
 * pieces for many workers, or for one at a time where the file is larger than
 * memory. A line end in quotes is no end of a row.
 *
 * @param path The file, in UTF-8.
 * @param options Size of the pieces, separator, header, quotes.
 * @returns The pieces, in order: for {@linkcode readCsvPiece}, here or in a
 * worker. They are found as the loop goes on.
 * @throws {RangeError} If `bytes` is no whole number from 1.
 * @throws {SyntaxError} If there is no header, or it cannot be read.
 *
 * @example A sum over a large file
 * ```ts
 * import { csvPieces, readCsvPiece } from "@heddle/data";
 * import { assertEquals } from "@std/assert";
 *
 * const path = await Deno.makeTempFile({ suffix: ".csv" });
 * await Deno.writeTextFile(path, 'text,n\n"two\nlines",1\nb,2\nc,3\n');
 * let pieces = 0;
 * let sum = 0;
 * for await (const piece of csvPieces(path, { bytes: 12 })) {
 *   const { columns } = await readCsvPiece(piece, { columns: { n: "int32" } });
 *   pieces++;
 *   for (const n of columns.n) sum += n;
 * }
 * assertEquals([pieces, sum], [2, 6]);
 * ```
 */
export async function* csvPieces(
  path: string,
  options: CsvPiecesOptions = {},
): AsyncGenerator<CsvPiece, void> {
  const operation = `csvPieces: ${path}`;
  const { bytes = 2 ** 22, header = true, quotes = "double" } = options;
  const byName = path.toLowerCase().endsWith(".tsv") ? "\t" : ",";
  const { separator = byName } = options;
  if (!Number.isSafeInteger(bytes) || bytes < 1) {
    throw new RangeError(
      `${operation}: bytes must be a whole number from 1: got ${bytes}`,
    );
  }
  if (header === (options.names !== undefined)) {
    throw new TypeError(
      header
        ? `${operation}: the header has names already: pass header: false`
        : `${operation}: without a header the columns have no names: give names`,
    );
  }
  using file = await Deno.open(path);
  const scanner = new RowScanner(quotes === "double");
  const chunk = new Uint8Array(CHUNK_BYTES);
  let names = options.names;
  let start = 0;
  let row = 0;
  let size = 0;
  const piece = (end: number): CsvPiece => {
    const from = { start, row };
    start = end;
    row = scanner.rows;
    return { path, ...from, end, names: names!, separator, quotes };
  };
  const readHeader = async (end: number): Promise<void> => {
    const text = textStream(await readBytes(operation, path, 0, end));
    const records = csvRecords(operation, text, separator, quotes);
    const head = await firstRecord(records);
    if (head === undefined) return; // only empty lines so far
    names = head[0];
    start = end;
    row = scanner.rows;
  };
  for (;;) {
    const length = await file.read(chunk);
    if (length === null) break;
    for (let at = 0; at < length;) {
      const least = names === undefined ? 0 : start + bytes;
      const end = scanner.scan(chunk, at, length, size, least);
      if (end === undefined) break;
      if (names === undefined) await readHeader(end);
      else if (scanner.rows > row) yield piece(end); // not empty lines alone
      at = end - size;
    }
    size += length;
  }
  if (names === undefined) await readHeader(size);
  if (names === undefined) {
    throw new SyntaxError(`${operation}: there is no header: it is empty`);
  }
  if (size > start) yield piece(size);
}

/**
 * Reads the rows of a piece, column by column: see `readCsv`. Errors name the
 * row in the file.
 *
 * @param piece Of {@linkcode csvPieces}.
 * @param options The columns to read and what they hold.
 * @returns Typed arrays and arrays of text.
 * @throws {SyntaxError} If a cell or row is not as expected.
 * @throws {Error} If the file became shorter.
 */
export async function readCsvPiece<const Kinds extends CsvColumns = CsvText>(
  piece: CsvPiece,
  options: Pick<CsvOptions<Kinds>, "columns"> = {},
): Promise<CsvTable<Kinds>> {
  const { path, start, end, separator, quotes, names, row } = piece;
  const operation = `readCsvPiece: ${path}`;
  const text = textStream(await readBytes(operation, path, start, end));
  const all = { ...options, separator, quotes };
  return await collect(operation, text, all, { names, row });
}

/** Finds the ends of rows. */
class RowScanner {
  /** Rows that ended, empty lines not counted. */
  rows = 0;
  readonly #quotes: boolean;
  #quoted = false;
  #rowStart = 0;
  /** The byte before, which may be in the chunk before. */
  #before = 0;

  constructor(quotes: boolean) {
    this.#quotes = quotes;
  }

  /**
   * The end of the first row that ends in the chunk, at `least` or behind it.
   *
   * @param base Where the chunk begins; all positions but `from` and `to` are
   * those in the file.
   */
  scan(
    chunk: Uint8Array,
    from: number,
    to: number,
    base: number,
    least: number,
  ): number | undefined {
    const quotes = this.#quotes;
    let quoted = this.#quoted;
    let before = this.#before;
    let found: number | undefined;
    for (let at = from; at < to && found === undefined; at++) {
      const byte = chunk[at]!;
      // A doubled quote ends and begins again.
      if (byte === QUOTE) quoted = quotes && !quoted;
      else if (byte === LINE_FEED && !quoted) {
        const end = base + at + 1;
        const lineEnd = before === CARRIAGE_RETURN ? 2 : 1;
        if (end - this.#rowStart > lineEnd) this.rows++;
        this.#rowStart = end;
        if (end >= least) found = end;
      }
      before = byte;
    }
    this.#quoted = quoted;
    this.#before = before;
    return found;
  }
}

async function readBytes(
  operation: string,
  path: string,
  start: number,
  end: number,
): Promise<Uint8Array<ArrayBuffer>> {
  using file = await Deno.open(path);
  await file.seek(start, Deno.SeekMode.Start);
  const bytes = new Uint8Array(end - start);
  for (let at = 0; at < bytes.length;) {
    const length = await file.read(bytes.subarray(at));
    if (length === null) {
      throw new Error(
        `${operation}: the file ends at byte ${start + at}: the piece at ` +
          `${end}: it became shorter since it was split`,
      );
    }
    at += length;
  }
  return bytes;
}

function textStream(bytes: Uint8Array<ArrayBuffer>): ReadableStream<string> {
  return ReadableStream.from([bytes])
    .pipeThrough(new TextDecoderStream("utf-8", { fatal: true }));
}
