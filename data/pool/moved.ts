const marks = new WeakMap<object, readonly Transferable[]>();
let anyMarks = false;

/**
 * Marks a value as one to move instead of to copy when it goes to a worker or
 * comes back from one. Afterwards its memory is gone where it came from.
 *
 * Works on an item of a map, an argument of a call, and the result of a
 * function that runs in a worker. Typed arrays over shared memory are neither
 * copied nor moved: both sides see them. Between processes everything is
 * copied. What was moved to a worker that died is lost, so that such an item is
 * not tried again.
 *
 * @param value What to move.
 * @param transfer The parts of it that move.
 * @default transfer the buffer of a typed array; a buffer, stream or port itself;
 * of an array or plain object the buffers of the typed arrays directly in it
 * @returns `value` itself.
 * @throws {TypeError} If there is nothing to move.
 *
 * @example An array changes hands
 * ```ts
 * import { moved, Pool, remoteModule } from "@heddle/data/pool";
 * import { assertEquals } from "@std/assert";
 *
 * const arrays = remoteModule<{ median(values: Float64Array): number }>(
 *   "data:text/javascript,export const median = (x) => x.sort()[x.length >> 1]",
 * );
 * await using pool = new Pool({ workers: 1 });
 * const values = Float64Array.of(3, 1, 2);
 * assertEquals(await pool.apply(arrays.median, [moved(values)]), 2);
 * assertEquals(values.length, 0);
 * ```
 */
export function moved<T extends object>(
  value: T,
  transfer: readonly Transferable[] = buffersOf(value),
): T {
  if (transfer.length === 0) {
    throw new TypeError(
      "moved: nothing to move: expected a typed array, a buffer, or an object " +
        "that holds them: pass what moves as the second argument",
    );
  }
  marks.set(value, transfer);
  anyMarks = true;
  return value;
}

/** What moves with the values in `values` from `from` on, before `to`. */
export function movedParts(
  values: ArrayLike<unknown>,
  from: number,
  to: number,
  spread: boolean,
): Transferable[] {
  if (!anyMarks || ArrayBuffer.isView(values)) return [];
  const parts = new Set<Transferable>();
  for (let at = from; at < to; at++) {
    for (const part of partsOf(values[at], spread)) parts.add(part);
  }
  return [...parts];
}

/** Whether anything moves with the value at `at`. */
export function hasMovedParts(
  values: ArrayLike<unknown>,
  at: number,
  spread: boolean,
): boolean {
  return anyMarks && !ArrayBuffer.isView(values) &&
    partsOf(values[at], spread).length > 0;
}

/** @param spread The value is a list of arguments, each with its own mark. */
function partsOf(value: unknown, spread: boolean): readonly Transferable[] {
  if (typeof value !== "object" || value === null) return [];
  const parts = marks.get(value) ?? [];
  return spread
    ? parts.concat((value as unknown[]).flatMap((one) => partsOf(one, false)))
    : parts;
}

function buffersOf(value: object): Transferable[] {
  const bufferOf = (part: unknown): Transferable[] =>
    ArrayBuffer.isView(part)
      ? part.buffer instanceof ArrayBuffer ? [part.buffer] : []
      : part instanceof ArrayBuffer || part instanceof MessagePort ||
          part instanceof ReadableStream || part instanceof WritableStream ||
          part instanceof TransformStream
      ? [part as Transferable]
      : [];
  const own = bufferOf(value);
  if (own.length > 0 || ArrayBuffer.isView(value)) return own;
  return [...new Set(Object.values(value).flatMap(bufferOf))];
}
