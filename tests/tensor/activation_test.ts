import {
  gelu,
  leakyRelu,
  relu,
  silu,
  softplus,
  type Tensor,
  tensor,
} from "@heddle/tensor";
import { assertEquals } from "@std/assert";
import { assertClose, assertSame } from "../assert_close.ts";
import { checkGradients } from "../check_gradients.ts";
import { deviceTest } from "../devices.ts";
import { seeded } from "../seeded.ts";
import { erf } from "./erf.ts";

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
const geluTanh = (x: number) =>
  x / 2 * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));

const ACTIVATIONS: Record<
  string,
  [(x: Tensor) => Tensor, (x: number) => number]
> = {
  "relu()": [relu, (x) => Math.max(x, 0)],
  "leakyRelu()": [leakyRelu, (x) => x > 0 ? x : 0.01 * x],
  "leakyRelu() of slope 0.3": [
    (x) => leakyRelu(x, 0.3),
    (x) => x > 0 ? x : 0.3 * x,
  ],
  "gelu()": [gelu, (x) => x / 2 * (1 + erf(x / Math.SQRT2))],
  "gelu() by tanh": [(x) => gelu(x, { approximate: "tanh" }), geluTanh],
  "silu()": [silu, (x) => x * sigmoid(x)],
  "softplus()": [softplus, (x) => Math.log1p(Math.exp(x))],
};

for (const [name, [f, reference]] of Object.entries(ACTIVATIONS)) {
  deviceTest(`${name} and its gradient match a plain loop`, async () => {
    const x = seeded(9).apartFromZero([3, 7], 0.01, 4);
    await checkGradients(f, (values) => values.map(reference), x);
  });

  deviceTest(`${name} stays finite far from 0`, async () => {
    const x = [-1e4, -90, -30, 30, 90, 1e4].map(Math.fround);
    const expected = x.map(reference).map((y, at) =>
      Number.isFinite(y) ? y : x[at]! // the reference's own overflow
    );
    await assertClose(f(tensor(x)), expected);
  });
}

deviceTest(
  "relu() and leakyRelu() have the gradient of the left at 0",
  async () => {
    const x = tensor([0, -0, 1, -1], { requiresGrad: true });
    relu(x).sum().backward();
    await assertSame(x.grad!, [0, 0, 1, 0]);
    x.grad = null;
    leakyRelu(x, 0.5).sum().backward();
    await assertSame(x.grad!, [0.5, 0.5, 1, 0.5]);
  },
);

deviceTest("softplus() keeps the digits of small results", async () => {
  const x = [-20, -15, -10];
  const expected = x.map((v) => Math.log1p(Math.exp(v)));
  await assertClose(softplus(tensor(x)), expected, { rtol: 1e-5, atol: 0 });
});

Deno.test("activations give float32 of any type", () => {
  for (const [f] of Object.values(ACTIVATIONS)) {
    assertEquals(f(tensor(Int32Array.of(-2, 2))).dtype, "float32");
    assertEquals(f(tensor([true, false])).dtype, "float32");
  }
});

deviceTest("activations compute bools and integers as float32", async () => {
  await assertSame(relu(tensor(Int32Array.of(-2, 3))), [0, 3]);
  await assertClose(gelu(tensor([true, false])), [
    (1 + erf(Math.SQRT1_2)) / 2,
    0,
  ]);
});
