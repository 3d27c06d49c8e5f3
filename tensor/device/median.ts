/**
 * The middle of a few measurements.
 *
 * @module
 */

/** The middle number, or the upper of the two; NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? NaN;
}
