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
/** The last chunk that was cut: a word for those of odd ids, one for even. */
const CUT = 4;

/** No chunk has a greater one. */
const LAST_ID = 2 ** 31 - 1;

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
    new SharedArrayBuffer(6 * Int32Array.BYTES_PER_ELEMENT),
  );
}

/**
 * Keeps a worker from beginning any more items of a chunk: one of the two that
 * it may have, whose ids follow each other.
 *
 * @returns The place of the first item that it did not begin, if it is not
 * through with the chunk.
 */
export function cut(board: Int32Array, id: number): number {
  // First the cut, then the position: the worker looks the other way round,
  // so that one of them sees the other.
  Atomics.store(board, CUT + id % 2, id);
  const begun = Atomics.load(board, BEGUN);
  if (begun > id) return Infinity;
  return begun < id ? 0 : Atomics.load(board, POSITION) + 1;
}

/** Cuts all chunks. */
export function cutAll(board: Int32Array): void {
  for (const parity of [0, 1]) Atomics.store(board, CUT + parity, LAST_ID);
}

/** Whether a chunk was cut, or each one was. */
export function isCut(board: Int32Array, id: number): boolean {
  return id <= Atomics.load(board, CUT + id % 2);
}
