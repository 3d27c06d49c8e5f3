/**
 * The report of a run of π: the points, the error, the times, and what
 * spreading work does.
 *
 * @module
 */
import {
  barChart,
  type Chart,
  lineChart,
  PALETTE,
  scatterChart,
} from "./_charts.ts";
import { formatDuration, formatRatio, formatTime } from "./_format.ts";
import { DEVIATION } from "./_pi_convergence.ts";
import { kernelTexts, percent, wayTable } from "./_pi_table.ts";
import { plural } from "./_pi_ways.ts";
import { renderReport } from "./_report.ts";
import type { PiResult } from "./pi.ts";

const [BLUE, RED, GREEN] = PALETTE as [string, string, string];
const count = (value: number) => value.toLocaleString("en");

/** The page. */
export async function piReport(result: PiResult): Promise<string> {
  const { settings, ways, kernels, cosines, files, race } = result;
  const plain = ways[0]!;
  const fastest = ways.reduce((a, b) => b.ms < a.ms ? b : a);
  const most = ways.reduce((a, b) => b.points > a.points ? b : a);
  return renderReport({
    title: "Monte Carlo π, every way",
    subtitle: [
      plural(settings.points, "point"),
      ...Object.entries(result.devices).map(([name, adapter]) =>
        `${name} (${adapter})`
      ),
      plural(settings.workers, "worker"),
    ].join(", "),
    cards: [
      {
        label: "estimate",
        value: most.estimate.toFixed(6),
        note: `± ${(DEVIATION / Math.sqrt(most.points)).toPrecision(2)}, from ${
          plural(most.points, "point")
        }`,
      },
      {
        label: "fastest",
        value: fastest.name,
        note: fastest.where,
      },
      {
        label: "points a second",
        value: `${(100 / fastest.ms).toPrecision(3)} million`,
        note: `${formatRatio(fastest.ratio)} the plain loop`,
      },
      {
        label: "time",
        value: formatTime(1000 * result.seconds),
        note: "for all that is on this page",
      },
    ],
    sections: [
      {
        title: "Points, and what they say of π",
        blocks: [
          {
            kind: "text",
            text: "Of random points in a square a share of π/4 lies inside " +
              "the quarter of a circle. A hundred times as many points give " +
              "one more digit: the error falls with the square root of their " +
              "number.",
          },
          {
            kind: "charts",
            charts: [await scatter(result), await errors(result)],
          },
        ],
      },
      {
        title: "Every way",
        blocks: [
          { kind: "charts", charts: [await times(result)] },
          {
            kind: "table",
            columns: [...wayTable(result)[0]!, "first call"],
            rows: wayTable(result).slice(1).map((row, at) => [
              ...row,
              formatDuration(ways[at]!.firstMs),
            ]),
            stressed: [ways.indexOf(fastest)],
            caption: "Ratio: how many times as fast as the plain loop. The " +
              "first call compiles, or starts workers; it is not part of the " +
              "times. Plain loop, jit and both pools count the same points.",
          },
        ],
      },
      ...kernels.length === 0 ? [] : [{
        title: "The points are never stored",
        blocks: [
          {
            kind: "text" as const,
            text: "Compiled, random numbers, comparison and count are one " +
              "kernel, and a small one that adds up what its rows counted. " +
              "They count in int32: float32 stops at 2²⁴. More points come in " +
              "batches, which the host adds up.",
          },
          ...kernelTexts(result).map(([where, text]) => ({
            kind: "code" as const,
            text,
            caption: `explain() on ${where}`,
          })),
        ],
      }],
      {
        title: "Where spreading work loses, and where it wins",
        blocks: [
          {
            kind: "charts",
            charts: [
              await barChart({
                title: `${count(cosines.items)} cosines`,
                xLabel: "ms",
                bars: [
                  { label: "a loop", value: cosines.loopMs },
                  {
                    label: "pool, a message each",
                    value: cosines.poolMs,
                    color: RED,
                  },
                  {
                    label: "pool by itself",
                    value: cosines.adaptiveMs,
                    color: GREEN,
                  },
                ],
              }),
              await barChart({
                title: `${files.files} CSV files, ${count(files.rows)} rows`,
                xLabel: "ms",
                bars: [
                  { label: "in a row", value: files.rowMs },
                  {
                    label: plural(settings.workers, "worker"),
                    value: files.poolMs,
                    color: GREEN,
                  },
                ],
              }),
            ],
            caption: "A message costs more than a cosine. Left to itself the " +
              `pool measures that, and ran ${
                percent(cosines.inCaller)
              } of the ` +
              "cosines in the calling thread.",
          },
        ],
      },
      {
        title: "A data race",
        blocks: [
          {
            kind: "text",
            text: `${plural(race.workers, "worker")} add 1 to one counter, ` +
              `${
                count(race.increments / race.workers)
              } times each, and begin ` +
              "together. To add is to read, to add and to write: what another " +
              "worker wrote in between is lost. With a lock nothing is.",
          },
          {
            kind: "table",
            columns: ["", "increments", "counted", "lost", "time"],
            rows: [
              ["without the lock", race.lost, race.ms] as const,
              ["with the lock", race.lostWithLock, race.lockedMs] as const,
            ].map(([name, lost, ms]) => [
              name,
              count(race.increments),
              count(race.increments - lost),
              `${count(lost)} (${percent(lost / race.increments)})`,
              formatDuration(ms),
            ]),
          },
        ],
      },
    ],
    settings: { ...settings },
  });

  function times({ ways }: PiResult): Promise<Chart> {
    return barChart({
      title: "Time for 100,000 points",
      xLabel: "ms",
      width: 1000,
      bars: ways.map((way) => ({
        label: `${way.name}, ${way.where}`,
        value: way.ms,
        color: way === plain ? RED : way === fastest ? GREEN : BLUE,
      })),
    });
  }
}

function scatter({ scatter: { x, y } }: PiResult): Promise<Chart> {
  const only = (wanted: boolean) => {
    const at = x.map((_, i) => i)
      .filter((i) => (x[i]! ** 2 + y[i]! ** 2 < 1) === wanted);
    return { x: at.map((i) => x[i]!), y: at.map((i) => y[i]!) };
  };
  const [inside, outside] = [only(true), only(false)];
  const share = inside.x.length / x.length;
  const angles = Array.from({ length: 91 }, (_, i) => i * Math.PI / 180);
  return scatterChart({
    title: `${count(x.length)} points: 4 · ${share.toFixed(4)} = ${
      (4 * share).toFixed(4)
    }`,
    groups: [
      { name: `${count(inside.x.length)} inside`, ...inside },
      { name: `${count(outside.x.length)} outside`, ...outside },
    ],
    line: { x: angles.map(Math.cos), y: angles.map(Math.sin) },
  });
}

function errors({ convergence }: PiResult): Promise<Chart> {
  const { points, one, many, sequences } = convergence;
  return lineChart({
    title: "The error by the number of points",
    xLabel: "points",
    yLabel: "error",
    logarithmic: true,
    logarithmicX: true,
    height: 442,
    series: [
      { name: "one sequence", x: points, values: one },
      {
        name: `root mean square of ${sequences} sequences`,
        x: points,
        values: many,
      },
      {
        name: "√(π (4 − π) / n)",
        x: points,
        values: points.map((n) => DEVIATION / Math.sqrt(n)),
        dashed: true,
      },
    ],
  });
}
