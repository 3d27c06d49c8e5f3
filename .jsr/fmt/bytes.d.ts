export interface FormatOptions {
  bits?: boolean;
  binary?: boolean;
  signed?: boolean;
  locale?: boolean | string | string[];
  minimumFractionDigits?: number;
  maximumFractionDigits?: number;
}

/** A number of bytes for people: `1.34 kB`. */
export function format(num: number, options?: FormatOptions): string;
