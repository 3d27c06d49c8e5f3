/**
 * The five networks that compare two digits.
 *
 * @module
 */
import {
  Conv2d,
  Dropout,
  Flatten,
  type Layer,
  LeakyReLU,
  Linear,
  MaxPool2d,
  Module,
  Sequential,
} from "@heddle/nn";
import { concat, type Generator, type Tensor } from "@heddle/tensor";

/** What a network is made of. */
export interface NetworkOptions {
  /** Which of the five. */
  readonly architecture: number;
  /** Channels of the first convolution; the second has twice as many. */
  readonly channels: number;
  /** Width of the hidden layer of a branch. */
  readonly hidden: number;
  /** Size of the kernels of architecture 5. */
  readonly kernel: number;
  /** Whether both images go through one branch. */
  readonly weightSharing: boolean;
  /** Draws the weights and the dropout masks. */
  readonly generator: Generator;
}

/** What a network says of a batch of pairs. */
export interface Comparison {
  /** Logits of the first digit's class, `[batch, 10]`. */
  readonly first: Tensor;
  /** Logits of the second digit's class, `[batch, 10]`. */
  readonly second: Tensor;
  /** Probability that the first digit <= the second, `[batch]`. */
  readonly probability: Tensor;
}

/** One layer of a branch that changes the size of the image. */
type SpatialLayer =
  | { readonly kind: "conv"; readonly size: number; readonly padding: number }
  | { readonly kind: "pool"; readonly size: number };

/** Pixels along each side of an input image. */
export const IMAGE_SIZE = 14;
const CLASSES = 10;
const HEAD = 256;
const SLOPE = 0.01;
const DROPOUT = 0.2;

const conv = (size: number, padding: number = 0): SpatialLayer => ({
  kind: "conv",
  size,
  padding,
});
const pool = (size: number): SpatialLayer => ({ kind: "pool", size });

/** The spatial layers of an architecture; 5 takes its kernel from the options. */
function layersOf(architecture: number, kernel: number): SpatialLayer[] {
  switch (architecture) {
    case 1:
      return [conv(3), conv(3), pool(2)]; // 14 12 10 5
    case 2:
      return [conv(5, 1), pool(3), conv(3, 1)]; // 14 12 4 4
    case 3:
      return [conv(3), pool(3), conv(2)]; // 14 12 4 3
    case 4:
      return [conv(2, 1), pool(3), conv(3)]; // 14 15 5 3
    case 5:
      return [conv(kernel), pool(2), conv(kernel)];
    default:
      throw new RangeError(
        `architecture: there is no ${architecture}: use 1 to 5`,
      );
  }
}

/**
 * The size of the image after each layer.
 *
 * @throws {RangeError} If a layer does not fit: which, and on what.
 */
export function spatialPath(architecture: number, kernel: number): number[] {
  const path = [IMAGE_SIZE];
  for (const layer of layersOf(architecture, kernel)) {
    const before = path.at(-1)!;
    const after = layer.kind === "conv"
      ? before + 2 * layer.padding - layer.size + 1
      : Math.floor(before / layer.size);
    if (after < 1) {
      throw new RangeError(
        `kernel: ${kernel} does not fit architecture ${architecture}: a ` +
          `${layer.kind} of ${layer.size} on ${before} x ${before} pixels ` +
          `leaves nothing: use 1 to ${largestKernel()}`,
      );
    }
    path.push(after);
  }
  return path;
}

/** The largest kernel of architecture 5. */
function largestKernel(): number {
  let kernel = 1;
  while (Math.floor((IMAGE_SIZE - kernel) / 2) - kernel >= 1) kernel++;
  return kernel;
}

/** From an image to the logits of its digit. */
function makeBranch(options: NetworkOptions): Sequential {
  const { architecture, channels, hidden, kernel, generator } = options;
  const side = spatialPath(architecture, kernel).at(-1)!;
  const layers: Layer[] = [];
  let depth = 1;
  let width = channels;
  for (const layer of layersOf(architecture, kernel)) {
    if (layer.kind === "pool") {
      layers.push(new MaxPool2d(layer.size));
      continue;
    }
    const { size, padding } = layer;
    layers.push(
      new Conv2d(depth, width, size, { padding, generator }),
      new LeakyReLU(SLOPE),
      new Dropout(DROPOUT, { generator }),
    );
    depth = width;
    width *= 2;
  }
  layers.push(
    new Flatten(),
    new Linear(depth * side * side, hidden, { generator }),
    new LeakyReLU(SLOPE),
    new Dropout(DROPOUT, { generator }),
    new Linear(hidden, CLASSES, { generator }),
  );
  return new Sequential(...layers);
}

/**
 * Two images to the probability that the first shows no larger digit: a branch
 * each, or one for both, and a head that sees the logits of both.
 */
export class SiameseNetwork extends Module {
  /** One branch if it is shared, else one for each image. */
  readonly branches: Sequential[];
  /** From both logits to one. */
  readonly head: Sequential;

  /** Draws the weights. */
  constructor(options: NetworkOptions) {
    super();
    const { generator, weightSharing } = options;
    this.branches = weightSharing
      ? [makeBranch(options)]
      : [makeBranch(options), makeBranch(options)];
    this.head = new Sequential(
      new Linear(2 * CLASSES, HEAD, { generator }),
      new LeakyReLU(SLOPE),
      new Linear(HEAD, HEAD, { generator }),
      new LeakyReLU(SLOPE),
      new Linear(HEAD, 1, { generator }),
    );
  }

  /** Compares the images of each pair, `[batch, 2, 14, 14]`. */
  forward(images: Tensor): Comparison {
    const branch = (at: number) =>
      this.branches[at % this.branches.length]!.forward(
        images.slice(null, [at, at + 1]), // [batch, 1, 14, 14]
      );
    const first = branch(0);
    const second = branch(1);
    const logit = this.head.forward(concat([first, second], 1)); // [batch, 1]
    return { first, second, probability: logit.sigmoid().squeeze(1) };
  }
}
