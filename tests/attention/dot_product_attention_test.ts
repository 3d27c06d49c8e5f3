import {
  attend,
  type AttentionOptions,
  dotProductAttention,
} from "@heddle/attention";
import { ones, randomKey, type Tensor, tensor, zeros } from "@heddle/tensor";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { activeDevice } from "../../tensor/device/session.ts";
import { nodeOf } from "../../tensor/tensor.ts";
import { assertClose, assertSame } from "../assert_close.ts";
import { checkGradients } from "../check_gradients.ts";
import { deviceTest } from "../devices.ts";
import { seeded } from "../seeded.ts";
import { Values } from "../values.ts";

/** Whether query `q` of a head may attend to key `k`. */
type May = (batch: number, head: number, q: number, k: number) => boolean;

interface Scoring {
  readonly scale: number;
  readonly may: May;
  readonly added?: Values;
}

/** Plain loops over `[batch, heads, seqLen, headDim]`. */
function reference(
  query: Values,
  key: Values,
  value: Values,
  { scale, may, added }: Scoring,
): Values {
  const [batch, heads, queries, dim] = query.shape as number[];
  const keys = key.shape[2]!;
  const features = value.shape[3]!;
  return Values.of([batch!, heads!, queries!, features], (n, h, q, f) => {
    let total = 0;
    let sum = 0;
    for (let k = 0; k < keys; k++) {
      if (!may(n!, h!, q!, k)) continue;
      let score = 0;
      for (let d = 0; d < dim!; d++) {
        score += query.at(n!, h!, q!, d) * key.at(n!, h!, k, d);
      }
      const power = Math.exp(score * scale + (added?.at(q!, k) ?? 0));
      total += power;
      sum += power * value.at(n!, h!, k, f!);
    }
    return total > 0 ? sum / total : 0;
  });
}

const shapes = { query: [2, 3, 5, 4], key: [2, 3, 7, 4], value: [2, 3, 7, 2] };

function inputs(seed: number): [Values, Values, Values] {
  const from = seeded(seed);
  return [
    from.values(shapes.query, { low: -2, high: 2 }),
    from.values(shapes.key, { low: -2, high: 2 }),
    from.values(shapes.value),
  ];
}

const bools = seeded(5).integers([5, 7], 0, 3).map((v) => Number(v > 0));
const headBools = seeded(6).integers([1, 3, 1, 7], 0, 2);
const padded = Values.of([2, 7], (n, k) => Number(k! > 4 + n!));
const bias = seeded(7).values([5, 7], { low: -2, high: 2 });
const someForbidden = bias.map((v, [q, k]) =>
  (q! + k!) % 3 === 0 ? -Infinity : v
);
const everything: May = () => true;

const CASES: readonly {
  readonly name: string;
  options(): AttentionOptions;
  readonly scoring: Scoring;
}[] = [
  {
    name: "no masks",
    options: () => ({}),
    scoring: { scale: 0.5, may: everything },
  },
  {
    name: "a scale",
    options: () => ({ scale: -1.5 }),
    scoring: { scale: -1.5, may: everything },
  },
  {
    name: "a bool mask",
    options: () => ({ attentionMask: bools.tensor("bool") }),
    scoring: { scale: 0.5, may: (_n, _h, q, k) => bools.at(q, k) === 1 },
  },
  {
    name: "a bool mask a head",
    options: () => ({ attentionMask: headBools.tensor("bool") }),
    scoring: {
      scale: 0.5,
      may: (_n, h, _q, k) => headBools.at(0, h, 0, k) === 1,
    },
  },
  {
    name: "an additive mask",
    options: () => ({ attentionMask: bias.tensor() }),
    scoring: { scale: 0.5, may: everything, added: bias },
  },
  {
    name: "an additive mask with -Infinity",
    options: () => ({ attentionMask: someForbidden.tensor() }),
    scoring: {
      scale: 0.5,
      may: (_n, _h, q, k) => (q + k) % 3 !== 0,
      added: bias,
    },
  },
  {
    name: "padding",
    options: () => ({ keyPaddingMask: padded.tensor("bool") }),
    scoring: { scale: 0.5, may: (n, _h, _q, k) => padded.at(n, k) === 0 },
  },
  {
    name: "causal",
    options: () => ({ causal: true }),
    scoring: { scale: 0.5, may: (_n, _h, q, k) => k <= q },
  },
  {
    name: "causal from position 2",
    options: () => ({ causal: true, queryOffset: 2 }),
    scoring: { scale: 0.5, may: (_n, _h, q, k) => k <= q + 2 },
  },
  {
    name: "causal from position -2, where some see nothing",
    options: () => ({ causal: true, queryOffset: -2 }),
    scoring: { scale: 0.5, may: (_n, _h, q, k) => k <= q - 2 },
  },
  {
    name: "all masks at once",
    options: () => ({
      attentionMask: someForbidden.tensor(),
      keyPaddingMask: padded.tensor("bool"),
      causal: true,
      queryOffset: 1,
    }),
    scoring: {
      scale: 0.5,
      may: (n, _h, q, k) =>
        (q + k) % 3 !== 0 && padded.at(n, k) === 0 && k <= q + 1,
      added: bias,
    },
  },
];

for (const [at, { name, options, scoring }] of CASES.entries()) {
  deviceTest(
    `dotProductAttention() matches its float64 reference, with ${name}`,
    async () => {
      await checkGradients(
        (q, k, v) => dotProductAttention(q, k, v, options()),
        (q, k, v) => reference(q, k, v, scoring),
        inputs(at),
      );
    },
  );
}

deviceTest(
  "dotProductAttention() has a gradient by an additive mask",
  async () => {
    const [query, key, value] = inputs(1);
    await checkGradients(
      (attentionMask) =>
        dotProductAttention(query.tensor(), key.tensor(), value.tensor(), {
          attentionMask,
        }),
      (added) =>
        reference(query, key, value, { scale: 0.5, may: everything, added }),
      bias,
    );
  },
);

deviceTest("dotProductAttention() works on any first axes", async () => {
  const [query, key, value] = inputs(2);
  const expected = reference(query, key, value, {
    scale: 0.5,
    may: everything,
  });
  const [q, k, v] = [query.tensor(), key.tensor(), value.tensor()];
  const lone = (x: Tensor) => x.slice(1, 2);
  await assertClose(
    dotProductAttention(lone(q), lone(k), lone(v)),
    Values.of([5, 2], (i, f) => expected.at(1, 2, i!, f!)),
  );
  const deep = (x: Tensor) => x.unsqueeze(1); // [2, 1, 3, seqLen, dim]
  const result = dotProductAttention(deep(q), deep(k), deep(v), {
    keyPaddingMask: zeros([2, 7], { dtype: "bool" }),
  });
  await assertClose(result, expected.reshape([2, 1, 3, 5, 2]));
});

deviceTest(
  "dotProductAttention() of a fully masked query is 0, and so is its gradient",
  async () => {
    // Query 1 may attend to nothing; the others to all.
    const rows = Values.of([3, 4], (q) => Number(q !== 1));
    const forbidding = (value: number) =>
      rows.map((v) => v ? 0 : value).tensor();
    const all = Values.of([1, 4], () => 1).tensor("bool");
    const cases: [string, AttentionOptions, readonly number[]][] = [
      ["bool", { attentionMask: rows.tensor("bool") }, [1]],
      ["-Infinity", { attentionMask: forbidding(-Infinity) }, [1]],
      ["least float", { attentionMask: forbidding(-3.4028234663852886e38) }, [
        1,
      ]],
      ["padding", { keyPaddingMask: all }, [0, 1, 2]],
      ["causal", { causal: true, queryOffset: -2 }, [0, 1]],
    ];
    for (const [of, options, masked] of cases) {
      const from = seeded(9);
      const draw = (...shape: number[]) =>
        from.values(shape).tensor().asVariable();
      const [q, k, v] = [draw(1, 2, 3, 5), draw(1, 2, 4, 5), draw(1, 2, 4, 5)];
      const { output, weights } = attend(q, k, v, options);
      output.mul(output).sum().backward();
      for (const head of [0, 1]) {
        for (const row of masked) {
          const none = [0, 0, 0, 0, 0];
          await assertSame(output.slice(0, head, row), none, `${of} output`);
          await assertSame(weights.slice(0, head, row), none.slice(1), of);
          await assertSame(q.grad!.slice(0, head, row), none, `${of} gradient`);
        }
      }
      for (const x of [q, k, v]) {
        assert((await x.grad!.data()).every(Number.isFinite), of);
      }
      if (masked.length === 3) {
        await assertSame(k.grad!, Values.of([1, 2, 4, 5], () => 0), of);
        await assertSame(v.grad!, Values.of([1, 2, 4, 5], () => 0), of);
      }
    }
  },
);

deviceTest(
  "dotProductAttention() with masked keys is that without them",
  async () => {
    const [query, key, value] = inputs(3).map((x) => x.tensor()) as [
      Tensor,
      Tensor,
      Tensor,
    ];
    const kept = (x: Tensor) => x.slice(null, null, [0, 4]);
    const cropped = dotProductAttention(query, kept(key), kept(value));
    const expected = new Values(cropped.shape, await cropped.data());
    const isPadding = Values.of([2, 7], (_n, k) => Number(k! >= 4));
    const keyPaddingMask = isPadding.tensor("bool");
    const attentionMask = keyPaddingMask.slice([0, 1]).logicalNot();
    for (const options of [{ keyPaddingMask }, { attentionMask }]) {
      await assertClose(
        dotProductAttention(query, key, value, options),
        expected,
      );
    }
  },
);

deviceTest(
  "dotProductAttention() of the last query alone is the last row of all",
  async () => {
    const from = seeded(4);
    const draw = () => from.values([1, 2, 6, 3]).tensor();
    const [query, key, value] = [draw(), draw(), draw()];
    const whole = dotProductAttention(query, key, value, { causal: true });
    const last = [4, 6] as const;
    const expected = whole.slice(null, null, last);
    await assertClose(
      dotProductAttention(query.slice(null, null, last), key, value, {
        causal: true,
        queryOffset: 4,
      }),
      new Values(expected.shape, await expected.data()),
    );
  },
);

deviceTest(
  "dotProductAttention() of large scores takes the best key",
  async () => {
    const query = tensor([[1e4]]);
    const key = tensor([[-1], [1], [0.5]]);
    const value = tensor([[1], [2], [4]]);
    const { output, weights } = attend(query, key, value, { scale: 1e4 });
    await assertSame(weights, [[0, 1, 0]]);
    await assertSame(output, [[2]]);
  },
);

deviceTest(
  "dotProductAttention() of no keys is 0, of no queries nothing",
  async () => {
    const draw = (seqLen: number) => ones([2, seqLen, 3]);
    const query = draw(2).asVariable();
    const output = dotProductAttention(query, draw(0), draw(0));
    await assertSame(output, Values.of([2, 2, 3], () => 0));
    output.sum().backward();
    await assertSame(query.grad!, Values.of([2, 2, 3], () => 0));
    const masked = {
      causal: true,
      keyPaddingMask: zeros([2, 0], { dtype: "bool" }),
    };
    await assertSame(
      dotProductAttention(draw(2), draw(0), draw(0), masked),
      Values.of([2, 2, 3], () => 0),
    );
    assertEquals(dotProductAttention(draw(0), draw(2), draw(2)).shape, [
      2,
      0,
      3,
    ]);
    const empty = zeros([0, 2, 3]);
    const none = dotProductAttention(empty, empty, empty);
    assertEquals([none.shape, (await none.data()).length], [[0, 2, 3], 0]);
  },
);

deviceTest(
  "attend() drops weights by its key, and scales the others",
  async () => {
    const same = zeros([1, 16, 3]);
    const key = zeros([1, 64, 3]);
    const value = ones([1, 64, 2]).asVariable();
    const options = { dropoutRate: 0.25, dropoutKey: randomKey(3) };
    const { output, weights } = attend(same, key, value, options);
    const list = [...await weights.data()];
    const kept = list.filter((weight) => weight !== 0);
    for (const weight of kept) {
      assert(Math.abs(weight - 1 / 64 / 0.75) < 1e-7, `${weight}`);
    }
    // Four standard deviations of 1024 draws.
    assert(Math.abs(kept.length / 1024 - 0.75) < 4 * Math.sqrt(0.1875 / 1024));
    const rows = Values.of([1, 16, 2], (_n, q) => {
      const row = list.slice(q! * 64, (q! + 1) * 64);
      return row.reduce((a, b) => a + b, 0);
    });
    await assertClose(output, rows, { atol: 1e-5 });
    // The gradient is that of the weights that are left.
    output.sum().backward();
    const columns = Values.of(
      [1, 64, 2],
      (_n, k) =>
        list.reduce((sum, weight, at) => at % 64 === k ? sum + weight : sum, 0),
    );
    await assertClose(value.grad!, columns, { atol: 1e-5 });
    const again = attend(same, key, value, options).weights;
    await assertSame(again, new Values([1, 16, 64], list));
    const other = attend(same, key, value, {
      ...options,
      dropoutKey: randomKey(4),
    });
    assert([...await other.weights.data()].some((w, at) => w !== list[at]));
    const all = attend(same, key, value, { ...options, dropoutRate: 1 });
    await assertSame(all.output, Values.of([1, 16, 2], () => 0));
  },
);

deviceTest(
  "dotProductAttention() is two products and one kernel between",
  async () => {
    const draw = async (...shape: number[]) => await ones(shape).realize();
    const [q, k, v] = [
      await draw(2, 3, 16, 8),
      await draw(2, 3, 16, 8),
      await draw(2, 3, 16, 8),
    ];
    const attentionMask = await tensor([true]).expand([16, 16]).realize();
    const keyPaddingMask = await tensor([false]).expand([2, 16]).realize();
    const result = dotProductAttention(q, k, v, {
      attentionMask,
      keyPaddingMask,
      causal: true,
      dropoutRate: 0.1,
      dropoutKey: randomKey(1),
    });
    const { steps } = activeDevice()!.plan([nodeOf(result)]);
    assertEquals(steps.length, 3);
  },
);

Deno.test("dotProductAttention() and attend() name what is wrong", () => {
  const x = zeros([2, 3, 5, 4]);
  const run = (options: AttentionOptions) => () =>
    dotProductAttention(x, x, x, options);
  const cases: [() => unknown, typeof RangeError | typeof TypeError, string][] =
    [
      [
        () => dotProductAttention(x.cast("int32"), x, x),
        TypeError,
        "dotProductAttention: query must be float32: got int32: cast it first",
      ],
      [
        () => attend(x, x, x.cast("bool")),
        TypeError,
        "attend: value must be float32: got bool: cast it first",
      ],
      [
        () => dotProductAttention(zeros([4]), x, x),
        RangeError,
        "dotProductAttention: query, key and value need at least two axes: got [4], [2, 3, 5, 4], [2, 3, 5, 4]: use [..., seqLen, headDim]",
      ],
      [
        () => dotProductAttention(x, zeros([2, 1, 5, 4]), x),
        RangeError,
        "dotProductAttention: query, key and value differ in their first axes: got [2, 3, 5, 4], [2, 1, 5, 4], [2, 3, 5, 4]",
      ],
      [
        () => dotProductAttention(x, zeros([2, 3, 5, 6]), x),
        RangeError,
        "dotProductAttention: query and key differ in headDim: got [2, 3, 5, 4], [2, 3, 5, 6], [2, 3, 5, 4]",
      ],
      [
        () => dotProductAttention(x, x, zeros([2, 3, 6, 4])),
        RangeError,
        "dotProductAttention: key and value differ in keySeqLen: got [2, 3, 5, 4], [2, 3, 5, 4], [2, 3, 6, 4]",
      ],
      [
        () => dotProductAttention(zeros([5, 0]), zeros([5, 0]), zeros([5, 1])),
        RangeError,
        "dotProductAttention: headDim must be at least 1: got [5, 0], [5, 0], [5, 1]",
      ],
      [
        run({ attentionMask: zeros([5, 5], { dtype: "int32" }) }),
        TypeError,
        "dotProductAttention: attentionMask must be bool or float32: got int32: use bool with true = may attend, or float32 to add",
      ],
      [
        run({ attentionMask: zeros([5, 6]) }),
        RangeError,
        "dotProductAttention: attentionMask does not broadcast: got [5, 6] for scores [2, 3, 5, 5]",
      ],
      [
        run({ attentionMask: zeros([1, 2, 3, 5, 5]) }),
        RangeError,
        "dotProductAttention: attentionMask does not broadcast: got [1, 2, 3, 5, 5] for scores [2, 3, 5, 5]",
      ],
      [
        run({ keyPaddingMask: zeros([2, 5]) }),
        TypeError,
        "dotProductAttention: keyPaddingMask must be bool: got float32: true = padding",
      ],
      [
        run({ keyPaddingMask: zeros([2, 6], { dtype: "bool" }) }),
        RangeError,
        "dotProductAttention: keyPaddingMask must be [batch, keySeqLen]: got [2, 6] instead of [2, 5]",
      ],
      [
        () =>
          dotProductAttention(ones([5, 4]), ones([5, 4]), ones([5, 4]), {
            keyPaddingMask: zeros([1, 5], { dtype: "bool" }),
          }),
        RangeError,
        "dotProductAttention: keyPaddingMask needs a batch: got scores [5, 5]: use attentionMask",
      ],
      [
        run({ causal: true, queryOffset: 0.5 }),
        RangeError,
        "dotProductAttention: queryOffset must be a whole number: got 0.5",
      ],
      [
        run({ dropoutRate: 1.5 }),
        RangeError,
        "dotProductAttention: dropoutRate must be 0 to 1: got 1.5",
      ],
      [
        run({ dropoutRate: 0.5 }),
        TypeError,
        "dotProductAttention: dropout needs a key: got a dropoutRate of 0.5 alone: pass dropoutKey",
      ],
    ];
  for (const [call, kind, message] of cases) assertThrows(call, kind, message);
});

Deno.test("dotProductAttention() refuses arrays", () => {
  const x = ones([1, 1, 2, 2]);
  assertThrows(
    () => dotProductAttention(x, [1] as unknown as Tensor, x),
    TypeError,
    "dotProductAttention: key must be a tensor: got an array",
  );
});
