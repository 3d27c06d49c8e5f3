/**
 * What the bench of pools runs in workers.
 *
 * @module
 */

import { remote } from "@heddle/data/pool";

export const polynomial = remote(
  import.meta,
  function polynomial(x: number): number {
    return x * x + 1;
  },
);

export const cosine = remote(import.meta, function cosine(x: number): number {
  return Math.cos(x);
});

/** About ten milliseconds. */
export const harmonics = remote(
  import.meta,
  function harmonics(x: number): number {
    let sum = 0;
    for (let i = 1; i <= 200_000; i++) sum += Math.sin(i * x) / i;
    return sum;
  },
);

export const nothing = remote(import.meta, function nothing(): number {
  return 0;
});
