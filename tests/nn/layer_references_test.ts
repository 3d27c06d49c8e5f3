import {
  BatchNorm2d,
  Conv2d,
  Embedding,
  LayerNorm,
  Linear,
  MaxPool2d,
} from "@heddle/nn";
import { ones, Scope, type Tensor, tensor, zeros } from "@heddle/tensor";
import { assertEquals, assertThrows } from "@std/assert";
import { assertClose, assertSame } from "../assert_close.ts";
import { checkGradients, checkSecondDerivatives } from "../check_gradients.ts";
import { deviceTest } from "../devices.ts";
import { seeded } from "../seeded.ts";
import { Values } from "../values.ts";

function linear(x: Tensor, weight: Tensor, bias: Tensor): Tensor {
  const [outFeatures, inFeatures] = weight.shape as [number, number];
  const layer = new Linear(inFeatures, outFeatures);
  layer.weight = weight;
  layer.bias = bias;
  return layer.forward(x);
}

function linearReference(x: Values, weight: Values, bias: Values): Values {
  const [outFeatures, inFeatures] = weight.shape as [number, number];
  const lead = x.shape.slice(0, -1);
  return Values.of([...lead, outFeatures], (...index) => {
    const o = index.pop()!;
    let sum = bias.at(o);
    for (let i = 0; i < inFeatures; i++) {
      sum += x.at(...index, i) * weight.at(o, i);
    }
    return sum;
  });
}

deviceTest("Linear matches its float64 reference", async () => {
  const random = seeded(1);
  for (
    const [lead, inFeatures, outFeatures] of [[[3], 5, 2], [
      [2, 1],
      1,
      3,
    ]] as const
  ) {
    await checkGradients(linear, linearReference, [
      random.values([...lead, inFeatures]),
      random.values([outFeatures, inFeatures]),
      random.values([outFeatures]),
    ]);
  }
  assertEquals(new Linear(2, 3).forward(zeros([0, 2])).shape, [0, 3]);
});

function batchNorm(x: Tensor, weight: Tensor, bias: Tensor): Tensor {
  const layer = new BatchNorm2d(x.shape[1]!, { eps: 0.01 });
  layer.weight = weight;
  layer.bias = bias;
  return layer.forward(x);
}

function batchNormReference(x: Values, weight: Values, bias: Values): Values {
  const spread = (values: Values) =>
    Values.of(x.shape, (_, channel) => values.at(0, channel!, 0, 0));
  const mean = x.reduce(
    [0, 2, 3],
    true,
    (list) => list.reduce((a, b) => a + b, 0) / list.length,
  );
  const wide = spread(mean);
  const apart = new Values(x.shape, x.data.map((v, at) => v - wide.data[at]!));
  const variance = apart.reduce(
    [0, 2, 3],
    true,
    (list) => list.reduce((a, b) => a + b * b, 0) / list.length,
  );
  return Values.of(
    x.shape,
    (n, c, i, j) =>
      apart.at(n!, c!, i!, j!) / Math.sqrt(variance.at(0, c!, 0, 0) + 0.01) *
        weight.at(c!) + bias.at(c!),
  );
}

deviceTest("BatchNorm2d matches its float64 reference", async () => {
  const random = seeded(2);
  await checkGradients(batchNorm, batchNormReference, [
    random.values([3, 2, 1, 3]),
    random.values([2], { low: 0.5, high: 2 }),
    random.values([2]),
  ]);
});

deviceTest("BatchNorm2d has second derivatives", async () => {
  const random = seeded(3);
  await checkSecondDerivatives(batchNorm, batchNormReference, [
    random.values([2, 1, 2, 2]),
    random.values([1], { low: 0.5, high: 2 }),
    random.values([1]),
  ]);
});

deviceTest("BatchNorm2d keeps digits where the mean is large", async () => {
  const x = tensor([4096, 4097, 4098, 4099], { shape: [4, 1, 1, 1] });
  const result = new BatchNorm2d(1, { eps: 0 }).forward(x);
  const step = 1 / Math.sqrt(1.25);
  await assertClose(
    result.flatten(),
    [-1.5, -0.5, 0.5, 1.5].map((value) => value * step),
  );
});

deviceTest("BatchNorm2d counts in training alone", async () => {
  const layer = new BatchNorm2d(1);
  const x = tensor([1, 3], { shape: [1, 1, 1, 2] });
  layer.eval().forward(x);
  await assertSame(layer.runningMean!, [0]);
  layer.train();
  {
    // What a scope frees is not what is counted.
    using _scope = new Scope();
    layer.forward(x);
  }
  await assertClose(layer.runningMean!, [0.2]);
  await assertClose(layer.runningVariance!, [0.9 + 0.1 * 2]);
});

deviceTest(
  "Embedding gives zeros for ids out of range, and sums gradients",
  async () => {
    const table = new Embedding(3, 2);
    table.weight.assign(tensor([[1, 2], [3, 4], [5, 6]]));
    const ids = tensor(new Int32Array([2, 2, -1, 3]));
    const vectors = table.forward(ids);
    await assertSame(vectors, [[5, 6], [5, 6], [0, 0], [0, 0]]);
    vectors.sum().backward();
    await assertSame(table.weight.grad!, [[0, 0], [0, 0], [2, 2]]);
  },
);

deviceTest(
  "Embedding shows the padding's vector, though it has no gradient",
  async () => {
    const table = new Embedding(2, 1, { paddingIndex: 1 });
    table.weight.assign(tensor([[1], [7]]));
    const vectors = table.forward(tensor([[0, 1]], { dtype: "int32" }));
    await assertSame(vectors, [[[1], [7]]]);
    vectors.sum().backward();
    await assertSame(table.weight.grad!, [[1], [0]]);
  },
);

Deno.test("forward() refuses inputs that do not fit", () => {
  const cases: readonly (readonly [
    () => unknown,
    typeof RangeError | typeof TypeError,
    string,
  ])[] = [
    [
      () => new Linear(3, 2).forward(ones([3, 2])),
      RangeError,
      "Linear: the last axis must be of size 3: got [3, 2]",
    ],
    [() => new Linear(3, 2).forward(ones([])), RangeError, "got []"],
    [
      () => new Linear(0, 2),
      RangeError,
      "Linear: inFeatures must be a whole number from 1: got 0",
    ],
    [
      () => new Conv2d(3, 4, 3, { groups: 2 }),
      RangeError,
      "Conv2d: groups must divide both numbers of channels: got 2 for 3 and 4",
    ],
    [
      () => new Conv2d(3, 4, [3, 0.5]),
      RangeError,
      "Conv2d: kernelWidth must be a whole number from 1: got 0.5",
    ],
    [
      () => new Conv2d(3, 4, 3).forward(ones([2, 4, 5, 5])),
      RangeError,
      "Conv2d: the input must be [batch, 3, height, width]: got [2, 4, 5, 5]",
    ],
    [
      () => new Conv2d(1, 1, 3).forward(ones([1, 1, 2, 5])),
      RangeError,
      "conv2d: the window does not fit",
    ],
    [
      () => new MaxPool2d(3).forward(ones([2, 2])),
      RangeError,
      "maxPool2d: the window does not fit",
    ],
    [
      () => new LayerNorm([2, 3]).forward(ones([3, 2])),
      RangeError,
      "LayerNorm: the last axes must be [2, 3]: got [3, 2]",
    ],
    [() => new LayerNorm([]), RangeError, "LayerNorm: needs at least one axis"],
    [
      () => new LayerNorm(2, { eps: -1 }),
      RangeError,
      "LayerNorm: eps must be 0 or more: got -1",
    ],
    [
      () => new BatchNorm2d(2).forward(ones([1, 2, 1, 1])),
      RangeError,
      "BatchNorm2d: needs more than one element a channel to train on",
    ],
    [
      () => new BatchNorm2d(2).forward(ones([2, 3, 4, 4])),
      RangeError,
      "BatchNorm2d: the input must be [batch, 2, height, width]: got [2, 3, 4",
    ],
    [
      () => new BatchNorm2d(2, { momentum: 2 }),
      RangeError,
      "BatchNorm2d: momentum must be from 0 to 1: got 2",
    ],
    [
      () => new Embedding(3, 2).forward(ones([2])),
      TypeError,
      "Embedding: ids must be int32 or uint32: got float32",
    ],
    [
      () => new Embedding(3, 2, { paddingIndex: 3 }),
      RangeError,
      "Embedding: there is no such padding index: got 3 for 3 embeddings",
    ],
  ];
  for (const [make, error, message] of cases) {
    assertThrows(make, error, message);
  }
});
