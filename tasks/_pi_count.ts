/**
 * Monte Carlo π on numbers: the loop, the same loop compiled, and what workers
 * run of both.
 *
 * @module
 */
import { remote, type RemoteFunction } from "@heddle/data/pool";
import { jit, type Jitted, Random } from "@heddle/tensor/jit";

/** Points that have a stream of random numbers of their own. */
export const CHUNK = 100_000;

/**
 * How many of so many random points of the unit square lie inside the quarter
 * of a circle of radius 1: about π/4 of them.
 */
export function countInside(points: number, random: Random): number {
  let inside = 0;
  for (let i = 0; i < points; i++) {
    const x = random.next();
    const y = random.next();
    if (x * x + y * y < 1) inside++;
  }
  return inside;
}

/** The same, as WebAssembly: the same numbers, the same count. */
export const countInsideCompiled: Jitted<typeof countInside> = jit(countInside);

/** One point, for a range: the loop around it is spread over threads. */
export const isInside: Jitted<typeof isInsidePlain> = jit(isInsidePlain);

function isInsidePlain(_point: number, random: Random): number {
  const x = random.next();
  const y = random.next();
  return x * x + y * y < 1 ? 1 : 0;
}

/** The same with the engine's own generator, which takes no seed. */
export function countInsideUnseeded(points: number): number {
  let inside = 0;
  for (let i = 0; i < points; i++) {
    const x = Math.random();
    const y = Math.random();
    if (x * x + y * y < 1) inside++;
  }
  return inside;
}

/** Some points of a run. */
export interface Chunk {
  readonly seed: number;
  /** From 0; it names the stream. */
  readonly index: number;
  readonly points: number;
}

/** Points counted. */
export interface Part {
  readonly points: number;
  readonly inside: number;
}

/** The chunks of a run. */
export function* chunksOf(seed: number, points: number): Generator<Chunk> {
  for (let index = 0; index * CHUNK < points; index++) {
    yield { seed, index, points: Math.min(CHUNK, points - index * CHUNK) };
  }
}

function partOf(
  { seed, index, points }: Chunk,
  count: typeof countInside,
): Part {
  return { points, inside: count(points, new Random(seed).split(index)) };
}

/** Counts a chunk by the plain loop. */
export const countChunk: RemoteFunction<[chunk: Chunk], Part> = remote(
  import.meta,
  function countChunk(chunk: Chunk): Part {
    return partOf(chunk, countInside);
  },
);

/** Counts a chunk by the compiled loop. */
export const countChunkCompiled: RemoteFunction<[chunk: Chunk], Part> = remote(
  import.meta,
  function countChunkCompiled(chunk: Chunk): Part {
    return partOf(chunk, countInsideCompiled);
  },
);
