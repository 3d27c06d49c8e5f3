/**
 * Words that a pool shares with a worker.
 *
 * @module
 */

/** Counts up while the worker's event loop turns. */
export const BEAT = 0;
/** The chunk that runs, 0 between chunks. */
export const CHUNK = 1;
/** The position in it. */
export const POSITION = 2;
/** The last chunk that was begun. */
export const BEGUN = 3;
/** Not 0: run nothing any more. */
export const OVER = 4;
/**
 * Items from here on are no longer this worker's: a word for each of the two
 * chunks that it may have, which take turns.
 */
export const ENDS: readonly [number, number] = [5, 6];

/** How often a worker beats. */
export const BEAT_MS = 250;
/** How long one that runs nothing may be silent. */
export const SILENCE_MS = 1500;

/**
 * The words of one worker. Never those of the one before it: a thread in a
 * long loop goes on after it was terminated.
 */
export function makeBoard(): Int32Array {
  return new Int32Array(
    new SharedArrayBuffer(7 * Int32Array.BYTES_PER_ELEMENT),
  );
}
