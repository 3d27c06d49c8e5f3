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
export function resultLines(result: PiResult): string[] {
  const { settings, cosines, files, race } = result;
  const kernels = kernelTexts(result).flatMap(([where, text]) => [
    `The compiled tensors store no point, on ${where}:`,
    ...text.split("\n").map((line) => `  ${line}`),
    "",
  ]);
  const rows = [
    `Where spreading work loses: ${count(cosines.items)} cosines`,
    ["a loop", formatDuration(cosines.loopMs), ""],
    ["a pool, a message for each", formatDuration(cosines.poolMs), ""],
    [
      "a pool left to itself",
      formatDuration(cosines.adaptiveMs),
      `${percent(cosines.inCaller)} of them in the calling thread`,
    ],
    `Where it wins, if cores are free: ${files.files} CSV files, ` +
    `${count(files.rows)} rows`,
    ["in a row", formatDuration(files.rowMs), ""],
    [
      `a pool of ${plural(settings.workers, "worker")}`,
      formatDuration(files.poolMs),
      `${formatRatio(files.rowMs / files.poolMs)} as fast`,
    ],
    `Where it goes wrong: ${count(race.increments)} increments of one ` +
    `counter by ${plural(race.workers, "worker")}`,
    ["without a lock", formatDuration(race.ms), `${count(race.lost)} lost`],
    [
      "with a lock",
      formatDuration(race.lockedMs),
      `${count(race.lostWithLock)} lost`,
    ],
  ];
  const cells = rows.filter((row) => typeof row !== "string");
  const aligned = formatTable(cells, [0, 2]);
  return [
    ...kernels,
    ...rows.map((row) =>
      typeof row === "string" ? row : `  ${aligned[cells.indexOf(row)]}`
    ),
  ];
}

/** What `explain()` says, once for devices of which it says the same. */
export function kernelTexts({ kernels }: PiResult): [string, string][] {
  const devices = new Map<string, string>();
  for (const { where, text } of kernels) {
    const others = devices.get(text);
    devices.set(text, others ? `${others} and ${where}` : where);
  }
  return [...devices].map(([text, where]) => [where, text]);
}

/** A share as `96 %`. */
export function percent(share: number): string {
  return `${Math.round(100 * share)} %`;
}
