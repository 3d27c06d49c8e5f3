/**
 * A device that runs each kernel as plain loops on the host: the oracle. It
 * fails on what other devices would not notice: memory used after it was given
 * back, buffers that are read and written, kernels over the limits.
 *
 * @module
 */

import type {
  Backend,
  DeviceBuffer,
  Executable,
} from "../../tensor/device/device.ts";
import { Device, type PlanningOptions } from "../../tensor/device/runtime.ts";
import { hostBuffer, interpret } from "../../tensor/kernel/interpret.ts";
import type { Kernel } from "../../tensor/kernel/kernel.ts";

interface HostMemory extends DeviceBuffer {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Who has it or a part of it: it is there until all have freed it. */
  readonly loan: { holders: number; readonly bytes: HostMemory["bytes"] };
  freed: boolean;
}

/** What the reference device must fit, and what it tells. */
export interface ReferenceOptions extends PlanningOptions {
  /**
   * Most buffers a kernel.
   * @default 32
   */
  readonly maxBuffers?: number;
  /**
   * Fewer rows make a long reduction two.
   * @default 8
   */
  readonly minRows?: number;
  /**
   * Most bytes in all buffers together.
   * @default as many as there are
   */
  readonly maxBytes?: number;
  /**
   * Most bytes in one buffer.
   * @default 2 ** 31
   */
  readonly maxBufferBytes?: number;
  /**
   * Whether buffers can be parts of others, so that updates are stacked.
   * @default false
   */
  readonly slices?: boolean;
  /** Told of each kernel that runs. */
  readonly onRun?: (kernel: Kernel) => void;
}

/** What is not written, or no longer there, must show. */
function poison({ buffer, byteOffset, byteLength }: HostMemory["bytes"]): void {
  new Uint32Array(buffer, byteOffset, byteLength >> 2).fill(0x7fc0dead);
}

function checkKernel(kernel: Kernel, maxBuffers: number): void {
  if (kernel.buffers.length > maxBuffers) {
    throw new Error(
      `reference: ${kernel.name} names ${kernel.buffers.length} buffers, more than ${maxBuffers}`,
    );
  }
}

/** Opens the reference device; it is not the default until `useDevice`. */
export function openReference(options: ReferenceOptions = {}): Device {
  const { maxBuffers = 32, minRows = 8 } = options;
  const { maxBytes = Infinity, maxBufferBytes = 2 ** 31 } = options;
  let buffers = 0;
  let bytes = 0;
  let peakBytes = 0;
  const live = (buffer: DeviceBuffer): HostMemory => {
    const memory = buffer as HostMemory;
    if (memory.freed) throw new Error("reference: memory used after free");
    return memory;
  };
  const run: Backend["run"] = ({ kernel }, bound, params) => {
    options.onRun?.(kernel);
    kernel.buffers.forEach(({ output, overwrites }, at) => {
      const allowed = (other: number) => other === at || other === overwrites;
      if (!output) return;
      const { loan } = live(bound[at]!);
      const isTwice = bound.some((b, other) => {
        if (allowed(other)) return false;
        const shared = (b as HostMemory).loan === loan;
        return b === bound[at] || shared && !kernel.buffers[other]!.output;
      });
      if (isTwice) {
        throw new Error(
          `reference: ${kernel.name} writes a buffer it names twice`,
        );
      }
    });
    const views = kernel.buffers.map((slot, at) => {
      const memory = live(bound[at]!);
      if (memory.byteLength < slot.size * 4) {
        throw new Error(`reference: ${kernel.name} names too small a buffer`);
      }
      const { buffer, byteOffset, byteLength } = memory.bytes;
      return hostBuffer(slot.dtype, buffer, byteOffset, byteLength >> 2);
    });
    interpret(kernel, views, params);
  };
  const backend: Backend = {
    name: "wasm",
    adapter: "reference",
    limits: {
      maxBuffers,
      minRows,
      maxBufferBytes,
      storeRandom: false,
    },
    lost: new Promise(() => {}),
    allocate(byteLength) {
      if (byteLength > Math.min(maxBufferBytes, maxBytes - bytes)) {
        throw new RangeError(`allocate: no room for ${byteLength} bytes`);
      }
      buffers++;
      bytes += Math.ceil(byteLength / 4) * 4;
      peakBytes = Math.max(peakBytes, bytes);
      const memory = new Uint8Array(Math.ceil(byteLength / 4) * 4);
      poison(memory);
      const loan = { holders: 1, bytes: memory };
      return { byteLength, bytes: memory, loan, freed: false } as HostMemory;
    },
    ...options.slices
      ? {
        slice(buffer: DeviceBuffer, byteOffset: number, byteLength: number) {
          const { bytes, loan } = live(buffer);
          const part = bytes.subarray(byteOffset, byteOffset + byteLength);
          if (part.length < byteLength) throw new RangeError("slice");
          loan.holders++;
          return { byteLength, bytes: part, loan, freed: false } as HostMemory;
        },
      }
      : {},
    available: () => maxBytes - bytes,
    free(buffer) {
      const memory = live(buffer);
      memory.freed = true;
      // Who has the rest may go on with the part.
      if (--memory.loan.holders > 0) return;
      poison(memory.loan.bytes);
      buffers--;
      bytes -= memory.loan.bytes.length;
    },
    write(buffer, data) {
      const target = live(buffer).bytes;
      const { byteOffset, byteLength } = data;
      target.set(new Uint8Array(data.buffer, byteOffset, byteLength));
    },
    read(buffer, byteLength) {
      return Promise.resolve(live(buffer).bytes.slice(0, byteLength).buffer);
    },
    readSync(buffer, byteLength) {
      return live(buffer).bytes.slice(0, byteLength).buffer;
    },
    prepare(kernel): Executable {
      checkKernel(kernel, maxBuffers);
      return { kernel };
    },
    run,
    record: (runs) => ({ runs }),
    replay({ runs }, named, params) {
      for (const { executable, buffers, params: words } of runs) {
        run(
          executable,
          buffers.map((number) => named[number]!),
          Uint32Array.from(words, (number) => params[number]!),
        );
      }
    },
    discard() {},
    ready: () => Promise.resolve(),
    profile: ({ runs }) => Promise.resolve(runs.map(() => 0)),
    copy(from, to, byteLength) {
      live(to).bytes.set(live(from).bytes.subarray(0, byteLength));
    },
    flush() {},
    finish: () => Promise.resolve(),
    memory: () => ({ buffers, bytes, peakBytes, pooledBytes: 0 }),
    close() {},
  };
  return new Device(backend, options);
}
