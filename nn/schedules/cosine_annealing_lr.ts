import { requireSizes, requireWithin } from "../_check.ts";
import { Schedule, type Scheduled } from "./schedule.ts";

/** How a {@link CosineAnnealingLR} swings. */
export interface CosineAnnealingLROptions {
  /** Steps from the first rate to the minimum. */
  readonly halfPeriod: number;
  /**
   * The least rate.
   * @default 0
   */
  readonly minimum?: number;
}

/**
 * The rates swing between the first and the minimum: Loshchilov and Hutter
 * 2017, https://arxiv.org/abs/1608.03983, eq. 5, without restarts.
 *
 * `minimum + (first - minimum) (1 + cos(π step / halfPeriod)) / 2`: as in
 * PyTorch they rise again after `halfPeriod` steps. `WarmupCosineLR` stays at
 * the minimum.
 *
 * @example
 * ```ts
 * import { CosineAnnealingLR, SGD } from "@heddle/nn";
 * import { tensor } from "@heddle/tensor";
 * import { assertEquals } from "@std/assert";
 *
 * const weight = tensor([1], { requiresGrad: true });
 * const optimizer = new SGD([weight], { learningRate: 8 });
 * const schedule = new CosineAnnealingLR(optimizer, { halfPeriod: 2 });
 * schedule.step();
 * schedule.step();
 * assertEquals(schedule.learningRates, [0]);
 * ```
 */
export class CosineAnnealingLR extends Schedule {
  /**
   * Sets the first rates.
   *
   * @throws {RangeError} If an option is out of range.
   */
  constructor(optimizer: Scheduled, options: CosineAnnealingLROptions) {
    const { halfPeriod, minimum = 0 } = options;
    requireSizes("CosineAnnealingLR", { halfPeriod });
    requireMinimum("CosineAnnealingLR", minimum);
    super(
      optimizer,
      (base, step) => minimum + (base - minimum) * cosine(step / halfPeriod),
    );
  }
}

/** Half a cosine, from 1 at 0 to 0 at 1. */
export function cosine(done: number): number {
  return (1 + Math.cos(Math.PI * done)) / 2;
}

/**
 * @throws {RangeError} If the least rate is not a number from 0 on.
 */
export function requireMinimum(name: string, minimum: number): void {
  requireWithin(name, "minimum", minimum, 0);
}
