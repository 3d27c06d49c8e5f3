/**
 * The counter-based generator behind all random numbers.
 *
 * @module
 */

const ROTATIONS = [[13, 15, 26, 6], [17, 29, 16, 24]] as const;

/** Threefry-2x32 with 20 rounds: Salmon et al. 2011, section 4. */
export function threefry(
  key0: number,
  key1: number,
  counter0: number,
  counter1: number,
): [number, number] {
  const keys = [key0, key1, key0 ^ key1 ^ 0x1BD11BDA];
  let x0 = (counter0 + key0) | 0;
  let x1 = (counter1 + key1) | 0;
  for (let group = 0; group < 5; group++) {
    for (const distance of ROTATIONS[group % 2]!) {
      x0 = (x0 + x1) | 0;
      x1 = (x1 << distance) | (x1 >>> (32 - distance));
      x1 ^= x0;
    }
    x0 = (x0 + keys[(group + 1) % 3]!) | 0;
    x1 = (x1 + keys[(group + 2) % 3]! + group + 1) | 0;
  }
  return [x0 >>> 0, x1 >>> 0];
}
