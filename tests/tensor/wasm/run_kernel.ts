/**
 * Runs kernels on a device and through the interpreter.
 *
 * @module
 */

import type { Backend } from "../../../tensor/device/device.ts";
import {
  type HostBuffer,
  hostBuffer,
  interpret,
} from "../../../tensor/kernel/interpret.ts";
import type { Kernel } from "../../../tensor/kernel/kernel.ts";

/** Runs a kernel on a device; gives all its buffers. */
export function runOn(
  backend: Backend,
  kernel: Kernel,
  buffers: readonly HostBuffer[],
  params: Uint32Array = new Uint32Array(),
): HostBuffer[] {
  const held = buffers.map((data) => {
    const buffer = backend.allocate(data.byteLength);
    backend.write(buffer, data);
    return buffer;
  });
  backend.run(backend.prepare(kernel), held, params);
  const results = held.map((buffer, slot) =>
    hostBuffer(
      kernel.buffers[slot]!.dtype,
      backend.readSync!(buffer, buffers[slot]!.byteLength),
    )
  );
  for (const buffer of held) backend.free(buffer);
  return results;
}

/** What the interpreter makes of copies of the buffers. */
export function reference(
  kernel: Kernel,
  buffers: readonly HostBuffer[],
  params: Uint32Array = new Uint32Array(),
): HostBuffer[] {
  const copies = buffers.map((data) => data.slice());
  interpret(kernel, copies, params);
  return copies;
}
