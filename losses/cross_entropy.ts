import { logSoftmax, type Tensor } from "@heddle/tensor";
import {
  formatShape,
  requireNumber,
  requireTensor,
  sameShape,
} from "./_check.ts";
import {
  checkClasses,
  checkClassTargets,
  classAxis,
  classLoss,
} from "./_class_targets.ts";
import { checkReduction, reduceLosses } from "./_reduction.ts";
import type { NllOptions } from "./nll.ts";

/** How {@link crossEntropy} weighs the targets. */
export interface CrossEntropyOptions extends NllOptions {
  /**
   * From 0 to 1: the part of each target that is spread evenly over all
   * classes: Szegedy et al. 2016, https://arxiv.org/abs/1512.00567.
   * @default 0
   */
  readonly labelSmoothing?: number;
}

/**
 * Cross-entropy between logits and targets, in nats.
 *
 * `loss[n] = -Σ_c weights[c] * target[n, c] * logSoftmax(logits)[n, c]`, where
 * class ids stand for probability 1 of that class; with
 * smoothing ε, `target` becomes `(1 - ε) * target + ε / classes`.
 *
 * For class ids the mean is `Σ loss[n] / Σ weights[targets[n]]` over the targets
 * that are not ignored: NaN if all are. A target that is neither a class nor
 * `ignoreIndex` gives NaN. For probabilities the mean divides by the number of
 * targets, whatever their weights. All of it as PyTorch does.
 *
 * @param logits float32 `[batch, classes, ...]` or `[classes]`.
 * @param targets int32 class ids, in the shape of `logits` without the axis of
 * the classes; or float32 probabilities, in the shape of `logits`.
 * @param options Weights, what to ignore, smoothing, reduction.
 * @returns A scalar, or for `none` the shape of `logits` without the axis of
 * the classes.
 * @throws {TypeError} If `logits` or `weights` is not float32, `targets` is
 * neither of the two kinds, or `ignoreIndex` meets probabilities.
 * @throws {RangeError} If a shape does not fit, or the smoothing is not from 0
 * to 1.
 *
 * @example Class ids, one of them padding
 * ```ts
 * import { crossEntropy } from "@heddle/losses";
 * import { tensor } from "@heddle/tensor";
 * import { assertAlmostEquals } from "@std/assert";
 *
 * const logits = tensor([[0, 0], [5, -5]], { requiresGrad: true });
 * const loss = crossEntropy(logits, tensor(new Int32Array([1, -100])));
 * loss.backward();
 * assertAlmostEquals(await loss.item(), Math.log(2), 1e-6);
 * ```
 *
 * @example Probabilities
 * ```ts
 * import { crossEntropy } from "@heddle/losses";
 * import { tensor } from "@heddle/tensor";
 * import { assertAlmostEquals } from "@std/assert";
 *
 * const loss = crossEntropy(tensor([[0, 0]]), tensor([[0.3, 0.7]]));
 * assertAlmostEquals(await loss.item(), Math.log(2), 1e-6);
 * ```
 */
export function crossEntropy(
  logits: Tensor,
  targets: Tensor,
  options: CrossEntropyOptions = {},
): Tensor {
  const {
    weights,
    ignoreIndex = -100,
    labelSmoothing = 0,
    reduction = "mean",
  } = options;
  checkReduction("crossEntropy", reduction);
  checkClasses("crossEntropy", "logits", logits, weights);
  requireNumber("crossEntropy", "labelSmoothing", labelSmoothing, 0, 1);
  requireTensor("crossEntropy", "targets", targets);
  checkTargets(logits, targets, options);
  const axis = classAxis(logits);
  const logProbs = logSoftmax(logits, axis);
  if (targets.dtype === "int32") {
    checkClassTargets("crossEntropy", "logits", logits, targets, ignoreIndex);
    const settings = { weights, ignoreIndex, labelSmoothing, reduction };
    return classLoss(logProbs, targets, settings);
  }
  const classes = logits.shape[axis]!;
  let probs = labelSmoothing > 0
    ? targets.mul(1 - labelSmoothing).add(labelSmoothing / classes)
    : targets;
  if (weights) {
    const behind = logits.shape.slice(axis + 1).map(() => 1);
    probs = probs.mul(weights.reshape([classes, ...behind]));
  }
  return reduceLosses(probs.mul(logProbs).sum({ axis }).neg(), reduction);
}

/** Checks that targets are class ids, or probabilities for all logits. */
function checkTargets(
  logits: Tensor,
  targets: Tensor,
  options: CrossEntropyOptions,
): void {
  if (targets.dtype === "int32") return;
  const probabilities = targets.dtype === "float32" &&
    sameShape(targets.shape, logits.shape);
  if (!probabilities) {
    throw new TypeError(
      `crossEntropy: targets must be int32: got ${targets.dtype} ${
        formatShape(targets.shape)
      }: pass class ids, or probabilities as float32 ${
        formatShape(logits.shape)
      }`,
    );
  }
  if (options.ignoreIndex !== undefined) {
    throw new TypeError(
      "crossEntropy: ignoreIndex needs class ids: got probabilities: " +
        "zero their rows instead",
    );
  }
}
