import type { Tensor } from "@heddle/tensor";
import { requireAlike } from "./_check.ts";
import {
  checkReduction,
  reduceLosses,
  type ReductionOptions,
} from "./_reduction.ts";

/**
 * Mean absolute error: `|x - t|`. Its slope where both are equal is 0.
 *
 * @param predictions float32 of any shape.
 * @param targets float32 in the shape of `predictions`.
 * @param options Reduction.
 * @returns A scalar, or the shape of `predictions` for `none`.
 * @throws {TypeError} If a tensor is not float32.
 * @throws {RangeError} If the shapes differ.
 *
 * @example
 * ```ts
 * import { l1 } from "@heddle/losses";
 * import { tensor } from "@heddle/tensor";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(await l1(tensor([1, 2]), tensor([1, 6])).item(), 2);
 * ```
 */
export function l1(
  predictions: Tensor,
  targets: Tensor,
  options: ReductionOptions = {},
): Tensor {
  const { reduction = "mean" } = options;
  checkReduction("l1", reduction);
  requireAlike("l1", "predictions", predictions, targets);
  return reduceLosses(predictions.sub(targets).abs(), reduction);
}
