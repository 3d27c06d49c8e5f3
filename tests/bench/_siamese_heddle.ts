import { bce, crossEntropy } from "@heddle/losses";
import {
  Adam,
  Conv2d,
  Dropout,
  Flatten,
  LeakyReLU,
  Linear,
  MaxPool2d,
  Module,
  Sequential,
  Sigmoid,
} from "@heddle/nn";
import { concat, endStep, type Tensor } from "@heddle/tensor";
import {
  BETAS,
  CHANNELS,
  DIGITS,
  DROPOUT,
  EPSILON,
  FEATURES,
  HEAD,
  HIDDEN,
  LEARNING_RATE,
  named,
  type Step,
} from "./_siamese.ts";

class Siamese extends Module {
  readonly branch = new Sequential(
    new Conv2d(1, CHANNELS, 3),
    new LeakyReLU(),
    new Dropout(DROPOUT),
    new Conv2d(CHANNELS, 2 * CHANNELS, 3),
    new LeakyReLU(),
    new Dropout(DROPOUT),
    new MaxPool2d(2),
    new Flatten(),
    new Linear(FEATURES, HIDDEN),
    new LeakyReLU(),
    new Dropout(DROPOUT),
    new Linear(HIDDEN, DIGITS),
  );
  readonly head = new Sequential(
    new Linear(2 * DIGITS, HEAD),
    new LeakyReLU(),
    new Dropout(DROPOUT),
    new Linear(HEAD, HEAD),
    new LeakyReLU(),
    new Linear(HEAD, 1),
    new Sigmoid(),
  );

  override forward({ images, digits, target }: Step<Tensor>): Tensor {
    const [first, second] = images.map((image) =>
      this.branch.forward(image)
    ) as [Tensor, Tensor];
    const probs = this.head.forward(concat([first, second], 1));
    return crossEntropy(first, digits[0]).add(crossEntropy(second, digits[1]))
      .div(4).add(bce(probs, target).div(2));
  }
}

/** Makes the training step, with parameters of its own. */
export function heddleStep(
  inputs: readonly Tensor[],
  dropout: boolean,
): () => Tensor {
  const network = new Siamese().train(dropout);
  [...network.parameters()].forEach((parameter, at) => {
    const from = inputs[at]!;
    // A linear layer has the outputs first.
    parameter.assign(from.rank === 2 ? from.transpose() : from);
  });
  const optimizer = new Adam(network.parameters(), {
    learningRate: LEARNING_RATE,
    betas: BETAS,
    eps: EPSILON,
  });
  endStep();
  const batch = named(inputs);
  return () => {
    const loss = network.forward(batch);
    loss.backward();
    optimizer.step();
    return loss;
  };
}
