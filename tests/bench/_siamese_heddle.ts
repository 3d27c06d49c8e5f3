import { bce, crossEntropy } from "@heddle/losses";
import {
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
import { concat, type Tensor } from "@heddle/tensor";
import {
  CHANNELS,
  DIGITS,
  DROPOUT,
  FEATURES,
  HEAD,
  HIDDEN,
  named,
  PARAMETERS,
} from "./_siamese.ts";
import { trainingStep } from "./_training_heddle.ts";

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
type Batch = {
  readonly pairs: Tensor;
  readonly digits: readonly [Tensor, Tensor];
  readonly target: Tensor;
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
  const { dropout, ...rest } = options;
  const network = new Siamese().train(dropout);
  const { images, digits, target } = named(inputs);
  const pairs = await concat([...images], 1).realize();
  return trainingStep({
    ...rest,
    name: "siamese step",
    network,
    parameters: inputs.slice(0, PARAMETERS),
    batch: [{ pairs, digits, target }],
    loss: (batch) => network.forward(batch),
  });
}
