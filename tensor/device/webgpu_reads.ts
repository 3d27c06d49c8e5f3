/**
 * Copies to the host: small values that are asked for together, the losses of
 * many steps say, come in one piece.
 *
 * @module
 */

import type { Block } from "./webgpu_buffers.ts";
import type { Recorder } from "./webgpu_recorder.ts";

/** Bytes in a piece that several reads share; larger ones have their own. */
const PIECE_BYTES = 65536;
/** Where the parts of mapped memory may begin. */
const ALIGNMENT = 8;
/** Pieces kept for later reads. */
const MOST_IDLE = 2;

/** Memory that the host can see, under way. */
interface Piece {
  readonly gpu: GPUBuffer;
  readonly size: number;
  /** Bytes spoken for. */
  used: number;
  /** Reads that have not taken their bytes out. */
  readers: number;
  /** Resolves when the bytes are there. */
  readonly mapped: Promise<void>;
}

/** Reads values, several in one copy to the host. */
export class Reads {
  readonly #device: GPUDevice;
  readonly #recorder: Recorder;
  readonly #idle: GPUBuffer[] = [];
  /** What reads of this turn of the event loop may still join. */
  #open: Piece | undefined;

  constructor(device: GPUDevice, recorder: Recorder) {
    this.#device = device;
    this.#recorder = recorder;
  }

  /** The first bytes of a block as work recorded before leaves them. */
  async read(block: Block, byteLength: number): Promise<ArrayBuffer> {
    const size = byteLength + 3 & ~3;
    const piece = this.#pieceFor(size);
    const offset = piece.used;
    piece.used = Math.ceil((offset + size) / ALIGNMENT) * ALIGNMENT;
    piece.readers++;
    try {
      // Now, not when the piece goes: what is recorded next may overwrite it.
      this.#recorder.copy(block, { gpu: piece.gpu, offset }, size);
      await piece.mapped;
      const bytes = piece.gpu.getMappedRange(offset, size);
      return bytes.slice(0, byteLength);
    } finally {
      if (--piece.readers === 0) this.#giveBack(piece);
    }
  }

  #pieceFor(size: number): Piece {
    if (size > PIECE_BYTES) return this.#take(size);
    const open = this.#open;
    if (open && open.used + size <= open.size) return open;
    return this.#open = this.#take(PIECE_BYTES);
  }

  #take(size: number): Piece {
    const gpu = (size === PIECE_BYTES ? this.#idle.pop() : undefined) ??
      this.#device.createBuffer({
        size,
        usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
      });
    const mapped = Promise.resolve().then(async () => {
      if (this.#open?.gpu === gpu) this.#open = undefined;
      this.#recorder.flush();
      await gpu.mapAsync(GPUMapMode.READ);
    });
    // Who could not even ask for a copy does not wait for it.
    mapped.catch(() => {});
    return { gpu, size, used: 0, readers: 0, mapped };
  }

  #giveBack({ gpu, size }: Piece): void {
    const isMapped = gpu.mapState === "mapped";
    if (!isMapped || size !== PIECE_BYTES || this.#idle.length >= MOST_IDLE) {
      return gpu.destroy();
    }
    gpu.unmap();
    this.#idle.push(gpu);
  }
}
