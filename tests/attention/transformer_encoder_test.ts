import { TransformerEncoder, TransformerEncoderLayer } from "@heddle/attention";
import { AdamW } from "@heddle/nn";
import { Scope, type Tensor, tensor, zeros } from "@heddle/tensor";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { assertClose, assertSame } from "../assert_close.ts";
import { deviceTest } from "../devices.ts";
import { seeded } from "../seeded.ts";
import { Values } from "../values.ts";

async function valuesOf(x: Tensor): Promise<Values> {
  return new Values(x.shape, await x.data());
}

for (const normFirst of [false, true]) {
  const options = { feedForwardDim: 8, dropoutRate: 0, normFirst };
  const name = normFirst ? "with the norm first" : "with the norm last";

  deviceTest(
    `TransformerEncoderLayer sees nothing of the future, ${name}`,
    async () => {
      const layer = new TransformerEncoderLayer(4, 2, options);
      const hidden = seeded(1).values([1, 5, 4]);
      const changed = hidden.map((v, [, at]) => at! < 3 ? v : -2 * v);
      const before = layer.forward(hidden.tensor(), { causal: true });
      const after = layer.forward(changed.tensor(), { causal: true });
      const part = (x: Tensor) => x.slice(null, [0, 3]);
      await assertClose(part(after), await valuesOf(part(before)));
    },
  );

  deviceTest(`TransformerEncoder ignores padding, ${name}`, async () => {
    const encoder = new TransformerEncoder(2, 4, 2, options);
    const hidden = seeded(2).values([2, 5, 4]).tensor();
    const keyPaddingMask = Values.of([2, 5], (_n, k) => Number(k! >= 3))
      .tensor("bool");
    const part = (x: Tensor) => x.slice(null, [0, 3]);
    const padded = encoder.forward(hidden, { keyPaddingMask });
    await assertClose(
      part(padded),
      await valuesOf(encoder.forward(part(hidden))),
      { atol: 3e-6 },
    );
  });

  deviceTest(
    `TransformerEncoder has a gradient for each parameter, ${name}`,
    async () => {
      const encoder = new TransformerEncoder(2, 4, 2, {
        ...options,
        activation: "gelu",
      });
      // Weighted: the sum of what a norm gives does not depend on its input.
      const weights = seeded(4).values([2, 3, 4]).tensor();
      encoder.forward(seeded(3).values([2, 3, 4]).tensor()).mul(weights).sum()
        .backward();
      for (const [path, parameter] of encoder.namedParameters()) {
        const slopes = await parameter.grad!.data();
        assertEquals(parameter.grad!.shape, parameter.shape);
        // A bias of keys moves all scores of a query alike: its slope is 0.
        const isFlat = path.endsWith("key.bias");
        assert(isFlat || slopes.some((slope) => Math.abs(slope) > 1e-6), path);
        assert(slopes.every(Number.isFinite), path);
      }
    },
  );
}

deviceTest(
  "TransformerEncoderLayer without attention and linear layers is its norms",
  async () => {
    const hidden = seeded(5).values([2, 3, 4]);
    const normalize = (x: Values) =>
      x.along(-1, (line) => {
        const mean = line.reduce((a, b) => a + b) / 4;
        const variance = line.reduce((sum, v) => sum + (v - mean) ** 2, 0) / 4;
        return line.map((v) => (v - mean) / Math.sqrt(variance + 1e-5));
      });
    for (const normFirst of [false, true]) {
      const layer = new TransformerEncoderLayer(4, 2, { normFirst });
      layer.selfAttention.output.weight.assign(zeros([4, 4]));
      layer.linear2.weight.assign(zeros([4, 2048]));
      layer.linear2.bias!.assign(zeros([4]));
      const expected = normFirst ? hidden : normalize(normalize(hidden));
      await assertClose(layer.forward(hidden.tensor()), expected);
    }
  },
);

deviceTest("TransformerEncoderLayer takes any activation", async () => {
  const hidden = seeded(6).values([1, 3, 4]).tensor();
  const layer = new TransformerEncoderLayer(4, 2, {
    activation: (x) => x.mul(0),
    dropoutRate: 0,
    feedForwardDim: 5,
  });
  layer.linear1.weight.assign(layer.linear1.weight.mul(100));
  const first = await valuesOf(layer.forward(hidden));
  layer.linear1.weight.assign(layer.linear1.weight.mul(-3));
  await assertSame(layer.forward(hidden), first);
});

deviceTest("TransformerEncoder drops in training alone", async () => {
  const encoder = new TransformerEncoder(1, 4, 2, { feedForwardDim: 8 });
  const hidden = seeded(7).values([4, 5, 4]).tensor();
  const first = await valuesOf(encoder.forward(hidden));
  const second = await valuesOf(encoder.forward(hidden));
  assert(first.data.some((value, at) => value !== second.data[at]));
  encoder.eval();
  const third = await valuesOf(encoder.forward(hidden));
  await assertSame(encoder.forward(hidden), third);
});

deviceTest("TransformerEncoder learns where a token stands", async () => {
  // Which of five positions holds the mark: attention must carry it to the
  // first one.
  const encoder = new TransformerEncoder(1, 8, 2, {
    feedForwardDim: 16,
    dropoutRate: 0,
    normFirst: true,
  });
  const places = seeded(8).values([5, 8]);
  const batch = Values.of(
    [5, 5, 8],
    (n, at, f) => f === 0 ? Number(n === at) * 3 : places.at(at!, f!),
  ).tensor();
  const targets = tensor(new Int32Array([0, 1, 2, 3, 4]));
  const optimizer = new AdamW(encoder.parameters(), { learningRate: 0.02 });
  const logitsOf = () => encoder.forward(batch).slice(null, 0, [0, 5]);
  for (let step = 0; step < 60; step++) {
    using _scope = new Scope();
    optimizer.zeroGrad();
    const logProbs = logitsOf().logSoftmax();
    logProbs.mul(targets.oneHot(5)).sum().neg().backward();
    optimizer.step();
  }
  const found = await logitsOf().argmax({ axis: -1 }).data();
  assertEquals([...found], [0, 1, 2, 3, 4]);
}, { devices: ["wasm"] });

Deno.test("TransformerEncoder names its parameters by layer", () => {
  const encoder = new TransformerEncoder(2, 4, 2, {
    feedForwardDim: 8,
    finalNorm: true,
    bias: false,
  });
  assertEquals(Object.keys(encoder.stateDict()), [
    ...[0, 1].flatMap((at) =>
      [
        "selfAttention.query",
        "selfAttention.key",
        "selfAttention.value",
        "selfAttention.output",
        "linear1",
        "linear2",
        "norm1",
        "norm2",
      ].map((name) => `layers.${at}.${name}.weight`)
    ),
    "norm.weight",
  ]);
  assertEquals(new TransformerEncoder(1, 4, 2).norm, null);
  assert(new TransformerEncoder(1, 4, 2, { normFirst: true }).norm);
  const none = { normFirst: true, finalNorm: false };
  assertEquals(new TransformerEncoder(1, 4, 2, none).norm, null);
});

Deno.test("TransformerEncoder and its layers name what is wrong", () => {
  assertThrows(
    () => new TransformerEncoder(0, 4, 2),
    RangeError,
    "TransformerEncoder: layerCount must be a whole number from 1: got 0",
  );
  assertThrows(
    () => new TransformerEncoderLayer(4, 3),
    RangeError,
    "MultiHeadAttention: heads must divide modelDim: got 3 for 4",
  );
  assertThrows(
    () => new TransformerEncoderLayer(4, 2, { activation: "tanh" as "relu" }),
    RangeError,
    'TransformerEncoderLayer: no such activation: got "tanh": use relu, gelu or a function',
  );
  assertThrows(
    () => new TransformerEncoderLayer(4, 2).forward(zeros([1, 2, 6])),
    RangeError,
    "[batch, seqLen, 4]",
  );
});
