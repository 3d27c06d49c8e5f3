import type { Tensor } from "@heddle/tensor";
import { requireTensor } from "./_check.ts";
import {
  checkClasses,
  checkClassTargets,
  classLoss,
} from "./_class_targets.ts";
import { checkReduction, type ReductionOptions } from "./_reduction.ts";

/** How {@link nll} weighs the targets. */
export interface NllOptions extends ReductionOptions {
  /**
   * float32 `[classes]`: how much a target of each class counts. The mean
   * divides by the sum of the targets' weights.
   * @default all 1
   */
  readonly weights?: Tensor;
  /**
   * Targets of this value count for nothing.
   * @default -100
   */
  readonly ignoreIndex?: number;
}

/**
 * Negative log-likelihood of the targets, in nats.
 *
 * `loss[n] = -weights[targets[n]] * logProbs[n, targets[n]]`, and the mean is
 * `Σ loss[n] / Σ weights[targets[n]]` over the targets that are not ignored. It
 * is NaN if all are, and any loss is NaN whose target is neither a class nor
 * `ignoreIndex`.
 *
 * @param logProbs float32 `[batch, classes, ...]` or `[classes]`, of
 * `logSoftmax` over the classes; for logits take `crossEntropy`.
 * @param targets int32 class ids, in the shape of `logProbs` without the axis
 * of the classes.
 * @param options Weights, what to ignore, reduction.
 * @returns A scalar, or the shape of `targets` for `none`.
 * @throws {TypeError} If `logProbs` or `weights` is not float32, or `targets`
 * is not int32.
 * @throws {RangeError} If a shape does not fit.
 *
 * @example
 * ```ts
 * import { nll } from "@heddle/losses";
 * import { tensor } from "@heddle/tensor";
 * import { assertEquals } from "@std/assert";
 *
 * const logProbs = tensor([[-0.5, -1, -4], [-3, -0.25, -2]]);
 * const targets = tensor(new Int32Array([0, 2]));
 * assertEquals(await nll(logProbs, targets).item(), (0.5 + 2) / 2);
 * ```
 */
export function nll(
  logProbs: Tensor,
  targets: Tensor,
  options: NllOptions = {},
): Tensor {
  const { weights, ignoreIndex = -100, reduction = "mean" } = options;
  checkReduction("nll", reduction);
  checkClasses("nll", "logProbs", logProbs, weights);
  requireTensor("nll", "targets", targets);
  if (targets.dtype !== "int32") {
    throw new TypeError(
      `nll: targets must be int32: got ${targets.dtype}: pass class ids`,
    );
  }
  checkClassTargets("nll", "logProbs", logProbs, targets, ignoreIndex);
  const settings = { weights, ignoreIndex, labelSmoothing: 0, reduction };
  return classLoss(logProbs, targets, settings);
}
