/**
 * Random functions that read and assign tensors that they close over.
 *
 * @module
 */

import {
  noGrad,
  softmax,
  type Tensor,
  tensor,
  type TensorTree,
} from "@heddle/tensor";
import { type Seeded, seeded } from "../../seeded.ts";
import { bounded, grow } from "../random_graph.ts";

/** What a random step is made of. */
export interface StepOptions {
  /** Decides everything. */
  readonly seed: number;
  /** Whether all values are small whole numbers. */
  readonly whole: boolean;
}

/** A function with tensors that it reads and changes. */
export interface RandomStep {
  /** What it closes over. */
  readonly state: readonly Tensor[];
  /** Its argument in a run. */
  argument(run: number): Tensor;
  /** The function. */
  step(x: Tensor): Tensor[];
}

const SHAPES = [[], [3], [4, 4], [4, 4], [2, 8], [16], [5, 7], [2, 3, 4]];

/** Makes one anew: of the same options, the same. */
export function randomStep({ seed, whole }: StepOptions): RandomStep {
  const random = seeded(seed);
  const values = (shape: readonly number[], from: Seeded) =>
    whole ? from.integers(shape, -4, 5) : from.values(shape);
  const gradients = random.next() < 0.5;
  const state: Tensor[] = [];
  for (let left = random.integer(2, 6); left > 0; left--) {
    const shape = random.next() < 0.4 && state.length > 0
      ? random.pick(state).shape
      : random.pick(SHAPES);
    const made = values(shape, random).tensor();
    // Some are computed, some show another's values, some are variables.
    const other = random.next() < 0.2
      ? state.find((one) => one.size === made.size)
      : undefined;
    state.push(
      other && !other.requiresGrad
        ? other.reshape(shape)
        : random.next() < 0.2
        ? made.add(1)
        : gradients && random.next() < 0.6
        ? made.asVariable()
        : made,
    );
  }
  const shape = random.pick(SHAPES);
  const length = random.integer(1, 9);
  return {
    state,
    argument: (run) => values(shape, seeded(seed + 1000 * run)).tensor(),
    step(x) {
      const random = seeded(seed + 1);
      const made = grow([...state, x], random, { whole, length });
      const results: Tensor[] = [];
      const variables = state.filter((one) => one.isVariable);
      const loss = made.slice(-2).map((one) => one.sum()).reduce((a, b) =>
        a.add(b)
      );
      if (variables.length > 0 && loss.requiresGrad) {
        loss.backward();
        for (const variable of variables) {
          if (variable.grad) made.push(bounded(variable.grad, whole));
          if (random.next() < 0.8) variable.grad = null;
        }
      }
      // As it is before anything is assigned.
      if (random.next() < 0.3) results.push(random.pick(state).add(0));
      noGrad(() => {
        for (let left = random.integer(1, 6); left > 0; left--) {
          assign(state, [...made, x], random, whole);
          if (random.next() < 0.3) {
            results.push(random.pick(state).mul(2));
          }
        }
        if (random.next() < 0.3) results.push(random.pick(state));
        if (random.next() < 0.2) results.push(x);
        if (random.next() < 0.8) results.push(random.pick(made));
      });
      return results.map((one) => one.detach());
    },
  };
}

/** The value in another shape, repeated or cut. */
function fit(value: Tensor, shape: readonly number[]): Tensor {
  const size = shape.reduce((a, b) => a * b, 1);
  const flat = value.flatten();
  if (flat.size >= size) return flat.slice([0, size]).reshape([...shape]);
  return flat.slice([0, 1]).expand([size]).reshape([...shape]);
}

function assign(
  state: readonly Tensor[],
  made: readonly Tensor[],
  random: Seeded,
  whole: boolean,
): void {
  const one = random.pick(state);
  const { shape, rank } = one;
  const alike = state.filter((other) => `${other.shape}` === `${shape}`);
  const other = random.pick(alike);
  const value = fit(random.pick(made), shape);
  const set = (to: Tensor) => void one.assign(bounded(to, whole));
  const last = rank > 0 ? shape.at(-1)! : 0;
  const ways: (() => void)[] = [
    () => set(one.mul(2).sub(value)),
    () => set(one.mul(2).sub(value)),
    () => set(one.sub(random.pick(made).sum())),
    () => set(value),
    () => one.assign(value),
    () => {
      const before = one.add(0);
      one.assign(other);
      other.assign(before);
    },
    () => {
      one.assign(other);
      other.assign(one);
    },
    () => {
      const sum = bounded(one.add(other), whole);
      one.assign(sum);
      other.assign(sum);
    },
    () => {
      set(one.add(1));
      set(one.mul(value));
    },
    () => one.assign(one.reshape([-1]).reshape([...shape])),
    () => set(one.flip(rank > 0 ? [rank - 1] : [])),
    () => {
      if (rank === 2 && shape[0] === last) set(one.transpose().add(one));
    },
    () => {
      if (rank === 2 && shape[0] === last) set(one.matmul(other).add(one));
    },
    () => {
      if (rank > 0) set(one.cumsum(-1).sub(value));
    },
    () => {
      if (rank > 0 && !whole) set(softmax(one.add(value), -1));
    },
    () => {
      if (rank > 0) {
        const row = one.max({ axis: -1, keepDims: true });
        set(one.sub(row).add(value));
      }
    },
    () => {
      if (rank > 0) set(one.sort().values.add(one));
    },
    () => {
      if (rank > 0) set(one.sum({ axis: -1, keepDims: true }).expand(shape));
    },
    () => {
      if (rank > 0) {
        // Totals of rows beside what is set, from one loop.
        const row = one.sum({ axis: -1 });
        set(one.add(1));
        fitInto(state, row);
      }
    },
    () => {
      const first = tensor(new Int32Array([0]));
      if (rank > 0) set(one.take(first, 0).sum().add(one));
    },
  ];
  random.pick(ways)();
}

function fitInto(state: readonly Tensor[], value: Tensor): void {
  const target = state.find((one) => `${one.shape}` === `${value.shape}`);
  target?.assign(value.sub(value.mul(1 / 8).trunc().mul(8)));
}

/** All tensors of a step's results and state, and the gradients there are. */
export function seen(
  results: TensorTree,
  state: readonly Tensor[],
): Tensor[] {
  const grads = state.flatMap(({ grad }) => grad ? [grad] : []);
  return [...results as Tensor[], ...state, ...grads];
}
