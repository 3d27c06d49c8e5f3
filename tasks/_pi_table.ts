/**
 * What a run of π found, as lines for a terminal.
 *
 * @module
 */
import { formatDuration, formatRatio, formatTable } from "./_format.ts";
import { DEVIATION } from "./_pi_convergence.ts";
import { plural } from "./_pi_ways.ts";
import type { PiResult, PiWay } from "./pi.ts";

const count = (value: number) => value.toLocaleString("en");

/** A difference with its sign and two digits: `+1.2e-4`. */
export function formatError(error: number): string {
  return `${error < 0 ? "-" : "+"}${Math.abs(error).toExponential(1)}`;
}

/** Head and rows of the table of ways. */
export function wayTable({ ways }: PiResult): string[][] {
  const same = ways.every(({ points }) => points === ways[0]!.points);
  const columns: [head: string, cell: (way: PiWay) => string][] = [
    ["way", ({ name }) => name],
    ["where", ({ where }) => where],
    ...same ? [] : [["points", ({ points }) => count(points)] as [
      string,
      (way: PiWay) => string,
    ]],
    ["per 100,000", ({ ms }) => `${ms.toPrecision(3)} ms`],
    ["ratio", ({ ratio }) => formatRatio(ratio)],
    ["estimate", ({ estimate }) => estimate.toFixed(7)],
    ["error", ({ error }) => formatError(error)],
  ];
  return [
    columns.map(([head]) => head),
    ...ways.map((way) => columns.map(([, cell]) => cell(way))),
  ];
}

/** The table of ways, and how to read it. */
export function wayLines(result: PiResult): string[] {
  const { points } = result.settings;
  return [
    ...formatTable(wayTable(result), [0, 1]),
    "",
    "ratio: how many times as fast as the plain loop. An estimate from " +
    `${plural(points, "point")}`,
    `has a standard deviation of ${
      (DEVIATION / Math.sqrt(points)).toPrecision(2)
    }.`,
  ];
}

/** The kernels, and what spreading work does. */
export function resultLines(
  { kernels, settings, cosines, files, race }: PiResult,
): string[] {
  const lines: string[] = [];
  for (const { where, text } of kernels) {
    lines.push(`The compiled tensors on ${where} store no point:`, text, "");
  }
  const { workers } = settings;
  lines.push(
    `It loses: ${count(cosines.items)} cosines take a loop ` +
      `${formatDuration(cosines.loopMs)}, and the pool ` +
      `${formatDuration(cosines.poolMs)} with a message for each;`,
    `left to itself it runs ${Math.round(100 * cosines.inCaller)} % of them ` +
      `in the calling thread and takes ${formatDuration(cosines.adaptiveMs)}.`,
    `It wins: ${files.files} CSV files are read in a row in ` +
      `${formatDuration(files.rowMs)}, and by ${
        plural(workers, "worker")
      } in ` +
      `${formatDuration(files.poolMs)} (${
        formatRatio(files.rowMs / files.poolMs)
      } as fast).`,
  );
  lines.push(
    `It goes wrong: of ${count(race.increments)} increments by ` +
      `${plural(race.workers, "worker")} ${count(race.lost)} are lost, and ` +
      `${count(race.lostWithLock)} with a lock.`,
  );
  return lines;
}
