/**
 * What the two devices have in common: memory, and kernels run in order.
 *
 * @module
 */

import type { DType } from "../dtype.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { Shape } from "../shape.ts";
import type { TunedKernel, Tuning } from "./tuning.ts";

/** Names a device: a GPU through WebGPU, or WebAssembly on the processor. */
export type DeviceName = "webgpu" | "wasm";

/** Memory in use. */
export interface MemoryInfo {
  /** Buffers that tensors hold. */
  readonly buffers: number;
  /** Their bytes. */
  readonly bytes: number;
  /** The most bytes held at one time. */
  readonly peakBytes: number;
  /** Bytes that are kept to be given out again. */
  readonly pooledBytes: number;
}

/** Memory, and a leak report. */
export interface DeviceMemory extends MemoryInfo {
  /** Tensors that no scope freed and the garbage collector found. */
  readonly collected: number;
}

/** Tensors alike that no scope freed and the garbage collector found. */
export interface Leak {
  /** Their shape. */
  readonly shape: Shape;
  /** Their type. */
  readonly dtype: DType;
  /** How many were found. */
  readonly count: number;
  /** The bytes that they took, all together. */
  readonly bytes: number;
  /** The line that made them, if the device was opened with `trackLeaks`. */
  readonly madeAt?: string;
}

/** A GPU or the processor, with the tensors that were computed on it. */
export interface Device extends Disposable {
  /** Which kind. */
  readonly name: DeviceName;
  /** The hardware, as its driver names it. */
  readonly adapter: string;
  /** Resolves with the reason if the device is lost; never rejects. */
  readonly lost: Promise<string>;
  /**
   * The fastest ways to run kernels, as a compiled function's `tune` found them
   * on this adapter, beside what was set: to be stored as JSON and set again.
   * What is set serves whatever is planned from then on; ways of other adapters
   * are kept but have no effect.
   */
  tuning: Tuning;
  /** Counts of buffers and bytes. */
  memory(): DeviceMemory;
  /**
   * What `memory().collected` counts, by shape, type and line, the most bytes
   * first: tensors that were left to the garbage collector, which runs when it
   * likes. A `Scope` around a training step frees them at its end instead.
   */
  leaks(): Leak[];
  /**
   * Resolves when fewer than three runs of compiled functions are under way: a
   * loop that awaits it never runs far ahead of the device.
   */
  ready(): Promise<void>;
  /** Resolves when all work is done. */
  finish(): Promise<void>;
  /** Frees everything and ends the device's threads; its tensors are gone. */
  close(): void;
}

/** What kernels must fit. */
export interface KernelLimits {
  /** Most buffers that one kernel may name. */
  readonly maxBuffers: number;
  /** Most bytes in one buffer. */
  readonly maxBufferBytes: number;
  /**
   * Fewer rows than this are too few to keep the device busy: a long reduction
   * is then split into two kernels.
   */
  readonly minRows: number;
  /**
   * No reduction runs over more elements than this: a longer one is split into
   * several kernels, whatever its rows.
   * @default Infinity
   */
  readonly maxReduction?: number;
  /**
   * Whether random numbers are dear: drawn once and stored, not again in each
   * kernel that needs them.
   */
  readonly storeRandom: boolean;
}

/** Memory on a device. Only the device looks inside. */
export interface DeviceBuffer {
  /** Usable bytes. */
  readonly byteLength: number;
}

/** A kernel made ready to run. Only the device looks inside. */
export interface Executable {
  /** What it was made from. */
  readonly kernel: Kernel;
}

/** One run of a kernel within a recording. */
export interface RecordedRun {
  /** From {@link Backend.prepare} of this device. */
  readonly executable: Executable;
  /** The recording's buffer behind each slot of the kernel. */
  readonly buffers: readonly number[];
  /** The recording's word behind each param of the kernel. */
  readonly params: readonly number[];
}

/** Runs made ready to be repeated. Only the device looks inside. */
export interface Recording {
  /** What it was made from. */
  readonly runs: readonly RecordedRun[];
}

/**
 * Runs kernels on buffers, in the order of the calls. Everything but reading
 * returns at once; work may still be under way.
 */
export interface Backend {
  /** Which kind. */
  readonly name: DeviceName;
  /** The hardware, as its driver names it. */
  readonly adapter: string;
  /** What kernels must fit. */
  readonly limits: KernelLimits;
  /** Resolves with the reason if the device is lost; never rejects. */
  readonly lost: Promise<string>;
  /**
   * Takes memory; its content is undefined.
   *
   * @throws {RangeError} If there is not enough: with the bytes asked for and
   * those in use.
   */
  allocate(byteLength: number): DeviceBuffer;
  /**
   * Bytes that can still be taken, as far as is known: less if they are not in
   * one piece; `Infinity` where only the driver knows.
   */
  available(): number;
  /** Gives memory back; kernels queued before still see it. */
  free(buffer: DeviceBuffer): void;
  /**
   * Part of a buffer as a buffer; the memory is given back when the buffer and
   * all its parts are. Kernels may be given it if it begins at a multiple of
   * 256 bytes. Where it is there, kernels cost enough to launch for values to
   * be laid end to end, so that fewer serve them.
   */
  slice?(
    buffer: DeviceBuffer,
    byteOffset: number,
    byteLength: number,
  ): DeviceBuffer;
  /** Copies from the host, before kernels run later. */
  write(buffer: DeviceBuffer, data: ArrayBufferView): void;
  /** Copies the first bytes to the host, after kernels run before. */
  read(buffer: DeviceBuffer, byteLength: number): Promise<ArrayBuffer>;
  /** The same at once, where that is possible without waiting for a driver. */
  readSync?(buffer: DeviceBuffer, byteLength: number): ArrayBuffer;
  /**
   * Times the ways to run kernels on this adapter, where kernels have several;
   * the fastest are not used until they are set. Without it there is one way
   * for each kernel.
   */
  tune?(kernels: readonly Kernel[]): Promise<TunedKernel[]>;
  /**
   * Names of ways by the keys of kernels, for what is made ready from now on;
   * unknown names have no effect.
   */
  ways?: Readonly<Record<string, string>>;
  /** Generates and compiles code; the same kernel again costs little. */
  prepare(kernel: Kernel): Executable;
  /**
   * Queues a run.
   *
   * @param executable From {@link Backend.prepare} of this device.
   * @param buffers One a slot of the kernel, in order.
   * @param params One 32-bit word for each of the kernel's params.
   */
  run(
    executable: Executable,
    buffers: readonly DeviceBuffer[],
    params: Uint32Array,
  ): void;
  /** Makes runs ready to be repeated, in order. */
  record(runs: readonly RecordedRun[]): Recording;
  /**
   * Queues all runs of a recording. On the buffers of the replay before, it
   * makes no object and costs next to nothing a kernel.
   *
   * @param recording From {@link Backend.record} of this device.
   * @param buffers One for each number that the runs name.
   * @param params One 32-bit word for each number that the runs name; kept by
   * nobody after the call.
   */
  replay(
    recording: Recording,
    buffers: readonly DeviceBuffer[],
    params: Uint32Array,
  ): void;
  /** Gives back what a recording holds; it may not be replayed any more. */
  discard(recording: Recording): void;
  /**
   * Resolves when fewer than three replays are under way, so that who repeats
   * a step never runs far ahead of the device. Sends queued work off.
   */
  ready(): Promise<void>;
  /**
   * Times each run of a recording alone. The runs are done several times over,
   * with all that they write: pass buffers that may be spoiled.
   *
   * @returns Milliseconds, one for each run.
   */
  profile(
    recording: Recording,
    buffers: readonly DeviceBuffer[],
    params: Uint32Array,
  ): Promise<number[]>;
  /** Queues a copy of the first bytes of one buffer to another. */
  copy(from: DeviceBuffer, to: DeviceBuffer, byteLength: number): void;
  /** Sends queued work off without waiting for it. */
  flush(): void;
  /** Resolves when all queued work is done. */
  finish(): Promise<void>;
  /** Counts. */
  memory(): MemoryInfo;
  /** Frees everything; later calls throw. */
  close(): void;
}
