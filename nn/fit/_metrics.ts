/**
 * Means of what steps give, added up on the device.
 *
 * @module
 */

import {
  compile,
  endStep,
  hostScalar,
  noGrad,
  type Scope,
  stack,
  Tensor,
  tensor,
  zeros,
} from "@heddle/tensor";
import type { Metrics, MetricsState, StepOutput } from "./options.ts";

/** The means of some metrics; nothing waits for them until they are read. */
export class RunningMetrics {
  /** Named in messages. */
  readonly operation: string;
  #names: readonly string[] = [];
  #weights: number[] = [];
  /** One for each name, and what rounding has added to it: Kahan 1965. */
  #sums: Tensor = zeros([0]);
  #excess: Tensor = zeros([0]);
  /** Of the batch at hand. */
  #batchSize = 1;
  readonly #add = compile(
    (values: readonly Tensor[]) => this.#addUp(values),
    { name: "metrics" },
  );

  /** Without any metrics. */
  constructor(operation: string) {
    this.operation = operation;
  }

  /** The metrics; none before the first step. */
  get names(): readonly string[] {
    return this.#names;
  }

  /**
   * Takes in what a step gave.
   *
   * @param scope The scope around the step.
   * @throws {TypeError} If it gave something else.
   * @throws {RangeError} If its metrics have other names than before.
   */
  add(output: StepOutput, batchSize: number, scope: Scope): void {
    const entries = entriesOf(this.operation, output);
    this.#requireNames(entries.map(([name]) => name), scope);
    const values = entries.map(([, value]) => value);
    this.#batchSize = batchSize;
    this.#add(values);
    values.forEach(({ size }, at) =>
      this.#weights[at]! += size === 1 ? batchSize : size
    );
  }

  /**
   * Reads the means. The values are those of now, whatever is added before they
   * arrive.
   */
  async read(): Promise<Metrics> {
    const { names, sums, excess, weights } = await this.state();
    return Object.fromEntries(
      names.map((name, at) => [name, (sums[at]! - excess[at]!) / weights[at]!]),
    );
  }

  /** Where they are; of now, as with `read`. */
  async state(): Promise<MetricsState> {
    const [names, weights] = [this.#names, [...this.#weights]];
    if (names.length === 0) return { names, sums: [], excess: [], weights };
    const both = stack([this.#sums, this.#excess]);
    endStep(both);
    try {
      const values = [...await both.data()];
      const sums = values.splice(0, names.length);
      return { names, sums, excess: values, weights };
    } finally {
      both.dispose();
    }
  }

  /** Goes to where others were. */
  restore(state: MetricsState): void {
    const { names, sums, excess, weights } = state;
    this.#sums = tensor(sums, { shape: [names.length] });
    this.#excess = tensor(excess, { shape: [names.length] });
    [this.#names, this.#weights] = [names, [...weights]];
  }

  /** Begins anew, with the same names. */
  reset(): void {
    if (this.#names.length === 0) return;
    this.#sums.assign(zeros([this.#names.length]));
    this.#excess.assign(zeros([this.#names.length]));
    this.#weights.fill(0);
  }

  /** Gives the memory back. */
  dispose(): void {
    this.#add.dispose();
    this.#sums.dispose();
    this.#excess.dispose();
  }

  #requireNames(names: readonly string[], scope: Scope): void {
    const known = this.#names;
    if (known.length === 0) {
      this.#names = names;
      this.#weights = names.map(() => 0);
      this.#sums = scope.keep(zeros([names.length]));
      this.#excess = scope.keep(zeros([names.length]));
    } else if (names.join() !== known.join()) {
      throw new RangeError(
        `${this.operation}: the step gave other metrics than before: got ` +
          `${names.join(", ")}: before it was ${known.join(", ")}`,
      );
    }
  }

  #addUp(values: readonly Tensor[]): void {
    noGrad(() => {
      const size = hostScalar(() => this.#batchSize);
      const totals = stack(values.map((value) => {
        const floats = value.cast("float32");
        return value.size === 1 ? floats.reshape([]).mul(size) : floats.sum();
      }));
      const part = totals.sub(this.#excess);
      const sums = this.#sums.add(part);
      this.#excess.assign(sums.sub(this.#sums).sub(part));
      this.#sums.assign(sums);
    });
  }
}

/** What a step gave, by name: a tensor alone is the loss. */
function entriesOf(
  operation: string,
  output: unknown,
): (readonly [name: string, value: Tensor])[] {
  if (output instanceof Tensor) return [["loss", output]];
  if (output instanceof Promise) {
    output.catch(() => {});
    throw new TypeError(
      `${operation}: the step is asynchronous: got a promise: prepare batches ` +
        "in the loader, and read values in the callbacks",
    );
  }
  const entries = typeof output === "object" && output !== null
    ? Object.entries(output)
    : [];
  if (entries.length === 0) {
    throw new TypeError(
      `${operation}: the step gave nothing to read: got ${
        output === null ? "null" : typeof output
      }: return the loss, or a record of tensors such as { loss, accuracy }`,
    );
  }
  return entries.map(([name, value]: [string, unknown]) => {
    if (value instanceof Tensor && value.size > 0) return [name, value];
    throw new TypeError(
      `${operation}: the step's ${name} is no tensor with values: got ${
        value instanceof Tensor
          ? `shape [${value.shape.join(", ")}]`
          : typeof value
      }: return the loss, or a record of tensors such as { loss, accuracy }`,
    );
  });
}
