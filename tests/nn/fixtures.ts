/**
 * What `make_fixtures.py` wrote.
 *
 * @module
 */

import { Values } from "../values.ts";
import clippingJson from "./fixtures/clipping.json" with { type: "json" };
import layersJson from "./fixtures/layers.json" with { type: "json" };
import optimizersJson from "./fixtures/optimizers.json" with { type: "json" };
import schedulesJson from "./fixtures/schedules.json" with { type: "json" };

interface Saved {
  readonly shape: readonly number[];
  readonly data: string;
}

type SavedRecord = Readonly<Record<string, Saved | undefined>>;

/** A layer of PyTorch: forward of each input in turn, gradients of the last. */
export interface LayerFixture {
  readonly name: string;
  readonly state: Readonly<Record<string, Values>>;
  readonly inputs: readonly Values[];
  /** Of the last input. */
  readonly output: Values;
  /** The gradient of the output. */
  readonly seed: Values;
  /** The gradient of the last input; null for ids. */
  readonly inputGrad: Values | null;
  readonly grads: Readonly<Record<string, Values>>;
  /** The state at the end. */
  readonly after: Readonly<Record<string, Values>>;
}

/** Parameters after each of 20 steps. */
export interface OptimizerFixture {
  readonly name: string;
  readonly x: Values;
  readonly y: Values;
  readonly initial: readonly Values[];
  readonly steps: readonly (readonly Values[])[];
}

function numbers(text: string): number[] {
  return text === "" ? [] : text.split(" ").map(Number);
}

function valuesOf({ shape, data }: Saved): Values {
  return new Values(shape, numbers(data));
}

/** PyTorch's names in ours; a count that only PyTorch keeps is left out. */
const NAMES: Readonly<Record<string, string>> = {
  "running_mean": "runningMean",
  "running_var": "runningVariance",
  "num_batches_tracked": "batches",
};

function recordOf(saved: SavedRecord): Record<string, Values> {
  return Object.fromEntries(
    Object.entries(saved).map(([path, value]) => {
      const names = path.split(".").map((name) => NAMES[name] ?? name);
      return [names.join("."), valuesOf(value!)];
    }),
  );
}

/** The layers, by name. */
export const LAYERS: readonly LayerFixture[] = layersJson.map((saved) => ({
  name: saved.name,
  state: recordOf(saved.state as SavedRecord),
  inputs: saved.inputs.map(valuesOf),
  output: valuesOf(saved.output),
  seed: valuesOf(saved.seed),
  inputGrad: saved.inputGrad && valuesOf(saved.inputGrad),
  grads: recordOf(saved.grads as SavedRecord),
  after: recordOf(saved.after as SavedRecord),
}));

/** The optimizers. */
export const OPTIMIZERS: readonly OptimizerFixture[] = optimizersJson.map(
  (saved) => {
    const initial = saved.initial.map(valuesOf);
    return {
      name: saved.name,
      x: valuesOf(saved.x),
      y: valuesOf(saved.y),
      initial,
      steps: saved.steps.map((row) => {
        const rest = numbers(row);
        return initial.map(({ shape, size }) =>
          new Values(shape, rest.splice(0, size))
        );
      }),
    };
  },
);

/** Rates of two groups, step by step. */
export const SCHEDULES: readonly {
  readonly name: string;
  readonly rates: readonly (readonly number[])[];
}[] = schedulesJson.map(({ name, rates }) => ({
  name,
  rates: rates.map(numbers),
}));

/** Gradients before and after clipping. */
export const CLIPPING: readonly {
  readonly maxNorm: number;
  readonly before: readonly Values[];
  readonly norm: Values;
  readonly after: readonly Values[];
}[] = clippingJson.map(({ maxNorm, before, norm, after }) => ({
  maxNorm,
  before: before.map(valuesOf),
  norm: valuesOf(norm),
  after: after.map(valuesOf),
}));
