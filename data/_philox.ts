const MULTIPLIER_0 = 0xd2511f53;
const MULTIPLIER_1 = 0xcd9e8d57;
const WEYL_0 = 0x9e3779b9;
const WEYL_1 = 0xbb67ae85;

/** The upper 32 bits of the product of two 32-bit numbers. */
function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff, aHigh = a >>> 16;
  const bLow = b & 0xffff, bHigh = b >>> 16;
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const carry = aLow * bHigh + (middle & 0xffff);
  return (aHigh * bHigh + (middle >>> 16) + (carry >>> 16)) >>> 0;
}

/** Philox-4x32-10: four random words of a 128-bit counter and a key, in `out`. */
export function philox(
  counter0: number,
  counter1: number,
  counter2: number,
  counter3: number,
  key: readonly [number, number],
  out: Uint32Array,
): void {
  let [key0, key1] = key;
  for (let round = 0; round < 10; round++) {
    const high0 = multiplyHigh(MULTIPLIER_0, counter0);
    const low0 = Math.imul(MULTIPLIER_0, counter0);
    const high1 = multiplyHigh(MULTIPLIER_1, counter2);
    const low1 = Math.imul(MULTIPLIER_1, counter2);
    counter0 = (high1 ^ counter1 ^ key0) >>> 0;
    counter1 = low1 >>> 0;
    counter2 = (high0 ^ counter3 ^ key1) >>> 0;
    counter3 = low0 >>> 0;
    key0 = (key0 + WEYL_0) >>> 0;
    key1 = (key1 + WEYL_1) >>> 0;
  }
  out[0] = counter0;
  out[1] = counter1;
  out[2] = counter2;
  out[3] = counter3;
}
