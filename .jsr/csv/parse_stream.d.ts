import type { ParseOptions, ParseResult } from "./parse.d.ts";

export type CsvParseStreamOptions = ParseOptions;

/** Text in, one row out at a time. */
export class CsvParseStream<
  const T extends CsvParseStreamOptions | undefined = undefined,
> implements TransformStream<string, ParseResult<T>[number]> {
  constructor(options?: T);
  get readable(): ReadableStream<ParseResult<T>[number]>;
  get writable(): WritableStream<string>;
}
