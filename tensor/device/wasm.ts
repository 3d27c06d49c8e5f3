/**
 * The processor as a device: kernels become WebAssembly, buffers lie in one
 * memory that threads share. Everything is done when a call returns.
 *
 * @module
 */

import { type Kernel, kernelKey } from "../kernel/kernel.ts";
import { Allocator, type Block } from "../wasm/allocator.ts";
import { ModuleBuilder } from "../wasm/assembler.ts";
import { generate, type Generated, MAX_PAGES } from "../wasm/generate.ts";
import type { Target } from "../wasm/math.ts";
import { type Program, type Sequence, ThreadPool } from "../wasm/threads.ts";
import { warn } from "../warnings.ts";
import type {
  Backend,
  DeviceBuffer,
  Executable,
  KernelLimits,
  MemoryInfo,
  RecordedRun,
  Recording,
} from "./device.ts";
import { type FrameLayout, layOutFrames } from "./wasm_recording.ts";
import { median } from "./median.ts";

/** How the device is opened. */
export interface WasmOptions {
  /**
   * Threads that share the work, the calling one included.
   * @default navigator.hardwareConcurrency
   */
  readonly threads?: number;
  /**
   * Whether matrix products are packed and tiled; without it they run as plain
   * loops, to compare.
   * @default true
   */
  readonly contract?: boolean;
  /**
   * Milliseconds of work that could have been shared before threads start.
   * @default 20
   */
  readonly startAfterMs?: number;
}

const PAGE_BYTES = 65536;
/** Grows by at least so much: a growth takes some ten µs. */
const LEAST_GROWTH = 256 * PAGE_BYTES;
/** The first page stays out: addresses a little before a buffer are addresses. */
const FIRST_ADDRESS = PAGE_BYTES;
/** Vectors are read as a whole, at the end of a buffer too. */
const SLACK_BYTES = 32;

/** Times that each run is timed: what else happens disturbs few of them. */
const PROFILE_ROUNDS = 5;

const LIMITS: KernelLimits = {
  maxBuffers: 64,
  maxBufferBytes: 0x7fffffff,
  minRows: 8,
  storeRandom: true,
};

/**
 * Opens the device; threads start when there is work for them. Where there can
 * be none it says so, by a warning.
 */
export function openWasm(options: WasmOptions = {}): Promise<Backend> {
  return Promise.resolve(openWasmSync(options));
}

/** The same, at once. */
export function openWasmSync(options: WasmOptions = {}): Backend {
  return new WasmBackend(options);
}

/** What the engine can do. */
export function detectTarget(): Target {
  const module = new ModuleBuilder();
  module.function("madd", ["v128"], ["v128"], (f) => {
    const [x] = f.params;
    f.get(x!).get(x!).get(x!).op("f32x4.relaxed_madd");
  });
  const isolated =
    (globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated;
  return {
    relaxedSimd: WebAssembly.validate(module.finish()),
    sharedMemory: typeof SharedArrayBuffer === "function" &&
      isolated !== false,
  };
}

function countThreads(count: number): string {
  return `${count} thread${count === 1 ? "" : "s"}`;
}

class WasmBuffer implements DeviceBuffer {
  readonly owner: Backend;
  readonly byteLength: number;
  block: Block | undefined;
  readonly address: number;

  constructor(owner: Backend, byteLength: number, block: Block) {
    this.owner = owner;
    this.byteLength = byteLength;
    this.block = block;
    this.address = block.address;
  }
}

interface WasmExecutable extends Executable {
  readonly generated: Generated;
  readonly program: Program;
  /** Its stages, on a frame of their own. */
  readonly sequence: Sequence;
}

interface Loaded {
  readonly key: string;
  readonly program: Program;
  readonly sequence: Sequence;
}

class WasmRecording implements Recording {
  readonly runs: readonly RecordedRun[];
  readonly layout: FrameLayout;
  readonly sequence: Sequence;
  /** The frames; none once the recording is discarded. */
  block: Block | undefined;
  /** The buffers of the last replay, in the order of the layout. */
  readonly last: (WasmBuffer | undefined)[];
  /** Which scratch memory the frames name. */
  scratch = -1;

  constructor(
    runs: readonly RecordedRun[],
    layout: FrameLayout,
    sequence: Sequence,
    block: Block,
  ) {
    this.runs = runs;
    this.layout = layout;
    this.sequence = sequence;
    this.block = block;
    this.last = layout.buffers.map(() => undefined);
  }
}

class WasmBackend implements Backend {
  readonly name = "wasm";
  readonly adapter: string;
  readonly limits = LIMITS;
  readonly lost: Promise<string> = new Promise(() => {});
  readonly #target: Target;
  readonly #contract: boolean;
  readonly #memory: WebAssembly.Memory;
  readonly #allocator: Allocator;
  readonly #pool: ThreadPool;
  readonly #libraries: Map<Uint8Array, Program> = new Map();
  readonly #byKernel = new WeakMap<Kernel, WasmExecutable>();
  readonly #byKey = new Map<string, WeakRef<WasmExecutable>>();
  readonly #recordings = new WeakSet<Recording>();
  readonly #unused = new FinalizationRegistry<Loaded>((loaded) =>
    this.#unload(loaded)
  );
  #bytes: Uint8Array;
  #words: Uint32Array;
  #frame: Block;
  #shared: Block | undefined;
  #scratch: Block | undefined;
  /** Counts how often scratch memory has moved. */
  #moves = 0;
  #buffers = 0;
  #used = 0;
  #peak = 0;
  #closed = false;

  constructor({ threads, contract = true, startAfterMs }: WasmOptions) {
    this.#target = detectTarget();
    this.#contract = contract;
    this.#memory = new WebAssembly.Memory({
      initial: 1,
      maximum: MAX_PAGES,
      shared: this.#target.sharedMemory,
    });
    [this.#bytes, this.#words] = this.#views();
    this.#allocator = new Allocator(
      FIRST_ADDRESS,
      (least) => this.#grow(least),
    );
    this.#frame = this.#allocator.allocate(4 * 128)!;
    this.#pool = new ThreadPool(this.#memory, {
      ...(threads === undefined ? {} : { threads }),
      ...(startAfterMs === undefined ? {} : { startAfterMs }),
      onFewerThreads: (reason, count) =>
        warn(`openDevice: wasm uses ${countThreads(count)}: ${reason}`),
    });
    this.adapter = [
      `WebAssembly, ${countThreads(this.#pool.threads)}`,
      this.#target.relaxedSimd ? "fused multiply-add" : "SIMD",
    ].join(", ");
  }

  allocate(byteLength: number): DeviceBuffer {
    this.#checkOpen("allocate");
    const block = byteLength <= LIMITS.maxBufferBytes
      ? this.#allocator.allocate(byteLength + SLACK_BYTES)
      : undefined;
    if (!block) {
      throw new RangeError(
        `allocate: not enough memory: ${byteLength} bytes asked for, ` +
          `${this.#used} in use: free tensors or take smaller batches`,
      );
    }
    this.#buffers++;
    this.#used += byteLength;
    this.#peak = Math.max(this.#peak, this.#used);
    return new WasmBuffer(this, byteLength, block);
  }

  available(): number {
    // The last page stays out: see #grow.
    const most = (MAX_PAGES - 1) * PAGE_BYTES - FIRST_ADDRESS;
    return most - this.#allocator.used;
  }

  free(buffer: DeviceBuffer): void {
    if (this.#closed) return;
    const { block, byteLength } = this.#own("free", buffer);
    this.#allocator.release(block);
    (buffer as WasmBuffer).block = undefined;
    this.#buffers--;
    this.#used -= byteLength;
  }

  write(buffer: DeviceBuffer, data: ArrayBufferView): void {
    this.#checkOpen("write");
    const { address, byteLength } = this.#own("write", buffer);
    if (data.byteLength > byteLength) {
      throw new RangeError(
        `write: too long: ${data.byteLength} bytes for a buffer of ${byteLength}`,
      );
    }
    this.#bytes.set(
      new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
      address,
    );
  }

  read(buffer: DeviceBuffer, byteLength: number): Promise<ArrayBuffer> {
    try {
      return Promise.resolve(this.readSync(buffer, byteLength));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  readSync(buffer: DeviceBuffer, byteLength: number): ArrayBuffer {
    this.#checkOpen("read");
    const { address, byteLength: held } = this.#own("read", buffer);
    if (byteLength > held) {
      throw new RangeError(
        `read: too long: ${byteLength} bytes of a buffer of ${held}`,
      );
    }
    const copy = new Uint8Array(byteLength);
    copy.set(this.#bytes.subarray(address, address + byteLength));
    return copy.buffer;
  }

  prepare(kernel: Kernel): Executable {
    this.#checkOpen("prepare");
    const known = this.#byKernel.get(kernel);
    if (known) return known;
    const key = kernelKey(kernel);
    const executable = this.#byKey.get(key)?.deref() ??
      this.#compile(kernel, key);
    this.#byKernel.set(kernel, executable);
    return executable;
  }

  run(
    executable: Executable,
    buffers: readonly DeviceBuffer[],
    params: Uint32Array,
  ): void {
    this.#checkOpen("run");
    const { sequence } = executable as WasmExecutable;
    const words = this.#words;
    const frame = this.#frame.address;
    let at = frame / 4;
    for (let i = 0; i < buffers.length; i++) {
      words[at++] = this.#own("run", buffers[i]!).address;
    }
    for (let i = 0; i < params.length; i++) words[at++] = params[i]!;
    words[at++] = this.#shared?.address ?? 0;
    words[at] = this.#scratch?.address ?? 0;
    this.#pool.run(sequence, frame);
  }

  record(runs: readonly RecordedRun[]): Recording {
    this.#checkOpen("record");
    for (const { executable } of runs) {
      if (this.#byKernel.get(executable.kernel) !== executable) {
        throw new TypeError("record: a kernel is of another device");
      }
    }
    const layout = layOutFrames(runs);
    const sequence = this.#pool.sequence(runs.flatMap(({ executable }, run) => {
      const { program, generated } = executable as WasmExecutable;
      const frame = 4 * layout.frames[run]!;
      return generated.stages.map(({ name, items, grain }) => ({
        program,
        stage: name,
        frame,
        items,
        grain,
      }));
    }));
    const block = this.#take("record", 4 * layout.size);
    const recording = new WasmRecording(runs, layout, sequence, block);
    this.#recordings.add(recording);
    return recording;
  }

  replay(
    recording: Recording,
    buffers: readonly DeviceBuffer[],
    params: Uint32Array,
  ): void {
    this.#checkOpen("replay");
    const own = this.#recording("replay", recording);
    const { layout, last, sequence } = own;
    const { paramFrom, paramTo, buffers: numbers } = layout;
    if (!own.block) {
      throw new Error("replay: the recording is discarded: record it again");
    }
    if (params.length < layout.params) {
      throw new RangeError(
        `replay: too few params: ${params.length} of ${layout.params}`,
      );
    }
    const frame = own.block.address;
    const first = frame / 4;
    for (let i = 0; i < numbers.length; i++) {
      const buffer = buffers[numbers[i]!];
      const before = last[i];
      if (buffer !== before || !before?.block) this.#bind(own, i, buffer);
    }
    if (own.scratch !== this.#moves) this.#bindScratch(own);
    const words = this.#words;
    for (let i = 0; i < paramTo.length; i++) {
      words[first + paramTo[i]!] = params[paramFrom[i]!]!;
    }
    this.#pool.run(sequence, frame);
  }

  discard(recording: Recording): void {
    if (this.#closed) return;
    const own = this.#recording("discard", recording);
    if (!own.block) return;
    this.#allocator.release(own.block);
    own.block = undefined;
    own.last.fill(undefined);
    this.#pool.unload(own.sequence);
  }

  ready(): Promise<void> {
    return Promise.resolve();
  }

  profile(
    { runs }: Recording,
    buffers: readonly DeviceBuffer[],
    params: Uint32Array,
  ): Promise<number[]> {
    const rounds = Array.from(
      { length: PROFILE_ROUNDS },
      () =>
        runs.map((run) => {
          const start = performance.now();
          this.run(
            run.executable,
            run.buffers.map((number) => buffers[number]!),
            Uint32Array.from(run.params, (number) => params[number]!),
          );
          return performance.now() - start;
        }),
    );
    return Promise.resolve(
      runs.map((_, run) => median(rounds.map((times) => times[run]!))),
    );
  }

  copy(from: DeviceBuffer, to: DeviceBuffer, byteLength: number): void {
    this.#checkOpen("copy");
    const { address } = this.#own("copy", from);
    const target = this.#own("copy", to).address;
    this.#bytes.copyWithin(target, address, address + byteLength);
  }

  flush(): void {}

  finish(): Promise<void> {
    return Promise.resolve();
  }

  memory(): MemoryInfo {
    return {
      buffers: this.#buffers,
      bytes: this.#used,
      peakBytes: this.#peak,
      pooledBytes: this.#allocator.free,
    };
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#pool.close();
    this.#byKey.clear();
    this.#bytes = new Uint8Array();
    this.#words = new Uint32Array();
    this.#buffers = 0;
    this.#used = 0;
  }

  #compile(kernel: Kernel, key: string): WasmExecutable {
    const generated = generate(kernel, this.#target, {
      contract: this.#contract,
    });
    const { library } = generated;
    const program = this.#pool.load(
      generated.bytes,
      library && this.#library(library),
    );
    const sequence = this.#pool.sequence(
      generated.stages.map(({ name, items, grain }) => ({
        program,
        stage: name,
        frame: 0,
        items,
        grain,
      })),
    );
    const { sharedScratchBytes, threadScratchBytes } = generated;
    const params = kernel.kind === "loop" ? kernel.params.length : 0;
    this.#frame = this.#atLeast(
      this.#frame,
      4 * (kernel.buffers.length + params + 2),
    );
    this.#shared = this.#reserve(this.#shared, sharedScratchBytes);
    this.#scratch = this.#reserve(
      this.#scratch,
      threadScratchBytes * this.#pool.threads,
    );
    const executable = { kernel, generated, program, sequence };
    this.#byKey.set(key, new WeakRef(executable));
    this.#unused.register(executable, { key, program, sequence });
    return executable;
  }

  /** The program of a module that others import; it stays loaded. */
  #library(bytes: Uint8Array<ArrayBuffer>): Program {
    let program = this.#libraries.get(bytes);
    if (program === undefined) {
      program = this.#pool.load(bytes);
      this.#libraries.set(bytes, program);
    }
    return program;
  }

  #unload({ key, program, sequence }: Loaded): void {
    if (this.#closed) return;
    if (!this.#byKey.get(key)?.deref()) this.#byKey.delete(key);
    this.#pool.unload(sequence);
    this.#pool.unload(program);
  }

  #reserve(block: Block | undefined, bytes: number): Block | undefined {
    return bytes === 0 ? block : this.#atLeast(block, bytes);
  }

  /** Kernels run one after the other: one block of the largest size will do. */
  #atLeast(block: Block | undefined, bytes: number): Block {
    if (block && block.size >= bytes) return block;
    const larger = this.#take("prepare", bytes);
    if (block) this.#allocator.release(block);
    this.#moves++;
    return larger;
  }

  #take(operation: string, bytes: number): Block {
    const block = this.#allocator.allocate(bytes);
    if (block) return block;
    throw new RangeError(
      `${operation}: not enough memory: ${bytes} bytes asked for, ` +
        `${this.#used} in use: free tensors or take smaller batches`,
    );
  }

  /** Writes the address of a buffer wherever a recording names it. */
  #bind(
    recording: WasmRecording,
    at: number,
    buffer: DeviceBuffer | undefined,
  ): void {
    const { layout, last, block } = recording;
    if (!buffer) {
      const number = layout.buffers[at]!;
      throw new RangeError(`replay: too few buffers: no number ${number}`);
    }
    const { address } = this.#own("replay", buffer);
    const first = block!.address / 4;
    for (const place of layout.places[at]!) {
      this.#words[first + place] = address;
    }
    last[at] = buffer as WasmBuffer;
  }

  #bindScratch(recording: WasmRecording): void {
    const first = recording.block!.address / 4;
    for (const place of recording.layout.scratch) {
      this.#words[first + place] = this.#shared?.address ?? 0;
      this.#words[first + place + 1] = this.#scratch?.address ?? 0;
    }
    recording.scratch = this.#moves;
  }

  #grow(least: number): number {
    const pages = this.#memory.buffer.byteLength / PAGE_BYTES;
    const wanted = [
      Math.max(least, LEAST_GROWTH, pages * PAGE_BYTES / 8),
      least,
    ];
    for (const bytes of wanted) {
      const more = Math.ceil((bytes + SLACK_BYTES) / PAGE_BYTES);
      // The last page stays out: its end would be address 2^32.
      if (pages + more >= MAX_PAGES) continue;
      try {
        this.#memory.grow(more);
      } catch {
        continue;
      }
      [this.#bytes, this.#words] = this.#views();
      return more * PAGE_BYTES;
    }
    return 0;
  }

  #views(): [Uint8Array, Uint32Array] {
    const { buffer } = this.#memory;
    return [new Uint8Array(buffer), new Uint32Array(buffer)];
  }

  #checkOpen(operation: string): void {
    if (this.#closed) {
      throw new Error(`${operation}: the device is closed: open another one`);
    }
  }

  #recording(operation: string, recording: Recording): WasmRecording {
    if (!this.#recordings.has(recording)) {
      throw new TypeError(`${operation}: the recording is of another device`);
    }
    return recording as WasmRecording;
  }

  /** A buffer of this device that is not freed. */
  #own(
    operation: string,
    buffer: DeviceBuffer,
  ): WasmBuffer & { block: Block } {
    if (!(buffer instanceof WasmBuffer) || buffer.owner !== this) {
      throw new TypeError(`${operation}: the buffer is of another device`);
    }
    if (!buffer.block) {
      throw new Error(`${operation}: the buffer has been freed`);
    }
    return buffer as WasmBuffer & { block: Block };
  }
}
