/**
 * Times ways to count points.
 *
 * @module
 */
import type { Part } from "./_pi_count.ts";
import type { OpenWay, Way } from "./_pi_ways.ts";

/** What times are given for: so many points. */
export const UNIT = 100_000;

/** A way and what it took. */
export interface Measured extends Part {
  readonly name: string;
  readonly where: string;
  /** Milliseconds for 100,000 points. */
  readonly ms: number;
  /** Milliseconds of the first call: compiling, starting workers. */
  readonly firstMs: number;
  /** What shows how it runs, if there is something. */
  readonly explanation: string | undefined;
}

/** How long to count. */
export interface MeasureOptions {
  readonly points: number;
  readonly seed: number;
  /** After so many milliseconds it is enough. */
  readonly limitMs: number;
  /** Called after each part with the share that is done, of all or the time. */
  readonly onPart: (share: number) => Promise<void>;
}

/** Runs shorter than this are repeated. */
const ENOUGH_MS = 300;
const MOST_RUNS = 20;

/** Opens a way, counts with it, and times that. */
export async function measure(
  way: Way,
  { points, seed, limitMs, onPart }: MeasureOptions,
): Promise<Measured> {
  const start = performance.now();
  const opened = way.open(seed);
  try {
    await count(opened, Math.min(points, way.first), Infinity, onPart);
    const firstMs = performance.now() - start;
    const { ms, ...counted } = await count(opened, points, limitMs, onPart);
    const runs = [ms];
    const most = counted.points < points ? 1 : MOST_RUNS;
    for (
      let spent = ms;
      spent < ENOUGH_MS && runs.length < most;
      spent += runs.at(-1)!
    ) {
      runs.push((await count(opened, points, Infinity, onPart)).ms);
    }
    return {
      name: way.name,
      where: way.where,
      ...counted,
      ms: median(runs) * UNIT / counted.points,
      firstMs,
      explanation: opened.explain?.(),
    };
  } finally {
    await opened.close?.();
  }
}

/** Counts until all is done, or the time is over. */
async function count(
  opened: OpenWay,
  points: number,
  limitMs: number,
  onPart: (share: number) => Promise<void>,
): Promise<Part & { readonly ms: number }> {
  const start = performance.now();
  let [done, inside] = [0, 0];
  for await (const part of opened.parts(points)) {
    done += part.points;
    inside += part.inside;
    const spent = performance.now() - start;
    await onPart(Math.max(done / points, Math.min(1, spent / limitMs)));
    if (spent >= limitMs) break;
  }
  return { points: done, inside, ms: performance.now() - start };
}

/** The middle one of numbers. */
export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? sorted[half]!
    : (sorted[half - 1]! + sorted[half]!) / 2;
}
