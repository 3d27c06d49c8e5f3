import type { Tensor } from "@heddle/tensor";

/** What a loss does with the losses of its elements. */
export type Reduction = "none" | "mean" | "sum";

/** How a loss is reduced. */
export interface ReductionOptions {
  /**
   * `none` keeps the loss of each element, `mean` and `sum` give a scalar. The
   * mean of no elements is NaN.
   * @default "mean"
   */
  readonly reduction?: Reduction;
}

/**
 * @throws {RangeError} If it is not one of those allowed.
 */
export function checkReduction(
  operation: string,
  reduction: string,
  allowed: readonly string[] = ["none", "mean", "sum"],
): void {
  if (!allowed.includes(reduction)) {
    throw new RangeError(
      `${operation}: no such reduction: got "${reduction}": use ${
        allowed.join(", ")
      }`,
    );
  }
}

/** Reduces the losses of all elements. */
export function reduceLosses(losses: Tensor, reduction: Reduction): Tensor {
  switch (reduction) {
    case "none":
      return losses;
    case "mean":
      return losses.mean();
    case "sum":
      return losses.sum();
    default:
      return reduction satisfies never;
  }
}
