import { crossEntropy, type CrossEntropyOptions, nll } from "@heddle/losses";
import { logSoftmax, ones, type Tensor, tensor, zeros } from "@heddle/tensor";
import { assertEquals, assertThrows } from "@std/assert";
import { activeDevice } from "../../tensor/device/session.ts";
import { nodeOf } from "../../tensor/tensor.ts";
import { assertClose } from "../assert_close.ts";
import { checkGradients, checkSecondDerivatives } from "../check_gradients.ts";
import { deviceTest } from "../devices.ts";
import { seeded } from "../seeded.ts";
import { Values } from "../values.ts";

function ids(...values: number[]): Tensor {
  return tensor(new Int32Array(values));
}

interface Weighing {
  readonly weights?: readonly number[];
  readonly ignoreIndex?: number;
  readonly labelSmoothing?: number;
}

/** Rows of losses, and what each counts in the mean; plain loops. */
function reference(
  logits: Values,
  targets: Values,
  { weights, ignoreIndex = -100, labelSmoothing = 0 }: Weighing,
): { losses: number[]; counts: number[] } {
  const classes = logits.shape[1]!;
  const inner = logits.size / logits.shape[0]! / classes;
  const losses: number[] = [];
  const counts: number[] = [];
  targets.data.forEach((target, at) => {
    const [row, place] = [Math.floor(at / inner), at % inner];
    const line = Array.from(
      { length: classes },
      (_, c) => logits.data[(row * classes + c) * inner + place]!,
    );
    const top = Math.max(...line);
    const total = line.reduce((sum, x) => sum + Math.exp(x - top), 0);
    let loss = 0;
    line.forEach((x, c) => {
      const share = (c === target ? 1 - labelSmoothing : 0) +
        labelSmoothing / classes;
      // The weight of smoothing is that of its class, of the rest the target's.
      const weight = weights?.[c] ?? 1;
      loss -= share * weight * (x - top - Math.log(total));
    });
    const kept = target !== ignoreIndex;
    losses.push(kept ? loss : 0);
    counts.push(kept ? weights?.[target] ?? 1 : 0);
  });
  return { losses, counts };
}

function meanOf({ losses, counts }: ReturnType<typeof reference>): number {
  const sum = (list: number[]) => list.reduce((a, b) => a + b, 0);
  return sum(losses) / sum(counts);
}

const CASES: readonly {
  readonly shape: readonly [number, number, ...number[]];
  readonly weighing: Weighing;
}[] = [
  { shape: [7, 5], weighing: {} },
  { shape: [3, 257], weighing: { labelSmoothing: 0.125 } },
  { shape: [257, 3], weighing: { weights: [0.5, 2, 1.25] } },
  { shape: [5, 1], weighing: {} },
  {
    shape: [2, 3, 5, 7],
    weighing: { weights: [0.5, 2, 0], labelSmoothing: 0.3, ignoreIndex: 1 },
  },
  { shape: [1, 11, 1], weighing: { ignoreIndex: 0 } },
];

for (const { shape, weighing } of CASES) {
  const name = `[${shape}] ${JSON.stringify(weighing)}`;
  const make = () => {
    const from = seeded(shape[0] + shape[1]);
    const logits = from.values(shape, { low: -4, high: 4 });
    const left = [shape[0], ...shape.slice(2)];
    const targets = from.integers(left, 0, shape[1]);
    const { weights, ...rest } = weighing;
    const options: CrossEntropyOptions = weights
      ? { ...rest, weights: tensor([...weights]) }
      : rest;
    return { logits, targets, options };
  };

  deviceTest(
    `crossEntropy() matches its float64 reference, ${name}`,
    async () => {
      const { logits, targets, options } = make();
      const given = targets.tensor("int32");
      const rows = reference(logits, targets, weighing);
      const none = crossEntropy(logits.tensor(), given, {
        ...options,
        reduction: "none",
      });
      await assertClose(none, new Values(targets.shape, rows.losses));
      const total = crossEntropy(logits.tensor(), given, {
        ...options,
        reduction: "sum",
      });
      const sum = rows.losses.reduce((a, b) => a + b, 0);
      await assertClose(total, sum, { atol: 1e-7 * targets.size });
      const mean = crossEntropy(logits.tensor(), given, options);
      await assertClose(mean, meanOf(rows));
    },
  );

  if (shape[0] * shape[1] > 600) continue;
  deviceTest(`crossEntropy() gradient matches it, ${name}`, async () => {
    const { logits, targets, options } = make();
    await checkGradients(
      (x) => crossEntropy(x, targets.tensor("int32"), options),
      (x) => new Values([], [meanOf(reference(x, targets, weighing))]),
      logits,
    );
  });
}

deviceTest("crossEntropy() has second derivatives", async () => {
  const targets = new Values([3], [2, 0, 2]);
  await checkSecondDerivatives(
    (x) => crossEntropy(x, targets.tensor("int32"), { labelSmoothing: 0.1 }),
    (x) =>
      new Values([], [meanOf(reference(x, targets, { labelSmoothing: 0.1 }))]),
    seeded(4).values([3, 4]),
  );
});

deviceTest(
  "crossEntropy() of a sure answer is 0, of the other the gap",
  async () => {
    // exp(-1000) is 0 also in float64.
    const logits = tensor([[1000, 0], [1000, 0]], { requiresGrad: true });
    const losses = crossEntropy(logits, ids(0, 1), { reduction: "none" });
    await assertClose(losses, [0, 1000]);
    losses.sum().backward();
    await assertClose(logits.grad!, [[0, 0], [1, -1]]);
  },
);

deviceTest("crossEntropy() leaves out classes that are masked", async () => {
  for (const masked of [-Infinity, -3e38]) {
    const logits = tensor([[0, masked, 0]], { requiresGrad: true });
    const loss = crossEntropy(logits, ids(2));
    loss.backward();
    await assertClose(loss, Math.log(2), { of: `${masked}` });
    await assertClose(logits.grad!, [[0.5, 0, -0.5]], { of: `${masked}` });
  }
});

deviceTest(
  "crossEntropy() mean is NaN where all is ignored, its sum 0",
  async () => {
    const logits = tensor([[1, 2], [3, 4]], { requiresGrad: true });
    const targets = ids(-100, -100);
    await assertClose(crossEntropy(logits, targets), NaN);
    const sum = crossEntropy(logits, targets, { reduction: "sum" });
    await assertClose(sum, 0);
    sum.backward();
    await assertClose(logits.grad!, [[0, 0], [0, 0]]);
  },
);

deviceTest("crossEntropy() is NaN for a target that is no class", async () => {
  const logits = zeros([4, 3]);
  const targets = ids(0, 3, -1, -100);
  const losses = crossEntropy(logits, targets, { reduction: "none" });
  await assertClose(losses, [Math.log(3), NaN, NaN, 0]);
  await assertClose(crossEntropy(logits, targets), NaN);
});

deviceTest("crossEntropy() of an empty batch: mean NaN, sum 0", async () => {
  const logits = zeros([0, 3]);
  assertEquals(
    await crossEntropy(logits, ids(), { reduction: "none" }).toArray(),
    [],
  );
  await assertClose(crossEntropy(logits, ids(), { reduction: "sum" }), 0);
  await assertClose(crossEntropy(logits, ids()), NaN);
  await assertClose(crossEntropy(logits, zeros([0, 3])), NaN);
});

deviceTest(
  "crossEntropy() of probabilities that are 0 or 1 is that of class ids",
  async () => {
    const logits = seeded(8).values([5, 3, 2]);
    const targets = seeded(9).integers([5, 2], 0, 3);
    const oneHot = Values.of(
      [5, 3, 2],
      (row, c, place) => Number(targets.at(row, place) === c),
    );
    for (const labelSmoothing of [0, 0.4]) {
      const options = { labelSmoothing };
      await assertClose(
        crossEntropy(logits.tensor(), oneHot.tensor(), options),
        new Values([], [
          await crossEntropy(logits.tensor(), targets.tensor("int32"), options)
            .item(),
        ]),
      );
    }
  },
);

deviceTest(
  "crossEntropy() gradient by probabilities is minus their logarithms",
  async () => {
    const logits = seeded(5).values([2, 3]);
    const probs = seeded(6).values([2, 3], { low: 0, high: 1 });
    await checkGradients(
      (x, t) => crossEntropy(x, t, { reduction: "sum", labelSmoothing: 0.2 }),
      (x, t) => {
        const logs = x.along(1, (line) => {
          const total = line.reduce((sum, v) => sum + Math.exp(v), 0);
          return line.map((v) => v - Math.log(total));
        });
        let sum = 0;
        logs.data.forEach((v, at) => sum -= v * (0.8 * t.data[at]! + 0.2 / 3));
        return new Values([], [sum]);
      },
      [logits, probs],
    );
  },
);

deviceTest(
  "nll() of log-probabilities is crossEntropy() of their logits",
  async () => {
    const logits = seeded(3).values([5, 3, 2]).tensor();
    const targets = seeded(2).integers([5, 2], 0, 3).tensor("int32");
    const options = { weights: tensor([0.5, 1, 3]), ignoreIndex: 2 };
    await assertClose(
      nll(logSoftmax(logits, 1), targets, options),
      new Values([], [await crossEntropy(logits, targets, options).item()]),
    );
  },
);

deviceTest("nll() of infinite costs elsewhere is finite", async () => {
  const logProbs = tensor([[0, -Infinity]], { requiresGrad: true });
  const loss = nll(logProbs, ids(0));
  loss.backward();
  await assertClose(loss, 0);
  await assertClose(logProbs.grad!, [[-1, 0]]);
});

function kernels(...tensors: Tensor[]): number {
  return activeDevice()!.plan(tensors.map(nodeOf)).steps.length;
}

deviceTest(
  "crossEntropy() is one kernel for rows and one for their mean",
  async () => {
    const logits = await ones([64, 10]).realize();
    const targets = await zeros([64], { dtype: "int32" }).realize();
    const weights = await ones([10]).realize();
    for (const options of [{}, { weights }, { labelSmoothing: 0.1 }]) {
      const of = Object.keys(options).join();
      const x = logits.detach().asVariable();
      await x.realize();
      const rows = crossEntropy(x, targets, { ...options, reduction: "none" });
      assertEquals(kernels(rows), 1, `none ${of}`);
      rows.backward(ones([64]));
      assertEquals(kernels(rows, x.grad!), 1, `none, gradient ${of}`);

      x.grad = null;
      const loss = crossEntropy(x, targets, options);
      // One more for the sum of weights, which the mean divides by.
      const most = options.weights ? 3 : 2;
      assertEquals(kernels(loss) <= most, true, `mean ${of}`);
      loss.backward();
      assertEquals(kernels(loss, x.grad!) <= 3, true, `step ${of}`);
    }
  },
);

Deno.test("crossEntropy() and nll() name what is wrong", () => {
  const logits = zeros([2, 3]);
  const targets = ids(0, 1);
  const cases: [() => unknown, typeof RangeError | typeof TypeError, string][] =
    [
      [
        () => crossEntropy(logits, zeros([2])),
        TypeError,
        "crossEntropy: targets must be int32: got float32 [2]: pass class ids, or probabilities as float32 [2, 3]",
      ],
      [
        () => crossEntropy(logits.cast("int32"), targets),
        TypeError,
        "crossEntropy: logits must be float32: got int32: cast it first",
      ],
      [
        () => crossEntropy(logits, ids(0, 1, 2)),
        RangeError,
        "crossEntropy: targets do not fit the logits: got [3] for [2, 3]: use [2]",
      ],
      [
        () => crossEntropy(zeros([2, 3, 4]), ids(0, 1)),
        RangeError,
        "crossEntropy: targets do not fit the logits: got [2] for [2, 3, 4]: use [2, 4]",
      ],
      [
        () => crossEntropy(zeros([]), ids(0)),
        RangeError,
        "crossEntropy: logits need at least one class: got []: use [batch, classes, ...] or [classes]",
      ],
      [
        () => crossEntropy(zeros([2, 0]), targets),
        RangeError,
        "crossEntropy: logits need at least one class: got [2, 0]",
      ],
      [
        () => crossEntropy(logits, targets, { weights: ones([2]) }),
        RangeError,
        "crossEntropy: needs one weight a class: got [2] for 3 classes",
      ],
      [
        () => crossEntropy(logits, targets, { weights: ids(1, 2, 3) }),
        TypeError,
        "crossEntropy: weights must be float32: got int32",
      ],
      [
        () => crossEntropy(logits, targets, { labelSmoothing: 1.5 }),
        RangeError,
        "crossEntropy: labelSmoothing must be 0 to 1: got 1.5",
      ],
      [
        () => crossEntropy(logits, targets, { ignoreIndex: 0.5 }),
        RangeError,
        "crossEntropy: ignoreIndex must be a whole number of 32 bits: got 0.5",
      ],
      [
        () => crossEntropy(logits, logits, { ignoreIndex: 1 }),
        TypeError,
        "crossEntropy: ignoreIndex needs class ids: got probabilities",
      ],
      [
        () => crossEntropy(logits, targets, { reduction: "max" as "mean" }),
        RangeError,
        'crossEntropy: no such reduction: got "max": use none, mean, sum',
      ],
      [
        () => nll(logits, logits),
        TypeError,
        "nll: targets must be int32: got float32: pass class ids",
      ],
      [
        () => nll(logits, ids(0, 1, 2)),
        RangeError,
        "nll: targets do not fit the logProbs: got [3] for [2, 3]: use [2]",
      ],
    ];
  for (const [call, kind, message] of cases) {
    assertThrows(call, kind, message);
  }
});

Deno.test("crossEntropy() and nll() refuse arrays", () => {
  const array = [0] as unknown as Tensor;
  for (const [name, f] of Object.entries({ crossEntropy, nll })) {
    assertThrows(
      () => f(zeros([1, 2]), array),
      TypeError,
      `${name}: targets must be a tensor: got an array: make one with tensor()`,
    );
    assertThrows(() => f(array, zeros([1])), TypeError, `must be a tensor`);
  }
});
