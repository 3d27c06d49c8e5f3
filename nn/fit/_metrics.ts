/**
 * Means of what steps give, added up on the device.
 *
 * @module
 */

import {
  compile,
  type Compiled,
  type CompileOptions,
  endStep,
  hostScalar,
  noGrad,
  onEachRun,
  Scope,
  stack,
  Tensor,
  tensor,
  type TensorTree,
  zeros,
} from "@heddle/tensor";
import type { Metrics, MetricsState, Step } from "./options.ts";

/** Room for the sums is taken before it is known how many there are. */
const MOST_METRICS = 64;

/** The means of some metrics; nothing waits for them until they are read. */
export class RunningMetrics {
  /** Named in messages. */
  readonly operation: string;
  readonly #compilesSteps: boolean;
  #names: readonly string[] = [];
  #weights: number[] = [];
  /** Of the batch at hand. */
  #batchSize = 1;
  /** One for each name, and what rounding has added to it: Kahan 1965. */
  readonly #sums = zeros([MOST_METRICS]);
  readonly #excess = zeros([MOST_METRICS]);
  /** Adds up; and the steps that do it themselves. */
  readonly #add = compile<[Readonly<Record<string, Tensor>>], void>(
    (output) => this.#addUp(output),
    { name: "metrics" },
  );
  readonly #steps = new Map<unknown, Compiled<[TensorTree], void>>();

  /**
   * Without any metrics.
   *
   * @param compilesSteps Whether compiled steps are compiled anew, together
   * with adding up: for those that are done often.
   */
  constructor(operation: string, compilesSteps: boolean) {
    this.operation = operation;
    this.#compilesSteps = compilesSteps;
  }

  /** The metrics; none before the first step. */
  get names(): readonly string[] {
    return this.#names;
  }

  /**
   * Does a step and takes in what it gives.
   *
   * @throws {TypeError} If it gives no tensors.
   * @throws {RangeError} If its metrics have other names than before.
   */
  run<Batch>(step: Step<Batch>, batch: Batch, batchSize: number): void {
    this.#batchSize = batchSize;
    using _scope = new Scope();
    if (this.#compilesSteps && isCompiled(step)) {
      this.#compiled(step)(batch as TensorTree);
    } else {
      const entries = this.#entriesOf(step(batch));
      // A loss of variables would be refused: nobody asks for its gradient.
      this.#add(
        Object.fromEntries(entries.map(([name, x]) => [name, x.detach()])),
      );
    }
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
    const { length } = names;
    if (length === 0) return { names, sums: [], excess: [], weights };
    const both = stack([this.#sums, this.#excess]);
    endStep(both);
    try {
      const values = [...await both.data()];
      const from = (at: number) => values.slice(at, at + length);
      return { names, sums: from(0), excess: from(MOST_METRICS), weights };
    } finally {
      both.dispose();
    }
  }

  /** Goes to where others were. */
  restore({ names, sums, excess, weights }: MetricsState): void {
    this.#sums.assign(padded(tensor(sums, { shape: [names.length] })));
    this.#excess.assign(padded(tensor(excess, { shape: [names.length] })));
    [this.#names, this.#weights] = [names, [...weights]];
  }

  /** Begins anew, with the same names. */
  reset(): void {
    if (this.#names.length === 0) return;
    this.#sums.assign(zeros([MOST_METRICS]));
    this.#excess.assign(zeros([MOST_METRICS]));
    this.#weights.fill(0);
  }

  /** Gives the memory back. */
  dispose(): void {
    for (const step of this.#steps.values()) step.dispose();
    this.#add.dispose();
    this.#sums.dispose();
    this.#excess.dispose();
  }

  #compiled<Batch>(
    step: CompiledStep<Batch>,
  ): Compiled<[TensorTree], void> {
    let whole = this.#steps.get(step);
    if (!whole) {
      whole = compile<[TensorTree], void>((batch) => {
        const entries = this.#entriesOf(step(batch as Batch));
        this.#addUp(Object.fromEntries(entries));
      }, { ...step.options, name: step.name });
      this.#steps.set(step, whole);
    }
    return whole;
  }

  /** What a step gave, if it is what it gave before. */
  #entriesOf(output: unknown): readonly Entry[] {
    const entries = entriesOf(this.operation, output);
    const names = entries.map(([name]) => name);
    if (this.#names.length === 0) {
      if (names.length > MOST_METRICS) {
        throw new RangeError(
          `${this.operation}: the step gave ${names.length} metrics: there ` +
            `may be ${MOST_METRICS}`,
        );
      }
      this.#names = names;
      this.#weights = names.map(() => 0);
    } else if (names.join() !== this.#names.join()) {
      throw new RangeError(
        `${this.operation}: the step gave other metrics than before: got ` +
          `${names.join(", ")}: before it was ${this.#names.join(", ")}`,
      );
    }
    return entries;
  }

  #addUp(output: Readonly<Record<string, Tensor>>): void {
    const values = Object.values(output);
    let before: number[] = [];
    onEachRun(() => {
      before = [...this.#weights];
      values.forEach(({ size }, at) =>
        this.#weights[at]! += size === 1 ? this.#batchSize : size
      );
    }, () => this.#weights = before);
    noGrad(() => {
      const size = hostScalar(() => this.#batchSize);
      const totals = stack(values.map((value) => {
        const floats = value.cast("float32");
        return value.size === 1 ? floats.reshape([]).mul(size) : floats.sum();
      }));
      const part = padded(totals).sub(this.#excess);
      const sums = this.#sums.add(part);
      this.#excess.assign(sums.sub(this.#sums).sub(part));
      this.#sums.assign(sums);
    });
  }
}

function padded(values: Tensor): Tensor {
  return values.pad([[0, MOST_METRICS - values.size]]);
}

type CompiledStep<Batch> = Step<Batch> & {
  readonly options: CompileOptions;
};

function isCompiled<Batch>(step: Step<Batch>): step is CompiledStep<Batch> {
  return "traces" in step;
}

type Entry = readonly [name: string, value: Tensor];

/** What a step gave, by name: a tensor alone is the loss. */
function entriesOf(operation: string, output: unknown): Entry[] {
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
  return entries.map(([name, value]: [string, unknown]): Entry => {
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
