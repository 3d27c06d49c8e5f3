/**
 * float32 numbers as text, with as few digits as tell them apart.
 *
 * @module
 */

/** Digits behind the point, at most. */
const PRECISION = 4;

interface Digits {
  /** Of `0.d₁d₂d₃… * 10^(exponent + 1)`; `"0"` for 0. */
  readonly digits: string;
  readonly exponent: number;
}

/** The exact decimal digits, as many as could ever decide a rounding. */
function exactDigits(size: number): Digits {
  const [mantissa, exponent] = size.toExponential(100).split("e");
  return {
    digits: mantissa!.replace(".", ""),
    exponent: Number(exponent),
  };
}

/** The fewest digits that still name this float32. */
function shortestDigits(size: number): Digits {
  const exact = exactDigits(size);
  for (let count = 1; count <= 9; count++) {
    const rounded = roundDigits(exact, count);
    if (Math.fround(Number(numeral(rounded))) === size) return rounded;
  }
  return exact;
}

function numeral({ digits, exponent }: Digits): string {
  return `${digits[0]}.${digits.slice(1)}e${exponent}`;
}

/** The first digits, the last of them rounded, halves to even. */
function roundDigits({ digits, exponent }: Digits, count: number): Digits {
  if (count < 0) return { digits: "0", exponent: 0 };
  const kept = digits.slice(0, count);
  const rest = digits.slice(count);
  const odd = Number(kept.at(-1) ?? 0) % 2 === 1;
  const half = /^50*$/.test(rest);
  const up = half ? odd : rest >= "5";
  if (!up) return { digits: kept || "0", exponent };
  const next = `${BigInt(kept || "0") + 1n}`.padStart(kept.length, "0");
  return { digits: next, exponent: exponent + next.length - kept.length };
}

/** At most `count` digits, fewer if they are enough. */
function digitsOf(size: number, count: (exponent: number) => number): Digits {
  if (size === 0) return { digits: "0", exponent: 0 };
  const shortest = shortestDigits(size);
  return shortest.digits.length <= count(shortest.exponent)
    ? shortest
    : roundDigits(exactDigits(size), count(shortest.exponent));
}

function trimZeros(text: string): string {
  return text.replace(/0+$/, "");
}

/** `["-12", "25"]`: what stands before and behind the point. */
export function positional(value: number): [string, string] {
  const found = digitsOf(
    Math.abs(value),
    (exponent) => exponent + 1 + PRECISION,
  );
  const { digits, exponent } = found;
  const sign = value < 0 || Object.is(value, -0) ? "-" : "";
  const wide = digits.padEnd(exponent + 1, "0");
  const whole = exponent < 0 ? "0" : wide.slice(0, exponent + 1);
  const fraction = exponent < 0
    ? "0".repeat(-exponent - 1) + digits
    : wide.slice(exponent + 1);
  return [sign + whole, trimZeros(fraction.slice(0, PRECISION))];
}

/** `["-1", "25", "+05"]`: mantissa before and behind the point, exponent. */
export function scientific(value: number): [string, string, string] {
  const { digits, exponent } = digitsOf(Math.abs(value), () => 1 + PRECISION);
  const sign = value < 0 || Object.is(value, -0) ? "-" : "";
  const power = `${Math.abs(exponent)}`.padStart(2, "0");
  return [
    sign + digits[0]!,
    trimZeros(digits.slice(1)),
    `${exponent < 0 ? "-" : "+"}${power}`,
  ];
}
