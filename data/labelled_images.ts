import { rowOf } from "./_host_array.ts";
import type { Dataset } from "./dataset.ts";
import type { HostArray } from "./host_array.ts";

/** One image with its class. */
export interface LabelledImage {
  /** Pixels 0 to 255: `[height, width]`, or `[channels, height, width]`. */
  readonly images: HostArray<Uint8Array>;
  /** Its class, of shape `[]`. */
  readonly labels: HostArray<Uint8Array>;
}

/**
 * Images of one size with their classes: a part of MNIST, CIFAR-10 and others.
 *
 * It is a {@linkcode Dataset}: a loader over it gives batches of `images` and
 * `labels`.
 *
 * @example Two images of one pixel
 * ```ts
 * import { hostArray, LabelledImages } from "@heddle/data";
 * import { assertEquals } from "@std/assert";
 *
 * const set = new LabelledImages(
 *   hostArray(Uint8Array.of(0, 255), [2, 1, 1]),
 *   hostArray(Uint8Array.of(3, 8)),
 *   ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
 * );
 * assertEquals(set.length, 2);
 * assertEquals(set.get(1).images.data, Uint8Array.of(255));
 * assertEquals(set.get(1).labels.data, Uint8Array.of(8));
 * ```
 */
export class LabelledImages implements Dataset<LabelledImage> {
  /** Pixels: `[count, height, width]`, or `[count, channels, height, width]`. */
  readonly images: HostArray<Uint8Array>;
  /** The class of each image: `[count]`. */
  readonly labels: HostArray<Uint8Array>;
  /** What each class is called. */
  readonly classes: readonly string[];

  /**
   * Joins images and labels, and checks that they agree.
   *
   * @param images Pixels, `[count, ...]`.
   * @param labels Class of each image, `[count]`.
   * @param classes What each class is called.
   * @throws {RangeError} If the counts differ or a label has no class.
   */
  constructor(
    images: HostArray<Uint8Array>,
    labels: HostArray<Uint8Array>,
    classes: readonly string[],
  ) {
    if (labels.shape.length !== 1 || images.shape[0] !== labels.shape[0]) {
      throw new RangeError(
        `LabelledImages: images and labels disagree: ` +
          `[${images.shape.join(", ")}] and [${labels.shape.join(", ")}]: ` +
          `give one label for each image`,
      );
    }
    const wrong = labels.data.findIndex((label) => label >= classes.length);
    if (wrong >= 0) {
      throw new RangeError(
        `LabelledImages: image ${wrong} has label ${labels.data[wrong]}: ` +
          `there are ${classes.length} classes`,
      );
    }
    this.images = images;
    this.labels = labels;
    this.classes = classes;
  }

  /** How many images there are. */
  get length(): number {
    return this.labels.data.length;
  }

  /**
   * One image; its pixels are shared, not copied.
   *
   * @param index From 0 to `length - 1`.
   * @returns The image and its class.
   */
  get(index: number): LabelledImage {
    return {
      images: rowOf(this.images, index),
      labels: rowOf(this.labels, index),
    };
  }
}

/** A data set of images, split as published. */
export interface ImageSplits {
  /** What a network learns from. */
  readonly train: LabelledImages;
  /** What it is judged by. */
  readonly test: LabelledImages;
  /** Where it comes from: a folder, an address, or "generated". */
  readonly source: string;
}
