/**
 * What the benches found, as lines of JSON in a file, and as text.
 *
 * @module
 */

/** Where `run.ts` wants the lines. */
export const RESULTS = "BENCH_RESULTS";

/** The least that some work takes: operations and bytes, done at once. */
export interface Cost {
  /** Operations on floats. */
  readonly operations?: number;
  /** Bytes read and written, each once. */
  readonly bytes?: number;
}

/** How many times as long as ours each peer should take. */
export type Ahead = Readonly<Record<string, number>>;

/** What is asked of a group, and what it must take. */
export interface Goals {
  /** How far ahead of its peers it should be. */
  readonly ahead?: Ahead;
  /** Most milliseconds. */
  readonly within?: number;
  /** Its parts, one after the other. */
  readonly costs?: readonly Cost[];
}

/** A group: medians in milliseconds, by library. */
export interface GroupResult extends Goals {
  readonly group: string;
  readonly medians: Readonly<Record<string, number>>;
  /** The shortest run of ours. */
  readonly shortest?: number;
}

/** A line of the file: a group, or something about the machine. */
export type Line = GroupResult | { readonly about: string };

/** Adds lines to the file, if there is one. */
export function write(lines: readonly Line[]): void {
  const path = Deno.env.get(RESULTS);
  if (!path) return;
  const text = lines.map((line) => `${JSON.stringify(line)}\n`).join("");
  Deno.writeTextFileSync(path, text, { append: true });
}

/** The lines of a file; of equal ones only the last. */
export function parse(text: string): Line[] {
  const lines = text.split("\n").filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Line);
  const last = new Map(lines.map((line) => [keyOf(line), line]));
  return [...last.values()];
}

function keyOf(line: Line): string {
  return "group" in line ? `group ${line.group}` : line.about;
}

/** The middle one of numbers; between two, their mean. NaN if there are none. */
export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? sorted[half]!
    : (sorted[half - 1]! + sorted[half]!) / 2;
}

/** Milliseconds with three digits. */
export function formatMs(milliseconds: number): string {
  const digits = milliseconds >= 100
    ? milliseconds.toFixed()
    : milliseconds.toPrecision(3);
  return `${digits} ms`;
}
