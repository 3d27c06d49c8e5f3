/**
 * Textures that programs use while they run, kept to be given out again.
 *
 * @module
 */

import { TEXTURE_WIDTH } from "../wgsl/program.ts";
import { type Bindable, nextBindableId } from "./webgpu_recorder.ts";

/** A texture of four float32 a texel. */
export interface TextureBlock extends Bindable {
  /** The memory. */
  readonly gpu: GPUTexture;
  /** Rows of {@link TEXTURE_WIDTH} texels. */
  readonly height: number;
}

const BYTES_PER_ROW = TEXTURE_WIDTH * 16;
/** Idle bytes beyond which a texture that comes back is destroyed. */
const KEEP_BYTES = 256 * 1024 * 1024;

/** Gives out textures and takes them back. */
export class TexturePool {
  readonly #device: GPUDevice;
  readonly #flush: () => void;
  readonly #idle: Map<number, TextureBlock[]> = new Map();
  #idleBytes = 0;

  /** @param flush Sends off recorded work before a texture is destroyed. */
  constructor(device: GPUDevice, flush: () => void) {
    this.#device = device;
    this.#flush = flush;
  }

  /** Bytes kept for reuse. */
  get pooledBytes(): number {
    return this.#idleBytes;
  }

  /** Lends a texture of at least as many texels. */
  allocate(texels: number): TextureBlock {
    const rows = Math.ceil(texels / TEXTURE_WIDTH);
    const height = 2 ** Math.ceil(Math.log2(rows));
    const idle = this.#idle.get(height)?.pop();
    if (idle) {
      this.#idleBytes -= height * BYTES_PER_ROW;
      return idle;
    }
    const gpu = this.#device.createTexture({
      size: [TEXTURE_WIDTH, height],
      format: "rgba32float",
      usage: GPUTextureUsage.TEXTURE_BINDING | GPUTextureUsage.STORAGE_BINDING,
    });
    return {
      id: nextBindableId(),
      gpu,
      resource: gpu.createView(),
      height,
      lastUse: -1,
    };
  }

  /** Takes a texture back: work queued later runs later, so reuse is safe. */
  free(texture: TextureBlock): void {
    const bytes = texture.height * BYTES_PER_ROW;
    if (this.#idleBytes + bytes > KEEP_BYTES) {
      this.#flush();
      texture.gpu.destroy();
      return;
    }
    this.#idleBytes += bytes;
    const idle = this.#idle.get(texture.height);
    if (idle) idle.push(texture);
    else this.#idle.set(texture.height, [texture]);
  }
}
