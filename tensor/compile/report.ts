/**
 * Kernels as tables.
 *
 * @module
 */

import type { KernelProfile, KernelReport } from "../device/inspect.ts";

/** The kernels of a compiled function with their times. */
export class Profile {
  /** Name of the function. */
  readonly name: string;
  /** In the order in which they run. */
  readonly kernels: readonly KernelProfile[];

  /** Takes what was measured. */
  constructor(name: string, kernels: readonly KernelProfile[]) {
    this.name = name;
    this.kernels = kernels;
  }

  /** Milliseconds of all kernels. */
  get ms(): number {
    return this.kernels.reduce((sum, { ms }) => sum + ms, 0);
  }

  /** Milliseconds that all kernels would take at the rates of the device. */
  get floorMs(): number {
    return this.kernels.reduce((sum, { floorMs }) => sum + floorMs, 0);
  }

  /** A table, the slowest kernel first. */
  toString(): string {
    const { ms: total, floorMs } = this;
    const rows = [...this.kernels]
      .map((kernel, at) => ({ kernel, at }))
      .sort((a, b) => b.kernel.ms - a.kernel.ms)
      .map(({ kernel, at }) => [
        `${at}`,
        kernel.template,
        kernel.name,
        (1e3 * kernel.ms).toFixed(1),
        `${(100 * kernel.ms / total).toFixed(1)}%`,
        amount(kernel.flops),
        amount(kernel.bytes),
        (1e3 * kernel.floorMs).toFixed(1),
        kernel.floorMs > 0 ? (kernel.ms / kernel.floorMs).toFixed(1) : "",
      ]);
    const head = [
      "#",
      "kind",
      "kernel",
      "µs",
      "share",
      "flop",
      "byte",
      "floor µs",
      "x floor",
    ];
    const above = floorMs > 0
      ? `, ${(total / floorMs).toFixed(1)} x the floor`
      : "";
    return `${this.name}: ${this.kernels.length} kernels, ` +
      `${total.toFixed(3)} ms${above}\n` +
      table([head, ...rows], new Set([1, 2]));
  }

  /** What `console.log` shows. */
  [Symbol.for("Deno.customInspect")](): string {
    return this.toString();
  }

  /** What `console.log` shows on Node.js. */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return this.toString();
  }
}

/** Kernels without times. */
export function explainReports(
  name: string,
  reports: readonly KernelReport[],
): string {
  const rows = reports.map((report, at) => [
    `${at}`,
    report.template,
    report.name.slice(report.name.indexOf("[")),
    amount(report.flops),
    amount(report.bytes),
    `${report.reads}`,
    `${report.writes}${report.inPlace ? ` (${report.inPlace} in place)` : ""}`,
    report.operations.join(" "),
  ]);
  const head = [
    "#",
    "kind",
    "shape",
    "flop",
    "byte",
    "reads",
    "writes",
    "fused operations",
  ];
  const total = (part: "flops" | "bytes") =>
    amount(reports.reduce((sum, report) => sum + report[part], 0));
  return `${name}: ${reports.length} kernels, ${total("flops")}flop, ` +
    `${total("bytes")}B\n` + table([head, ...rows], new Set([1, 2, 7]));
}

/** Columns aligned: numbers to the right, words to the left. */
function table(
  rows: readonly (readonly string[])[],
  words: ReadonlySet<number>,
): string {
  const widths = rows[0]!.map((_, at) =>
    Math.max(...rows.map((row) => row[at]!.length))
  );
  return rows.map((row) =>
    row.map((cell, at) =>
      words.has(at) ? cell.padEnd(widths[at]!) : cell.padStart(widths[at]!)
    ).join("  ").trimEnd()
  ).join("\n");
}

/** `12.3 M`. */
function amount(value: number): string {
  for (const [unit, size] of [["G", 1e9], ["M", 1e6], ["k", 1e3]] as const) {
    if (value >= size) return `${(value / size).toPrecision(3)} ${unit}`;
  }
  return `${value} `;
}
