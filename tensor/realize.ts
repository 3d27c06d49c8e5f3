/**
 * Computing several tensors at once.
 *
 * @module
 */

import {
  activeDevice,
  computeNow,
  endStep as endSessionStep,
  ensureDevice,
} from "./device/session.ts";
import { requireNoTrace } from "./graph/trace.ts";
import { nodeOf, type Tensor } from "./tensor.ts";

/** Computes tensors in one go, without reading them; opens a device if need be. */
export function realize(...tensors: readonly Tensor[]): Promise<void> {
  requireNoTrace("realize");
  return ensureDevice()
    .then((device) => computeNow(device, tensors.map(nodeOf)));
}

/**
 * The same at once: for values that are needed before a scope ends, from code
 * that cannot wait. The device works on, where it can.
 *
 * @throws {Error} If no device is open.
 *
 * @example
 * ```ts
 * import { openDevice, realizeSync, tensor } from "@heddle/tensor";
 * import { assert } from "@std/assert";
 *
 * using _device = await openDevice("wasm");
 * const sum = tensor([1, 2]).sum();
 * realizeSync(sum);
 * assert(sum.isComputed);
 * ```
 */
export function realizeSync(...tensors: readonly Tensor[]): void {
  requireNoTrace("realizeSync");
  const device = activeDevice();
  if (device === undefined) {
    throw new Error(
      "realizeSync: no device is open: await openDevice() first",
    );
  }
  computeNow(device, tensors.map(nodeOf));
}

/**
 * Ends a training step, as optimizers do: computes the tensors with the losses
 * and the assigned values since the last step, in one go and without waiting,
 * and frees the values that were replaced before that.
 *
 * Without an open device it only takes note, and the first `await` computes.
 */
export function endStep(...tensors: readonly Tensor[]): void {
  endSessionStep(tensors.map(nodeOf));
}
