/**
 * Ways to run kernels that were found to be the fastest, to be kept and used
 * again.
 *
 * @module
 */

import { type Kernel, kernelKey } from "../kernel/kernel.ts";

/**
 * The fastest ways to run kernels, by adapter and then by kernel: plain JSON,
 * for the caller to store. A compiled function's `tune` finds them.
 *
 * @example Tuning once, for all later runs on this adapter
 * ```ts
 * import { compile, ones, openDevice, type Tensor } from "@heddle/tensor";
 * import { assertEquals } from "@std/assert";
 *
 * using device = await openDevice();
 * const product = compile((a: Tensor, b: Tensor) => a.matmul(b));
 * await product.tune(ones([64, 64]), ones([64, 64]));
 * const stored = JSON.stringify(device.tuning); // to a file, say
 * // In the next process, before the function runs for the first time:
 * device.tuning = JSON.parse(stored);
 * assertEquals(JSON.stringify(device.tuning), stored);
 * ```
 */
export type Tuning = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** One way to run a kernel. */
export interface TriedWay {
  /** What the device calls it. */
  readonly way: string;
  /** Milliseconds that it took. */
  readonly ms: number;
}

/** What tuning found for one kernel. */
export interface TunedKernel {
  /** What the tuning calls it. */
  readonly key: string;
  /** What it computes, and over which sizes. */
  readonly name: string;
  /** The fastest way, which is used from now on. */
  readonly way: string;
  /** All that were tried; the first is the one taken without tuning. */
  readonly tried: readonly TriedWay[];
}

/** What tuning did. */
export interface TuningReport {
  /** The hardware, as its driver names it. */
  readonly adapter: string;
  /** Kernels with several ways. */
  readonly kernels: readonly TunedKernel[];
  /** Why nothing was tuned, if nothing was. */
  readonly reason?: string;
}

/** What a tuning calls a kernel: its name and a hash of all that it is. */
export function tuningKey(kernel: Kernel): string {
  // FNV-1a with two offsets: 64 bits.
  const text = kernelKey(kernel);
  const halves = [0x811c9dc5, 0x050c5d1f].map((offset) => {
    let hash = offset;
    for (let at = 0; at < text.length; at++) {
      hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
    }
    return (hash >>> 0).toString(16).padStart(8, "0");
  });
  return `${kernel.name} ${halves.join("")}`;
}

/**
 * A copy of a tuning that a caller gives.
 *
 * @throws {TypeError} If it is not one: it may come from a file.
 */
export function checkedTuning(value: unknown): Tuning {
  const copy: Record<string, Record<string, string>> = {};
  for (const [adapter, ways] of entriesOf(value, "the value")) {
    const ours: Record<string, string> = copy[adapter] = {};
    for (const [key, way] of entriesOf(ways, `"${adapter}"`)) {
      if (typeof way !== "string") throw notATuning(`"${key}"`, way);
      ours[key] = way;
    }
  }
  return copy;
}

function entriesOf(value: unknown, what: string): [string, unknown][] {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw notATuning(what, value);
  }
  return Object.entries(value);
}

function notATuning(what: string, value: unknown): TypeError {
  return new TypeError(
    `device.tuning: ${what} is ${
      value === null ? "null" : Array.isArray(value) ? "a list" : typeof value
    }: pass what device.tuning gave`,
  );
}

/** A tuning with more ways of an adapter. */
export function withWays(
  tuning: Tuning,
  adapter: string,
  ways: Readonly<Record<string, string>>,
): Tuning {
  return { ...tuning, [adapter]: { ...tuning[adapter], ...ways } };
}
