/**
 * The elements of the vector axis that one copy of a loop's body works on.
 *
 * @module
 */

import type { Local } from "./assembler.ts";

/** Up to four neighbours along the vector axis. */
export interface Lanes {
  /** Position of the loop, if there is one. */
  readonly base: Local | undefined;
  /** The first element, counted from the loop's position. */
  readonly offset: number;
  /** How many elements; fewer than 4 at the end of the axis. */
  readonly count: number;
  /** Which of the copies of the body. */
  readonly copy: number;
  /** Equal for equal elements. */
  readonly key: string;
}

/** Copies of the body for `count` elements from `offset` on. */
export function lanesFor(
  base: Local | undefined,
  offset: number,
  count: number,
): Lanes[] {
  const copies: Lanes[] = [];
  for (let at = 0; at < count; at += 4) {
    copies.push({
      base,
      offset: offset + at,
      count: Math.min(4, count - at),
      copy: copies.length,
      key: `@${offset + at}`,
    });
  }
  return copies;
}
