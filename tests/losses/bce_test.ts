import { bce, bceWithLogits } from "@heddle/losses";
import { sigmoid, tensor, zeros } from "@heddle/tensor";
import { assertEquals, assertThrows } from "@std/assert";
import { assertClose } from "../assert_close.ts";
import { checkGradients, checkSecondDerivatives } from "../check_gradients.ts";
import { deviceTest } from "../devices.ts";
import { seeded } from "../seeded.ts";
import { type Values, zip } from "../values.ts";

const bceReference = (p: Values, t: Values, w: Values, posWeight?: Values) =>
  zip(
    (p, t, w, pos = 1) =>
      -w * (pos * t * Math.max(Math.log(p), -100) +
        (1 - t) * Math.max(Math.log1p(-p), -100)),
    p,
    t,
    w,
    ...(posWeight ? [posWeight] : []),
  );

const logistic = (x: Values) => x.map((v) => 1 / (1 + Math.exp(-v)));

for (const shape of [[2, 3, 5], [65]]) {
  deviceTest(`bce() matches its float64 reference, [${shape}]`, async () => {
    const from = seeded(shape.length);
    const probs = from.values(shape, { low: 0.01, high: 0.99 });
    const targets = from.values(shape, { low: 0, high: 1 });
    const weights = from.values(shape.slice(-1), { low: 0.5, high: 2 });
    await checkGradients(
      (p, t) => bce(p, t, { weights: weights.tensor(), reduction: "none" }),
      (p, t) => bceReference(p, t, weights),
      [probs, targets],
    );
  });

  deviceTest(
    `bceWithLogits() matches its float64 reference, [${shape}]`,
    async () => {
      const from = seeded(shape.length + 3);
      const logits = from.values(shape, { low: -6, high: 6 });
      const targets = from.values(shape, { low: 0, high: 1 });
      const weights = from.values(shape.slice(-1), { low: 0.5, high: 2 });
      const posWeight = from.values([1], { low: 2, high: 3 });
      await checkGradients(
        (x, t) =>
          bceWithLogits(x, t, {
            weights: weights.tensor(),
            posWeight: posWeight.tensor(),
            reduction: "none",
          }),
        (x, t) => bceReference(logistic(x), t, weights, posWeight),
        [logits, targets],
      );
    },
  );
}

deviceTest("bce() is right for tiny probabilities", async () => {
  const losses = bce(tensor([1e-6, 1e-30]), zeros([2]), { reduction: "none" });
  // 1 - 1e-6 in float32 would be 6 % off.
  await assertClose(losses, [1e-6, 1e-30], { rtol: 1e-5, atol: 1e-12 });
});

deviceTest("bce() bounds logarithms by -100 and slopes by 1e12", async () => {
  const probs = tensor([0, 1, 0, 1], { requiresGrad: true });
  const targets = tensor([0, 1, 1, 0]);
  const losses = bce(probs, targets, { reduction: "none" });
  await assertClose(losses, [0, 0, 100, 100]);
  losses.sum().backward();
  await assertClose(probs.grad!, [0, 0, -1e12, 1e12]);
});

deviceTest("bce() is NaN outside of 0 to 1", async () => {
  const losses = bce(tensor([-0.5, 1.5]), tensor([1, 0]), {
    reduction: "none",
  });
  await assertClose(losses, [NaN, NaN]);
});

deviceTest("bce() and bceWithLogits() have second derivatives", async () => {
  const from = seeded(11);
  const targets = from.values([5], { low: 0, high: 1 });
  const weights = from.values([5], { low: 1, high: 2 });
  const probs = from.values([5], { low: 0.2, high: 0.8 });
  const options = { weights: weights.tensor(), reduction: "none" } as const;
  await checkSecondDerivatives(
    (p) => bce(p, targets.tensor(), options),
    (p) => bceReference(p, targets, weights),
    probs,
  );
  await checkSecondDerivatives(
    (x) => bceWithLogits(x, targets.tensor(), options),
    (x) => bceReference(logistic(x), targets, weights),
    from.values([5]),
  );
});

deviceTest("bceWithLogits() is bce() of their sigmoid", async () => {
  const logits = seeded(1).values([3, 5], { low: -8, high: 8 }).tensor();
  const targets = seeded(2).values([3, 5], { low: 0, high: 1 }).tensor();
  const options = { reduction: "none" } as const;
  const other = bce(sigmoid(logits), targets, options);
  // log(1 - p) of a p near 1 has lost digits.
  const tolerance = { rtol: 1e-3 };
  const expected = await other.data();
  await assertClose(
    bceWithLogits(logits, targets, options).reshape([15]),
    expected,
    tolerance,
  );
});

deviceTest("bceWithLogits() neither overflows nor cancels", async () => {
  const logits = tensor([1e30, -1e30, 20, -20, 0], { requiresGrad: true });
  const targets = tensor([1, 0, 1, 0, 0.25]);
  const losses = bceWithLogits(logits, targets, { reduction: "none" });
  const tiny = Math.log1p(Math.exp(-20));
  await assertClose(losses, [0, 0, tiny, tiny, Math.log(2)], {
    rtol: 1e-5,
    atol: 1e-14,
  });
  losses.sum().backward();
  await assertClose(logits.grad!, [
    0,
    0,
    -Math.exp(-20),
    Math.exp(-20),
    0.25,
  ], { rtol: 1e-5, atol: 1e-14 });
});

deviceTest("bce() of nothing: mean NaN, sum 0", async () => {
  const nothing = zeros([0, 3]);
  for (const loss of [bce, bceWithLogits]) {
    await assertClose(loss(nothing, nothing), NaN);
    await assertClose(loss(nothing, nothing, { reduction: "sum" }), 0);
    const none = loss(nothing, nothing, { reduction: "none" });
    assertEquals(none.shape, [0, 3]);
    assertEquals((await none.data()).length, 0);
  }
});

Deno.test("bce() and bceWithLogits() name what is wrong", () => {
  const x = zeros([2, 3]);
  assertThrows(
    () => bce(x, zeros([2])),
    RangeError,
    "bce: probs and targets differ in shape: got [2, 3] and [2]: reshape or expand one of them",
  );
  assertThrows(
    () => bce(x, x.cast("bool")),
    TypeError,
    "bce: targets must be float32: got bool: cast it first",
  );
  assertThrows(
    () => bceWithLogits(x.cast("int32"), x),
    TypeError,
    "bceWithLogits: logits must be float32: got int32",
  );
  assertThrows(
    () => bce(x, x, { weights: zeros([2]) }),
    RangeError,
    "bce: weights do not broadcast: got [2] for [2, 3]",
  );
  assertThrows(
    () => bceWithLogits(x, x, { posWeight: zeros([1, 2, 3]) }),
    RangeError,
    "bceWithLogits: posWeight do not broadcast: got [1, 2, 3] for [2, 3]",
  );
  assertThrows(
    () => bce(x, x, { reduction: "batchmean" as "mean" }),
    RangeError,
    'bce: no such reduction: got "batchmean": use none, mean, sum',
  );
});
