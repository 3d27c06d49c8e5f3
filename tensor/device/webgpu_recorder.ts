/**
 * Collects dispatches in one pass and sends them off together.
 *
 * @module
 */

import type { Binding, Dispatch } from "../wgsl/program.ts";
import { forgetOldest } from "./webgpu_cache.ts";
import type { Pipeline } from "./webgpu_pipelines.ts";

/** Memory that a dispatch names: a buffer or a texture. */
export interface Bindable {
  /** Names it in keys of bind groups; never used twice. */
  readonly id: number;
  /** What a bind group holds. */
  readonly resource: GPUBindingResource;
  /** The submission that last used it. */
  lastUse: number;
}

let nextId = 0;

/** An id that no other memory has. */
export function nextBindableId(): number {
  return nextId++;
}

/** Dispatches in one submission: more would keep an idle GPU waiting. */
const MOST_DISPATCHES = 256;
/** Bind groups kept for the next run of the same kernel on the same buffers. */
const MOST_BIND_GROUPS = 4096;
const UNIFORM_BYTES = 256 * MOST_DISPATCHES;

/** Records work in order. */
export class Recorder {
  readonly #device: GPUDevice;
  readonly #alignment: number;
  readonly #uniforms: GPUBuffer;
  readonly #words: Uint32Array<ArrayBuffer> = new Uint32Array(
    UNIFORM_BYTES / 4,
  );
  readonly #groups: Map<string, GPUBindGroup> = new Map();
  #usedBytes = 0;
  #dispatches = 0;
  #encoder: GPUCommandEncoder | undefined;
  #pass: GPUComputePassEncoder | undefined;
  #pipeline: Pipeline | undefined;
  #submission = 0;

  constructor(device: GPUDevice) {
    this.#device = device;
    this.#alignment = device.limits.minUniformBufferOffsetAlignment;
    this.#uniforms = device.createBuffer({
      size: UNIFORM_BYTES,
      usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
    });
  }

  /** Whether work that is not sent off yet uses the block. */
  uses(block: Bindable): boolean {
    return block.lastUse === this.#submission && this.#encoder !== undefined;
  }

  /**
   * Records one dispatch.
   *
   * @param memory What its bindings name: the kernel's slots, then temporaries.
   * @param params The words of its parameters.
   */
  dispatch(
    pipeline: Pipeline,
    { bindings, words, workgroups }: Dispatch,
    memory: readonly Bindable[],
    params: Uint32Array,
  ): void {
    const wordBytes = words.length * 4;
    if (
      this.#dispatches >= MOST_DISPATCHES ||
      this.#usedBytes + wordBytes > UNIFORM_BYTES
    ) this.flush();
    const group = this.#group(pipeline, bindings, memory, wordBytes);
    const pass = this.#openPass();
    if (this.#pipeline !== pipeline) {
      pass.setPipeline(pipeline.gpu);
      this.#pipeline = pipeline;
    }
    if (wordBytes > 0) {
      let at = this.#usedBytes / 4;
      for (const word of words) {
        this.#words[at++] = word.kind === "param"
          ? params[word.slot]!
          : word.bits;
      }
      pass.setBindGroup(0, group, [this.#usedBytes]);
      this.#usedBytes = Math.ceil(at * 4 / this.#alignment) * this.#alignment;
    } else pass.setBindGroup(0, group);
    pass.dispatchWorkgroups(workgroups[0], workgroups[1], workgroups[2]);
    this.#dispatches++;
  }

  /** Records a copy of the first bytes of a block. */
  copy(
    from: Bindable & { readonly gpu: GPUBuffer },
    to: GPUBuffer,
    byteLength: number,
  ): void {
    this.#closePass();
    this.#encoder ??= this.#device.createCommandEncoder();
    this.#encoder.copyBufferToBuffer(from.gpu, 0, to, 0, byteLength);
    from.lastUse = this.#submission;
  }

  /** Sends recorded work off. */
  flush(): void {
    const encoder = this.#encoder;
    if (!encoder) return;
    this.#closePass();
    this.#encoder = undefined;
    const { queue } = this.#device;
    if (this.#usedBytes > 0) {
      // Ordered after the submissions before, so one buffer serves them all.
      const bytes = Math.min(this.#usedBytes, UNIFORM_BYTES);
      queue.writeBuffer(this.#uniforms, 0, this.#words, 0, bytes / 4);
    }
    queue.submit([encoder.finish()]);
    this.#usedBytes = 0;
    this.#dispatches = 0;
    this.#submission++;
  }

  #openPass(): GPUComputePassEncoder {
    this.#encoder ??= this.#device.createCommandEncoder();
    this.#pass ??= this.#encoder.beginComputePass();
    return this.#pass;
  }

  #closePass(): void {
    this.#pass?.end();
    this.#pass = undefined;
    this.#pipeline = undefined;
  }

  #group(
    pipeline: Pipeline,
    bindings: readonly Binding[],
    memory: readonly Bindable[],
    wordBytes: number,
  ): GPUBindGroup {
    let key = `${pipeline.id}`;
    for (const { resource } of bindings) {
      const bound = memory[resource]!;
      bound.lastUse = this.#submission;
      key += `,${bound.id}`;
    }
    const known = this.#groups.get(key);
    if (known) return known;
    forgetOldest(this.#groups, MOST_BIND_GROUPS);
    const entries: GPUBindGroupEntry[] = bindings.map(
      ({ resource }, binding) => ({
        binding,
        resource: memory[resource]!.resource,
      }),
    );
    if (wordBytes > 0) {
      entries.push({
        binding: bindings.length,
        resource: { buffer: this.#uniforms, size: wordBytes },
      });
    }
    const group = this.#device.createBindGroup({
      layout: pipeline.layout,
      entries,
    });
    this.#groups.set(key, group);
    return group;
  }
}
