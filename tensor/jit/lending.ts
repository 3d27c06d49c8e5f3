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

/** Brings arrays into memory: those of it as they are, others as copies. */
export function lend(
  memory: JitMemory,
  arrays: readonly JitArray[],
  loans: Loan[],
): void {
  const addresses = new Array<number>(arrays.length);
  const blocks = new Array<Block | undefined>(arrays.length);
  arrays.forEach((array, at) => {
    if (array.length > MOST_ELEMENTS) {
      throw new RangeError(
        `jit: an array has too many elements: ${array.length}: ` +
          "pass parts of it, with subarray",
      );
    }
    const { buffer, byteOffset, byteLength } = array;
    if (memory.holds(buffer)) {
      addresses[at] = byteOffset;
      return;
    }
    // What overlaps with an array before it lies in the same copy.
    const span = spanOf(arrays, array);
    const before = arrays.findIndex((other, i) =>
      i < at && blocks[i] && other.buffer === buffer &&
      other.byteOffset < span.end && other.byteOffset + other.byteLength >
        span.start &&
      byteLength > 0
    );
    if (before >= 0) {
      addresses[at] = addresses[before]! + byteOffset -
        arrays[before]!.byteOffset;
      return;
    }
    const skew = span.start & 7;
    const block = memory.take(span.end - span.start + skew);
    blocks[at] = block;
    memory.bytes.set(
      new Uint8Array(buffer, span.start, span.end - span.start),
      block.address + skew,
    );
    addresses[at] = block.address + skew + byteOffset - span.start;
  });
  arrays.forEach((array, at) =>
    loans.push({
      array,
      address: addresses[at]!,
      written: false,
      block: blocks[at],
      copied: !memory.holds(array.buffer),
    })
  );
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
