import { CsvParseStream } from "@std/csv/parse-stream";

/** The rows of a text of separated values, empty lines left out. */
export async function* csvRecords(
  operation: string,
  text: ReadableStream<string>,
  separator: string,
  quotes: "double" | "none",
): AsyncGenerator<readonly string[], void> {
  if (separator === "" || /["\r\n]/.test(separator)) {
    throw new RangeError(
      `${operation}: the separator must be text without quotes or line ends: ` +
        `got ${JSON.stringify(separator)}`,
    );
  }
  const records: AsyncIterable<readonly string[]> = quotes === "none"
    ? splitLines(text, separator)
    : text.pipeThrough(new CsvParseStream({ separator }));
  let row = 0;
  try {
    for await (const record of records) {
      row++;
      yield record;
    }
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

async function* splitLines(
  text: ReadableStream<string>,
  separator: string,
): AsyncGenerator<readonly string[], void> {
  let rest = "";
  for await (const chunk of text) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop()!;
    for (const line of lines) {
      const plain = withoutCarriageReturn(line);
      if (plain !== "") yield plain.split(separator);
    }
  }
  const plain = withoutCarriageReturn(rest);
  if (plain !== "") yield plain.split(separator);
}

function withoutCarriageReturn(line: string): string {
  return line.endsWith("\r") ? line.slice(0, -1) : line;
}
