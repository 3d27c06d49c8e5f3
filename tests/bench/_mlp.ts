/**
 * The training step of an MLP that benches compare: 784 to 256 to 256 to 10,
 * ReLU, cross entropy, Adam.
 *
 * @module
 */

import { crossEntropy } from "@heddle/losses";
import { Linear, ReLU, Sequential } from "@heddle/nn";
import type { Tensor } from "@heddle/tensor";
import { seeded } from "../seeded.ts";
import { BETAS, EPSILON, LEARNING_RATE } from "./_adam.ts";
import { initial, input } from "./_compare.ts";
import type { Input, Jax, JaxArray, Tf, TfScalar, TfTensor } from "./_peers.ts";
import { trainingStep } from "./_training_heddle.ts";
import { jaxTrainingStep } from "./_training_jax.ts";

const [PIXELS, HIDDEN, DIGITS] = [784, 256, 10];

const WEIGHTS = PIXELS * HIDDEN + HIDDEN ** 2 + HIDDEN * DIGITS;

/**
 * Operations on one image, forward and backward: a product of each weight with
 * the image and with two gradients, of which the first layer needs but one.
 */
export const MLP_OPERATIONS: number = 6 * WEIGHTS - 2 * PIXELS * HIDDEN;

/** What Adam reads and writes: 7 numbers of 4 bytes for each parameter. */
export const MLP_ADAM_BYTES: number = 28 *
  (WEIGHTS + HIDDEN + HIDDEN + DIGITS);

/** Parameters, then the images and their digits. */
export function mlpInputs(batch: number): Input[] {
  const numbers = seeded(101);
  return [
    ...initial([
      [PIXELS, HIDDEN],
      [HIDDEN],
      [HIDDEN, HIDDEN],
      [HIDDEN],
      [HIDDEN, DIGITS],
      [DIGITS],
    ]),
    input([batch, PIXELS], 100, { low: 0 }),
    {
      shape: [batch],
      values: new Int32Array(batch).map(() => numbers.integer(0, DIGITS)),
    },
  ];
}

/** The step in this library. */
export function heddleMlp(
  inputs: readonly Tensor[],
  compiled: boolean,
): () => Tensor {
  const network = new Sequential(
    new Linear(PIXELS, HIDDEN),
    new ReLU(),
    new Linear(HIDDEN, HIDDEN),
    new ReLU(),
    new Linear(HIDDEN, DIGITS),
  );
  return trainingStep({
    name: "mlp step",
    network,
    parameters: inputs.slice(0, -2),
    batch: inputs.slice(-2) as [Tensor, Tensor],
    loss: (images, digits) => crossEntropy(network.forward(images), digits),
    compiled,
  });
}

/** The step in jax-js. */
export function jaxMlp(
  inputs: readonly JaxArray[],
  jax: Jax,
): () => [loss: JaxArray, ...rest: JaxArray[]] {
  const { nn, numpy } = jax;
  return jaxTrainingStep(jax, {
    parameters: inputs.slice(0, -2),
    batch: inputs.slice(-2),
    keys: 1,
    loss: ([w1, b1, w2, b2, w3, b3], [images, digits], keys) => {
      keys.dispose(); // Nothing is dropped.
      const size = images!.shape[0]!;
      let y = nn.relu(numpy.matmul(images!, w1!).add(b1!));
      y = nn.relu(numpy.matmul(y, w2!).add(b2!));
      y = numpy.matmul(y, w3!).add(b3!);
      const chosen = nn.logSoftmax(y).mul(nn.oneHot(digits!, DIGITS));
      return chosen.sum().mul(-1 / size);
    },
  });
}

/** The step in TensorFlow.js. */
export function tfMlp(inputs: readonly TfTensor[], tf: Tf): () => TfTensor {
  const parameters = inputs.slice(0, -2).map((x) => tf.variable(tf.clone(x)));
  const [w1, b1, w2, b2, w3, b3] = parameters;
  const [images, digits] = inputs.slice(-2) as [TfTensor, TfTensor];
  const targets = tf.keep(tf.oneHot(tf.cast(digits, "int32"), DIGITS));
  const optimizer = tf.train.adam(LEARNING_RATE, ...BETAS, EPSILON);
  const loss = () => {
    let y = tf.relu(tf.add(tf.matMul(images, w1!), b1!));
    y = tf.relu(tf.add(tf.matMul(y, w2!), b2!));
    y = tf.add(tf.matMul(y, w3!), b3!);
    return tf.losses.softmaxCrossEntropy(targets, y) as TfScalar;
  };
  return () => optimizer.minimize(loss, true, parameters)!;
}
