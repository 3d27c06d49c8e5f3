/** A device that runs each kernel as plain loops on the host: the oracle. */

import type {
  Backend,
  DeviceBuffer,
  Executable,
} from "../../tensor/device/device.ts";
import { Device } from "../../tensor/device/runtime.ts";
import { hostBuffer, interpret } from "../../tensor/kernel/interpret.ts";

interface HostMemory extends DeviceBuffer {
  readonly bytes: ArrayBuffer;
}

/** Opens the reference device; it is not the default until `useDevice`. */
export function openReference(
  limits: Backend["limits"] = {
    maxBuffers: 32,
    maxBufferBytes: 2 ** 31,
    minRows: 8,
  },
): Device {
  let buffers = 0;
  let bytes = 0;
  let peakBytes = 0;
  const backend: Backend = {
    name: "wasm",
    adapter: "reference",
    limits,
    lost: new Promise(() => {}),
    allocate(byteLength) {
      buffers++;
      bytes += byteLength;
      peakBytes = Math.max(peakBytes, bytes);
      const memory: HostMemory = {
        byteLength,
        bytes: new ArrayBuffer(Math.ceil(byteLength / 4) * 4),
      };
      // What is not written must show.
      new Float32Array(memory.bytes).fill(NaN);
      return memory;
    },
    free(buffer) {
      buffers--;
      bytes -= buffer.byteLength;
    },
    write(buffer, data) {
      const target = new Uint8Array((buffer as HostMemory).bytes);
      const { byteOffset, byteLength } = data;
      target.set(new Uint8Array(data.buffer, byteOffset, byteLength));
    },
    read(buffer, byteLength) {
      return Promise.resolve((buffer as HostMemory).bytes.slice(0, byteLength));
    },
    readSync(buffer, byteLength) {
      return (buffer as HostMemory).bytes.slice(0, byteLength);
    },
    prepare(kernel): Executable {
      return { kernel };
    },
    run({ kernel }, bound, params) {
      const views = kernel.buffers.map((slot, at) =>
        hostBuffer(slot.dtype, (bound[at] as HostMemory).bytes)
      );
      interpret(kernel, views, params);
    },
    flush() {},
    finish: () => Promise.resolve(),
    memory: () => ({ buffers, bytes, peakBytes, pooledBytes: 0 }),
    close() {},
  };
  return new Device(backend);
}
