/**
 * A function over a range of numbers on a GPU.
 *
 * @module
 */

import type { Device as PublicDevice } from "../device/device.ts";
import { Device } from "../device/runtime.ts";
import { WebgpuBackend } from "../device/webgpu.ts";
import {
  type EmittedWgsl,
  emitWgsl,
  MOST_GROUPS,
  WORKGROUP,
} from "./emit_wgsl.ts";
import { locate } from "./jit_error.ts";
import type { JitNames } from "./lower.ts";
import { type ArgumentType, elementOf, type JitArray } from "./signature.ts";
import type { ParsedFunction } from "./source.ts";
import { analyze } from "./specialization.ts";

/**
 * The GPU of a device; undefined if it is none.
 *
 * @throws {TypeError} If it is no device.
 */
export function gpuOf(device: PublicDevice): GPUDevice | undefined {
  if (!(device instanceof Device)) {
    throw new TypeError("jit: not a device: pass what openDevice gave");
  }
  const { backend } = device;
  return backend instanceof WebgpuBackend ? backend.gpu : undefined;
}

/** A function compiled for a GPU, and types of arguments. */
export class WebgpuMap {
  readonly types: readonly ArgumentType[];
  readonly #gpu: GPUDevice;
  readonly #emitted: EmittedWgsl;
  readonly #layout: GPUBindGroupLayout;
  readonly #pipeline: Promise<GPUComputePipeline>;

  /**
   * Compiles.
   *
   * @param types Those of the arguments behind the number of the range.
   * @throws {JitError} If WGSL lacks something that the function does.
   */
  constructor(
    gpu: GPUDevice,
    parsed: ParsedFunction,
    outside: JitNames,
    types: readonly ArgumentType[],
  ) {
    this.types = types;
    this.#gpu = gpu;
    const all: ArgumentType[] = ["u31", ...types];
    this.#emitted = emitWgsl(analyze(parsed, outside, all), all);
    const module = gpu.createShaderModule({ code: this.#emitted.code });
    const arrays = types.filter((type) => elementOf(type)).length;
    // Not "auto": that leaves out what the shader happens not to use.
    this.#layout = gpu.createBindGroupLayout({
      entries: Array.from({ length: 3 + arrays }, (_, binding) => ({
        binding,
        visibility: GPUShaderStage.COMPUTE,
        buffer: { type: binding < 2 ? "storage" : "read-only-storage" },
      })),
    });
    this.#pipeline = gpu.createComputePipelineAsync({
      layout: gpu.createPipelineLayout({ bindGroupLayouts: [this.#layout] }),
      compute: { module, entryPoint: "main" },
    });
  }

  /** What the function returns for each number of `[0, count)`. */
  async run(count: number, args: readonly unknown[]): Promise<JitArray> {
    const { result, specials } = this.#emitted;
    const pipeline = await this.#pipeline;
    const arrays = args.filter((_, at) =>
      elementOf(this.types[at]!)
    ) as JitArray[];
    const words = new DataView(
      new ArrayBuffer(4 * (1 + args.length + specials.length)),
    );
    let at = 0;
    const push = (value: number) => words.setInt32(4 * at++, value, true);
    const pushFloat = (value: number) =>
      words.setFloat32(4 * at++, value, true);
    push(count);
    for (const { length } of arrays) push(length);
    args.forEach((arg, i) => {
      const type = this.types[i]!;
      if (elementOf(type)) return;
      if (type === "f64" || type === "f32") pushFloat(arg as number);
      else push(Number(arg));
    });
    specials.forEach(pushFloat);
    const gpu = this.#gpu;
    const made: GPUBuffer[] = [];
    const buffer = (bytes: number, usage: number): GPUBuffer => {
      const size = Math.max(16, 4 * Math.ceil(bytes / 4));
      const { maxBufferSize, maxStorageBufferBindingSize } = gpu.limits;
      const most = Math.min(maxBufferSize, maxStorageBufferBindingSize);
      if (size > most) {
        throw new RangeError(
          "jit: the results or an array are too large for the GPU: got " +
            `${size} bytes: map parts of up to ${most}, or without a device`,
        );
      }
      const one = gpu.createBuffer({ size, usage });
      made.push(one);
      return one;
    };
    const { STORAGE, COPY_SRC, COPY_DST, MAP_READ } = GPUBufferUsage;
    const upload = (view: ArrayBufferView): GPUBuffer => {
      const one = buffer(view.byteLength, STORAGE | COPY_DST);
      if (view.byteLength > 0) {
        // A copy: what is shared cannot be written from.
        const bytes = new Uint8Array(view.byteLength);
        bytes.set(
          new Uint8Array(view.buffer, view.byteOffset, view.byteLength),
        );
        gpu.queue.writeBuffer(one, 0, bytes);
      }
      return one;
    };
    try {
      const output = buffer(4 * count, STORAGE | COPY_SRC);
      const failure = buffer(8, STORAGE | COPY_SRC);
      const bound = [output, failure, upload(words), ...arrays.map(upload)];
      const bindGroup = gpu.createBindGroup({
        layout: this.#layout,
        entries: bound.map((buffer, binding) => ({
          binding,
          resource: { buffer },
        })),
      });
      const staging = buffer(4 * count + 16, MAP_READ | COPY_DST);
      const encoder = gpu.createCommandEncoder();
      const pass = encoder.beginComputePass();
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, bindGroup);
      const groups = Math.ceil(count / WORKGROUP);
      pass.dispatchWorkgroups(
        Math.min(groups, MOST_GROUPS),
        Math.ceil(groups / MOST_GROUPS),
      );
      pass.end();
      encoder.copyBufferToBuffer(failure, 0, staging, 0, 8);
      if (count > 0) {
        encoder.copyBufferToBuffer(output, 0, staging, 16, 4 * count);
      }
      gpu.queue.submit([encoder.finish()]);
      await staging.mapAsync(GPUMapMode.READ);
      const bytes = staging.getMappedRange().slice(0);
      const [site, index] = new Int32Array(bytes, 0, 2);
      if (site !== 0) throw rangeError(this.#emitted, site! - 1, index!);
      return arrayOf(result, bytes.slice(16, 16 + 4 * count));
    } finally {
      for (const one of made) one.destroy();
    }
  }
}

function rangeError(
  { sites }: EmittedWgsl,
  number: number,
  index: number,
): RangeError {
  const { place, array } = sites[number]!;
  const { source, offset } = place;
  const { line, column } = locate(source, offset);
  return new RangeError(
    `jit: ${source.name}:${line}:${column}: index ${index} is out of range ` +
      `for ${array}`,
  );
}

function arrayOf(
  held: EmittedWgsl["result"],
  bytes: ArrayBuffer,
): JitArray {
  switch (held) {
    case "bool":
      return Uint8Array.from(new Uint32Array(bytes));
    case "i32":
      return new Int32Array(bytes);
    case "u32":
      return new Uint32Array(bytes);
    default:
      return new Float32Array(bytes);
  }
}
