import {
  bernoulli,
  concat,
  endStep,
  Generator,
  type Tensor,
  where,
  zerosLike,
} from "@heddle/tensor";
import {
  BETAS,
  DIGITS,
  DROPOUT,
  EPSILON,
  LEARNING_RATE,
  named,
  PARAMETERS,
  type Step,
} from "./_siamese.ts";

/** Makes the training step, with parameters of its own. */
export function heddleStep(
  inputs: readonly Tensor[],
  dropout: boolean,
): () => Tensor {
  const parameters = inputs.slice(0, PARAMETERS)
    .map((x) => x.detach().asVariable());
  const moments = parameters.map((x) => [zerosLike(x), zerosLike(x)] as const);
  const step = named([...parameters, ...inputs.slice(PARAMETERS)]);
  const generator = new Generator(1);
  const drop = (x: Tensor) =>
    dropout
      ? where(
        bernoulli(generator.next(), 1 - DROPOUT, x.shape),
        x.mul(1 / (1 - DROPOUT)),
        0,
      )
      : x;
  let count = 0;
  return () => {
    const loss = lossOf(step, drop);
    loss.backward();
    adam(parameters, moments, ++count);
    endStep(loss);
    return loss;
  };
}

function lossOf(step: Step<Tensor>, drop: (x: Tensor) => Tensor): Tensor {
  const [w1, b1, w2, b2, w3, b3, w4, b4] = step.branch as Eight;
  const [first, second] = step.images.map((image) => {
    let y = drop(image.conv2d(w1, { bias: b1 }).leakyRelu());
    y = drop(y.conv2d(w2, { bias: b2 }).leakyRelu());
    y = y.maxPool2d(2).flatten(1);
    y = drop(y.matmul(w3).add(b3).leakyRelu());
    return y.matmul(w4).add(b4);
  }) as [Tensor, Tensor];
  const [v1, a1, v2, a2, v3, a3] = step.head as Six;
  let y = concat([first, second], 1).matmul(v1).add(a1).leakyRelu();
  y = drop(y).matmul(v2).add(a2).leakyRelu();
  y = y.matmul(v3).add(a3).sigmoid();
  const [a, b] = step.digits;
  return crossEntropy(first, a).add(crossEntropy(second, b)).div(4)
    .add(binaryCrossEntropy(y, step.target).div(2));
}

type Six = [Tensor, Tensor, Tensor, Tensor, Tensor, Tensor];
type Eight = [...Six, Tensor, Tensor];

function crossEntropy(logits: Tensor, digits: Tensor): Tensor {
  return logits.logSoftmax().mul(digits.oneHot(DIGITS)).sum({ axis: 1 })
    .mean().neg();
}

function binaryCrossEntropy(probs: Tensor, target: Tensor): Tensor {
  const log = (x: Tensor) => x.log().clamp({ min: -100 });
  return target.mul(log(probs))
    .add(target.neg().add(1).mul(log(probs.neg().add(1)))).mean().neg();
}

function adam(
  parameters: readonly Tensor[],
  moments: readonly (readonly [Tensor, Tensor])[],
  count: number,
): void {
  const [b1, b2] = BETAS;
  parameters.forEach((x, at) => {
    const gradient = x.grad!;
    x.grad = null;
    const [first, second] = moments[at]!;
    first.assign(first.mul(b1).add(gradient.mul(1 - b1)));
    second.assign(second.mul(b2).add(gradient.square().mul(1 - b2)));
    const scale = second.mul(1 / (1 - b2 ** count)).sqrt().add(EPSILON);
    const rate = LEARNING_RATE / (1 - b1 ** count);
    x.assign(x.detach().sub(first.mul(rate).div(scale)));
  });
}
