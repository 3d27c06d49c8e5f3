export interface FormatOptions {
  /** `1m 5s`, `1 minute, 5 seconds`, `01:05`. @default "narrow" */
  style?: "narrow" | "digital" | "full";
  /** Leaves out units that are zero. @default false */
  ignoreZero?: boolean;
}

/** Milliseconds for people. */
export function format(ms: number, options?: FormatOptions): string;
