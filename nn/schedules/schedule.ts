import { onEachRun } from "@heddle/tensor";

/** What a schedule changes: an optimizer, or anything like it. */
export interface Scheduled {
  /** Groups whose rate is set. */
  readonly groups: readonly { learningRate: number }[];
}

/** Where a schedule is: JSON-safe. */
export interface ScheduleState {
  /** Steps taken. */
  readonly step: number;
  /** The rates that the groups had at first. */
  readonly baseRates: readonly number[];
}

/**
 * Sets the learning rates of an optimizer: at once, and with each
 * {@link Schedule.step}, be that after a batch or after an epoch.
 *
 * A rate follows from the first rate of the group and the number of steps
 * alone, so that two numbers say where a schedule is.
 *
 * @example A rate of one's own
 * ```ts
 * import { Schedule, SGD } from "@heddle/nn";
 * import { tensor } from "@heddle/tensor";
 * import { assertEquals } from "@std/assert";
 *
 * const weight = tensor([1], { requiresGrad: true });
 * const optimizer = new SGD([weight], { learningRate: 1 });
 * const schedule = new Schedule(optimizer, (base, step) => base / (1 + step));
 * assertEquals(optimizer.groups[0]!.learningRate, 1);
 * schedule.step();
 * assertEquals(optimizer.groups[0]!.learningRate, 0.5);
 * ```
 */
export class Schedule {
  readonly #scheduled: Scheduled;
  readonly #rate: (baseRate: number, step: number) => number;
  #baseRates: readonly number[];
  #step = 0;

  /**
   * Takes the first rates from the optimizer, and sets those of step 0.
   *
   * @param scheduled The optimizer.
   * @param rate The rate after some steps, given the first.
   */
  constructor(
    scheduled: Scheduled,
    rate: (baseRate: number, step: number) => number,
  ) {
    this.#scheduled = scheduled;
    this.#rate = rate;
    this.#baseRates = scheduled.groups.map(({ learningRate }) => learningRate);
    this.#apply();
  }

  /** Steps taken. */
  get steps(): number {
    return this.#step;
  }

  /** The rate of each group now. */
  get learningRates(): number[] {
    return this.#ratesAt(this.#step);
  }

  /** Goes one step on. */
  step(): void {
    const { groups } = this.#scheduled;
    let before: readonly number[] = [];
    onEachRun(() => {
      before = groups.map(({ learningRate }) => learningRate);
      // The rate is anybody's function: what it throws changes nothing.
      const rates = this.#ratesAt(this.#step + 1);
      this.#step++;
      this.#apply(rates);
    }, () => {
      this.#step--;
      this.#apply(before);
    });
  }

  /** Where it is, for {@link Schedule.restore} or a file. */
  state(): ScheduleState {
    return { step: this.#step, baseRates: [...this.#baseRates] };
  }

  /**
   * Goes to where a schedule of the same kind was, and sets the rates.
   *
   * @throws {RangeError} If the state is none, or of another number of groups.
   */
  restore(state: ScheduleState): void {
    const { step, baseRates } = state;
    const valid = Number.isSafeInteger(step) && step >= 0 &&
      Array.isArray(baseRates) && baseRates.every(Number.isFinite);
    if (!valid || baseRates.length !== this.#scheduled.groups.length) {
      throw new RangeError(
        `${this.constructor.name}.restore: the state does not fit ${this.#scheduled.groups.length} groups: got ${
          JSON.stringify(state)
        }`,
      );
    }
    this.#step = step;
    this.#baseRates = [...baseRates];
    this.#apply();
  }

  #ratesAt(step: number): number[] {
    return this.#baseRates.map((base) => this.#rate(base, step));
  }

  #apply(rates: readonly number[] = this.learningRates): void {
    rates.forEach((rate, at) =>
      this.#scheduled.groups[at]!.learningRate = rate
    );
  }
}
