import type { Jax, JaxArray } from "./_peers.ts";
import {
  DIGITS,
  DROPOUT,
  FEATURES,
  named,
  PARAMETERS,
  SIDE,
} from "./_siamese.ts";
import { jaxTrainingStep } from "./_training_jax.ts";

/** Masks of one step: three a branch and one in the head. */
const MASKS = 7;

/** Makes the training step, with parameters of its own. */
export function jaxStep(
  inputs: readonly JaxArray[],
  jax: Jax,
  dropout: boolean,
): () => [loss: JaxArray, ...rest: JaxArray[]] {
  return jaxTrainingStep(jax, {
    parameters: inputs.slice(0, PARAMETERS),
    batch: inputs.slice(PARAMETERS),
    keys: MASKS,
    loss: (parameters, batch, keys) => {
      if (dropout) return lossOf(jax, parameters, batch, keys);
      keys.dispose();
      return lossOf(jax, parameters, batch, undefined);
    },
  });
}

function lossOf(
  { lax, nn, numpy, random }: Jax,
  parameters: readonly JaxArray[],
  batch: readonly JaxArray[],
  keys: JaxArray | undefined,
): JaxArray {
  const { branch, head, images, digits, target } = named([
    ...parameters,
    ...batch,
  ]);
  const size = target.shape[0]!;
  let mask = 0;
  const drop = (x: JaxArray): JaxArray => {
    if (keys === undefined) return x;
    const key = keys.ref.slice(mask++);
    const kept = random.bernoulli(key, 1 - DROPOUT, x.shape);
    return numpy.where(kept, x.mul(1 / (1 - DROPOUT)), 0);
  };
  const plane = (bias: JaxArray): JaxArray =>
    bias.ref.reshape([1, bias.shape[0]!, 1, 1]);
  const convolve = (x: JaxArray, weight: JaxArray, bias: JaxArray): JaxArray =>
    nn.leakyRelu(
      lax.conv(x, weight.ref, [1, 1], "VALID").add(plane(bias)),
      0.01,
    );
  const dense = (x: JaxArray, weight: JaxArray, bias: JaxArray): JaxArray =>
    numpy.matmul(x, weight.ref).add(bias.ref);
  const [w1, b1, w2, b2, w3, b3, w4, b4] = branch as Eight;
  const side = (SIDE - 4) / 2;
  const [first, second] = images.map((image) => {
    let y = drop(convolve(image, w1, b1));
    y = drop(convolve(y, w2, b2));
    y = numpy.max(y.reshape([size, -1, side, 2, side, 2]), [3, 5]);
    y = dense(y.reshape([size, FEATURES]), w3, b3);
    return dense(drop(nn.leakyRelu(y, 0.01)), w4, b4);
  }) as [JaxArray, JaxArray];
  const [v1, a1, v2, a2, v3, a3] = head as Six;
  let y = numpy.concatenate([first.ref, second.ref], 1);
  y = drop(nn.leakyRelu(dense(y, v1, a1), 0.01));
  y = nn.leakyRelu(dense(y, v2, a2), 0.01);
  y = nn.sigmoid(dense(y, v3, a3));
  const crossEntropy = (logits: JaxArray, digits: JaxArray): JaxArray =>
    nn.logSoftmax(logits).mul(nn.oneHot(digits, DIGITS)).sum().mul(-1 / size);
  const log = (x: JaxArray) => numpy.maximum(numpy.log(x), -100);
  const hit = target.ref.mul(log(y.ref));
  const miss = target.mul(-1).add(1).mul(log(y.mul(-1).add(1)));
  const loss = crossEntropy(first, digits[0])
    .add(crossEntropy(second, digits[1])).mul(1 / 4)
    .add(numpy.mean(hit.add(miss)).mul(-1 / 2));
  for (const x of [...parameters, ...keys ? [keys] : []]) x.dispose();
  return loss;
}

type Six = [JaxArray, JaxArray, JaxArray, JaxArray, JaxArray, JaxArray];
type Eight = [...Six, JaxArray, JaxArray];
