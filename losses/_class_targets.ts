import { arange, full, type Tensor, where } from "@heddle/tensor";
import { formatShape, requireFloat, sameShape } from "./_check.ts";
import { reduceLosses, type Reduction } from "./_reduction.ts";

/** What the losses over classes share. */
export interface ClassLossSettings {
  /** float32 `[classes]`. */
  readonly weights: Tensor | undefined;
  /** Targets of this value count for nothing. */
  readonly ignoreIndex: number;
  /** How much of each target is spread over all classes. */
  readonly labelSmoothing: number;
  readonly reduction: Reduction;
}

/** Where the classes are: axis 1, or the only axis. */
export function classAxis(x: Tensor): number {
  return Math.min(1, x.rank - 1);
}

/**
 * @throws {TypeError} If scores or weights are not float32.
 * @throws {RangeError} If there is no class, or not one weight a class.
 */
export function checkClasses(
  operation: string,
  name: string,
  scores: Tensor,
  weights: Tensor | undefined,
): void {
  requireFloat(operation, name, scores);
  const classes = scores.shape[classAxis(scores)] ?? 0;
  if (classes === 0) {
    throw new RangeError(
      `${operation}: ${name} need at least one class: got ${
        formatShape(scores.shape)
      }: use [batch, classes, ...] or [classes]`,
    );
  }
  if (weights === undefined) return;
  requireFloat(operation, "weights", weights);
  if (!sameShape(weights.shape, [classes])) {
    throw new RangeError(
      `${operation}: needs one weight a class: got ${
        formatShape(weights.shape)
      } for ${classes} classes`,
    );
  }
}

/**
 * @throws {RangeError} If the targets are not of the scores' shape without the
 * axis of the classes, or `ignoreIndex` is not an int32.
 */
export function checkClassTargets(
  operation: string,
  name: string,
  scores: Tensor,
  targets: Tensor,
  ignoreIndex: number,
): void {
  const axis = classAxis(scores);
  const wanted = scores.shape.filter((_, at) => at !== axis);
  if (!sameShape(targets.shape, wanted)) {
    throw new RangeError(
      `${operation}: targets do not fit the ${name}: got ${
        formatShape(targets.shape)
      } for ${formatShape(scores.shape)}: use ${formatShape(wanted)}`,
    );
  }
  if ((ignoreIndex | 0) !== ignoreIndex) {
    throw new RangeError(
      `${operation}: ignoreIndex must be a whole number of 32 bits: got ${ignoreIndex}`,
    );
  }
}

/** The weighted mean of what `logProbs` says of the targets, negated. */
export function classLoss(
  logProbs: Tensor,
  targets: Tensor,
  settings: ClassLossSettings,
): Tensor {
  const { weights, ignoreIndex, labelSmoothing, reduction } = settings;
  const axis = classAxis(logProbs);
  const classes = logProbs.shape[axis]!;
  const behind = logProbs.shape.slice(axis + 1).map(() => 1);
  const alongClasses = [classes, ...behind];
  // Compared and summed, not gathered: this stays in the softmax's kernel.
  const isTarget = arange(classes).reshape(alongClasses)
    .eq(targets.unsqueeze(axis));
  let losses = where(isTarget, logProbs, 0).sum({ axis }).neg();
  const targetWeights = weights?.take(targets);
  if (targetWeights) losses = losses.mul(targetWeights);
  if (labelSmoothing > 0) {
    const all = weights
      ? logProbs.mul(weights.reshape(alongClasses))
      : logProbs;
    const spread = all.sum({ axis }).mul(-labelSmoothing / classes);
    losses = losses.mul(1 - labelSmoothing).add(spread);
  }
  const isClass = targets.ge(0).logicalAnd(targets.lt(classes));
  const invalid = full(targets.shape, NaN);
  losses = where(
    targets.eq(ignoreIndex),
    0,
    where(isClass, losses, invalid),
  );
  if (reduction !== "mean") return reduceLosses(losses, reduction);
  // `ne` here and `eq` above: sharing one would make the losses wait for this.
  const counted = where(targets.ne(ignoreIndex), targetWeights ?? 1, 0);
  return losses.sum().div(counted.sum());
}
