/**
 * Medians of the timed runs, and their ratios to ours: `deno bench` prints
 * means, which one interruption changes.
 *
 * @module
 */

import { formatMs, type Goals, median, write } from "./_results.ts";
import { say } from "./_say.ts";

const groups = new Map<string, Map<string, number[]>>();
const goals = new Map<string, Goals>();

/** Counts the runs of an entry; the first `warmup` do not count. */
export function record(
  group: string,
  library: string,
  warmup: number,
): (milliseconds: number) => void {
  let seen = 0;
  return (milliseconds) => {
    if (seen++ < warmup) return;
    const libraries = groups.get(group) ?? new Map<string, number[]>();
    const runs = libraries.get(library) ?? [];
    groups.set(group, libraries.set(library, runs));
    runs.push(milliseconds);
  };
}

/** Says what is asked of a group. */
export function setGoals(group: string, { ahead, within, costs }: Goals): void {
  goals.set(group, {
    ...ahead && { ahead },
    ...within !== undefined && { within },
    ...costs && { costs },
  });
}

function report(): void {
  for (const [group, libraries] of groups) {
    const medians = Object.fromEntries(
      [...libraries].map(([library, runs]) => [library, median(runs)]),
    );
    const ours = medians["heddle"] ?? NaN;
    const parts = Object.entries(medians).map(([library, time]) =>
      library === "heddle"
        ? `${library} ${formatMs(time)}`
        : `${library} ${formatMs(time)} (${(time / ours).toPrecision(3)}x)`
    );
    say(`median ${group}: ${parts.join(", ")}`);
    const shortest = Math.min(...libraries.get("heddle") ?? []);
    write([{ group, medians, shortest, ...goals.get(group) }]);
  }
}

globalThis.addEventListener("unload", () => {
  // The table is printed by another thread: let it finish first.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
  report();
});
