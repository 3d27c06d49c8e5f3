/**
 * A training step with Adam, as a training script writes it.
 *
 * @module
 */

import { Adam, type Module } from "@heddle/nn";
import { compile, endStep, type Tensor, type TensorTree } from "@heddle/tensor";
import { BETAS, EPSILON, LEARNING_RATE } from "./_adam.ts";

/** What is trained, and on what. */
export interface Training<B extends TensorTree[]> {
  /** Names the step. */
  readonly name: string;
  readonly network: Module;
  /** What its parameters begin as, in its order; matrices inputs first. */
  readonly parameters: readonly Tensor[];
  /** The batch, the same in each step. */
  readonly batch: B;
  /** The loss of a batch. */
  readonly loss: (...batch: B) => Tensor;
  /**
   * Whether the step is traced once and replayed.
   * @default true
   */
  readonly compiled?: boolean;
}

/** Makes the step; it gives the loss from before its update. */
export function trainingStep<B extends TensorTree[]>(
  training: Training<B>,
): () => Tensor {
  const { name, network, batch, compiled = true } = training;
  [...network.parameters()].forEach((parameter, at) => {
    const from = training.parameters[at]!;
    // A linear layer has the outputs first.
    parameter.assign(from.rank === 2 ? from.transpose() : from);
  });
  const optimizer = new Adam(network.parameters(), {
    learningRate: LEARNING_RATE,
    betas: BETAS,
    eps: EPSILON,
  });
  endStep();
  const step = (...batch: B) => {
    const loss = training.loss(...batch);
    loss.backward();
    optimizer.step();
    return loss;
  };
  const run = compiled ? compile(step, { name }) : step;
  return () => run(...batch);
}
