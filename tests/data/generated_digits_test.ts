import {
  generatedDigits,
  hostArray,
  LabelledImages,
  mnist,
} from "@heddle/data";
import {
  assert,
  assertEquals,
  assertNotEquals,
  assertThrows,
} from "@std/assert";
import { realData } from "./places.ts";

Deno.test("generatedDigits() draws the same images from the same seed", () => {
  const options = { train: 6, test: 6, seed: 2 };
  const { train, test, source } = generatedDigits(options);
  assertEquals(source, "generated");
  assertEquals(generatedDigits(options).train, train);
  assertNotEquals(train.images, test.images);
  const other = generatedDigits({ ...options, seed: 3 });
  assertNotEquals(other.train.images, train.images);
});

Deno.test("generatedDigits() draws all digits in about equal numbers", () => {
  const { train } = generatedDigits({ train: 1000, test: 0 });
  const counts = new Array<number>(10).fill(0);
  for (const label of train.labels.data) counts[label]!++;
  // Binomial: mean 100, standard deviation 9.5; four of them.
  for (const count of counts) assert(Math.abs(count - 100) < 38, `${counts}`);
});

Deno.test("generatedDigits() has paper of 0 and ink of full range", () => {
  const { train } = generatedDigits({ train: 50, test: 0, noise: 0 });
  for (let index = 0; index < train.length; index++) {
    const { data } = train.get(index).images;
    assert(Math.max(...data) > 150);
    const blank = data.filter((pixel) => pixel === 0).length;
    assert(blank > 392 && blank < 750, `${blank} blank pixels`);
  }
  const noisy = generatedDigits({ train: 1, test: 0, noise: 0.2 }).train;
  assert(noisy.images.data.filter((pixel) => pixel === 0).length < 450);
});

Deno.test("generatedDigits() refuses counts that are none", () => {
  for (const count of [-1, 0.5, NaN]) {
    assertThrows(() => generatedDigits({ train: count }), RangeError, "train");
    assertThrows(
      () => generatedDigits({ train: 0, test: count }),
      RangeError,
      "test",
    );
  }
});

/** The share of `asked` whose nearest of `known` has the same class. */
function nearestNeighbour(
  known: LabelledImages,
  asked: LabelledImages,
): number {
  let right = 0;
  const all = Array.from(known.labels.data, (_, index) => known.get(index));
  for (let index = 0; index < asked.length; index++) {
    const image = asked.get(index).images.data;
    let nearest = Infinity;
    let label = -1;
    for (const other of all) {
      let distance = 0;
      for (let pixel = 0; pixel < image.length; pixel++) {
        distance += (image[pixel]! - other.images.data[pixel]!) ** 2;
      }
      if (distance < nearest) {
        [nearest, label] = [distance, other.labels.data[0]!];
      }
    }
    if (label === asked.labels.data[index]) right++;
  }
  return right / asked.length;
}

Deno.test("generatedDigits() can be told apart, with some effort", () => {
  const { train, test } = generatedDigits({ train: 1000, test: 200 });
  const accuracy = nearestNeighbour(train, test);
  // 0.845 with this seed; networks do better.
  assert(accuracy > 0.8 && accuracy < 0.97, `accuracy ${accuracy}`);
});

const REAL = realData("mnist");

Deno.test({
  name: "generatedDigits() look like digits: they name the real ones",
  ignore: REAL === undefined,
  fn: async () => {
    const { train } = generatedDigits({ train: 1000, test: 0, seed: 1 });
    const { test } = await mnist({ folder: REAL, cache: null });
    const some = new LabelledImages(
      hostArray(test.images.data.subarray(0, 200 * 784), [200, 28, 28]),
      hostArray(test.labels.data.subarray(0, 200)),
      test.classes,
    );
    const accuracy = nearestNeighbour(train, some);
    assert(accuracy > 0.5, `accuracy ${accuracy}; chance is 0.1`);
  },
});
