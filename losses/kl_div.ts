import { type Tensor, where } from "@heddle/tensor";
import { requireAlike } from "./_check.ts";
import { checkReduction, reduceLosses } from "./_reduction.ts";

/** How {@link klDiv} reads its targets and reduces. */
export interface KlDivOptions {
  /**
   * `batchmean` divides the sum by the size of the first axis: with one
   * distribution a row it is the mean divergence. `mean` divides by the number
   * of elements, classes included; `none` keeps the part of each.
   * @default "mean"
   */
  readonly reduction?: "none" | "mean" | "sum" | "batchmean";
  /**
   * Whether the targets are log-probabilities, too.
   * @default false
   */
  readonly logTarget?: boolean;
}

/**
 * Kullback-Leibler divergence of log-probabilities from targets, in nats.
 *
 * `t (log t - x)` for each element, 0 where `t` is 0; for log-probabilities
 * `exp(t) (t - x)`. The slope towards a target of 0 is that of its part, -x;
 * the logarithm's is left out.
 *
 * @param logProbs float32 of any shape, of `logSoftmax`.
 * @param targets float32 in the shape of `logProbs`: probabilities, or with
 * `logTarget` their logarithms.
 * @param options Kind of targets, reduction.
 * @returns A scalar, or the shape of `logProbs` for `none`.
 * @throws {TypeError} If a tensor is not float32.
 * @throws {RangeError} If the shapes differ.
 *
 * @example The divergence of a fair coin from one that always shows heads
 * ```ts
 * import { klDiv } from "@heddle/losses";
 * import { tensor } from "@heddle/tensor";
 * import { assertAlmostEquals } from "@std/assert";
 *
 * const fair = tensor([[0.5, 0.5]]).log();
 * const loss = klDiv(fair, tensor([[1, 0]]), { reduction: "batchmean" });
 * assertAlmostEquals(await loss.item(), Math.log(2), 1e-6);
 * ```
 */
export function klDiv(
  logProbs: Tensor,
  targets: Tensor,
  options: KlDivOptions = {},
): Tensor {
  const { reduction = "mean", logTarget = false } = options;
  checkReduction("klDiv", reduction, ["none", "mean", "sum", "batchmean"]);
  requireAlike("klDiv", "logProbs", logProbs, targets);
  const losses = logTarget
    ? targets.exp().mul(targets.sub(logProbs))
    : targets.mul(logOrZero(targets).sub(logProbs));
  if (reduction !== "batchmean") return reduceLosses(losses, reduction);
  return losses.sum().div(logProbs.shape[0] ?? 1);
}

/** The logarithm, and 0 for 0: `t log t` goes to 0 with `t`. */
function logOrZero(x: Tensor): Tensor {
  return where(x.eq(0), 1, x).log();
}
