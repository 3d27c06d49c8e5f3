/**
 * What a replay does, how long it takes, and whether it is right.
 *
 * @module
 */

import { bufferBytes, BYTES_PER_ELEMENT } from "../dtype.ts";
import type { Node } from "../graph/node.ts";
import { arenaOf } from "../kernel/arena.ts";
import { costOf } from "../kernel/cost.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { formatShape, sizeOf } from "../shape.ts";
import { sliceOf, takeArena } from "./arena.ts";
import type { DeviceBuffer } from "./device.ts";
import { peaksOf } from "./peaks.ts";
import type { Detached, Replay } from "./replay.ts";

/** One kernel of a compiled function. */
export interface KernelReport {
  /** What it computes, and over which sizes. */
  readonly name: string;
  /** The kind of kernel: a map, a reduction, a matrix product, … */
  readonly template: string;
  /** Operations that were fused into it, in order of use. */
  readonly operations: readonly string[];
  /** Buffers read and written. */
  readonly reads: number;
  /** Buffers written; those that overwrite an input are counted too. */
  readonly writes: number;
  /** Results that lie where an input lay. */
  readonly inPlace: number;
  /** Operations on floats. */
  readonly flops: number;
  /** Bytes moved at least. */
  readonly bytes: number;
}

/** One kernel with its time. */
export interface KernelProfile extends KernelReport {
  /** Milliseconds that it took. */
  readonly ms: number;
  /** Milliseconds that this device needs for its operations and bytes. */
  readonly floorMs: number;
}

/** Where a replay and the uncompiled graph part. */
export interface Difference {
  /** The first node that differs. */
  readonly node: string;
  /** The kernel that computed it. */
  readonly kernel: string;
  /** The element that differs most. */
  readonly index: number;
  /** The replay's value. */
  readonly got: number;
  /** The uncompiled graph's. */
  readonly want: number;
}

/**
 * How far values may lie apart: `|got - want| <= atol + rtol * largest`, where
 * the largest is that of the tensor and of those that it is computed from.
 */
export interface Tolerance {
  /**
   * Part of the largest value.
   * @default 1e-4
   */
  readonly rtol?: number;
  /**
   * Beside that.
   * @default 1e-6
   */
  readonly atol?: number;
}

/** What the kernels of a replay do. */
export function reportsOf(replay: Replay): KernelReport[] {
  return replay.plan.steps.map(({ kernel }) => reportOf(kernel));
}

function reportOf(kernel: Kernel): KernelReport {
  const { buffers, name } = kernel;
  const writes = buffers.filter(({ output }) => output);
  return {
    name,
    template: templateOf(kernel),
    operations: kernel.kind === "loop"
      ? [...new Set(kernel.values.map(({ op }) => op))]
        .filter((op) => !["const", "param", "load", "index"].includes(op))
      : [kernel.kind],
    reads: buffers.length - writes.length,
    writes: writes.length,
    inPlace: writes.filter(({ overwrites }) => overwrites !== undefined).length,
    ...costOf(kernel),
  };
}

function templateOf(kernel: Kernel): string {
  if (kernel.kind !== "loop") return kernel.kind;
  if (kernel.contract) return "contract";
  return kernel.cols.length > 0 ? "reduce" : "map";
}

/** Times the kernels, each alone, on copies. */
export async function profileReplay(
  replay: Replay,
  args: readonly Node[],
): Promise<KernelProfile[]> {
  const { backend } = replay.device;
  const peaks = await peaksOf(replay.device);
  const detached = replay.detach(args);
  try {
    const { recording, buffers, params } = detached;
    const times = await backend.profile(recording, buffers, params);
    return reportsOf(replay).map((report, at) => ({
      ...report,
      ms: times[at]!,
      floorMs: 1e3 * Math.max(
        report.flops / peaks.flopsPerSecond,
        report.bytes / peaks.bytesPerSecond,
      ),
    }));
  } finally {
    detached.free();
  }
}

/** A float value of the graph, where it lies for the moment. */
interface Computed {
  readonly node: number;
  readonly buffer: DeviceBuffer;
  readonly byteLength: number;
}

/** The float values of the graph, computed one operation a kernel. */
function* uncompiled(
  { device, signature, planning }: Replay,
  { sources, params }: Pick<Detached, "sources" | "params">,
): Generator<Computed, void> {
  const { backend } = device;
  const plan = device.planOf(signature, { ...planning, fuse: false });
  const buffers: (DeviceBuffer | undefined)[] = plan.buffers.map(({ source }) =>
    source === undefined ? undefined : sources[source]
  );
  const taken: DeviceBuffer[] = [];
  try {
    for (const [number, { parts }] of plan.buffers.entries()) {
      if (!parts) continue;
      const arena = arenaOf(parts.map((part) => plan.buffers[part]!.size));
      const whole = takeArena(device, arena);
      taken.push(whole);
      buffers[number] = whole;
      parts.forEach((part, at) => {
        const { offset, size } = arena.values[at]!;
        const slice = sliceOf(device, whole, offset, size);
        taken.push(slice);
        buffers[part] = slice;
      });
    }
    for (const step of plan.steps) {
      const bound = step.buffers.map((number) => {
        const present = buffers[number];
        if (present) return present;
        const made = backend.allocate(bufferBytes(plan.buffers[number]!.size));
        taken.push(made);
        return buffers[number] = made;
      });
      const words = Uint32Array.from(step.params, (slot) => params[slot]!);
      backend.run(backend.prepare(step.kernel), bound, words);
      for (const [slot, number] of step.buffers.entries()) {
        const { output, dtype } = step.kernel.buffers[slot]!;
        const { node, size } = plan.buffers[number]!;
        if (!output || dtype !== "float32" || node < 0) continue;
        const byteLength = size * BYTES_PER_ELEMENT;
        yield { node, buffer: buffers[number]!, byteLength };
      }
    }
  } finally {
    for (const buffer of taken) backend.free(buffer);
  }
}

/**
 * Runs the kernels of a replay one by one, and the graph operation by
 * operation; gives the first float value that differs. Tensors stay as they
 * are.
 */
export async function verifyReplay(
  replay: Replay,
  args: readonly Node[],
  { rtol = 1e-4, atol = 1e-6 }: Tolerance,
): Promise<Difference | undefined> {
  const { device, plan, planning, signature } = replay;
  const { backend } = device;
  const detached = replay.detach(args);
  try {
    const wanted = new Map<number, Float32Array>();
    for (const { node, buffer, byteLength } of uncompiled(replay, detached)) {
      const values = await backend.read(buffer, byteLength);
      wanted.set(node, new Float32Array(values));
    }
    const { buffers, params, recording } = detached;
    const notes = device.describeNodes(signature, planning);
    const check = async (
      number: number,
      kernel: string,
    ): Promise<Difference | undefined> => {
      const want = wanted.get(plan.nodes[number]!);
      if (!want) return undefined;
      const got = new Float32Array(
        await backend.read(buffers[number]!, want.byteLength),
      );
      const { text: node, inputs } = notes[plan.nodes[number]!]!;
      // What is left of large values that cancel is as inexact as they are.
      const sizes = [want, ...inputs.flatMap((at) => wanted.get(at) ?? [])]
        .map(largestOf);
      const worst = worstOf(got, want, atol + rtol * Math.max(...sizes));
      if (worst < 0) return undefined;
      const [a, b] = [got[worst]!, want[worst]!];
      return { node, kernel, index: worst, got: a, want: b };
    };
    for (const [at, { kernel, buffers: bound }] of plan.steps.entries()) {
      const run = recording.runs[at]!;
      backend.run(
        run.executable,
        run.buffers.map((number) => buffers[number]!),
        Uint32Array.from(run.params, (slot) => params[slot]!),
      );
      for (const [slot, number] of bound.entries()) {
        if (!kernel.buffers[slot]!.output) continue;
        const found = await check(number, kernel.name);
        if (found) return found;
      }
    }
    detached.restore();
    for (const number of plan.roots) {
      // What the replay does not write must not look as if it had.
      if (plan.places[number]!.kind !== "result") continue;
      const { byteLength } = buffers[number]!;
      backend.write(buffers[number]!, new Uint8Array(byteLength).fill(255));
    }
    backend.replay(recording, buffers, params);
    for (const number of plan.roots) {
      const found = await check(number, "the replay as a whole");
      if (found) return found;
    }
    return undefined;
  } finally {
    detached.free();
  }
}

/**
 * The first value of the graph that is NaN or infinite anywhere, in words.
 *
 * @param at The sources and scalars of the run.
 */
export async function firstNonFinite(
  replay: Replay,
  at: Pick<Detached, "sources" | "params">,
): Promise<string | undefined> {
  const { backend } = replay.device;
  for (const value of allValues(replay, at)) {
    const bytes = await backend.read(value.buffer, value.byteLength);
    const found = describeNonFinite(replay, value, bytes);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The same at once, on a device that can read so. */
export function firstNonFiniteSync(
  replay: Replay,
  at: Pick<Detached, "sources" | "params">,
): string | undefined {
  const { backend } = replay.device;
  for (const value of allValues(replay, at)) {
    const bytes = backend.readSync!(value.buffer, value.byteLength);
    const found = describeNonFinite(replay, value, bytes);
    if (found !== undefined) return found;
  }
  return undefined;
}

function* allValues(
  replay: Replay,
  at: Pick<Detached, "sources" | "params">,
): Generator<Computed & { readonly source?: number }, void> {
  for (const [slot, node] of replay.signature.sources.entries()) {
    if (node.dtype !== "float32") continue;
    const byteLength = sizeOf(node.shape) * BYTES_PER_ELEMENT;
    yield { node: -1, buffer: at.sources[slot]!, byteLength, source: slot };
  }
  yield* uncompiled(replay, at);
}

function describeNonFinite(
  { device, planning, signature }: Replay,
  { node, source }: Computed & { readonly source?: number },
  bytes: ArrayBuffer,
): string | undefined {
  const values = new Float32Array(bytes);
  const at = values.findIndex((value) => !Number.isFinite(value));
  if (at < 0) return undefined;
  const name = source === undefined
    ? device.describeNodes(signature, planning)[node]!.text
    : `an input float32${formatShape(signature.sources[source]!.shape)}`;
  return `${name}: element ${at} is ${values[at]}`;
}

function largestOf(values: Float32Array): number {
  let largest = 0;
  for (const value of values) {
    if (Number.isFinite(value)) largest = Math.max(largest, Math.abs(value));
  }
  return largest;
}

/** The element that is furthest off beyond the tolerance, or -1. */
function worstOf(
  got: Float32Array,
  want: Float32Array,
  tolerance: number,
): number {
  let [worst, most] = [-1, tolerance];
  for (let at = 0; at < want.length; at++) {
    const [a, b] = [got[at]!, want[at]!];
    if (Object.is(a, b) || a === b || (a !== a && b !== b)) continue;
    const off = Math.abs(a - b);
    if (off > most || off !== off) [worst, most] = [at, off];
  }
  return worst;
}
