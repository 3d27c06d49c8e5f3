/**
 * Memory on the GPU, kept by size to be given out again.
 *
 * @module
 */

import type { DeviceBuffer, MemoryInfo } from "./device.ts";
import type { Failures } from "./webgpu_errors.ts";
import { type Bindable, nextBindableId } from "./webgpu_recorder.ts";

/** A GPU buffer, which outlives the tensors that it serves in turn. */
export interface Block extends Bindable {
  /** The memory. */
  readonly gpu: GPUBuffer;
  /** The first of its bytes there. */
  readonly offset: number;
  /** Its bytes, at least those asked for. */
  readonly size: number;
}

/** A block that is lent, whole or in parts. */
interface Loan {
  readonly block: Block;
  /** Buffers that have it or a part of it. */
  holders: number;
}

/** Part of a block. */
class PartOfBlock implements Block {
  readonly id: number = nextBindableId();
  readonly gpu: GPUBuffer;
  readonly offset: number;
  readonly size: number;
  readonly resource: GPUBufferBinding;
  readonly #whole: Block;

  constructor(whole: Block, offset: number, size: number) {
    this.#whole = whole;
    this.gpu = whole.gpu;
    this.offset = whole.offset + offset;
    this.size = size;
    this.resource = { buffer: this.gpu, offset: this.offset, size };
  }

  /** Work that uses a part uses the whole. */
  get lastUse(): number {
    return this.#whole.lastUse;
  }

  set lastUse(submission: number) {
    this.#whole.lastUse = submission;
  }
}

/** A block lent to one tensor. */
export class WebgpuBuffer implements DeviceBuffer {
  readonly byteLength: number;
  readonly #loan: Loan;
  #block: Block | undefined;

  constructor(byteLength: number, loan: Loan, block: Block = loan.block) {
    this.byteLength = byteLength;
    this.#loan = loan;
    this.#block = block;
  }

  /** The memory. */
  get block(): Block {
    if (!this.#block) throw new Error("webgpu: a buffer is used after free");
    return this.#block;
  }

  /** Part of it, which begins at a multiple of 4 bytes. */
  slice(byteOffset: number, byteLength: number): WebgpuBuffer {
    const { block } = this;
    // A binding has some bytes more than a buffer may be asked for.
    const size = Math.min(
      Math.ceil(byteLength / LEAST_BLOCK) * LEAST_BLOCK,
      block.size - byteOffset,
    );
    this.#loan.holders++;
    const part = new PartOfBlock(block, byteOffset, size);
    return new WebgpuBuffer(byteLength, this.#loan, part);
  }

  /** Gives it back; the block, if nobody else has a part of it. */
  release(): Block | undefined {
    void this.block; // Once only.
    this.#block = undefined;
    return --this.#loan.holders === 0 ? this.#loan.block : undefined;
  }
}

/** A buffer as this kind of device knows it. */
export function ownBuffer(buffer: DeviceBuffer | undefined): WebgpuBuffer {
  if (buffer instanceof WebgpuBuffer) return buffer;
  throw new TypeError("webgpu: the buffer is one of another device");
}

/** The memory behind a buffer. */
export function ownBlock(buffer: DeviceBuffer | undefined): Block {
  return ownBuffer(buffer).block;
}

const LEAST_BLOCK = 256;

/** Rounds up to a quarter of a power of two: waste stays under a fifth. */
export function blockSizeOf(byteLength: number, most: number): number {
  if (byteLength <= LEAST_BLOCK) return LEAST_BLOCK;
  const power = 2 ** Math.floor(Math.log2(byteLength));
  const step = Math.max(LEAST_BLOCK, power / 4);
  return Math.min(Math.ceil(byteLength / step) * step, most);
}

/** What a pool may hold. */
export interface PoolLimits {
  /** Most bytes in one buffer. */
  readonly maxBufferBytes: number;
  /** Most bytes in all buffers. */
  readonly maxBytes: number;
  /** Bytes kept for reuse without regard to how much is in use. */
  readonly keepBytes: number;
}

/** Gives out blocks and takes them back. */
export class BufferPool {
  readonly #device: GPUDevice;
  readonly #failures: Failures;
  readonly #limits: PoolLimits;
  readonly #flush: () => void;
  readonly #idle: Map<number, Block[]> = new Map();
  #buffers = 0;
  #bytes = 0;
  #peakBytes = 0;
  #pooledBytes = 0;

  /**
   * @param flush Sends off recorded work: a buffer that it names must not be
   * destroyed before.
   */
  constructor(
    device: GPUDevice,
    failures: Failures,
    limits: PoolLimits,
    flush: () => void,
  ) {
    this.#device = device;
    this.#failures = failures;
    this.#limits = limits;
    this.#flush = flush;
  }

  /** Counts. */
  memory(): MemoryInfo {
    return {
      buffers: this.#buffers,
      bytes: this.#bytes,
      peakBytes: this.#peakBytes,
      pooledBytes: this.#pooledBytes,
    };
  }

  /** Bytes that can still be lent; idle blocks make way. */
  get available(): number {
    return this.#limits.maxBytes - this.#bytes;
  }

  /** Lends a block of at least `byteLength` bytes. */
  allocate(byteLength: number): WebgpuBuffer {
    const { maxBufferBytes, maxBytes } = this.#limits;
    const refuse = (most: string) =>
      new RangeError(
        `allocate: out of memory: ${byteLength} bytes asked for, ` +
          `${this.#bytes} in use: ${most}`,
      );
    if (byteLength > maxBufferBytes) {
      throw refuse(`a buffer holds at most ${maxBufferBytes}`);
    }
    const size = blockSizeOf(byteLength, maxBufferBytes);
    let block = this.#idle.get(size)?.pop();
    if (block) this.#pooledBytes -= size;
    else {
      if (this.#bytes + this.#pooledBytes + size > maxBytes) this.#trim(0);
      if (this.#bytes + size > maxBytes) {
        throw refuse(`the budget is ${maxBytes}`);
      }
      block = this.#create(size, byteLength);
    }
    this.#buffers++;
    this.#bytes += size;
    this.#peakBytes = Math.max(this.#peakBytes, this.#bytes);
    return new WebgpuBuffer(byteLength, { block, holders: 1 });
  }

  /** Takes a block back: work queued later runs later, so reuse is safe. */
  free(buffer: WebgpuBuffer): void {
    const block = buffer.release();
    if (block === undefined) return;
    this.#buffers--;
    this.#bytes -= block.size;
    this.#pooledBytes += block.size;
    const idle = this.#idle.get(block.size);
    if (idle) idle.push(block);
    else this.#idle.set(block.size, [block]);
    const keep = Math.max(this.#limits.keepBytes, this.#peakBytes);
    if (this.#pooledBytes > keep) this.#trim(keep / 2);
  }

  #create(size: number, byteLength: number): Block {
    const inUse = this.#bytes;
    this.#device.pushErrorScope("out-of-memory");
    const gpu = this.#device.createBuffer({
      size,
      usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC |
        GPUBufferUsage.COPY_DST,
    });
    // The answer arrives after this call: the next one throws it.
    this.#device.popErrorScope().then((error) => {
      if (!error) return;
      this.#failures.report(
        new RangeError(
          `allocate: out of memory: ${byteLength} bytes asked for, ` +
            `${inUse} in use: ${error.message}`,
        ),
      );
    }, () => {}); // A lost device answers for itself.
    const id = nextBindableId();
    const resource = { buffer: gpu };
    return { id, gpu, resource, offset: 0, size, lastUse: -1 };
  }

  /** Destroys idle blocks, the largest first, until `keep` bytes are left. */
  #trim(keep: number): void {
    if (this.#pooledBytes > keep) this.#flush();
    for (const size of [...this.#idle.keys()].sort((a, b) => b - a)) {
      const idle = this.#idle.get(size)!;
      while (this.#pooledBytes > keep && idle.length > 0) {
        idle.pop()!.gpu.destroy();
        this.#pooledBytes -= size;
      }
      if (idle.length === 0) this.#idle.delete(size);
    }
  }
}
