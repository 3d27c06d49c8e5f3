import type { Tensor } from "@heddle/tensor";
import { formatShape, sameShape } from "./_fit.ts";
import { AverageMeter } from "./average_meter.ts";

/**
 * The share of predictions that are right, counted on the device until it is
 * read: an {@link AverageMeter} of comparisons.
 *
 * @example
 * ```ts
 * import { Accuracy } from "@heddle/nn";
 * import { tensor } from "@heddle/tensor";
 * import { assertEquals } from "@std/assert";
 *
 * const accuracy = new Accuracy();
 * const logits = tensor([[2, 1], [0, 1], [3, 0], [0, 3]]);
 * accuracy.addLogits(logits, tensor(new Int32Array([0, 1, 1, 1])));
 * assertEquals(await accuracy.value(), 0.75);
 * ```
 */
export class Accuracy extends AverageMeter {
  /**
   * Counts predictions that equal their targets.
   *
   * @param predictions Of any shape and type.
   * @param targets Of the same shape.
   * @throws {RangeError} If the shapes differ.
   */
  addPredictions(predictions: Tensor, targets: Tensor): void {
    if (!sameShape(predictions.shape, targets.shape)) {
      throw new RangeError(
        `Accuracy: predictions and targets differ in shape: got ${
          formatShape(predictions.shape)
        } and ${formatShape(targets.shape)}`,
      );
    }
    this.addTotal(predictions.eq(targets).sum(), targets.size);
  }

  /**
   * Counts targets whose logit is the greatest.
   *
   * @param logits `[..., classes]`.
   * @param targets int32 `[...]`.
   * @throws {RangeError} If the shapes do not fit.
   */
  addLogits(logits: Tensor, targets: Tensor): void {
    if (!sameShape(logits.shape.slice(0, -1), targets.shape)) {
      throw new RangeError(
        `Accuracy: logits must have one axis more than targets: got ${
          formatShape(logits.shape)
        } and ${formatShape(targets.shape)}`,
      );
    }
    this.addPredictions(logits.argmax({ axis: -1 }), targets);
  }
}
