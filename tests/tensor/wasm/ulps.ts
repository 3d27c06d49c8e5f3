/** Distance from the true value in units in the last place of a float32. */
export function ulps(got: number, want: number): number {
  if (Object.is(got, Math.fround(want))) return 0;
  if (Number.isNaN(want) || !Number.isFinite(Math.fround(want))) {
    return Object.is(got, Math.fround(want)) || got === Math.fround(want)
      ? 0
      : Infinity;
  }
  const exponent = Math.max(-126, Math.floor(Math.log2(Math.abs(want))));
  return Math.abs(got - want) / 2 ** (exponent - 23);
}
