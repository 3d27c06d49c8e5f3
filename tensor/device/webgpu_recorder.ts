/**
 * Collects dispatches in one pass and sends them off together.
 *
 * @module
 */

import type { Dispatch } from "../wgsl/program.ts";
import type { DeviceBuffer } from "./device.ts";
import { forgetOldest } from "./webgpu_cache.ts";
import type { Pipeline } from "./webgpu_pipelines.ts";
import type { WebgpuRecording } from "./webgpu_recording.ts";

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

/** Names what a bind group holds, its uniform words aside. */
export function groupKey(
  { layout }: Pipeline,
  { bindings, words }: Dispatch,
  memory: readonly Bindable[],
): string {
  let key = `${layout.id}:${words.length}`;
  for (const { resource } of bindings) key += `,${memory[resource]!.id}`;
  return key;
}

/** Makes the bind group of a dispatch, which names an offset into `uniforms`. */
export function bindGroupOf(
  device: GPUDevice,
  { layout }: Pipeline,
  { bindings, words }: Dispatch,
  memory: readonly Bindable[],
  uniforms: GPUBuffer | undefined,
): GPUBindGroup {
  const entries: GPUBindGroupEntry[] = bindings.map(
    ({ resource }, binding) => ({
      binding,
      resource: memory[resource]!.resource,
    }),
  );
  if (words.length > 0) {
    entries.push({
      binding: bindings.length,
      resource: { buffer: uniforms!, size: words.length * 4 },
    });
  }
  return device.createBindGroup({ layout: layout.gpu, entries });
}

/** Dispatches in one submission: more would keep an idle GPU waiting. */
const MOST_DISPATCHES = 256;
/** The same where they come at once. */
const MOST_REPLAYED = 1000;
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

  /** The number of the submission that is being recorded. */
  get submission(): number {
    return this.#submission;
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
    dispatch: Dispatch,
    memory: readonly Bindable[],
    params: Uint32Array,
  ): void {
    const { words, workgroups } = dispatch;
    const wordBytes = words.length * 4;
    if (
      this.#dispatches >= MOST_DISPATCHES ||
      this.#usedBytes + wordBytes > UNIFORM_BYTES
    ) this.flush();
    const group = this.#group(pipeline, dispatch, memory);
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

  /** Brings a recording up to date, without recording any of it. */
  bind(
    recording: WebgpuRecording,
    buffers: readonly DeviceBuffer[],
    params: Uint32Array,
  ): void {
    recording.bind(buffers, params, () => {
      // Words are written before the next submission, not between its parts.
      if (recording.lastUse === this.#submission) this.flush();
    });
  }

  /** Records all dispatches of a recording. */
  replay(
    recording: WebgpuRecording,
    buffers: readonly DeviceBuffer[],
    params: Uint32Array,
  ): void {
    this.bind(recording, buffers, params);
    const { length } = recording;
    for (let number = 0; number < length; number++) {
      if (this.#dispatches >= MOST_REPLAYED) this.flush();
      const pass = this.#pass ?? this.#openPass();
      this.#pipeline = recording.encode(pass, number, this.#pipeline);
      this.#dispatches++;
    }
    recording.use(this.#submission);
  }

  /** Records a copy. */
  copy(
    from: Bindable & { readonly gpu: GPUBuffer; readonly offset: number },
    to: { readonly gpu: GPUBuffer; readonly offset: number },
    byteLength: number,
  ): void {
    this.#closePass();
    this.#encoder ??= this.#device.createCommandEncoder();
    this.#encoder.copyBufferToBuffer(
      from.gpu,
      from.offset,
      to.gpu,
      to.offset,
      byteLength,
    );
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
    dispatch: Dispatch,
    memory: readonly Bindable[],
  ): GPUBindGroup {
    for (const { resource } of dispatch.bindings) {
      memory[resource]!.lastUse = this.#submission;
    }
    const key = groupKey(pipeline, dispatch, memory);
    let group = this.#groups.get(key);
    if (!group) {
      forgetOldest(this.#groups, MOST_BIND_GROUPS);
      const uniforms = this.#uniforms;
      group = bindGroupOf(this.#device, pipeline, dispatch, memory, uniforms);
      this.#groups.set(key, group);
    }
    return group;
  }
}
