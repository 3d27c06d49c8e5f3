import { type Tensor, where } from "@heddle/tensor";
import { requireAlike, requireNumber } from "./_check.ts";
import { l1 } from "./l1.ts";
import {
  checkReduction,
  reduceLosses,
  type ReductionOptions,
} from "./_reduction.ts";

/** Where {@link huber} turns. */
export interface HuberOptions extends ReductionOptions {
  /**
   * The distance, above 0, up to which the loss is a square.
   * @default 1
   */
  readonly delta?: number;
}

/** Where {@link smoothL1} turns. */
export interface SmoothL1Options extends ReductionOptions {
  /**
   * The distance up to which the loss is a square; at 0 it is {@link l1}.
   * @default 1
   */
  readonly beta?: number;
}

/**
 * A square near the target, and a line far from it: Huber 1964.
 *
 * With `d = |x - t|`: `d² / 2` up to `delta`, then `delta * (d - delta / 2)`.
 *
 * @param predictions float32 of any shape.
 * @param targets float32 in the shape of `predictions`.
 * @param options Where it turns, reduction.
 * @returns A scalar, or the shape of `predictions` for `none`.
 * @throws {TypeError} If a tensor is not float32.
 * @throws {RangeError} If the shapes differ, or `delta` is not above 0.
 *
 * @example
 * ```ts
 * import { huber } from "@heddle/losses";
 * import { tensor } from "@heddle/tensor";
 * import { assertEquals } from "@std/assert";
 *
 * const losses = huber(tensor([1, 5]), tensor([0, 0]), {
 *   delta: 2,
 *   reduction: "none",
 * });
 * assertEquals([...await losses.data()], [0.5, 8]);
 * ```
 */
export function huber(
  predictions: Tensor,
  targets: Tensor,
  options: HuberOptions = {},
): Tensor {
  const { delta = 1, reduction = "mean" } = options;
  checkReduction("huber", reduction);
  requireAlike("huber", "predictions", predictions, targets);
  if (!Number.isFinite(delta) || delta <= 0) {
    throw new RangeError(`huber: delta must be above 0: got ${delta}`);
  }
  const distance = predictions.sub(targets).abs();
  const near = distance.square().mul(0.5);
  const far = distance.sub(delta / 2).mul(delta);
  return reduceLosses(where(distance.le(delta), near, far), reduction);
}

/**
 * {@link huber} with a line of slope 1: Girshick 2015,
 * https://arxiv.org/abs/1504.08083.
 *
 * With `d = |x - t|`: `d² / (2 beta)` below `beta`, then `d - beta / 2`.
 *
 * @param predictions float32 of any shape.
 * @param targets float32 in the shape of `predictions`.
 * @param options Where it turns, reduction.
 * @returns A scalar, or the shape of `predictions` for `none`.
 * @throws {TypeError} If a tensor is not float32.
 * @throws {RangeError} If the shapes differ, or `beta` is below 0.
 *
 * @example
 * ```ts
 * import { smoothL1 } from "@heddle/losses";
 * import { tensor } from "@heddle/tensor";
 * import { assertEquals } from "@std/assert";
 *
 * const loss = smoothL1(tensor([1, 5]), tensor([0, 0]), { beta: 2 });
 * assertEquals(await loss.item(), (0.25 + 4) / 2);
 * ```
 */
export function smoothL1(
  predictions: Tensor,
  targets: Tensor,
  options: SmoothL1Options = {},
): Tensor {
  const { beta = 1, reduction = "mean" } = options;
  checkReduction("smoothL1", reduction);
  requireAlike("smoothL1", "predictions", predictions, targets);
  requireNumber("smoothL1", "beta", beta, 0);
  if (beta === 0) return l1(predictions, targets, { reduction });
  const distance = predictions.sub(targets).abs();
  const near = distance.square().mul(0.5 / beta);
  const far = distance.sub(beta / 2);
  return reduceLosses(where(distance.lt(beta), near, far), reduction);
}
