type Property = string | number;

/** A column by name or index, by path, or with a header of its own. */
export type Column =
  | Property
  | readonly Property[]
  | { prop: Property | readonly Property[]; header?: string };

/** One row: values in order, or an object that `columns` looks into. */
export type DataItem = Readonly<Record<string, unknown>> | readonly unknown[];

export interface StringifyOptions {
  /** Whether the first line names the columns. @default true */
  headers?: boolean;
  /** @default "," */
  separator?: string;
  columns?: readonly Column[];
  /** Whether the text begins with a byte order mark. @default false */
  bom?: boolean;
}

export function stringify(
  data: readonly DataItem[],
  options?: StringifyOptions,
): string;
