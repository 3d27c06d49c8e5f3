import { parse } from "@std/csv/parse";

/** A row, as its cells. */
type Cells = readonly string[];

/**
 * The rows of a text of separated values, empty lines left out, as many at a
 * time as a chunk of the text has: going from one to the next without waiting
 * is many times as fast.
 *
 * @param rowsBefore Rows of the file before the text, for errors.
 */
export async function* csvRecords(
  operation: string,
  text: ReadableStream<string>,
  separator: string,
  quotes: "double" | "none",
  rowsBefore = 0,
): AsyncGenerator<readonly Cells[], void> {
  if (separator === "" || /["\r\n]/.test(separator)) {
    throw new RangeError(
      `${operation}: the separator must be text without quotes or line ends: ` +
        `got ${JSON.stringify(separator)}`,
    );
  }
  const splitter = new Splitter(separator, quotes === "double");
  let row = rowsBefore;
  try {
    for await (const lines of linesOf(text)) {
      const records: Cells[] = [];
      try {
        for (const line of lines) splitter.add(line, records);
      } finally {
        // Also those before one that is wrong.
        row += records.length;
        yield records;
      }
    }
    const last: Cells[] = [];
    splitter.end(last);
    yield last;
  } catch (cause) {
    // Only what the streams throw: the consumer's errors do not pass here.
    if (cause instanceof TypeError) {
      throw new SyntaxError(
        `${operation}: it is not UTF-8, at or behind row ${
          row + 1
        }: convert it`,
        { cause },
      );
    }
    if (!(cause instanceof SyntaxError)) throw cause;
    // @std/csv counts the lines between records: the row is counted here.
    const place = /column (\d+): (.*)$/s.exec(cause.message);
    const what = place === null
      ? cause.message
      : `character ${place[1]}: ${place[2]}`;
    throw new SyntaxError(
      `${operation}: row ${row + 1}, ${what}: put cells that hold a quote in ` +
        `quotes and double the quote, or read with quotes: "none"`,
      { cause },
    );
  }
}

/** Makes rows of lines. */
class Splitter {
  readonly #separator: string;
  readonly #quotes: boolean;
  /** Lines of a row whose quotes are not closed yet. */
  #open: string | undefined;

  constructor(separator: string, quotes: boolean) {
    this.#separator = separator;
    this.#quotes = quotes;
  }

  /**
   * Adds to `records` what a line completes. Only rows with a quote in them need
   * a parser: looking at each character takes many times as long.
   */
  add(line: string, records: Cells[]): void {
    const quotes = this.#quotes ? countQuotes(line) : 0;
    if (this.#open === undefined && quotes === 0) {
      const plain = line.endsWith("\r") ? line.slice(0, -1) : line;
      if (plain !== "") records.push(plain.split(this.#separator));
      return;
    }
    // An odd number opens or closes; doubled quotes do both.
    const closes = (this.#open === undefined) === (quotes % 2 === 0);
    this.#open = this.#open === undefined ? line : `${this.#open}\n${line}`;
    if (closes) this.end(records);
  }

  /** Parses what is left. */
  end(records: Cells[]): void {
    const open = this.#open;
    if (open === undefined) return;
    this.#open = undefined;
    records.push(...parse(open, { separator: this.#separator }));
  }
}

async function* linesOf(
  text: ReadableStream<string>,
): AsyncGenerator<readonly string[], void> {
  let rest = "";
  for await (const chunk of text) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop()!;
    yield lines;
  }
  if (rest !== "") yield [rest];
}

function countQuotes(line: string): number {
  let count = 0;
  for (let at = line.indexOf('"'); at >= 0; at = line.indexOf('"', at + 1)) {
    count++;
  }
  return count;
}
