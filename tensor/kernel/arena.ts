/**
 * Values that lie end to end in one memory, so that one kernel serves them all.
 *
 * @module
 */

/**
 * Values in an arena begin at multiples of so many elements: 256 bytes, from
 * where any GPU can bind memory.
 */
export const ARENA_STEP = 64;

/** Elements that a value takes in an arena, the gap behind it included. */
export function arenaExtent(size: number): number {
  return Math.ceil(size / ARENA_STEP) * ARENA_STEP;
}

/** Memory in which values lie end to end, with gaps of 0. */
export interface Arena {
  /** Elements, gaps included. */
  readonly size: number;
  /** What lies in it, in order: sources alone, or none. */
  readonly values: readonly ArenaValue[];
}

/** A value in an arena. */
export interface ArenaValue {
  /** The source that it is, which every run replaces; computed if undefined. */
  readonly slot: number | undefined;
  /** Its first element. */
  readonly offset: number;
  /** Number of elements. */
  readonly size: number;
}

/** An arena that may still grow. */
export interface OpenArena extends Arena {
  size: number;
  readonly values: ArenaValue[];
}

/** Lays a value behind the others; gives its first element. */
export function append(arena: OpenArena, size: number, slot?: number): number {
  const offset = arena.size;
  arena.values.push({ slot, offset, size });
  arena.size += arenaExtent(size);
  return offset;
}

/** An arena of computed values of so many elements each. */
export function arenaOf(sizes: readonly number[]): Arena {
  const arena: OpenArena = { size: 0, values: [] };
  for (const size of sizes) append(arena, size);
  return arena;
}

/** Cuts a list where its elements would become more than an arena may hold. */
export function intoShards<T>(
  list: readonly T[],
  sizeOf: (item: T) => number,
  most: number,
): T[][] {
  const shards: T[][] = [];
  let left = 0;
  for (const item of list) {
    const extent = arenaExtent(sizeOf(item));
    if (shards.length === 0 || extent > left) {
      shards.push([]);
      left = most;
    }
    shards.at(-1)!.push(item);
    left -= extent;
  }
  return shards;
}
