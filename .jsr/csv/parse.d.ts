/** How `parse` reads the text. */
export interface ParseOptions {
  /** @default "," */
  separator?: string;
  /** Lines that begin with this character are left out. */
  comment?: string;
  trimLeadingSpace?: boolean;
  lazyQuotes?: boolean;
  /** 0: as many as the first row; negative: any number. */
  fieldsPerRecord?: number;
  /** Rows become objects, named by `columns` or by the first row. */
  skipFirstRow?: boolean;
  /** Rows become objects with these names. */
  columns?: readonly string[];
}

/** Rows as objects where `columns` or `skipFirstRow` is given, else as arrays. */
export type ParseResult<T> = T extends
  { columns: readonly (infer C extends string)[] } ? Record<C, string>[]
  : T extends { skipFirstRow: true } ? Record<string, string>[]
  : string[][];

export function parse(input: string): string[][];
export function parse<const T extends ParseOptions>(
  input: string,
  options: T,
): ParseResult<T>;
