/**
 * Programs made ready: shader modules, layouts and pipelines, each once.
 *
 * @module
 */

import type { Binding, Dispatch } from "../wgsl/program.ts";
import { forgetOldest } from "./webgpu_cache.ts";
import type { Failures } from "./webgpu_errors.ts";

/** Pipelines kept for the same text. */
const MOST_PIPELINES = 4096;

/** What a bind group looks like. */
export interface GroupLayout {
  /** Names it in keys of bind groups. */
  readonly id: number;
  /** The layout. */
  readonly gpu: GPUBindGroupLayout;
}

/** A compiled dispatch. */
export interface Pipeline {
  /** What the GPU runs. */
  readonly gpu: GPUComputePipeline;
  /** What its bind group looks like. */
  readonly layout: GroupLayout;
}

/** Compiles dispatches and remembers them by their text. */
export class Pipelines {
  readonly #device: GPUDevice;
  readonly #failures: Failures;
  readonly #layouts: Map<string, GroupLayout> = new Map();
  readonly #pipelines: Map<string, Pipeline> = new Map();
  readonly #pending: Set<Promise<void>> = new Set();

  constructor(device: GPUDevice, failures: Failures) {
    this.#device = device;
    this.#failures = failures;
  }

  /** The pipeline of a dispatch. */
  get(dispatch: Dispatch): Pipeline {
    const known = this.#pipelines.get(dispatch.wgsl);
    if (known) return known;
    const device = this.#device;
    const layout = this.#layout(dispatch);
    device.pushErrorScope("validation");
    const module = device.createShaderModule({
      label: dispatch.name,
      code: dispatch.wgsl,
    });
    const gpu = device.createComputePipeline({
      label: dispatch.name,
      layout: device.createPipelineLayout({ bindGroupLayouts: [layout.gpu] }),
      compute: { module, entryPoint: "main" },
    });
    const answer: Promise<void> = device.popErrorScope().then((error) => {
      if (error) this.#failures.report(programError(dispatch, error.message));
    }, () => {}) // A lost device answers for itself.
      .finally(() => this.#pending.delete(answer));
    this.#pending.add(answer);
    const pipeline = { gpu, layout };
    forgetOldest(this.#pipelines, MOST_PIPELINES);
    this.#pipelines.set(dispatch.wgsl, pipeline);
    return pipeline;
  }

  /** Waits until it is known whether all programs compile. */
  async settled(): Promise<void> {
    await Promise.all(this.#pending);
  }

  #layout({ bindings, words }: Dispatch): GroupLayout {
    const entries = bindings.map(entryOf);
    if (words.length > 0) {
      entries.push({ buffer: { type: "uniform", hasDynamicOffset: true } });
    }
    const key = JSON.stringify(entries);
    let layout = this.#layouts.get(key);
    if (!layout) {
      const visibility = GPUShaderStage.COMPUTE;
      const gpu = this.#device.createBindGroupLayout({
        entries: entries.map((entry, binding) => ({
          binding,
          visibility,
          ...entry,
        })),
      });
      layout = { id: this.#layouts.size, gpu };
      this.#layouts.set(key, layout);
    }
    return layout;
  }
}

function entryOf(
  { kind, writable }: Binding,
): Partial<GPUBindGroupLayoutEntry> {
  if (kind === "buffer") {
    return { buffer: { type: writable ? "storage" : "read-only-storage" } };
  }
  return writable
    ? { storageTexture: { access: "write-only", format: "rgba32float" } }
    : { texture: { sampleType: "unfilterable-float" } };
}

function programError({ name, wgsl }: Dispatch, message: string): Error {
  return new Error(
    `webgpu: the program of kernel ${name} is not valid: ${message}\n${wgsl}`,
  );
}
