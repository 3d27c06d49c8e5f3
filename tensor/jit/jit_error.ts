import type { Source } from "./source.ts";

/**
 * A function that cannot be compiled: what in it, where, and what to write
 * instead.
 */
export class JitError extends Error {
  /** Name of the function. */
  readonly functionName: string;
  /** Line within the function's text, from 1. */
  readonly line: number;
  /** Column within that line, from 1. */
  readonly column: number;

  /** Points at a place in the text of a function. */
  constructor(source: Source, offset: number, message: string) {
    const { line, column, text } = locate(source, offset);
    const number = `${line}`;
    super(
      `jit: ${source.name}:${line}:${column}: ${message}\n` +
        `  ${number} | ${text}\n` +
        `  ${" ".repeat(number.length)} | ${" ".repeat(column - 1)}^`,
    );
    this.name = "JitError";
    this.functionName = source.name;
    this.line = line;
    this.column = column;
  }
}

/** Line and column, from 1, and the line's text. */
export function locate(
  source: Source,
  offset: number,
): { line: number; column: number; text: string } {
  const before = source.text.slice(0, Math.max(0, offset)).split("\n");
  const line = before.length;
  return {
    line,
    column: before.at(-1)!.length + 1,
    text: (source.text.split("\n")[line - 1] ?? "").trimEnd(),
  };
}
