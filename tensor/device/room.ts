/**
 * Whether there is room for what is about to be taken.
 *
 * @module
 */

import type { Backend } from "./device.ts";

/** Something that is about to be taken. */
export interface Wanted {
  /** In words: `inputs`, `intermediates`. */
  readonly what: string;
  /** The bytes of each buffer. */
  readonly buffers: readonly number[];
}

/**
 * Checks that a device has so much memory left.
 *
 * @param operation What wants it, for the message.
 * @throws {RangeError} If it has not, or if one buffer is too large for it.
 */
export function requireRoom(
  backend: Pick<Backend, "name" | "limits" | "available">,
  operation: string,
  wanted: readonly Wanted[],
): void {
  const { name, limits } = backend;
  const parts = wanted.map(({ what, buffers }) => ({
    what,
    bytes: buffers.reduce((sum, bytes) => sum + bytes, 0),
    largest: buffers.reduce((most, bytes) => Math.max(most, bytes), 0),
  }));
  const advice = "take smaller batches, or checkpoint()";
  const large = parts.find(({ largest }) => largest > limits.maxBufferBytes);
  if (large) {
    throw new RangeError(
      `${operation} needs ${formatBytes(large.largest)} in one piece (` +
        `${large.what}): a buffer of the ${name} device holds ` +
        `${formatBytes(limits.maxBufferBytes)}: ${advice}`,
    );
  }
  const total = parts.reduce((sum, { bytes }) => sum + bytes, 0);
  const left = backend.available();
  if (total <= left) return;
  const list = parts.filter(({ bytes }) => bytes > 0)
    .map(({ what, bytes }) => `${what} ${formatBytes(bytes)}`);
  throw new RangeError(
    `${operation} needs ${formatBytes(total)} (${list.join(", ")}): the ` +
      `${name} device has ${formatBytes(left)} free: ${advice}`,
  );
}

/** `5.1 GB`. */
export function formatBytes(bytes: number): string {
  const units = [["GB", 1e9], ["MB", 1e6], ["kB", 1e3]] as const;
  for (const [unit, size] of units) {
    if (bytes >= size) {
      return `${Number((bytes / size).toPrecision(3))} ${unit}`;
    }
  }
  return `${bytes} bytes`;
}
