import {
  DigitPairs,
  digitPairs,
  hostArray,
  LabelledImages,
  pairedAnew,
} from "@heddle/data";
import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertNotEquals,
  assertThrows,
} from "@std/assert";

const CLASSES = Array.from("0123456789");

/** `count` images of 5 x 4 whose pixels are `20 * image + place`. */
function counted(count: number): LabelledImages {
  return new LabelledImages(
    hostArray(Uint8Array.from({ length: count * 20 }, (_, i) => i), [
      count,
      5,
      4,
    ]),
    hostArray(Uint8Array.from({ length: count }, (_, i) => i % 10)),
    CLASSES,
  );
}

Deno.test("digitPairs() averages squares of 2 x 2 and drops odd edges", () => {
  const digits = counted(2);
  const { images, classes } = digitPairs(digits, { count: 1, pixels: "byte" });
  assertEquals(images.shape, [1, 2, 2, 2]);
  // By hand for image 0: (0 + 1 + 4 + 5) / 4, (2 + 3 + 6 + 7) / 4, ...
  const zero = [2.5, 4.5, 10.5, 12.5];
  const pooled = [zero, zero.map((pixel) => pixel + 20)];
  assertEquals(
    [...images.data],
    [...classes.data].flatMap((image) => pooled[image]!),
  );
  const unit = digitPairs(digits, { count: 1 }).images.data;
  unit.forEach((pixel, at) =>
    assertAlmostEquals(pixel, images.data[at]! / 255, 1e-7)
  );
});

Deno.test("digitPairs() uses no image twice, and says which is larger", () => {
  const count = 6;
  const pairs = digitPairs(counted(12), { count, seed: 3, pixels: "byte" });
  assertEquals(pairs.length, count);
  const firstPixels = Array.from(
    { length: 12 },
    (_, at) => pairs.images.data[at * 4]!,
  );
  assertEquals(new Set(firstPixels).size, 12);
  for (let pair = 0; pair < count; pair++) {
    const [a, b] = pairs.classes.data.subarray(2 * pair, 2 * pair + 2);
    assertEquals(pairs.targets.data[pair], a! <= b! ? 1 : 0);
    // The pixels are those of the image with that class.
    const image = Math.floor(firstPixels[2 * pair]! / 20);
    assertEquals(image % 10, a);
  }
  assert(pairs.targets.data.includes(0) && pairs.targets.data.includes(1));
});

Deno.test("digitPairs() counts equal digits as ordered", () => {
  const same = new LabelledImages(
    hostArray(new Uint8Array(8), [2, 2, 2]),
    hostArray(Uint8Array.of(5, 5)),
    CLASSES,
  );
  assertEquals(digitPairs(same, { count: 1 }).targets.data, Float32Array.of(1));
});

Deno.test("digitPairs() depends on its seed", () => {
  const digits = counted(10);
  const of = (seed: number) => digitPairs(digits, { count: 5, seed }).classes;
  assertEquals(of(1), of(1));
  assertNotEquals(of(1), of(2));
});

Deno.test("digitPairs() refuses too many pairs and images with channels", () => {
  assertThrows(
    () => digitPairs(counted(5), { count: 3 }),
    RangeError,
    "3 pairs need 6 images: there are 5: ask for at most 2",
  );
  const color = new LabelledImages(
    hostArray(new Uint8Array(24), [2, 3, 2, 2]),
    hostArray(Uint8Array.of(0, 1)),
    CLASSES,
  );
  assertThrows(
    () => digitPairs(color, { count: 1 }),
    RangeError,
    "got [2, 3, 2, 2]",
  );
});

Deno.test("DigitPairs.repaired() moves each image with its digit", () => {
  const pairs = digitPairs(counted(10), { count: 5, pixels: "byte" });
  const again = pairs.repaired(8);
  assertNotEquals(again.classes, pairs.classes);
  again.classes.data.forEach((digit, at) => {
    // Digit d is image d, whose first pixel is the mean of 20 d + 0, 1, 4, 5.
    assertEquals(again.images.data[at * 4], 20 * digit + 2.5);
  });
  assertEquals(again.images.shape, pairs.images.shape);
});

Deno.test("DigitPairs refuses shapes that disagree", () => {
  assertThrows(
    () =>
      new DigitPairs(
        hostArray(new Float32Array(8), [1, 2, 2, 2]),
        hostArray(new Int32Array(4), [2, 2]),
      ),
    RangeError,
    "got [1, 2, 2, 2] and [2, 2]",
  );
});

Deno.test("pairedAnew() has pairs that depend on the epoch only", async () => {
  const anew = pairedAnew(digitPairs(counted(12), { count: 6 }), 4);
  const draw = async (epoch: number) => {
    await anew.setEpoch?.(epoch);
    return await Promise.all([0, 1, 2, 3, 4, 5].map((i) => anew.get(i)));
  };
  const [one, two] = [await draw(1), await draw(2)];
  assertNotEquals(one, two);
  assertEquals(await draw(1), one);
});
