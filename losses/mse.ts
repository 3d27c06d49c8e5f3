import type { Tensor } from "@heddle/tensor";
import { requireAlike } from "./_check.ts";
import {
  checkReduction,
  reduceLosses,
  type ReductionOptions,
} from "./_reduction.ts";

/**
 * Mean squared error: `(x - t)²`.
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
 * import { mse } from "@heddle/losses";
 * import { tensor } from "@heddle/tensor";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(await mse(tensor([1, 2]), tensor([1, 6])).item(), 8);
 * ```
 */
export function mse(
  predictions: Tensor,
  targets: Tensor,
  options: ReductionOptions = {},
): Tensor {
  const { reduction = "mean" } = options;
  checkReduction("mse", reduction);
  requireAlike("mse", "predictions", predictions, targets);
  return reduceLosses(predictions.sub(targets).square(), reduction);
}
