import { fromTorchStateDict, MultiHeadAttention } from "@heddle/attention";
import { Generator, ones, type Tensor, tensor, zeros } from "@heddle/tensor";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { assertClose, assertSame } from "../assert_close.ts";
import { deviceTest } from "../devices.ts";
import { seeded } from "../seeded.ts";
import { Values } from "../values.ts";

async function valuesOf(x: Tensor): Promise<Values> {
  return new Values(x.shape, await x.data());
}

deviceTest("MultiHeadAttention gives each head its own features", async () => {
  // Identity projections: head h of the result is attention over features
  // 2h and 2h + 1 alone.
  const attention = new MultiHeadAttention(4, 2);
  const identity = Values.of([4, 4], (i, j) => Number(i === j));
  for (const name of ["query", "key", "value", "output"] as const) {
    attention[name].weight.assign(identity.tensor());
  }
  const hidden = seeded(1).values([1, 3, 4]);
  const expected = Values.of([1, 3, 4], (n, q, f) => {
    const head = f! - f! % 2;
    const powers = [0, 1, 2].map((k) => {
      const [a, b] = [0, 1].map((d) =>
        hidden.at(n!, q!, head + d) * hidden.at(n!, k, head + d)
      );
      return Math.exp((a! + b!) / Math.SQRT2);
    });
    const total = powers.reduce((a, b) => a + b);
    return powers.reduce(
      (sum, power, k) => sum + power / total * hidden.at(n!, k, f!),
      0,
    );
  });
  await assertClose(attention.forward(hidden.tensor()), expected);
});

deviceTest(
  "MultiHeadAttention with padding is that of the shorter sequence",
  async () => {
    const attention = new MultiHeadAttention(6, 3);
    const hidden = seeded(2).values([2, 5, 6]).tensor();
    const keyPaddingMask = Values.of([2, 5], (_n, k) => Number(k! >= 3))
      .tensor("bool");
    const short = hidden.slice(null, [0, 3]);
    const padded = attention.forward(hidden, hidden, hidden, {
      keyPaddingMask,
    });
    await assertClose(
      padded.slice(null, [0, 3]),
      await valuesOf(attention.forward(short)),
    );
  },
);

deviceTest(
  "MultiHeadAttention of one sequence is that of a batch of one",
  async () => {
    const attention = new MultiHeadAttention(4, 2);
    const hidden = seeded(3).values([3, 4]).tensor();
    const keyPaddingMask = tensor([false, true, false]);
    const alone = attention.attend(hidden, hidden, hidden, {
      keyPaddingMask,
      causal: true,
    });
    const batch = hidden.unsqueeze(0);
    const both = attention.attend(batch, batch, batch, {
      keyPaddingMask: keyPaddingMask.unsqueeze(0),
      causal: true,
    });
    await assertClose(alone.output, await valuesOf(both.output.squeeze(0)));
    await assertClose(alone.weights, await valuesOf(both.weights.squeeze(0)));
    assertEquals(alone.weights.shape, [2, 3, 3]);
  },
);

deviceTest(
  "MultiHeadAttention takes a mask for each example or each head",
  async () => {
    const attention = new MultiHeadAttention(4, 2);
    const hidden = seeded(4).values([2, 3, 4]).tensor();
    const masks = seeded(5).integers([2, 3, 3], 0, 2).tensor("bool");
    for (const axis of [1, 0]) {
      const attentionMask = masks.unsqueeze(axis);
      const { weights } = attention.attend(hidden, hidden, hidden, {
        attentionMask,
      });
      const allowed = await valuesOf(attentionMask.expand([2, 2, 3, 3]));
      const got = await valuesOf(weights);
      got.data.forEach((weight, at) => {
        assertEquals(weight > 0, allowed.data[at] === 1);
      });
    }
  },
);

deviceTest("MultiHeadAttention drops weights in training alone", async () => {
  const attention = new MultiHeadAttention(4, 2, { dropoutRate: 0.5 });
  const hidden = ones([1, 16, 4]);
  const zerosOf = async () => {
    const { weights } = attention.attend(hidden);
    return (await weights.data()).filter((weight) => weight === 0).length;
  };
  const dropped = await zerosOf();
  assert(dropped > 150 && dropped < 362, `${dropped} of 512`);
  const first = await valuesOf(attention.forward(hidden));
  const second = await valuesOf(attention.forward(hidden));
  assert(first.data.some((value, at) => value !== second.data[at]));
  attention.eval();
  assertEquals(await zerosOf(), 0);
  const third = await valuesOf(attention.forward(hidden));
  await assertSame(attention.forward(hidden), third);
});

deviceTest("MultiHeadAttention begins as in PyTorch", async () => {
  const bounds = async (attention: MultiHeadAttention, bound: number) => {
    for (const name of ["query", "key", "value"] as const) {
      const values = [...await attention[name].weight.abs().data()];
      const most = Math.max(...values);
      assert(most <= bound && most > 0.95 * bound, `${name} ${most}`);
      const mean = values.reduce((a, b) => a + b) / values.length;
      assert(Math.abs(mean / bound - 0.5) < 0.05, `${name} ${mean}`);
    }
    for (const { bias } of [attention.query, attention.output]) {
      await assertSame(bias!, Values.of([32], () => 0));
    }
  };
  // Xavier of [3 * 32, 32], and of [32, 32].
  await bounds(new MultiHeadAttention(32, 4), Math.sqrt(6 / 128));
  const apart = new MultiHeadAttention(32, 4, { keyDim: 32, valueDim: 64 });
  const value = Math.max(...await apart.value.weight.abs().data());
  assert(Math.abs(value / Math.sqrt(6 / 96) - 1) < 0.05);
  const make = () =>
    new MultiHeadAttention(32, 4, { generator: new Generator(3) });
  await assertSame(make().key.weight, await valuesOf(make().key.weight));
});

Deno.test("MultiHeadAttention names its parameters by their layers", () => {
  const attention = new MultiHeadAttention(4, 2, { keyDim: 6, bias: false });
  const shapes = Object.entries(attention.stateDict())
    .map(([path, { shape }]) => [path, shape]);
  assertEquals(shapes, [
    ["query.weight", [4, 4]],
    ["key.weight", [4, 6]],
    ["value.weight", [4, 4]],
    ["output.weight", [4, 4]],
  ]);
  assertEquals(
    Object.keys(new MultiHeadAttention(4, 2).stateDict()).sort(),
    ["key", "output", "query", "value"]
      .flatMap((name) => [`${name}.bias`, `${name}.weight`]),
  );
});

deviceTest(
  "fromTorchStateDict() cuts joint projections and renames",
  async () => {
    const joint = seeded(6).values([6, 2]);
    const state = fromTorchStateDict({
      "layers.0.self_attn.in_proj_weight": joint.tensor(),
      "layers.0.self_attn.in_proj_bias": tensor([1, 2, 3, 4, 5, 6]),
      "layers.0.self_attn.out_proj.weight": zeros([2, 2]),
      "layers.0.norm1.weight": ones([2]),
      "cross.q_proj_weight": zeros([2, 2]),
      "cross.k_proj_weight": zeros([2, 3]),
      "cross.v_proj_weight": zeros([2, 4]),
      "norm.bias": zeros([2]),
    });
    assertEquals(Object.keys(state), [
      "layers.0.selfAttention.query.weight",
      "layers.0.selfAttention.key.weight",
      "layers.0.selfAttention.value.weight",
      "layers.0.selfAttention.query.bias",
      "layers.0.selfAttention.key.bias",
      "layers.0.selfAttention.value.bias",
      "layers.0.selfAttention.output.weight",
      "layers.0.norm1.weight",
      "cross.query.weight",
      "cross.key.weight",
      "cross.value.weight",
      "norm.bias",
    ]);
    await assertSame(
      state["layers.0.selfAttention.key.weight"]!,
      Values.of([2, 2], (i, j) => joint.at(2 + i!, j!)),
    );
    await assertSame(state["layers.0.selfAttention.value.bias"]!, [5, 6]);
  },
);

Deno.test("fromTorchStateDict() names what is wrong", () => {
  assertThrows(
    () => fromTorchStateDict({ "a.in_proj_weight": zeros([4, 2]) }),
    RangeError,
    "fromTorchStateDict: a.in_proj_weight holds three projections: got shape [4, 2]",
  );
  assertThrows(
    () => fromTorchStateDict({ "a.bias_k": zeros([1, 1, 2]) }),
    RangeError,
    "fromTorchStateDict: add_bias_kv has no counterpart: got a.bias_k",
  );
  assertThrows(
    () =>
      fromTorchStateDict({
        "in_proj_bias": zeros([3]),
        "query.bias": zeros([1]),
      }),
    RangeError,
    "fromTorchStateDict: two names become one: got query.bias twice",
  );
});

Deno.test("MultiHeadAttention names what is wrong", () => {
  assertThrows(
    () => new MultiHeadAttention(6, 4),
    RangeError,
    "MultiHeadAttention: heads must divide modelDim: got 4 for 6",
  );
  assertThrows(
    () => new MultiHeadAttention(6, 0),
    RangeError,
    "MultiHeadAttention: heads must be a whole number from 1: got 0",
  );
  assertThrows(
    () => new MultiHeadAttention(6, 2, { dropoutRate: 2 }),
    RangeError,
    "dropoutRate must be from 0 to 1: got 2",
  );
  const attention = new MultiHeadAttention(4, 2, { keyDim: 6 });
  const [query, key] = [zeros([2, 3, 4]), zeros([2, 5, 6])];
  assertThrows(
    () => attention.forward(query),
    RangeError,
    "MultiHeadAttention: query, key and value must be [batch, seqLen, 4], " +
      "[batch, seqLen, 6], [batch, seqLen, 4]: got [2, 3, 4], [2, 3, 4], [2, 3, 4]",
  );
  assertThrows(
    () => attention.forward(query, zeros([1, 5, 6]), zeros([1, 5, 4])),
    RangeError,
    "got [2, 3, 4], [1, 5, 6], [1, 5, 4]",
  );
  assertThrows(
    () => attention.forward(query, key, zeros([2, 4, 4])),
    RangeError,
    "MultiHeadAttention: key and value differ in keySeqLen",
  );
  assertThrows(
    () => attention.forward(query.cast("int32"), key, query),
    TypeError,
    "MultiHeadAttention: query must be float32: got int32",
  );
  assertThrows(
    () =>
      attention.forward(query, key, zeros([2, 5, 4]), {
        attentionMask: ones([2, 3, 5]),
      }),
    RangeError,
    "MultiHeadAttention: an attentionMask of three axes is ambiguous: got [2, 3, 5]: " +
      "unsqueeze axis 1 for one mask an example, axis 0 for one a head",
  );
});
