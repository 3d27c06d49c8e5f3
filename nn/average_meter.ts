import { noGrad, onEachRun, Tensor, tensor, zeros } from "@heddle/tensor";
import { requireWithin } from "./_check.ts";
import { formatShape } from "./_fit.ts";

/** Where an {@link AverageMeter} is. */
export interface AverageMeterState {
  /** The weighted sum of numbers. */
  readonly hostSum: number;
  /** That of tensors, a float32. */
  readonly deviceSum: number;
  /** What rounding added to it, a float32. */
  readonly excess: number;
  /** The sum of the weights. */
  readonly weight: number;
}

/**
 * The weighted mean of numbers that come one after the other, such as the
 * losses of batches. Tensors are added up on the device; nothing waits for them
 * until {@link AverageMeter.value} is asked for.
 *
 * Before `optimizer.step()` adding costs next to nothing: it is computed with
 * the step. A loop without an optimizer ends each round with `endStep()` of
 * `@heddle/tensor`.
 *
 * @example Batches of different sizes
 * ```ts
 * import { AverageMeter } from "@heddle/nn";
 * import { tensor } from "@heddle/tensor";
 * import { assertEquals } from "@std/assert";
 *
 * const meter = new AverageMeter();
 * meter.add(tensor(1), 3);
 * meter.add(tensor(5), 1);
 * assertEquals(await meter.value(), 2);
 * ```
 */
export class AverageMeter {
  readonly #sum: Tensor = zeros([]);
  /** What rounding has added to the sum: Kahan 1965. */
  readonly #excess: Tensor = zeros([]);
  #hostSum = 0;
  #weight = 0;

  /** The sum of the weights so far. */
  get weight(): number {
    return this.#weight;
  }

  /**
   * Takes a value in.
   *
   * @param value A number, or a tensor of one element.
   * @param weight How much it counts: for the mean of a batch, its size.
   * @throws {RangeError} If the tensor has not one element, or the weight is
   * negative.
   */
  add(value: Tensor | number, weight: number = 1): void {
    requireWithin("AverageMeter.add", "weight", weight, 0);
    if (value instanceof Tensor && value.size !== 1) {
      throw new RangeError(
        `AverageMeter.add: not a single element: got shape ${
          formatShape(value.shape)
        }: take its mean first`,
      );
    }
    if (value instanceof Tensor) {
      return this.addTotal(value.mul(weight), weight);
    }
    let before = 0;
    onEachRun(() => {
      before = this.#hostSum;
      this.#hostSum += value * weight;
    }, () => this.#hostSum = before);
    this.#weigh(weight);
  }

  /** Takes in a sum of values, of one element, and of their weights. */
  protected addTotal(total: Tensor, weight: number): void {
    this.#weigh(weight);
    noGrad(() => {
      const part = total.reshape([]).cast("float32").sub(this.#excess);
      const sum = this.#sum.add(part);
      const excess = sum.sub(this.#sum).sub(part);
      this.#sum.assign(sum);
      this.#excess.assign(excess);
    });
  }

  #weigh(weight: number): void {
    let before = 0;
    onEachRun(() => {
      before = this.#weight;
      this.#weight += weight;
    }, () => this.#weight = before);
  }

  /** Reads the mean; NaN if nothing was added. */
  async value(): Promise<number> {
    const { hostSum, deviceSum, excess, weight } = await this.state();
    return (hostSum + deviceSum - excess) / weight;
  }

  /** Begins anew. */
  reset(): void {
    this.restore({ hostSum: 0, deviceSum: 0, excess: 0, weight: 0 });
  }

  /** Reads where it is, for {@link AverageMeter.restore} or a file. */
  async state(): Promise<AverageMeterState> {
    const [hostSum, weight] = [this.#hostSum, this.#weight];
    const [deviceSum, excess] = await Promise.all([
      this.#sum.item(),
      this.#excess.item(),
    ]);
    return { hostSum, deviceSum, excess, weight };
  }

  /** Goes to where a meter was. */
  restore(state: AverageMeterState): void {
    this.#sum.assign(tensor(state.deviceSum));
    this.#excess.assign(tensor(state.excess));
    this.#hostSum = state.hostSum;
    this.#weight = state.weight;
  }
}
