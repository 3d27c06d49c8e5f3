import { layerNorm, type Tensor, tensor, zeros } from "@heddle/tensor";
import { assertEquals, assertThrows } from "@std/assert";
import { assertClose } from "../assert_close.ts";
import { checkGradients } from "../check_gradients.ts";
import { deviceTest } from "../devices.ts";
import { seeded } from "../seeded.ts";
import { Values, zip } from "../values.ts";

function normalize(x: Values, count: number, eps: number): Values {
  const axes = Array.from({ length: count }, (_, i) => x.shape.length - 1 - i);
  const mean = (v: Values) =>
    v.reduce(
      axes,
      true,
      (list) => list.reduce((a, b) => a + b, 0) / list.length,
    );
  const apart = zip((a, m) => a - m, x, mean(x));
  return zip(
    (a, v) => a / Math.sqrt(v + eps),
    apart,
    mean(apart.map((a) => a * a)),
  );
}

deviceTest("layerNorm() normalizes the last axes, with gradients", async () => {
  const x = seeded(1).values([2, 3, 5]);
  for (const axes of [1, 2, 3]) {
    for (const eps of [1e-5, 0.1]) {
      await checkGradients(
        (t) => layerNorm(t, { axes, eps }),
        (v) => normalize(v, axes, eps),
        x,
        { of: `${axes} axes, eps ${eps}` },
      );
    }
  }
});

deviceTest(
  "layerNorm() scales and shifts, with all three gradients",
  async () => {
    const random = seeded(2);
    const x = random.values([4, 3, 5]);
    for (const inner of [[5], [3, 5]]) {
      const axes = inner.length;
      await checkGradients(
        (t, weight, bias) =>
          layerNorm(t!, { weight: weight!, bias: bias!, axes }),
        (v, w, b) =>
          zip((y, s, c) => y * s + c, normalize(v!, axes, 1e-5), w!, b!),
        [x, random.values(inner), random.values(inner)],
      );
      await checkGradients(
        (t, bias) => layerNorm(t!, { bias: bias!, axes }),
        (v, b) => zip((y, c) => y + c, normalize(v!, axes, 1e-5), b!),
        [x, random.values(inner)],
      );
    }
  },
);

deviceTest("layerNorm() takes every row length", async () => {
  for (const size of [1, 2, 63, 64, 65, 257, 1030]) {
    const x = seeded(size).values([3, size]);
    await assertClose(layerNorm(x.tensor()), normalize(x, 1, 1e-5), {
      rtol: 1e-4, // a deviation of few elements may be small
      atol: 1e-5,
      of: `${size}`,
    });
  }
});

deviceTest("layerNorm() keeps its digits beside a large mean", async () => {
  const x = new Values([1, 4], [8192, 8193, 8194, 8195]);
  await assertClose(layerNorm(x.tensor()), normalize(x, 1, 1e-5));
});

deviceTest("layerNorm() of equal elements is 0", async () => {
  await assertClose(layerNorm(tensor([[3, 3, 3]])), [[0, 0, 0]]);
  assertEquals((await layerNorm(zeros([0, 3])).data()).length, 0);
});

Deno.test("layerNorm() refuses shapes that do not fit", () => {
  const x: Tensor = zeros([2, 3]);
  for (const axes of [0, 3, 1.5]) {
    assertThrows(
      () => layerNorm(x, { axes }),
      RangeError,
      `layerNorm: axes must be 1 to 2: got ${axes} for [2, 3]`,
    );
  }
  assertThrows(
    () => layerNorm(x, { weight: zeros([2]) }),
    RangeError,
    "layerNorm: weight must be [3]: got [2]",
  );
  assertThrows(
    () => layerNorm(x, { bias: zeros([3]), axes: 2 }),
    RangeError,
    "layerNorm: bias must be [2, 3]: got [3]",
  );
});
