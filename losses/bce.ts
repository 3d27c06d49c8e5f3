import { custom, softplus, type Tensor, where } from "@heddle/tensor";
import { requireAlike, requireWeights } from "./_check.ts";
import {
  checkReduction,
  reduceLosses,
  type ReductionOptions,
} from "./_reduction.ts";

/** How {@link bce} weighs the elements. */
export interface BceOptions extends ReductionOptions {
  /**
   * Multiply the loss of each element; they broadcast to its shape. The mean
   * still divides by the number of elements.
   * @default all 1
   */
  readonly weights?: Tensor;
}

/** How {@link bceWithLogits} weighs the elements. */
export interface BceWithLogitsOptions extends BceOptions {
  /**
   * Multiplies the part of the target 1, for classes that are rare; it
   * broadcasts to the shape of the logits.
   * @default 1
   */
  readonly posWeight?: Tensor;
}

/**
 * Binary cross-entropy between probabilities and targets, in nats.
 *
 * `-(t log p + (1 - t) log(1 - p))`, the logarithms not below -100, so that a
 * wrong answer given with certainty costs 100. Its slope is
 * `(p - t) / max(p (1 - p), 1e-12)`. Both as PyTorch has them.
 *
 * @param probs float32 of any shape, from 0 to 1; others give NaN.
 * @param targets float32 in the shape of `probs`, from 0 to 1.
 * @param options Weights, reduction.
 * @returns A scalar, or the shape of `probs` for `none`.
 * @throws {TypeError} If a tensor is not float32.
 * @throws {RangeError} If the shapes differ.
 *
 * @example An undecided answer and a wrong one
 * ```ts
 * import { bce } from "@heddle/losses";
 * import { tensor } from "@heddle/tensor";
 * import { assertAlmostEquals } from "@std/assert";
 *
 * const losses = bce(tensor([0.5, 0]), tensor([1, 1]), { reduction: "none" });
 * const [undecided, wrong] = await losses.data();
 * assertAlmostEquals(undecided!, Math.log(2), 1e-6);
 * assertAlmostEquals(wrong!, 100);
 * ```
 */
export function bce(
  probs: Tensor,
  targets: Tensor,
  options: BceOptions = {},
): Tensor {
  const { weights, reduction = "mean" } = options;
  checkReduction("bce", reduction);
  requireAlike("bce", "probs", probs, targets);
  requireWeights("bce", "weights", weights, probs.shape);
  const losses = crossEntropyOfTwo(probs, targets);
  return reduceLosses(weights ? losses.mul(weights) : losses, reduction);
}

const crossEntropyOfTwo = custom(
  ([p, t]) => {
    const right = t!.mul(boundedLog(p!));
    const left = t!.sub(1).mul(boundedLog1m(p!));
    return left.sub(right);
  },
  (gradient, _losses, [p, t]) => {
    // A slope of its own: at 0 and 1 that of the logarithm is infinite.
    const spread = p!.mul(p!.mul(-1).add(1)).maximum(1e-12);
    const slope = p!.sub(t!).div(spread);
    const logOdds = boundedLog(p!).sub(boundedLog1m(p!));
    return [gradient.mul(slope), gradient.mul(logOdds).neg()];
  },
);

/** `max(log p, -100)`; not by log(0), since WGSL may assume no infinities. */
function boundedLog(p: Tensor): Tensor {
  return where(p.eq(0), -100, where(p.eq(0), 1, p).log().maximum(-100));
}

/** `max(log(1 - p), -100)`, right also where p is tiny. */
function boundedLog1m(p: Tensor): Tensor {
  const rest = where(p.eq(1), 0, p).neg().log1p().maximum(-100);
  return where(p.eq(1), -100, rest);
}

/**
 * Binary cross-entropy between logits and targets, in nats: {@link bce} of
 * `sigmoid(logits)`, without its overflow and without its bound of 100.
 *
 * `posWeight * t * softplus(-x) + (1 - t) * softplus(x)`.
 *
 * @param logits float32 of any shape.
 * @param targets float32 in the shape of `logits`, from 0 to 1.
 * @param options Weights, reduction.
 * @returns A scalar, or the shape of `logits` for `none`.
 * @throws {TypeError} If a tensor is not float32.
 * @throws {RangeError} If the shapes differ, or weights do not broadcast.
 *
 * @example
 * ```ts
 * import { bceWithLogits } from "@heddle/losses";
 * import { tensor } from "@heddle/tensor";
 * import { assertEquals } from "@std/assert";
 *
 * const loss = bceWithLogits(tensor([1000, -1000]), tensor([1, 1]));
 * assertEquals(await loss.item(), 500);
 * ```
 */
export function bceWithLogits(
  logits: Tensor,
  targets: Tensor,
  options: BceWithLogitsOptions = {},
): Tensor {
  const { weights, posWeight, reduction = "mean" } = options;
  checkReduction("bceWithLogits", reduction);
  requireAlike("bceWithLogits", "logits", logits, targets);
  requireWeights("bceWithLogits", "weights", weights, logits.shape);
  requireWeights("bceWithLogits", "posWeight", posWeight, logits.shape);
  const positive = posWeight ? targets.mul(posWeight) : targets;
  const right = positive.mul(softplus(logits.neg()));
  const losses = right.sub(targets.sub(1).mul(softplus(logits)));
  return reduceLosses(weights ? losses.mul(weights) : losses, reduction);
}
