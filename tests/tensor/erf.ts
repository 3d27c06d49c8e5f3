/**
 * The error function in float64, for references.
 *
 * @module
 */

/** `2/√π ∫ exp(-t²) dt` from 0 to x: a series, or a continued fraction. */
export function erf(x: number): number {
  const size = Math.abs(x);
  if (size > 6) return Math.sign(x);
  if (size > 2.5) {
    // erfc by Lentz's continued fraction, from its far end.
    let fraction = 0;
    for (let n = 60; n >= 1; n--) fraction = (n / 2) / (size + fraction);
    const rest = Math.exp(-x * x) / Math.sqrt(Math.PI) / (size + fraction);
    return Math.sign(x) * (1 - rest);
  }
  let term = x;
  let sum = x;
  for (let n = 1; n < 80; n++) {
    term *= -x * x / n;
    sum += term / (2 * n + 1);
  }
  return 2 / Math.sqrt(Math.PI) * sum;
}
