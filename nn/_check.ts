import { type Generator, type Pair, Tensor } from "@heddle/tensor";

/** Options with a generator, or without one. */
export function generatorOptions(
  generator: Generator | undefined,
): { readonly generator?: Generator } {
  return generator === undefined ? {} : { generator };
}

/**
 * @throws {TypeError} If it is no tensor.
 */
export function requireTensor(operation: string, value: unknown): void {
  if (value instanceof Tensor) return;
  throw new TypeError(
    `${operation}: the input must be a tensor: got ${
      Array.isArray(value) ? "an array" : typeof value
    }: make one with tensor()`,
  );
}

/**
 * @throws {RangeError} If a size is not a whole number from `least` on.
 */
export function requireSizes(
  operation: string,
  sizes: Readonly<Record<string, number>>,
  least: number = 1,
): void {
  for (const [name, size] of Object.entries(sizes)) {
    if (Number.isSafeInteger(size) && size >= least) continue;
    throw new RangeError(
      `${operation}: ${name} must be a whole number from ${least}: got ${size}`,
    );
  }
}

/**
 * @throws {RangeError} If a number is not from `low` to `high`, the latter
 * left out if `open`.
 */
export function requireWithin(
  operation: string,
  name: string,
  value: number,
  low: number,
  high: number = Infinity,
  open: boolean = false,
): void {
  const below = open ? value < high : value <= high;
  if (Number.isFinite(value) && value >= low && below) return;
  const range = high === Infinity
    ? `${low} or more`
    : `from ${low} to ${open ? "less than " : ""}${high}`;
  throw new RangeError(`${operation}: ${name} must be ${range}: got ${value}`);
}

/** A size of two axes as text: `3` or `3x5`. */
export function pairText(pair: Pair): string {
  return typeof pair === "number" ? `${pair}` : pair.join("x");
}
