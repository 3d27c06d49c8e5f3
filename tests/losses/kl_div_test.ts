import { crossEntropy, klDiv } from "@heddle/losses";
import { logSoftmax, softmax, tensor, zeros } from "@heddle/tensor";
import { assertThrows } from "@std/assert";
import { assertClose } from "../assert_close.ts";
import { checkGradients } from "../check_gradients.ts";
import { deviceTest } from "../devices.ts";
import { seeded } from "../seeded.ts";
import { Values, zip } from "../values.ts";

const REDUCTIONS = ["none", "mean", "sum", "batchmean"] as const;

for (const reduction of REDUCTIONS) {
  deviceTest(
    `klDiv() matches its float64 reference, ${reduction}`,
    async () => {
      for (const shape of [[3, 5], [65], []]) {
        const from = seeded(shape.length + 2);
        const logProbs = from.values(shape, { low: -5, high: 0 });
        const probs = from.values(shape, { low: 0.05, high: 1 });
        const reduced = (each: Values) => {
          if (reduction === "none") return each;
          const sum = each.data.reduce((a, b) => a + b, 0);
          const by = { mean: each.size, sum: 1, batchmean: shape[0] ?? 1 };
          return new Values([], [sum / by[reduction]]);
        };
        const tolerance = { forward: { atol: 1e-7 * 65 * 5 } };
        await checkGradients(
          (x, t) => klDiv(x, t, { reduction }),
          (x, t) => reduced(zip((x, t) => t * (Math.log(t) - x), x, t)),
          [logProbs, probs],
          { of: `[${shape}]`, ...tolerance },
        );
        await checkGradients(
          (x, t) => klDiv(x, t, { reduction, logTarget: true }),
          (x, t) => reduced(zip((x, t) => Math.exp(t) * (t - x), x, t)),
          [logProbs, from.values(shape, { low: -5, high: 0 })],
          { of: `[${shape}] logTarget`, ...tolerance },
        );
      }
    },
  );
}

deviceTest("klDiv() counts nothing for a target of 0", async () => {
  const logProbs = tensor([-1, -2], { requiresGrad: true });
  const targets = tensor([0, 1], { requiresGrad: true });
  const losses = klDiv(logProbs, targets, { reduction: "none" });
  await assertClose(losses, [0, 2]);
  losses.sum().backward();
  await assertClose(logProbs.grad!, [0, -1]);
  await assertClose(targets.grad!, [1, 3]);
});

deviceTest(
  "klDiv() of equal distributions is 0, with and without logTarget",
  async () => {
    const logProbs = logSoftmax(seeded(5).values([4, 9]).tensor());
    for (const logTarget of [false, true]) {
      const targets = logTarget ? logProbs : logProbs.exp();
      const loss = klDiv(logProbs, targets, {
        reduction: "batchmean",
        logTarget,
      });
      await assertClose(loss, 0);
    }
  },
);

deviceTest(
  "klDiv() batchmean is crossEntropy() less the targets' entropy",
  async () => {
    const logits = seeded(1).values([4, 3]).tensor();
    const probs = softmax(seeded(2).values([4, 3]).tensor());
    const entropy = await probs.mul(probs.log()).sum().neg().item() / 4;
    const expected = await crossEntropy(logits, probs).item() - entropy;
    await assertClose(
      klDiv(logSoftmax(logits), probs, { reduction: "batchmean" }),
      expected,
      { atol: 2e-6 },
    );
  },
);

deviceTest("klDiv() of an empty batch: means NaN, sum 0", async () => {
  const nothing = zeros([0, 3]);
  for (const reduction of ["mean", "batchmean"] as const) {
    await assertClose(klDiv(nothing, nothing, { reduction }), NaN);
  }
  await assertClose(klDiv(nothing, nothing, { reduction: "sum" }), 0);
});

Deno.test("klDiv() names what is wrong", () => {
  const x = zeros([2, 3]);
  assertThrows(
    () => klDiv(x, zeros([3])),
    RangeError,
    "klDiv: logProbs and targets differ in shape: got [2, 3] and [3]",
  );
  assertThrows(
    () => klDiv(x, zeros([2, 3], { dtype: "int32" })),
    TypeError,
    "klDiv: targets must be float32: got int32: cast it first",
  );
  assertThrows(
    () => klDiv(x, x, { reduction: "batch" as "sum" }),
    RangeError,
    'klDiv: no such reduction: got "batch": use none, mean, sum, batchmean',
  );
});
