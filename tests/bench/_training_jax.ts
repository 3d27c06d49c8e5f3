/**
 * A training step with Adam in jax-js, compiled whole.
 *
 * @module
 */

import { BETAS, EPSILON, LEARNING_RATE } from "./_adam.ts";
import type { Jax, JaxArray } from "./_peers.ts";

/** What is trained, and on what. */
export interface JaxTraining {
  /** What the parameters begin as. */
  readonly parameters: readonly JaxArray[];
  /** The batch, the same in each step. */
  readonly batch: readonly JaxArray[];
  /** Random keys that a step needs. */
  readonly keys: number;
  /** The loss; it takes all that it is given over. */
  readonly loss: (
    parameters: readonly JaxArray[],
    batch: readonly JaxArray[],
    keys: JaxArray,
  ) => JaxArray;
}

/** Parameters, first and second moments. */
type State = [JaxArray[], JaxArray[], JaxArray[]];

/**
 * Makes the step.
 *
 * @returns What does a step and gives its loss, with what else it has computed.
 */
export function jaxTrainingStep(
  { jit, numpy, random, valueAndGrad }: Jax,
  training: JaxTraining,
): () => [loss: JaxArray, ...rest: JaxArray[]] {
  const { batch, parameters } = training;
  const differentiate = valueAndGrad(training.loss);
  const [b1, b2] = BETAS;
  const step = jit((
    state: JaxArray[][],
    batch: JaxArray[],
    key: JaxArray,
    // The learning rate and the scale of the second moment, bias corrected.
    rate: JaxArray,
    scale: JaxArray,
  ) => {
    const [parameters, firsts, seconds] = state as State;
    const keys = random.split(key, training.keys);
    const [loss, gradients] = differentiate(
      parameters.map((x) => x.ref),
      batch,
      keys,
    ) as [JaxArray, JaxArray[]];
    const next: State = [[], [], []];
    parameters.forEach((x, at) => {
      const gradient = gradients[at]!;
      const first = firsts[at]!.mul(b1).add(gradient.ref.mul(1 - b1));
      const second = seconds[at]!.mul(b2)
        .add(numpy.square(gradient).mul(1 - b2));
      const size = numpy.sqrt(second.ref.mul(scale.ref)).add(EPSILON);
      next[0].push(x.sub(first.ref.mul(rate.ref).div(size)));
      next[1].push(first);
      next[2].push(second);
    });
    rate.dispose();
    scale.dispose();
    return [loss, next] as [JaxArray, State];
  });
  const zeros = () => parameters.map((x) => numpy.zeros(x.shape));
  let state: State = [parameters.map((x) => x.ref), zeros(), zeros()];
  let count = 0;
  return () => {
    count++;
    const [loss, next] = step(
      state,
      batch.map((part) => part.ref),
      random.key(count),
      numpy.array(LEARNING_RATE / (1 - b1 ** count)),
      numpy.array(1 / (1 - b2 ** count)),
    ) as [JaxArray, State];
    state = next;
    return [loss, ...next.flat().map((x) => x.ref)];
  };
}

/** The losses of several steps; what else they compute is let go. */
export function jaxLosses(
  step: () => [loss: JaxArray, ...rest: JaxArray[]],
  count: number,
): JaxArray[] {
  return Array.from({ length: count }, () => {
    const [loss, ...rest] = step();
    for (const part of rest) part.dispose();
    return loss;
  });
}
