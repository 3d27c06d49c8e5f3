/**
 * Arrays in the memory of compiled functions, for one call.
 *
 * @module
 */

import type { Block } from "../wasm/allocator.ts";
import type { JitMemory } from "./memory.ts";
import type { JitArray } from "./signature.ts";

/** An array in the memory of compiled functions, for one call. */
export interface Loan {
  readonly array: JitArray;
  readonly address: number;
  /** Whether it is copied back. */
  written: boolean;
  /** What was taken for it; of arrays that overlap, by one of them. */
  readonly block: Block | undefined;
  readonly copied: boolean;
}

const MOST_ELEMENTS = 0x7fffffff;

/**
 * Brings arrays into memory: those of it as they are, others as copies.
 *
 * @param loans Gets one for each array, and has to be given back, even if this
 * throws midway.
 */
export function lend(
  memory: JitMemory,
  arrays: readonly JitArray[],
  loans: Loan[],
): void {
  arrays.forEach((array, at) => {
    const lent = (address: number, block?: Block, copied = true) =>
      loans.push({ array, address, written: false, block, copied });
    if (array.length > MOST_ELEMENTS) {
      throw new RangeError(
        `jit: an array has too many elements: ${array.length}: ` +
          "pass parts of it, with subarray",
      );
    }
    const { buffer, byteOffset, byteLength } = array;
    if (memory.holds(buffer)) return lent(byteOffset, undefined, false);
    if ("detached" in buffer && buffer.detached) {
      throw new TypeError(
        "jit: the buffer of an array is detached: it was moved elsewhere: " +
          "pass an array over what it was moved to",
      );
    }
    // What overlaps with an array before it lies in the same copy.
    const span = spanOf(arrays, array);
    const before = arrays.findIndex((other, i) =>
      i < at && loans[i]!.block && other.buffer === buffer &&
      other.byteOffset < span.end && other.byteOffset + other.byteLength >
        span.start &&
      byteLength > 0
    );
    if (before >= 0) {
      const { address, array: other } = loans[before]!;
      return lent(address + byteOffset - other.byteOffset);
    }
    const skew = span.start & 7;
    const block = memory.take(span.end - span.start + skew);
    lent(block.address + skew + byteOffset - span.start, block);
    memory.bytes.set(
      new Uint8Array(buffer, span.start, span.end - span.start),
      block.address + skew,
    );
  });
}

/** The bytes of an array and of all that overlap with it, directly or not. */
function spanOf(
  arrays: readonly JitArray[],
  { buffer, byteOffset, byteLength }: JitArray,
): { start: number; end: number } {
  let [start, end] = [byteOffset, byteOffset + byteLength];
  for (let grown = arrays.length > 1; grown;) {
    grown = false;
    for (const other of arrays) {
      const from = other.byteOffset;
      const to = from + other.byteLength;
      if (other.buffer !== buffer || from >= end || to <= start) continue;
      if (from >= start && to <= end) continue;
      [start, end] = [Math.min(start, from), Math.max(end, to)];
      grown = true;
    }
  }
  return { start, end };
}

/** Copies back what was written, and gives the memory back. */
export function giveBack(memory: JitMemory, loans: readonly Loan[]): void {
  for (const { array, address, written, copied } of loans) {
    if (!written || !copied) continue;
    const { buffer, byteOffset, byteLength } = array;
    new Uint8Array(buffer, byteOffset, byteLength).set(
      memory.bytes.subarray(address, address + byteLength),
    );
  }
  for (const { block } of loans) if (block) memory.release(block);
}
