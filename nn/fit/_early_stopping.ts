import { noGrad, type Tensor, zerosLike } from "@heddle/tensor";
import { requireWithin } from "../_check.ts";
import { Module } from "../module.ts";
import type {
  BestEpoch,
  EarlyStoppingOptions,
  EarlyStoppingState,
  FitEpoch,
  Metrics,
} from "./options.ts";

/** Watches one metric. */
export class EarlyStopping {
  readonly #options: EarlyStoppingOptions;
  readonly #of: "evaluation" | "training";
  #best: BestEpoch | null = null;
  #waited = 0;

  /** @throws {RangeError} If an option is out of range. */
  constructor(options: EarlyStoppingOptions, evaluates: boolean) {
    const { patience = 3, minDelta = 0, of, mode = "min" } = options;
    if (patience !== Infinity) {
      requireWithin("fit", "earlyStopping.patience", patience, 0);
    }
    requireWithin("fit", "earlyStopping.minDelta", minDelta, 0);
    if (mode !== "min" && mode !== "max") {
      throw new RangeError(
        `fit: earlyStopping.mode must be min or max: got ${mode}`,
      );
    }
    if (of === "evaluation" && !evaluates) {
      throw new RangeError(
        "fit: earlyStopping is of the evaluation, and there is none: give an " +
          'evaluation, or { of: "training" }',
      );
    }
    this.#options = { ...options, patience, minDelta, mode };
    this.#of = of ?? (evaluates ? "evaluation" : "training");
  }

  /** The best epoch so far. */
  get best(): BestEpoch | null {
    return this.#best;
  }

  /** Whether it has waited long enough. */
  get isOver(): boolean {
    // Never before an epoch that was no better.
    return this.#waited >= Math.max(1, this.#options.patience!);
  }

  /**
   * Whether training gives the metric, if that is where it is looked for.
   *
   * @throws {RangeError} If it does not.
   */
  checkTraining(names: readonly string[]): void {
    if (this.#of === "training") this.#requireName(names);
  }

  /**
   * Takes in an epoch.
   *
   * @returns Whether it is the best so far; undefined if it has no say.
   * @throws {RangeError} If there is no such metric.
   */
  add({ epoch, metrics, evaluation }: FitEpoch): boolean | undefined {
    const values: Metrics | undefined = this.#of === "training"
      ? metrics
      : evaluation;
    if (values === undefined) return undefined;
    this.#requireName(Object.keys(values));
    const { metric, mode, minDelta } = this.#options;
    const value = values[metric]!;
    const gain = this.#best === null
      ? Infinity
      : mode === "max"
      ? value - this.#best.value
      : this.#best.value - value;
    const improved = !Number.isNaN(value) && gain > minDelta!;
    if (improved) this.#best = { epoch, value };
    this.#waited = improved ? 0 : this.#waited + 1;
    return improved;
  }

  /** How it stands. */
  state(): EarlyStoppingState {
    return { best: this.#best, waited: this.#waited };
  }

  /** Goes to where another was. */
  restore({ best, waited }: EarlyStoppingState): void {
    this.#best = best;
    this.#waited = waited;
  }

  #requireName(names: readonly string[]): void {
    const { metric } = this.#options;
    if (names.includes(metric)) return;
    throw new RangeError(
      `fit: earlyStopping: there is no metric ${metric} in the ${this.#of}: ` +
        `it gives ${names.join(", ")}`,
    );
  }
}

/** The values of a model's tensors at its best. */
export class BestWeights extends Module {
  /** Copies, in the order of the model's own. */
  readonly tensors: Tensor[];
  readonly #own: readonly Tensor[];

  /** Takes memory for the values, but not yet the values. */
  constructor(model: Module) {
    super();
    this.#own = [...new Set(Object.values(model.stateDict()))];
    this.tensors = this.#own.map((tensor) => zerosLike(tensor));
  }

  /** Nothing: it only holds. */
  override forward(): void {}

  /** Takes the values of now. */
  keep(): void {
    noGrad(() =>
      this.tensors.forEach((tensor, at) => tensor.assign(this.#own[at]!))
    );
  }

  /** Gives the model the values that were kept. */
  putBack(): void {
    noGrad(() =>
      this.#own.forEach((tensor, at) => tensor.assign(this.tensors[at]!))
    );
  }
}
