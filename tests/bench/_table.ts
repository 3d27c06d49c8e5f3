/**
 * Results as Markdown.
 *
 * @module
 */

import {
  type Cost,
  formatMs,
  type GroupResult,
  type Line,
} from "./_results.ts";

/** The entries that have a column, where any group has them. */
const LIBRARIES = ["heddle", "heddle eager", "jax-js", "tfjs", "pytorch"];

/** The groups whose rates make the floors of all others on their device. */
const PRODUCT = "matmul 1024";
const SUM = "add 1M";

/** Operations and bytes a second. */
interface Rates {
  readonly operations: number;
  readonly bytes: number;
}

/** A table of all groups, and what is known of the machine. */
export function tableOf(lines: readonly Line[]): string {
  const groups = lines.filter((line) => "group" in line);
  const about = lines.filter((line) => "about" in line);
  const present = new Set(
    groups.flatMap(({ medians }) => Object.keys(medians)),
  );
  const libraries = [
    ...LIBRARIES.filter((library) => present.delete(library)),
    ...present,
  ];
  const rows = groups.map((group) => [
    group.group,
    ...libraries.map((library) => timeOf(group, library)),
    targetOf(group),
    floorOf(group, ratesOf(group, groups)),
  ]);
  const head = ["group", ...libraries, "target", "floor"];
  return [
    rowOf(head),
    rowOf(head.map(() => "---")),
    ...rows.map(rowOf),
    "",
    ...about.map(({ about }) => `- ${about}`),
  ].join("\n");
}

function rowOf(cells: readonly string[]): string {
  return `| ${cells.join(" | ")} |`;
}

/** The time of an entry, and how many times ours it is. */
function timeOf({ medians }: GroupResult, library: string): string {
  const time = medians[library];
  if (time === undefined) return "";
  if (library === "heddle") return formatMs(time);
  return `${formatMs(time)} (${ratio(time / (medians["heddle"] ?? NaN))})`;
}

function ratio(value: number): string {
  return `${value >= 100 ? value.toFixed() : value.toPrecision(2)}x`;
}

/** What was asked, and whether it is there. */
function targetOf({ medians, ahead = {}, within }: GroupResult): string {
  const ours = medians["heddle"] ?? NaN;
  const parts = Object.entries(ahead).map(([library, times]) => {
    const theirs = medians[library];
    const wanted = `${Number(times.toPrecision(2))}x ${library}`;
    if (theirs === undefined) return wanted;
    return verdict(wanted, theirs / ours >= times);
  });
  if (within !== undefined) {
    parts.push(verdict(`${within} ms`, ours <= within));
  }
  return parts.join(", ");
}

function verdict(target: string, reached: boolean): string {
  return reached ? target : `**${target}: missed**`;
}

/**
 * The rates of our own matrix product and sum on the device of a group, in
 * their shortest runs: what else runs on the machine must not lower them.
 */
function ratesOf(
  { group }: GroupResult,
  groups: readonly GroupResult[],
): Rates {
  const device = group.split(" ").at(-1)!;
  const rate = (name: string, part: keyof Cost): number => {
    const found = groups.find((other) => other.group === `${name} ${device}`);
    const cost = found?.costs?.[0]?.[part] ?? NaN;
    return 1e3 * cost / (found?.shortest ?? NaN);
  };
  return {
    operations: rate(PRODUCT, "operations"),
    bytes: rate(SUM, "bytes"),
  };
}

/** The least time at these rates, and how far above it we are. */
function floorOf(
  { group, medians, costs }: GroupResult,
  rates: Rates,
): string {
  if (costs === undefined) return "";
  const parts = costs.map(({ operations = 0, bytes = 0 }) =>
    [
      operations > 0 && `${short(operations)} operations`,
      bytes > 0 && `${short(bytes)}B`,
    ].filter(Boolean).join(" or ")
  ).join(", then ");
  const ours = medians["heddle"] ?? NaN;
  if (group.startsWith(PRODUCT)) {
    return `${parts}: ${short(rates.operations)} a second`;
  }
  if (group.startsWith(SUM)) {
    return `${parts}: ${short(rates.bytes)}B a second`;
  }
  const floor = costs.reduce(
    (sum, { operations = 0, bytes = 0 }) =>
      sum + 1e3 * Math.max(
          operations > 0 ? operations / rates.operations : 0,
          bytes > 0 ? bytes / rates.bytes : 0,
        ),
    0,
  );
  if (Number.isNaN(floor)) return parts;
  return `${parts}: ${formatMs(floor)} (heddle takes ${ratio(ours / floor)})`;
}

/** A number with its thousands as k, M or G. */
function short(value: number): string {
  const [unit, size] = value >= 1e9
    ? ["G", 1e9]
    : value >= 1e6
    ? ["M", 1e6]
    : ["k", 1e3];
  return `${(value / size).toPrecision(3)} ${unit}`;
}
