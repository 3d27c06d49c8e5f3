/**
 * Computing several tensors at once.
 *
 * @module
 */

import {
  computeNow,
  endStep as endSessionStep,
  ensureDevice,
} from "./device/session.ts";
import { nodeOf, type Tensor } from "./tensor.ts";

/** Computes tensors in one go, without reading them; opens a device if need be. */
export async function realize(...tensors: readonly Tensor[]): Promise<void> {
  computeNow(await ensureDevice(), tensors.map(nodeOf));
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
