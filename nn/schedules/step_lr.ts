import { requireSizes, requireWithin } from "../_check.ts";
import { Schedule, type Scheduled } from "./schedule.ts";

/** How a {@link StepLR} falls. */
export interface StepLROptions {
  /** After how many steps the rate changes. */
  readonly stepSize: number;
  /**
   * What it is multiplied by.
   * @default 0.1
   */
  readonly gamma?: number;
}

/**
 * Multiplies the rates by `gamma` every `stepSize` steps.
 *
 * @example
 * ```ts
 * import { SGD, StepLR } from "@heddle/nn";
 * import { tensor } from "@heddle/tensor";
 * import { assertEquals } from "@std/assert";
 *
 * const weight = tensor([1], { requiresGrad: true });
 * const optimizer = new SGD([weight], { learningRate: 8 });
 * const schedule = new StepLR(optimizer, { stepSize: 2, gamma: 0.5 });
 * for (let epoch = 0; epoch < 5; epoch++) schedule.step();
 * assertEquals(schedule.learningRates, [2]);
 * ```
 */
export class StepLR extends Schedule {
  /**
   * Sets the first rates.
   *
   * @throws {RangeError} If an option is out of range.
   */
  constructor(optimizer: Scheduled, options: StepLROptions) {
    const { stepSize, gamma = 0.1 } = options;
    requireSizes("StepLR", { stepSize });
    requireWithin("StepLR", "gamma", gamma, 0);
    super(
      optimizer,
      (base, step) => base * gamma ** Math.floor(step / stepSize),
    );
  }
}
