import { bernoulli, type Generator, type Tensor, where } from "@heddle/tensor";
import { requireWithin } from "../_check.ts";
import { Module } from "../module.ts";
import { childGenerator, defaultGenerator } from "../random.ts";

/** How a {@link Dropout} draws. */
export interface DropoutOptions {
  /**
   * Gives a key for each call in training. Its state belongs to the module's,
   * so that a checkpoint holds it.
   * @default one of its own, seeded from defaultGenerator()
   */
  readonly generator?: Generator;
}

/**
 * In training, sets elements to 0 with probability `dropoutRate` and divides
 * the others by `1 - dropoutRate`; in evaluation it changes nothing:
 * Srivastava et al. 2014.
 *
 * What is dropped follows from a key alone: backward draws it again, or keeps
 * it where a device draws slower than it reads.
 *
 * @example
 * ```ts
 * import { Dropout } from "@heddle/nn";
 * import { ones } from "@heddle/tensor";
 * import { assertEquals } from "@std/assert";
 *
 * const dropout = new Dropout(0.5);
 * const kept = new Set(await dropout.forward(ones([64])).data());
 * assertEquals([...kept].sort(), [0, 2]);
 * dropout.eval();
 * assertEquals(await dropout.forward(ones([2])).toArray(), [1, 1]);
 * ```
 */
export class Dropout extends Module {
  /** The probability of 0. */
  readonly dropoutRate: number;
  /** Gives a key for each call in training. */
  readonly generator: Generator;

  /**
   * Takes the rate.
   *
   * @throws {RangeError} If the rate is not from 0 to 1.
   */
  constructor(dropoutRate: number = 0.5, options: DropoutOptions = {}) {
    super();
    requireWithin("Dropout", "dropoutRate", dropoutRate, 0, 1);
    this.dropoutRate = dropoutRate;
    this.generator = options.generator ?? childGenerator(defaultGenerator());
  }

  /**
   * Drops, if it trains.
   *
   * @param input float32 of any shape.
   * @returns The same shape.
   */
  override forward(input: Tensor): Tensor {
    const keepRate = 1 - this.dropoutRate;
    if (!this.training || keepRate === 1) return input;
    const keep = bernoulli(this.generator.next(), keepRate, input.shape);
    return where(keep, keepRate > 0 ? input.mul(1 / keepRate) : input, 0);
  }

  /** What `toString` shows. */
  protected override describe(): string {
    return `${this.dropoutRate}`;
  }
}
