import { requireSizes } from "../_check.ts";
import { cosine, requireMinimum } from "./cosine_annealing_lr.ts";
import { Schedule, type Scheduled } from "./schedule.ts";

/** The length of a schedule that warms up. */
export interface WarmupOptions {
  /**
   * Steps in which the rate grows evenly from 0 to the first rate.
   * @default 0
   */
  readonly warmupSteps?: number;
  /** Steps after which the rate is at its least, those of warm-up included. */
  readonly totalSteps: number;
  /**
   * The least rate.
   * @default 0
   */
  readonly minimum?: number;
}

/**
 * The rates grow evenly from 0, then fall evenly to the minimum, and stay
 * there.
 *
 * @example
 * ```ts
 * import { SGD, WarmupLinearLR } from "@heddle/nn";
 * import { tensor } from "@heddle/tensor";
 * import { assertEquals } from "@std/assert";
 *
 * const weight = tensor([1], { requiresGrad: true });
 * const optimizer = new SGD([weight], { learningRate: 8 });
 * const schedule = new WarmupLinearLR(optimizer, {
 *   warmupSteps: 2,
 *   totalSteps: 6,
 * });
 * const rates = Array.from({ length: 8 }, () => {
 *   const rate = optimizer.groups[0]!.learningRate;
 *   schedule.step();
 *   return rate;
 * });
 * assertEquals(rates, [0, 4, 8, 6, 4, 2, 0, 0]);
 * ```
 */
export class WarmupLinearLR extends Schedule {
  /**
   * Sets the first rates.
   *
   * @throws {RangeError} If an option is out of range, or warm-up is longer
   * than the whole.
   */
  constructor(optimizer: Scheduled, options: WarmupOptions) {
    super(optimizer, warmup("WarmupLinearLR", options, (done) => 1 - done));
  }
}

/**
 * The rates grow evenly from 0, then fall along half a cosine to the minimum,
 * and stay there.
 *
 * @example
 * ```ts
 * import { SGD, WarmupCosineLR } from "@heddle/nn";
 * import { tensor } from "@heddle/tensor";
 * import { assertEquals } from "@std/assert";
 *
 * const weight = tensor([1], { requiresGrad: true });
 * const optimizer = new SGD([weight], { learningRate: 8 });
 * const schedule = new WarmupCosineLR(optimizer, { totalSteps: 4 });
 * schedule.step();
 * schedule.step();
 * assertEquals(schedule.learningRates.map(Math.round), [4]);
 * ```
 */
export class WarmupCosineLR extends Schedule {
  /**
   * Sets the first rates.
   *
   * @throws {RangeError} If an option is out of range, or warm-up is longer
   * than the whole.
   */
  constructor(optimizer: Scheduled, options: WarmupOptions) {
    super(optimizer, warmup("WarmupCosineLR", options, cosine));
  }
}

/** Warm-up, then a fall by `fall`, from 1 at 0 to 0 at 1. */
function warmup(
  name: string,
  { warmupSteps = 0, totalSteps, minimum = 0 }: WarmupOptions,
  fall: (done: number) => number,
): (baseRate: number, step: number) => number {
  requireSizes(name, { totalSteps });
  requireSizes(name, { warmupSteps }, 0);
  requireMinimum(name, minimum);
  if (warmupSteps > totalSteps) {
    throw new RangeError(
      `${name}: warm-up is longer than the whole: got ${warmupSteps} of ` +
        `${totalSteps} steps`,
    );
  }
  const length = Math.max(1, totalSteps - warmupSteps);
  return (base, step) => {
    if (step < warmupSteps) return base * (step / warmupSteps);
    const done = Math.min(1, (step - warmupSteps) / length);
    return minimum + (base - minimum) * fall(done);
  };
}
