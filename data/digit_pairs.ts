import type { Dataset } from "./dataset.ts";
import { rowOf } from "./_host_array.ts";
import { type HostArray, hostArray } from "./host_array.ts";
import type { LabelledImages } from "./labelled_images.ts";
import { SeededRandom } from "./seeded_random.ts";

/** How {@linkcode digitPairs} draws pairs. */
export interface DigitPairsOptions {
  /**
   * How many pairs; each takes two images.
   *
   * @default 1000
   */
  readonly count?: number | undefined;
  /**
   * The seed of the permutation that the pairs are cut from.
   *
   * @default 0
   */
  readonly seed?: number | undefined;
  /**
   * "unit": pixels divided by 255, 0 to 1. "byte": 0 to 255.
   *
   * @default "unit"
   */
  readonly pixels?: "unit" | "byte" | undefined;
}

/** One pair of digits. */
export interface DigitPair {
  /** The two images: `[2, height, width]`. */
  readonly images: HostArray<Float32Array>;
  /** 1 if the first digit <= the second, else 0; of shape `[]`. */
  readonly targets: HostArray<Float32Array>;
  /** The two digits: `[2]`. */
  readonly classes: HostArray<Int32Array>;
}

/**
 * Pairs of digits, to learn which of two is larger.
 *
 * It is a {@linkcode Dataset}: a loader over it gives batches of `images`
 * `[batch, 2, height, width]`, `targets` `[batch]` and `classes` `[batch, 2]`.
 */
export class DigitPairs implements Dataset<DigitPair> {
  /** float32 `[count, 2, height, width]`. */
  readonly images: HostArray<Float32Array>;
  /** float32 `[count]`: 1 if the first digit <= the second, else 0. */
  readonly targets: HostArray<Float32Array>;
  /** int32 `[count, 2]`: the two digits. */
  readonly classes: HostArray<Int32Array>;

  /**
   * Joins images with their digits; the targets follow.
   *
   * @param images `[count, 2, height, width]`.
   * @param classes `[count, 2]`.
   * @throws {RangeError} If the shapes disagree.
   */
  constructor(
    images: HostArray<Float32Array>,
    classes: HostArray<Int32Array>,
  ) {
    const [count, two] = images.shape;
    const [rows, columns] = classes.shape;
    if (two !== 2 || columns !== 2 || rows !== count) {
      throw new RangeError(
        `DigitPairs: images must be [count, 2, height, width] and classes ` +
          `[count, 2]: got [${images.shape.join(", ")}] and ` +
          `[${classes.shape.join(", ")}]`,
      );
    }
    this.images = images;
    this.classes = classes;
    this.targets = hostArray(Float32Array.from(
      { length: rows! },
      (_, pair) =>
        classes.data[2 * pair]! <= classes.data[2 * pair + 1]! ? 1 : 0,
    ));
  }

  /** How many pairs there are. */
  get length(): number {
    return this.targets.data.length;
  }

  /**
   * One pair; its pixels are shared, not copied.
   *
   * @param index From 0 to `length - 1`.
   * @returns Images, target and digits.
   */
  get(index: number): DigitPair {
    return {
      images: rowOf(this.images, index),
      targets: rowOf(this.targets, index),
      classes: rowOf(this.classes, index),
    };
  }

  /**
   * The same images in new pairs.
   *
   * @param seed The seed of the permutation that the pairs are cut from.
   * @returns As many pairs; each image is again in one of them.
   *
   * @example No image is lost
   * ```ts
   * import { digitPairs, generatedDigits } from "@heddle/data";
   * import { assertEquals } from "@std/assert";
   *
   * const { train } = generatedDigits({ train: 20, test: 0 });
   * const pairs = digitPairs(train, { count: 10 });
   * const again = pairs.repaired(1);
   * assertEquals(again.classes.data.toSorted(), pairs.classes.data.toSorted());
   * ```
   */
  repaired(seed: number): DigitPairs {
    const order = new SeededRandom(seed).permutation(2 * this.length);
    return new DigitPairs(
      hostArray(
        pick(this.images.data, order, this.images.shape),
        this.images.shape,
      ),
      hostArray(
        this.classes.data.map((_, at) => this.classes.data[order[at]!]!),
        [
          this.length,
          2,
        ],
      ),
    );
  }
}

/**
 * Cuts pairs of digits from images of digits: the comparison task of siamese
 * networks.
 *
 * Images are averaged over squares of 2 x 2 pixels (28 x 28 becomes 14 x 14, an
 * odd last row or column is left out). A random permutation is cut into pairs,
 * so that no image is in two of them; the target is 1 where the first digit <=
 * the second.
 *
 * @param digits Images of one channel, such as MNIST's training images.
 * @param options Count, seed, range of the pixels.
 * @returns The pairs with their targets and digits.
 * @throws {RangeError} If there are too few images, or they are no
 * `[count, height, width]` of at least 2 x 2.
 *
 * @example Ten pairs in batches of five
 * ```ts
 * import { DataLoader, digitPairs, generatedDigits } from "@heddle/data";
 * import { assertEquals } from "@std/assert";
 *
 * const { train } = generatedDigits({ train: 20, test: 0 });
 * const pairs = digitPairs(train, { count: 10, seed: 1 });
 * for await (const batch of new DataLoader(pairs, { batchSize: 5 })) {
 *   assertEquals(batch.images.shape, [5, 2, 14, 14]);
 *   assertEquals(batch.targets.shape, [5]);
 *   assertEquals(batch.classes.shape, [5, 2]);
 * }
 * ```
 */
export function digitPairs(
  digits: LabelledImages,
  options: DigitPairsOptions = {},
): DigitPairs {
  const { count = 1000, seed = 0, pixels = "unit" } = options;
  const [, height, width, ...more] = digits.images.shape;
  if (!(height! >= 2 && width! >= 2) || more.length > 0) {
    throw new RangeError(
      `digitPairs: images must be [count, height, width] of at least 2 x 2: ` +
        `got [${digits.images.shape.join(", ")}]`,
    );
  }
  if (!Number.isSafeInteger(count) || count < 0 || 2 * count > digits.length) {
    throw new RangeError(
      `digitPairs: ${count} pairs need ${2 * count} images: there are ` +
        `${digits.length}: ask for at most ${Math.floor(digits.length / 2)}`,
    );
  }
  const order = new SeededRandom(seed).permutation(digits.length)
    .subarray(0, 2 * count);
  const [pooledHeight, pooledWidth] = [height! >> 1, width! >> 1];
  const size = pooledHeight * pooledWidth;
  const images = new Float32Array(2 * count * size);
  order.forEach((index, place) => {
    const image = digits.get(index).images.data;
    averagePool(
      image,
      width!,
      images.subarray(place * size, (place + 1) * size),
      pooledWidth,
      pixels === "unit" ? 255 : 1,
    );
  });
  return new DigitPairs(
    hostArray(images, [count, 2, pooledHeight, pooledWidth]),
    hostArray(
      Int32Array.from(order, (index) => digits.labels.data[index]!),
      [count, 2],
    ),
  );
}

/**
 * A set of pairs that pairs its images anew in every epoch: epoch 0 has the
 * pairs as they are.
 *
 * @param pairs The images.
 * @param seed The seed of the new pairs. Default 0.
 * @returns A set for a loader, which tells it the epoch.
 *
 * @example Other pairs in the next epoch
 * ```ts
 * import { digitPairs, generatedDigits, pairedAnew } from "@heddle/data";
 * import { assertEquals, assertNotEquals } from "@std/assert";
 *
 * const { train } = generatedDigits({ train: 40, test: 0 });
 * const pairs = digitPairs(train, { count: 20 });
 * const anew = pairedAnew(pairs);
 * await anew.setEpoch?.(1);
 * assertNotEquals(await anew.get(0), pairs.get(0));
 * await anew.setEpoch?.(0);
 * assertEquals(await anew.get(0), pairs.get(0));
 * ```
 */
export function pairedAnew(
  pairs: DigitPairs,
  seed: number = 0,
): Dataset<DigitPair> {
  const seeds = new SeededRandom(seed);
  let current = pairs;
  return {
    length: pairs.length,
    get: (index) => current.get(index),
    setEpoch: (epoch) => {
      current = epoch === 0
        ? pairs
        : pairs.repaired(seeds.fold(epoch).uint32());
    },
  };
}

/** Means of 2 x 2 pixels, divided by `scale`. */
function averagePool(
  image: Uint8Array,
  width: number,
  pooled: Float32Array,
  pooledWidth: number,
  scale: number,
): void {
  for (let at = 0; at < pooled.length; at++) {
    const row = Math.floor(at / pooledWidth);
    const corner = 2 * row * width + 2 * (at % pooledWidth);
    const sum = image[corner]! + image[corner + 1]! + image[corner + width]! +
      image[corner + width + 1]!;
    pooled[at] = sum / 4 / scale;
  }
}

/** Images in a new order. */
function pick(
  images: Float32Array,
  order: Uint32Array,
  [, , height, width]: readonly number[],
): Float32Array {
  const size = height! * width!;
  const picked = new Float32Array(images.length);
  order.forEach((from, to) => {
    picked.set(images.subarray(from * size, (from + 1) * size), to * size);
  });
  return picked;
}
