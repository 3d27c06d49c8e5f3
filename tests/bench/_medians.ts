/**
 * Medians of the timed runs, and their ratios to ours: `deno bench` prints
 * means, which one interruption changes.
 *
 * @module
 */

import { median } from "./_median.ts";
import { say } from "./_say.ts";

const groups = new Map<string, Map<string, number[]>>();

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

function print(): void {
  for (const [group, libraries] of groups) {
    const ours = median(libraries.get("heddle") ?? [NaN]);
    const parts = [...libraries].map(([library, runs]) => {
      const ratio = library === "heddle"
        ? ""
        : ` (${(median(runs) / ours).toPrecision(3)}x)`;
      return `${library} ${median(runs).toPrecision(3)} ms${ratio}`;
    });
    say(`median ${group}: ${parts.join(", ")}`);
  }
}

globalThis.addEventListener("unload", () => {
  // The table is printed by another thread: let it finish first.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
  print();
});
