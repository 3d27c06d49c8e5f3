import type { Packed } from "./_messages.ts";
import { movedParts } from "./moved.ts";

/** Items or results, ready for a message. */
export interface Parcel {
  readonly values: Packed;
  readonly transfer: Transferable[];
}

/**
 * Makes one typed array of numbers: cloning them one by one takes ten times as
 * long. Typed arrays over shared memory go as they are.
 *
 * @param values Where they are: from `from` on, before `to`.
 * @param spread They are lists of arguments, whose parts may move.
 */
export function pack(
  values: Packed,
  from: number,
  to: number,
  spread: boolean,
): Parcel {
  if (isTyped(values)) {
    const shared = values.buffer instanceof SharedArrayBuffer;
    const piece = shared ? values.subarray(from, to) : values.slice(from, to);
    return { values: piece, transfer: shared ? [] : [piece.buffer] };
  }
  const numbers = packNumbers(values, from, to);
  if (numbers) return { values: numbers, transfer: [numbers.buffer] };
  return {
    values: Array.prototype.slice.call(values, from, to),
    transfer: movedParts(values, from, to, spread),
  };
}

/** What all typed arrays have. */
function isTyped(values: Packed): values is Float64Array<ArrayBuffer> {
  return ArrayBuffer.isView(values);
}

function packNumbers(
  values: Packed,
  from: number,
  to: number,
): Float64Array<ArrayBuffer> | undefined {
  // One number is cheaper as it is than with a buffer around it.
  if (to - from < 2 || typeof values[from] !== "number") return undefined;
  const numbers = new Float64Array(to - from);
  for (let at = from; at < to; at++) {
    const value = values[at];
    if (typeof value !== "number") return undefined;
    numbers[at - from] = value;
  }
  return numbers;
}
