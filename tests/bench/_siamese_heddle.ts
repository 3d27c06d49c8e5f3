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
import { compile, concat, endStep, type Tensor } from "@heddle/tensor";
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

  /** The loss of a batch of pairs, `[batch, 2, 14, 14]`. */
  override forward({ pairs, digits, target }: Batch): Tensor {
    const branch = (at: number) =>
      this.branch.forward(
        pairs.slice(null, [at, at + 1]), // [batch, 1, 14, 14]
      );
    const [first, second] = [branch(0), branch(1)];
    const probs = this.head.forward(concat([first, second], 1));
    return crossEntropy(first, digits[0]).add(crossEntropy(second, digits[1]))
      .div(4).add(bce(probs, target).div(2));
  }
}

/** A batch as a loader gives it: both images of a pair lie together. */
type Batch = Pick<Step<Tensor>, "digits" | "target"> & {
  readonly pairs: Tensor;
};

/** How the step is made. */
export interface StepOptions {
  /** Whether anything is dropped. */
  readonly dropout: boolean;
  /**
   * Whether the step is traced once and replayed.
   * @default true
   */
  readonly compiled?: boolean;
}

/** Makes the training step, with parameters of its own; it gives the loss. */
export async function heddleStep(
  inputs: readonly Tensor[],
  options: StepOptions,
): Promise<() => Tensor> {
  const { dropout, compiled = true } = options;
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
  const { images, digits, target } = named(inputs);
  const pairs = await concat([...images], 1).realize();
  const step = (pairs: Tensor, digits: [Tensor, Tensor], target: Tensor) => {
    const loss = network.forward({ pairs, digits, target });
    loss.backward();
    optimizer.step();
    return loss;
  };
  const run = compiled ? compile(step, { name: "siamese step" }) : step;
  return () => run(pairs, [...digits], target);
}
