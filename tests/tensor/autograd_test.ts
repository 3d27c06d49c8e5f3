import {
  arange,
  checkpoint,
  conv2d,
  custom,
  grad,
  layerNorm,
  noGrad,
  ones,
  realize,
  softmax,
  stopGradient,
  type Tensor,
  tensor,
  valueAndGrad,
  zeros,
} from "@heddle/tensor";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { assertClose, assertSame } from "../assert_close.ts";
import { checkGradients, checkGradientsBySteps } from "../check_gradients.ts";
import { deviceTest } from "../devices.ts";
import { seeded } from "../seeded.ts";

const variable = (values: number | number[] | number[][]): Tensor =>
  tensor(values, { requiresGrad: true });

deviceTest("backward() leaves gradients in all variables", async () => {
  const a = variable([1, 2]);
  const b = variable([3, 4]);
  const c = tensor([5, 6]);
  a.mul(b).add(c).mul(a).sum().backward();
  await assertSame(a.grad!, [2 * 1 * 3 + 5, 2 * 2 * 4 + 6]);
  await assertSame(b.grad!, [1, 4]);
  assertEquals(c.grad, null);
});

deviceTest("backward() adds up over uses and over calls", async () => {
  const x = variable([1, 2]);
  const y = x.mul(3);
  y.sum().add(y.mul(x).sum()).backward();
  await assertSame(x.grad!, [9, 15]);
  y.sum().backward();
  await assertSame(x.grad!, [12, 18]);
  x.grad = null;
  y.sum().backward();
  await assertSame(x.grad!, [3, 3]);
});

deviceTest("backward() takes a seed of the result's shape", async () => {
  const x = variable([[1, 2], [3, 4]]);
  x.mul(x).backward(tensor([[1, 10], [100, 1000]]));
  await assertSame(x.grad!, [[2, 40], [600, 8000]]);
});

deviceTest("backward() of a variable itself is its seed", async () => {
  const x = variable(3);
  x.backward();
  await assertSame(x.grad!, 1);
});

deviceTest("backward() after the loss was read gives the same", async () => {
  const x = variable([1, 2, 3]);
  const hidden = x.exp();
  const loss = hidden.sum();
  await loss.item();
  loss.backward();
  await assertClose(x.grad!, [Math.E, Math.E ** 2, Math.E ** 3]);
  await realize(hidden);
  const again = hidden.mul(2).sum();
  x.grad = null;
  again.backward();
  await assertClose(x.grad!, [2 * Math.E, 2 * Math.E ** 2, 2 * Math.E ** 3]);
});

Deno.test("backward() refuses what it cannot differentiate", () => {
  const x = variable([1, 2]);
  const cases: [() => unknown, ErrorConstructor, string][] = [
    [
      () => x.mul(2).backward(),
      RangeError,
      "backward: not a scalar: got shape [2]: reduce it first, or pass a seed of that shape",
    ],
    [
      () => x.mul(2).backward(ones([3])),
      RangeError,
      "backward: the seed's shape differs: got [3] for [2]",
    ],
    [
      () => x.mul(2).backward(ones([2], { dtype: "int32" })),
      TypeError,
      "backward: the seed must be float32: got int32",
    ],
    [
      () => tensor([1]).backward(),
      Error,
      "backward: nothing to differentiate: no tensor with requiresGrad has a part in this one",
    ],
    [
      () => x.detach().sum().backward(),
      Error,
      "backward: nothing to differentiate",
    ],
    [() => x.argmax().backward(), Error, "backward: nothing to differentiate"],
    [
      () => x.sum().cast("int32").backward(),
      Error,
      "backward: nothing to differentiate",
    ],
    [
      () => noGrad(() => x.sum()).backward(),
      Error,
      "backward: nothing to differentiate",
    ],
  ];
  for (const [call, type, message] of cases) assertThrows(call, type, message);
  assertEquals(x.grad, null);
});

Deno.test("requiresGrad tells what has gradients, isVariable who keeps them", () => {
  const x = variable([1, 2]);
  assert(x.requiresGrad && x.isVariable);
  const y = x.mul(2);
  assert(y.requiresGrad && !y.isVariable);
  assert(!x.detach().requiresGrad);
  assert(!stopGradient(y).requiresGrad);
  assert(!noGrad(() => x.mul(2)).requiresGrad);
  assert(!tensor([1]).requiresGrad);
  // Whole numbers have none.
  assert(!x.gt(0).requiresGrad);
  assert(!x.cast("int32").requiresGrad);
  assert(!x.argmax().requiresGrad);
  assert(!x.sort().indices.requiresGrad && x.sort().values.requiresGrad);
  const late = tensor([1]);
  assertEquals(late.asVariable(), late);
  assert(late.isVariable);
  assertThrows(
    () => zeros([1], { dtype: "bool" }).asVariable(),
    TypeError,
    "asVariable: only float32 has gradients: got bool",
  );
});

deviceTest("stopGradient() counts as a constant", async () => {
  const x = variable([2, 3]);
  x.mul(stopGradient(x)).sum().backward();
  await assertSame(x.grad!, [2, 3]);
  await assertSame(x.detach(), [2, 3]);
});

deviceTest("noGrad() ends with its function, also by an error", async () => {
  const x = variable([2]);
  assertThrows(
    () =>
      noGrad(() => {
        throw new Error("inside");
      }),
    Error,
    "inside",
  );
  assert(x.mul(2).requiresGrad);
  assertEquals(noGrad(() => noGrad(() => 7)), 7);
  x.mul(noGrad(() => x.mul(x))).backward();
  await assertSame(x.grad!, [4]);
});

deviceTest(
  "asVariable() of a result cuts it off what it was made from",
  async () => {
    const x = variable([1, 2]);
    const y = x.mul(3).asVariable();
    x.add(y.mul(y)).sum().backward();
    await assertSame(x.grad!, [1, 1]);
    await assertSame(y.grad!, [6, 12]);
  },
);

deviceTest("assign() cuts a variable off its new value's past", async () => {
  const x = variable([1, 2]);
  const w = variable([10, 10]);
  w.assign(x.mul(3));
  assert(w.isVariable);
  x.mul(w).sum().backward();
  await assertSame(w.grad!, [1, 2]);
  await assertSame(x.grad!, [3, 6]);
});

deviceTest(
  "assign() keeps identity; what was made before keeps the old value",
  async () => {
    const x = variable([1, 2]);
    const before = x.mul(10);
    const same = x.assign(tensor([5, 6]));
    assertEquals(same, x);
    const after = x.mul(10);
    await assertSame(before, [10, 20]);
    await assertSame(after, [50, 60]);
    after.sum().backward();
    await assertSame(x.grad!, [10, 10]);
    const plain = tensor(Int32Array.of(1));
    plain.assign(plain.add(1));
    plain.assign(plain.add(1));
    await assertSame(plain, [3]);
    assert(!plain.requiresGrad);
  },
);

Deno.test("assign() refuses another shape or type", () => {
  const x = variable([1, 2]);
  assertThrows(
    () => x.assign(zeros([3])),
    RangeError,
    "assign: shapes differ: got [3] for [2]",
  );
  assertThrows(
    () => x.assign(zeros([2], { dtype: "int32" })),
    TypeError,
    "assign: types differ: got int32 for float32",
  );
});

deviceTest("assign() of steps in a row is gradient descent", async () => {
  const x = variable([4]);
  for (let step = 0; step < 20; step++) {
    x.grad = null;
    x.mul(x).sum().backward();
    x.assign(x.sub(x.grad!.mul(0.25)));
  }
  await assertSame(x, [4 / 2 ** 20]);
});

deviceTest("grad() differentiates by the first argument", async () => {
  const slope = grad((x, y) => x!.mul(x!).mul(y!).sum());
  await assertSame(slope(tensor([1, 2]), tensor([3, 4])), [6, 16]);
  // What it is given needs no requiresGrad, and gets none.
  const x = variable([1]);
  grad((y) => y!.mul(2).sum())(x);
  assertEquals(x.grad, null);
});

deviceTest("grad() of what does not depend on it is 0", async () => {
  await assertSame(grad(() => tensor(3))(tensor([1, 2])), [0, 0]);
  const slope = grad((x) => x!.argmax().cast("float32"));
  await assertSame(slope(tensor([1, 2])), [0, 0]);
});

deviceTest("valueAndGrad() gives one gradient for each argument", async () => {
  const both = valueAndGrad((x, y) => x!.mul(y!).sum());
  const { value, grads } = both(tensor([1, 2]), tensor([3, 4]));
  await assertSame(value, 11);
  assertEquals(grads.length, 2);
  await assertSame(grads[0]!, [3, 4]);
  await assertSame(grads[1]!, [1, 2]);
  const x = tensor([2]);
  const twice = valueAndGrad((a, b) => a!.mul(b!).mul(b!).sum())(x, x);
  await assertSame(twice.grads[0]!, [4]);
  await assertSame(twice.grads[1]!, [8]);
});

Deno.test("grad() and valueAndGrad() refuse results that are not a scalar", () => {
  for (const [name, f] of Object.entries({ grad, valueAndGrad })) {
    assertThrows(
      () => f((x) => x!.mul(2))(tensor([1, 2])),
      RangeError,
      `${name}: the result is not a scalar: got shape [2]`,
    );
    assertThrows(
      () => f((x) => x!.sum())(arange(3)),
      TypeError,
      `${name}: needs float32: got int32`,
    );
  }
});

Deno.test("grad() refuses what is no tensor and no function", () => {
  const three = 3 as unknown as Tensor;
  assertThrows(
    () => grad((x) => x!.sum())(three),
    TypeError,
    "grad: not a tensor: got the number 3: make one with tensor()",
  );
  assertThrows(
    () => grad(() => three)(tensor(1)),
    TypeError,
    "grad: the result: not a tensor: got the number 3",
  );
  assertThrows(
    () => valueAndGrad(three as unknown as () => Tensor),
    TypeError,
    "valueAndGrad: not a function: got number",
  );
});

deviceTest(
  "grad() works inside noGrad(), and noGrad() inside grad()",
  async () => {
    const slope = noGrad(() => grad((x) => x!.mul(x!).sum())(tensor([3])));
    await assertSame(slope, [6]);
    const partial = grad((x) => x!.mul(noGrad(() => x!.mul(x!))).sum());
    await assertSame(partial(tensor([3])), [9]);
  },
);

deviceTest("grad() nests to any order", async () => {
  const sine = (x: Tensor) => x.sin().sum();
  const orders = [grad(sine as () => Tensor)];
  for (let order = 1; order < 4; order++) {
    const below = orders.at(-1)!;
    orders.push(grad((x) => below(x!).sum()));
  }
  const x = tensor([0.3, -1.2]);
  const expected = [Math.cos, (v: number) => -Math.sin(v)];
  for (const [at, f] of orders.entries()) {
    const sign = at < 2 ? 1 : -1;
    await assertClose(
      f(x),
      [0.3, -1.2].map((v) => sign * expected[at % 2]!(v)),
      { atol: 1e-3, of: `order ${at + 1}` },
    );
  }
});

deviceTest("grad() of a gradient penalty reaches the variables", async () => {
  // |∂f/∂x|² as part of a loss, as in a gradient penalty.
  const w = variable([2, -1]);
  const x = tensor([1, 3]);
  const slope = grad((y) => y!.mul(y!).mul(w).sum())(x);
  slope.mul(slope).sum().backward();
  await assertSame(slope, [4, -6]);
  await assertSame(w.grad!, [2 * 4 * 2, 2 * -6 * 6]);
});

deviceTest("custom() has the gradient that it is given", async () => {
  const step = custom(([x]) => x!.round(), (g) => [g]);
  await assertSame(grad((x) => step(x!).mul(3).sum())(tensor([0.7, 1.2])), [
    3,
    3,
  ]);
  const half = custom(
    ([a, b]) => a!.mul(b!),
    (g, result, [a, b]) => {
      assertEquals(result.shape, a!.shape);
      return [g.mul(b!).mul(0.5), null];
    },
  );
  const { value, grads } = valueAndGrad((a, b) => half(a!, b!).sum())(
    tensor([2, 3]),
    tensor([5, 7]),
  );
  await assertSame(value, 31);
  await assertSame(grads[0]!, [2.5, 3.5]);
  await assertSame(grads[1]!, [0, 0]);
});

deviceTest("custom() can be differentiated again", async () => {
  const cube = custom(
    ([x]) => x!.mul(x!).mul(x!),
    (g, _, [x]) => [g.mul(x!).mul(x!).mul(3)],
  );
  const slope = grad((x) => cube(x!).sum());
  await assertSame(grad((x) => slope(x!).sum())(tensor([2])), [12]);
});

Deno.test("custom() refuses gradients of another shape", () => {
  const wrong = custom(([x]) => x!.mul(2), () => [zeros([3])]);
  assertThrows(
    () => wrong(variable([1, 2])).sum().backward(),
    RangeError,
    "custom: gradient 0 has not its input's shape: got [3] for [2]",
  );
});

deviceTest("checkpoint() changes neither values nor gradients", async () => {
  const random = seeded(1);
  const inputs = [random.values([3, 4]), random.values([4, 5])];
  const block = (x: Tensor, w: Tensor) => x.matmul(w).tanh().mul(2).sin();
  const plain = valueAndGrad((x, w) => block(x!, w!).sum());
  const saved = valueAndGrad((x, w) =>
    checkpoint((a, b) => block(a!, b!))(x!, w!).sum()
  );
  const [want, got] = [plain, saved].map((f) =>
    f(...inputs.map((v) => v.tensor()))
  );
  await assertClose(got!.value, want!.value, { atol: 1e-5 });
  for (const [at, gradient] of got!.grads.entries()) {
    await assertClose(gradient, want!.grads[at]!);
  }
});

deviceTest(
  "checkpoint() reaches the variables that it closes over, once",
  async () => {
    // Used before, inside and behind it: x³ w⁴ in all.
    const w = variable([3]);
    const x = variable([2]);
    const hidden = x.mul(w);
    const squared = checkpoint((h) => h!.mul(w).mul(h!))(hidden);
    squared.mul(w).mul(x).sum().backward();
    await assertSame(w.grad!, [4 * 3 ** 3 * 2 ** 3]);
    await assertSame(x.grad!, [3 * 2 ** 2 * 3 ** 4]);
  },
);

deviceTest(
  "checkpoint() reaches a variable that it is given and closes over",
  async () => {
    const w = variable([3]);
    checkpoint((x) => x!.mul(x!).mul(w))(w).sum().backward();
    await assertSame(w.grad!, [27]);
  },
);

deviceTest("checkpoint() nests, and can be differentiated again", async () => {
  const inner = checkpoint((x) => x!.mul(x!));
  const outer = checkpoint((x) => inner(x!).mul(x!));
  const slope = grad((x) => outer(x!).sum());
  await assertSame(slope(tensor([2])), [12]);
  await assertSame(grad((x) => slope(x!).sum())(tensor([2])), [12]);
});

deviceTest(
  "checkpoint() of what needs no gradient is what it computes",
  async () => {
    const twice = checkpoint((x) => x!.mul(2))(tensor([3]));
    assert(!twice.requiresGrad);
    await assertSame(twice, [6]);
  },
);

deviceTest(
  "gradients flow through shared parts of a deep network",
  async () => {
    const random = seeded(2);
    await checkGradients(
      (x, w, b) => {
        let hidden = x!;
        for (let layer = 0; layer < 4; layer++) {
          hidden = layerNorm(hidden.matmul(w!).add(b!).tanh().add(hidden), {
            eps: 0.1,
          });
        }
        return softmax(hidden);
      },
      (x, w, b) => {
        let hidden = x!;
        for (let layer = 0; layer < 4; layer++) {
          const last = hidden;
          hidden = hidden.along(-1, (row) => {
            const mixed = row.map((_, j) =>
              row.reduce((sum, v, k) => sum + v * w!.at(k, j), b!.at(j))
            );
            return mixed.map(Math.tanh);
          }).map((v, index) => v + last.at(...index)).along(-1, (row) => {
            const mean = row.reduce((a, v) => a + v, 0) / row.length;
            const variance = row.reduce((a, v) => a + (v - mean) ** 2, 0) /
              row.length;
            return row.map((v) => (v - mean) / Math.sqrt(variance + 0.1));
          });
        }
        return hidden.along(-1, (row) => {
          const powers = row.map(Math.exp);
          const total = powers.reduce((a, b) => a + b);
          return powers.map((v) => v / total);
        });
      },
      [random.values([2, 3]), random.values([3, 3]), random.values([3])],
    );
  },
);

deviceTest("a convolution trains with its bias by backward()", async () => {
  const x = seeded(3).values([2, 1, 5, 5]).tensor();
  const weight = seeded(4).values([2, 1, 3, 3]).tensor().asVariable();
  const bias = zeros([2]).asVariable();
  const losses: number[] = [];
  for (let step = 0; step < 5; step++) {
    weight.grad = bias.grad = null;
    const loss = conv2d(x, weight, { bias }).sub(1).square().mean();
    loss.backward();
    weight.assign(weight.sub(weight.grad!.mul(0.1)));
    bias.assign(bias.sub(bias.grad!.mul(0.1)));
    losses.push(await loss.item());
  }
  for (let step = 1; step < 5; step++) {
    assert(losses[step]! < losses[step - 1]!, `${losses}`);
  }
});

deviceTest(
  "gradients of attention match its own differences",
  async (device) => {
    const random = seeded(5);
    await checkGradientsBySteps(
      (x, query, key, value) => {
        const [q, k, v] = [query!, key!, value!].map((w) =>
          x!.matmul(w).reshape([2, 4, 2, 3]).permute([0, 2, 1, 3])
        ) as [Tensor, Tensor, Tensor]; // [batch, heads, seqLen, headDim]
        const scores = q.matmul(k.transpose()).mul(1 / Math.sqrt(3));
        const mixed = softmax(scores.add(ones([4, 4]).triu(1).mul(-1e4)))
          .matmul(v);
        const joined = mixed.permute([0, 2, 1, 3]).reshape([2, 4, 6]);
        return layerNorm(joined.add(x!), { eps: 0.1 });
      },
      [
        random.values([2, 4, 6]),
        random.values([6, 6]),
        random.values([6, 6]),
        random.values([6, 6]),
      ],
      // A step of 2^-7 leaves out third derivatives.
      {
        gradient: { rtol: 1e-2, atol: device.name === "webgpu" ? 5e-3 : 2e-3 },
      },
    );
  },
);
