import { GLYPHS } from "./_glyphs.ts";
import { drawChain, flatten, type Point } from "./_strokes.ts";
import { hostArray } from "./host_array.ts";
import { type ImageSplits, LabelledImages } from "./labelled_images.ts";
import { SeededRandom } from "./seeded_random.ts";

/** How many digits are drawn, and how. */
export interface GeneratedDigitsOptions {
  /**
   * Images to learn from.
   *
   * @default 10000
   */
  readonly train?: number | undefined;
  /**
   * Images to judge by.
   *
   * @default 4000
   */
  readonly test?: number | undefined;
  /**
   * Each seed has its own images; image `i` does not depend on how many there
   * are.
   *
   * @default 0
   */
  readonly seed?: number | undefined;
  /**
   * Standard deviation of the noise on each pixel, as a fraction of full ink.
   *
   * @default 0.05
   */
  readonly noise?: number | undefined;
}

const SIZE = 28;
const CLASSES: readonly string[] = Array.from("0123456789");

/**
 * Draws digits: a stand-in for {@linkcode mnist} where it cannot be had.
 *
 * Each image is one of several ways to write its digit, as pen strokes whose
 * points are moved a little, under a random affine map (size, slant, rotation,
 * place) and pen, with noise. As in MNIST: 28 x 28 uint8, ink 255 on paper 0,
 * about 20 pixels high. They are easier than people's digits: accuracies on them
 * do not compare with published ones.
 *
 * @param options Counts, seed, noise.
 * @returns Training and test images; `source` is "generated".
 * @throws {RangeError} If a count is not a whole number from 0.
 *
 * @example The same seed, the same images
 * ```ts
 * import { generatedDigits } from "@heddle/data";
 * import { assertEquals } from "@std/assert";
 *
 * const { train } = generatedDigits({ train: 20, test: 0, seed: 1 });
 * assertEquals(train.images.shape, [20, 28, 28]);
 * const fewer = generatedDigits({ train: 5, test: 0, seed: 1 }).train;
 * assertEquals(fewer.get(4), train.get(4));
 * ```
 */
export function generatedDigits(
  options: GeneratedDigitsOptions = {},
): ImageSplits {
  const { train = 10_000, test = 4_000, seed = 0, noise = 0.05 } = options;
  const random = new SeededRandom(seed);
  return {
    train: drawSet("train", train, random.fold(0), noise),
    test: drawSet("test", test, random.fold(1), noise),
    source: "generated",
  };
}

function drawSet(
  name: string,
  count: number,
  random: SeededRandom,
  noise: number,
): LabelledImages {
  if (!Number.isSafeInteger(count) || count < 0) {
    throw new RangeError(
      `generatedDigits: ${name} must be a whole number from 0: got ${count}`,
    );
  }
  const images = new Uint8Array(count * SIZE * SIZE);
  const labels = new Uint8Array(count);
  const ink = new Float32Array(SIZE * SIZE);
  for (let index = 0; index < count; index++) {
    const hand = random.fold(index);
    const digit = hand.integer(10);
    labels[index] = digit;
    ink.fill(0);
    drawDigit(ink, digit, hand);
    for (let pixel = 0; pixel < ink.length; pixel++) {
      // Noise below the paper or above full ink is cut off.
      const value = ink[pixel]! + noise * roughNormal(hand.uint32());
      images[index * ink.length + pixel] = Math.round(
        255 * Math.min(Math.max(value, 0), 1),
      );
    }
  }
  return new LabelledImages(
    hostArray(images, [count, SIZE, SIZE]),
    hostArray(labels),
    CLASSES,
  );
}

function drawDigit(
  ink: Float32Array,
  digit: number,
  hand: SeededRandom,
): void {
  const ways = GLYPHS[digit]!;
  const way = ways[hand.integer(ways.length)]!;
  const place = placement(hand);
  const pen = hand.uniform(0.7, 1.7);
  for (const stroke of way) {
    const points = stroke.points.map(([x, y]): Point => [
      x + hand.normal(0, 0.03),
      y + hand.normal(0, 0.03),
    ]);
    const chain = flatten({ points, kind: stroke.kind }, 6).map(place);
    const press = hand.uniform(-0.25, 0.25);
    drawChain(ink, SIZE, chain, (along) => pen * (1 + press * (2 * along - 1)));
  }
  const shade = hand.uniform(0.75, 1);
  for (let pixel = 0; pixel < ink.length; pixel++) ink[pixel]! *= shade;
}

/** A random affine map from the unit box to pixels. */
function placement(hand: SeededRandom): (point: Point) => Point {
  const height = hand.uniform(16, 21);
  const width = height * hand.uniform(0.5, 0.95);
  const angle = hand.normal(0, 0.12);
  const slant = hand.normal(0.12, 0.18);
  const centerX = (SIZE - 1) / 2 + hand.normal(0, 1);
  const centerY = (SIZE - 1) / 2 + hand.normal(0, 1);
  const [sine, cosine] = [Math.sin(angle), Math.cos(angle)];
  return ([x, y]) => {
    const downward = (y - 0.5) * height;
    const across = (x - 0.5) * width - slant * downward;
    return [
      centerX + cosine * across - sine * downward,
      centerY + sine * across + cosine * downward,
    ];
  };
}

/**
 * Nearly normal, mean 0 and deviation 1: the sum of the four bytes of a word,
 * for one draw where the exact one takes four and a logarithm.
 */
function roughNormal(word: number): number {
  const sum = (word & 255) + (word >>> 8 & 255) + (word >>> 16 & 255) +
    (word >>> 24);
  return (sum - 4 * 127.5) / Math.sqrt(4 * (256 ** 2 - 1) / 12);
}
