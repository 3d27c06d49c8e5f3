/**
 * The GPU through WebGPU: memory and kernels of {@link Backend}.
 *
 * @module
 */

import type { Kernel } from "../kernel/kernel.ts";
import { kernelKey } from "../kernel/kernel.ts";
import { lowerKernel, waysOf } from "../wgsl/lower.ts";
import type { Program, ShaderLimits, Subgroups } from "../wgsl/program.ts";
import type {
  Backend,
  DeviceBuffer,
  DeviceName,
  Executable,
  KernelLimits,
  MemoryInfo,
  RecordedRun,
  Recording,
} from "./device.ts";
import { type TunedKernel, tuningKey } from "./tuning.ts";
import { type OpenAdapter, openAdapter } from "./webgpu_adapter.ts";
import { BufferPool, ownBlock, ownBuffer } from "./webgpu_buffers.ts";
import { forgetOldest } from "./webgpu_cache.ts";
import { Failures } from "./webgpu_errors.ts";
import {
  checkAliases,
  ownExecutable,
  WebgpuExecutable,
} from "./webgpu_executable.ts";
import { provenSubgroups } from "./webgpu_features.ts";
import { Idle } from "./webgpu_idle.ts";
import { Pipelines } from "./webgpu_pipelines.ts";
import { timeRuns } from "./webgpu_profile.ts";
import { Reads } from "./webgpu_reads.ts";
import { type Bindable, Recorder } from "./webgpu_recorder.ts";
import { WebgpuRecording } from "./webgpu_recording.ts";
import { TemporaryPool } from "./webgpu_temporaries.ts";
import { TexturePool } from "./webgpu_textures.ts";
import { timePrograms } from "./webgpu_tune.ts";

export { DeviceLostError } from "./webgpu_errors.ts";

/** What to open, and limits below those of the hardware. */
export interface WebgpuOptions {
  /** Which of several adapters. */
  readonly powerPreference?: GPUPowerPreference;
  /**
   * Most bytes in one buffer.
   *
   * @default the adapter's
   */
  readonly maxBufferBytes?: number;
  /**
   * Most bytes in all buffers together.
   *
   * @default as many as the driver gives
   */
  readonly maxBytes?: number;
  /**
   * How kernels become programs, for tests of one way.
   *
   * @default lowerKernel
   */
  readonly lower?: (kernel: Kernel, limits: ShaderLimits) => Program;
  /**
   * What programs are written for, for tests of code for other hardware.
   *
   * @default as the adapter is
   */
  readonly shader?: Partial<ShaderLimits>;
}

/**
 * Mesa's llvmpipe leaves a shader's loops after 65535 steps in all, and says
 * nothing: `LP_MAX_TGSI_LOOP_ITERATIONS`. Half of that leaves room for more
 * loops than one.
 */
const MAX_FALLBACK_REDUCTION = 32768;
/** Kernels kept: those not asked for again go first. */
const MOST_PROGRAMS = 4096;
/** Replays that may be under way before {@link WebgpuBackend.ready} waits. */
const MOST_REPLAYS = 3;
/** Bytes kept for reuse when little is in use. */
const KEEP_BYTES = 64 * 1024 * 1024;

/** A {@link Backend} on one WebGPU device. */
export class WebgpuBackend implements Backend {
  readonly name: DeviceName = "webgpu";
  readonly adapter: string;
  readonly limits: KernelLimits;
  readonly lost: Promise<string>;
  /** Whether the adapter is a processor that plays a GPU. */
  readonly isFallback: boolean;
  readonly #device: GPUDevice;
  readonly #shaderLimits: ShaderLimits;
  readonly #lower:
    | ((kernel: Kernel, limits: ShaderLimits) => Program)
    | undefined;
  readonly #failures: Failures = new Failures();
  readonly #pool: BufferPool;
  readonly #textures: TexturePool;
  readonly #pipelines: Pipelines;
  readonly #recorder: Recorder;
  readonly #reads: Reads;
  readonly #temporaries: TemporaryPool;
  readonly #idle: Idle;
  readonly #executables: Map<string, WebgpuExecutable> = new Map();
  #ways: Readonly<Record<string, string>> = {};
  #replays = 0;
  #replaysDone = 0;

  /**
   * Use {@link openWebgpu}.
   *
   * @param subgroups If they work.
   */
  constructor(
    opened: OpenAdapter,
    options: WebgpuOptions,
    subgroups?: Subgroups,
  ) {
    const { device, description, isFallback } = opened;
    this.#device = device;
    this.#lower = options.lower;
    this.adapter = description;
    this.isFallback = isFallback;
    const { limits } = device;
    const maxBufferBytes = Math.min(
      options.maxBufferBytes ?? Infinity,
      limits.maxBufferSize,
      limits.maxStorageBufferBindingSize,
    ) & ~3;
    this.limits = {
      // One more may serve a program as its own.
      maxBuffers: limits.maxStorageBuffersPerShaderStage - 1,
      maxBufferBytes,
      minRows: isFallback ? 8 : 64,
      ...isFallback ? { maxReduction: MAX_FALLBACK_REDUCTION } : {},
      storeRandom: isFallback,
    };
    this.#shaderLimits = {
      maxWorkgroupSize: Math.min(
        limits.maxComputeInvocationsPerWorkgroup,
        limits.maxComputeWorkgroupSizeX,
      ),
      maxWorkgroupBytes: limits.maxComputeWorkgroupStorageSize,
      maxWorkgroups: limits.maxComputeWorkgroupsPerDimension,
      isFallback,
      ...subgroups === undefined ? {} : { subgroups },
      ...options.shader,
    };
    const failures = this.#failures;
    this.lost = device.lost.then(({ reason, message }) => {
      failures.lose(message || reason);
      return message || reason;
    });
    device.addEventListener("uncapturederror", (event) => {
      const { error } = event as GPUUncapturedErrorEvent;
      failures.report(new Error(`webgpu: ${error.message}`));
    });
    this.#recorder = new Recorder(device);
    this.#reads = new Reads(device, this.#recorder);
    this.#pipelines = new Pipelines(device, failures);
    this.#idle = new Idle(device.queue);
    this.#pool = new BufferPool(
      device,
      failures,
      {
        maxBufferBytes,
        maxBytes: options.maxBytes ?? Infinity,
        keepBytes: KEEP_BYTES,
      },
      () => this.#recorder.flush(),
    );
    this.#textures = new TexturePool(device, () => this.#recorder.flush());
    this.#temporaries = new TemporaryPool(this.#pool, this.#textures);
  }

  /** Those that were found to work. */
  get subgroups(): Subgroups | undefined {
    return this.#shaderLimits.subgroups;
  }

  /** The GPU itself, for work that is no kernel. */
  get gpu(): GPUDevice {
    this.#failures.check("gpu");
    return this.#device;
  }

  allocate(byteLength: number): DeviceBuffer {
    this.#failures.check("allocate");
    return this.#pool.allocate(byteLength);
  }

  available(): number {
    return this.#pool.available;
  }

  free(buffer: DeviceBuffer): void {
    if (this.#failures.ended) return;
    this.#pool.free(ownBuffer(buffer));
  }

  slice(
    buffer: DeviceBuffer,
    byteOffset: number,
    byteLength: number,
  ): DeviceBuffer {
    this.#failures.check("slice");
    if (byteOffset < 0 || byteOffset + byteLength > buffer.byteLength) {
      throw new RangeError(
        `slice: out of range: ${byteLength} bytes from ${byteOffset} of ` +
          `${buffer.byteLength}`,
      );
    }
    return ownBuffer(buffer).slice(byteOffset, byteLength);
  }

  write(buffer: DeviceBuffer, data: ArrayBufferView): void {
    this.#failures.check("write");
    const { byteLength } = buffer;
    const block = ownBlock(buffer);
    if (data.byteLength > byteLength) {
      throw new RangeError(
        `write: too long: ${data.byteLength} bytes into ${byteLength}`,
      );
    }
    // Deno ends the process on an empty copy.
    if (data.byteLength === 0) return;
    // The copy takes place before the next submission, not before this call.
    if (this.#recorder.uses(block)) this.#recorder.flush();
    const { queue } = this.#device;
    const { buffer: source, byteOffset } = data;
    if (data.byteLength % 4 === 0 && source instanceof ArrayBuffer) {
      const { gpu, offset } = block;
      queue.writeBuffer(gpu, offset, source, byteOffset, data.byteLength);
      return;
    }
    const padded = new Uint8Array(data.byteLength + 3 & ~3);
    padded.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    queue.writeBuffer(block.gpu, block.offset, padded);
  }

  async read(buffer: DeviceBuffer, byteLength: number): Promise<ArrayBuffer> {
    this.#failures.check("read");
    const block = ownBlock(buffer);
    if (byteLength > buffer.byteLength) {
      throw new RangeError(
        `read: too long: ${byteLength} bytes of ${buffer.byteLength}`,
      );
    }
    if (byteLength === 0) return new ArrayBuffer(0);
    const replays = this.#replays;
    try {
      const bytes = await this.#reads.read(block, byteLength);
      this.#finished(replays);
      await this.#pipelines.settled();
      this.#failures.check("read");
      return bytes;
    } catch (error) {
      // What the failure follows from says more.
      this.#failures.check("read");
      throw error;
    }
  }

  prepare(kernel: Kernel): Executable {
    this.#failures.check("prepare");
    const key = kernelKey(kernel);
    let executable = this.#executables.get(key);
    if (!executable) {
      executable = this.#make(kernel, this.#ways[tuningKey(kernel)]);
      forgetOldest(this.#executables, MOST_PROGRAMS);
      this.#executables.set(key, executable);
    }
    return executable;
  }

  get ways(): Readonly<Record<string, string>> {
    return this.#ways;
  }

  set ways(ways: Readonly<Record<string, string>>) {
    this.#ways = ways;
    this.#executables.clear();
  }

  async tune(kernels: readonly Kernel[]): Promise<TunedKernel[]> {
    const tuned = new Map<string, TunedKernel>();
    for (const kernel of kernels) {
      const key = tuningKey(kernel);
      if (tuned.has(key) || this.#lower) continue;
      const ways = waysOf(kernel, this.#shaderLimits);
      if (ways.length < 2) continue;
      this.#failures.check("tune");
      const times = await timePrograms(
        this,
        kernel,
        ways.map((way) => this.#make(kernel, way)),
        (recording, repeats) =>
          timeRuns(
            this.#device,
            this.#idle,
            recordingOf(recording),
            repeats,
          ),
      );
      const tried = ways.map((way, at) => ({ way, ms: times[at]! }));
      const best = tried.reduce((a, b) => b.ms < a.ms ? b : a);
      tuned.set(key, { key, name: kernel.name, way: best.way, tried });
    }
    this.#failures.check("tune");
    return [...tuned.values()];
  }

  #make(kernel: Kernel, way: string | undefined): WebgpuExecutable {
    const program = this.#lower
      ? this.#lower(kernel, this.#shaderLimits)
      : lowerKernel(kernel, this.#shaderLimits, way);
    const pipelines = program.dispatches.map((dispatch) =>
      this.#pipelines.get(dispatch)
    );
    return new WebgpuExecutable(kernel, program, pipelines);
  }

  run(
    executable: Executable,
    buffers: readonly DeviceBuffer[],
    params: Uint32Array,
  ): void {
    this.#failures.check("run");
    const { program, pipelines, kernel } = ownExecutable("run", executable);
    if (program.dispatches.length === 0) return;
    const memory: Bindable[] = [];
    for (const buffer of buffers) memory.push(ownBlock(buffer));
    checkAliases(kernel, memory);
    const loan = this.#temporaries.take(program.temporaries);
    memory.push(...loan.memory);
    for (let i = 0; i < pipelines.length; i++) {
      this.#recorder.dispatch(
        pipelines[i]!,
        program.dispatches[i]!,
        memory,
        params,
      );
    }
    // What is queued later runs later: they can be lent again at once.
    loan.giveBack();
  }

  record(runs: readonly RecordedRun[]): Recording {
    this.#failures.check("record");
    return new WebgpuRecording(this.#device, this.#temporaries, runs);
  }

  replay(
    recording: Recording,
    buffers: readonly DeviceBuffer[],
    params: Uint32Array,
  ): void {
    this.#failures.check("replay");
    this.#recorder.replay(recordingOf(recording), buffers, params);
    this.#replays++;
  }

  discard(recording: Recording): void {
    if (this.#failures.ended) return;
    // What it holds must not go before work that uses it was sent off.
    this.#recorder.flush();
    recordingOf(recording).discard();
  }

  async ready(): Promise<void> {
    this.flush();
    if (this.#replays - this.#replaysDone < MOST_REPLAYS) return;
    const replays = this.#replays;
    await this.#idle.wait();
    this.#failures.check("ready");
    this.#finished(replays);
  }

  async profile(
    recording: Recording,
    buffers: readonly DeviceBuffer[],
    params: Uint32Array,
  ): Promise<number[]> {
    this.#failures.check("profile");
    const own = recordingOf(recording);
    this.#recorder.flush();
    this.#recorder.bind(own, buffers, params);
    const times = await timeRuns(this.#device, this.#idle, own);
    this.#failures.check("profile");
    return times;
  }

  copy(from: DeviceBuffer, to: DeviceBuffer, byteLength: number): void {
    this.#failures.check("copy");
    if (from === to || byteLength === 0) return;
    const [source, target] = [ownBlock(from), ownBlock(to)];
    if (source.gpu === target.gpu) {
      // A GPU does not copy from one part of a buffer to another.
      const between = this.allocate(byteLength);
      this.copy(from, between, byteLength);
      this.copy(between, to, byteLength);
      return this.free(between);
    }
    this.#recorder.copy(source, target, byteLength + 3 & ~3);
    target.lastUse = this.#recorder.submission;
  }

  flush(): void {
    this.#failures.check("flush");
    this.#recorder.flush();
  }

  async finish(): Promise<void> {
    this.flush();
    const replays = this.#replays;
    await this.#device.queue.onSubmittedWorkDone();
    this.#finished(replays);
    await this.#pipelines.settled();
    this.#failures.check("finish");
  }

  memory(): MemoryInfo {
    const memory = this.#pool.memory();
    const pooledBytes = memory.pooledBytes + this.#textures.pooledBytes;
    return { ...memory, pooledBytes };
  }

  close(): void {
    this.#failures.close();
    this.#device.destroy();
  }

  /** Notes that so many replays are done, or more. */
  #finished(replays: number): void {
    this.#replaysDone = Math.max(this.#replaysDone, replays);
  }
}

/**
 * Opens a GPU.
 *
 * @throws {Error} If there is no adapter.
 */
export async function openWebgpu(
  options: WebgpuOptions = {},
): Promise<WebgpuBackend> {
  const opened = await openAdapter(options.powerPreference);
  return new WebgpuBackend(
    opened,
    options,
    await provenSubgroups(opened.device),
  );
}

function recordingOf(recording: Recording): WebgpuRecording {
  if (recording instanceof WebgpuRecording) return recording;
  throw new TypeError("webgpu: the recording is one of another device");
}
