/**
 * Numbers, times and shares for people.
 *
 * @module
 */

/** A bar of `width` characters, filled by `share` in half characters. */
export function drawBar(
  share: number,
  width: number,
  unicode: boolean,
): string {
  const halves = Math.round(Math.min(Math.max(share, 0), 1) * width * 2);
  const full = halves >> 1;
  if (!unicode) return "#".repeat(full).padEnd(width, ".");
  const half = halves & 1 ? "╸" : "";
  return "━".repeat(full) + half + "┄".repeat(width - full - half.length);
}

/** A metric for people: accuracies in percent, other numbers in 4 digits. */
export function formatMetric(name: string, value: number | string): string {
  if (typeof value === "string") return value;
  if (!Number.isFinite(value)) return String(value);
  if (/accuracy$/i.test(name)) return `${(value * 100).toFixed(1)}%`;
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(2);
  return size >= 1000 ? value.toFixed(0) : value.toPrecision(4);
}

/** Milliseconds as `0:07`, `12:00` or `1:02:03`. */
export function formatTime(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  const pad = (value: number) => String(value).padStart(2, "0");
  const [hours, minutes] = [
    Math.floor(seconds / 3600),
    Math.floor(seconds / 60) % 60,
  ];
  return hours > 0
    ? `${hours}:${pad(minutes)}:${pad(seconds % 60)}`
    : `${minutes}:${pad(seconds % 60)}`;
}

/** Steps per second, or seconds per step if it is slow. */
export function formatRate(rate: number): string {
  if (rate < 1) return `${(1 / rate).toPrecision(3)} s/step`;
  return `${rate >= 100 ? rate.toFixed(0) : rate.toPrecision(3)} steps/s`;
}

/**
 * Rows as lines of aligned columns, two spaces apart.
 *
 * @param rows The first is the head.
 * @param words Columns that begin on the left; the others end on the right.
 */
export function formatTable(
  rows: readonly (readonly string[])[],
  words: readonly number[],
): string[] {
  const widths = rows[0]!.map((_, column) =>
    Math.max(...rows.map((row) => row[column]!.length))
  );
  return rows.map((row) =>
    row.map((cell, column) =>
      words.includes(column)
        ? cell.padEnd(widths[column]!)
        : cell.padStart(widths[column]!)
    ).join("  ").trimEnd()
  );
}

/** Milliseconds for people: three digits, in µs, ms or s. */
export function formatDuration(ms: number): string {
  const [value, unit] = ms < 1
    ? [1000 * ms, "µs"]
    : ms < 1000
    ? [ms, "ms"]
    : [ms / 1000, "s"];
  return `${value >= 100 ? value.toFixed(0) : value.toPrecision(3)} ${unit}`;
}

/** How many times: `1.00x`, `20.4x`, `153x`. */
export function formatRatio(ratio: number): string {
  return `${ratio >= 100 ? ratio.toFixed(0) : ratio.toPrecision(3)}x`;
}
