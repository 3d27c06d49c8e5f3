import * as heddle from "@heddle/tensor";
import { type DType, type Tensor, tensor } from "@heddle/tensor";
import { assertEquals, assertThrows } from "@std/assert";
import { assertClose, assertSame, type Tolerance } from "../assert_close.ts";
import { checkGradients } from "../check_gradients.ts";
import { deviceTest } from "../devices.ts";
import { seeded } from "../seeded.ts";
import { Values } from "../values.ts";
import { erf } from "./erf.ts";
import { VIEWS } from "./strided_views.ts";

interface Unary {
  readonly f: (x: Tensor) => Tensor;
  readonly reference: (x: number) => number;
  /** Where it is tested, clear of kinks. */
  readonly low: number;
  readonly high: number;
  /** What is looser, and why. */
  readonly forward?: Tolerance;
  readonly onGpu?: Tolerance;
}

// WGSL gives sine and cosine within 2^-11 on [-π, π].
const WGSL_SINE: Tolerance = { rtol: 0, atol: 5e-4 };
// WGSL gives exp within 3 + 2 |x| units in the last place.
const WGSL_EXP: Tolerance = { rtol: 1e-5, atol: 1e-5 };

const UNARY: Record<string, Unary> = {
  neg: { f: heddle.neg, reference: (x) => -x, low: -9, high: 9 },
  abs: { f: heddle.abs, reference: Math.abs, low: 0.1, high: 9 },
  sign: { f: heddle.sign, reference: Math.sign, low: -9, high: -0.1 },
  exp: { f: heddle.exp, reference: Math.exp, low: -20, high: 9 },
  expm1: { f: heddle.expm1, reference: Math.expm1, low: -3, high: 3 },
  log: { f: heddle.log, reference: Math.log, low: 0.01, high: 90 },
  log1p: { f: heddle.log1p, reference: Math.log1p, low: -0.9, high: 9 },
  sqrt: { f: heddle.sqrt, reference: Math.sqrt, low: 0.01, high: 90 },
  rsqrt: {
    f: heddle.rsqrt,
    reference: (x) => 1 / Math.sqrt(x),
    low: 0.2,
    high: 90,
  },
  reciprocal: {
    f: heddle.reciprocal,
    reference: (x) => 1 / x,
    low: 0.3,
    high: 9,
  },
  square: { f: heddle.square, reference: (x) => x * x, low: -9, high: 9 },
  sin: {
    f: heddle.sin,
    reference: Math.sin,
    low: -3.1,
    high: 3.1,
    onGpu: WGSL_SINE,
  },
  cos: {
    f: heddle.cos,
    reference: Math.cos,
    low: -3.1,
    high: 3.1,
    onGpu: WGSL_SINE,
  },
  tan: {
    f: heddle.tan,
    reference: Math.tan,
    low: -1,
    high: 1,
    onGpu: { rtol: 0, atol: 4e-3 }, // the cosine is above 0.54
  },
  tanh: { f: heddle.tanh, reference: Math.tanh, low: -4, high: 4 },
  erf: { f: heddle.erf, reference: erf, low: -3.5, high: 3.5 },
  sigmoid: {
    f: heddle.sigmoid,
    reference: (x) => 1 / (1 + Math.exp(-x)),
    low: -9,
    high: 9,
  },
  floor: { f: heddle.floor, reference: Math.floor, low: 1.01, high: 1.9 },
  ceil: { f: heddle.ceil, reference: Math.ceil, low: -2.9, high: -2.1 },
  trunc: { f: heddle.trunc, reference: Math.trunc, low: -2.9, high: -2.1 },
  round: { f: heddle.round, reference: Math.round, low: 1.6, high: 2.4 },
};

for (const [name, operation] of Object.entries(UNARY)) {
  const { f, reference, low, high, forward = {}, onGpu = WGSL_EXP } = operation;

  deviceTest(
    `${name}() and its gradient match a plain loop`,
    async (device) => {
      const gpu = device.name === "webgpu";
      const x = seeded(3).values([3, 7], { low, high });
      await checkGradients(f, (values) => values.map(reference), x, {
        forward: gpu ? onGpu : forward,
        ...gpu ? { gradient: { rtol: 1e-3, atol: 2e-3 } } : {},
      });
    },
  );
}

for (const { name, of, valuesOf } of VIEWS) {
  deviceTest(`neg() and exp() take a view: ${name}`, async () => {
    const x = seeded(5).values([5, 6]);
    for (
      const [f, reference] of [[heddle.neg, (v: number) => -v], [
        heddle.exp,
        Math.exp,
      ]] as const
    ) {
      await checkGradients(
        (t) => f(of(t)),
        (values) => valuesOf(values).map(reference),
        x,
      );
    }
  });
}

deviceTest(
  "unary operations take 0 and one past a workgroup of elements",
  async () => {
    for (const size of [0, 1, 2, 63, 64, 65, 257]) {
      const x = seeded(size).integers([size], -9, 9);
      await assertSame(x.tensor().neg(), x.map((v) => -v + 0));
      await assertSame(x.tensor().abs().square(), x.map((v) => v * v));
    }
  },
);

const EDGES = [0, -0, 1, -1, Infinity, -Infinity, NaN];

/** What operations give at {@link EDGES}, as C and NumPy do. */
const AT_EDGES: Record<string, readonly number[]> = {
  neg: [-0, 0, -1, 1, -Infinity, Infinity, NaN],
  abs: [0, 0, 1, 1, Infinity, Infinity, NaN],
  exp: [1, 1, Math.E, 1 / Math.E, Infinity, 0, NaN],
  expm1: [0, -0, Math.E - 1, 1 / Math.E - 1, Infinity, -1, NaN],
  log: [-Infinity, -Infinity, 0, NaN, Infinity, NaN, NaN],
  log1p: [0, -0, Math.LN2, -Infinity, Infinity, NaN, NaN],
  sqrt: [0, -0, 1, NaN, Infinity, NaN, NaN],
  rsqrt: [Infinity, -Infinity, 1, NaN, 0, NaN, NaN],
  reciprocal: [Infinity, -Infinity, 1, -1, 0, -0, NaN],
  square: [0, 0, 1, 1, Infinity, Infinity, NaN],
  sin: [0, -0, Math.sin(1), -Math.sin(1), NaN, NaN, NaN],
  cos: [1, 1, Math.cos(1), Math.cos(1), NaN, NaN, NaN],
  tanh: [0, -0, Math.tanh(1), -Math.tanh(1), 1, -1, NaN],
  erf: [0, -0, erf(1), -erf(1), 1, -1, NaN],
  sigmoid: [0.5, 0.5, 1 / (1 + 1 / Math.E), 1 / (1 + Math.E), 1, 0, NaN],
  floor: [0, -0, 1, -1, Infinity, -Infinity, NaN],
  ceil: [0, -0, 1, -1, Infinity, -Infinity, NaN],
  trunc: [0, -0, 1, -1, Infinity, -Infinity, NaN],
  round: [0, -0, 1, -1, Infinity, -Infinity, NaN],
};

deviceTest(
  "unary operations give what C gives at 0, infinity and NaN",
  async () => {
    for (const [name, expected] of Object.entries(AT_EDGES)) {
      const result = UNARY[name]!.f(tensor(EDGES));
      await assertClose(result, expected, { of: name });
    }
  },
  { devices: ["reference", "wasm"] }, // WGSL may assume that neither occurs
);

deviceTest("log1p() and expm1() keep the digits of tiny numbers", async () => {
  const tiny = [1e-30, -1e-30, 1e-7, -1e-7, 1e-4, 0.01, 0.29, 0.31, -0.29];
  const x = new Values([tiny.length], tiny.map(Math.fround));
  const relative = { rtol: 1e-6, atol: 0 };
  await assertClose(x.tensor().log1p(), x.map(Math.log1p), relative);
  await assertClose(x.tensor().expm1(), x.map(Math.expm1), relative);
});

deviceTest(
  "sigmoid(), tanh() and erf() saturate without overflow",
  async () => {
    const x = tensor([-3e38, -1000, -89, 89, 1000, 3e38]);
    await assertClose(x.sigmoid(), [0, 0, 0, 1, 1, 1]);
    await assertClose(x.tanh(), [-1, -1, -1, 1, 1, 1]);
    await assertClose(x.erf(), [-1, -1, -1, 1, 1, 1]);
  },
);

deviceTest("sin() and cos() take angles of many turns", async () => {
  const x = new Values([4], [100, -100, 1000, 31415].map(Math.fround));
  // A float32 of 31415 is known to 1e-3.
  const far = { rtol: 0, atol: 2e-3 };
  await assertClose(x.tensor().sin(), x.map(Math.sin), far);
  await assertClose(x.tensor().cos(), x.map(Math.cos), far);
}, { devices: ["reference", "wasm"] });

deviceTest("round() rounds halves to even", async () => {
  const x = tensor([0.5, 1.5, 2.5, -0.5, -1.5, 2.4999998, 8388609]);
  await assertSame(x.round(), [0, 2, 2, -0, -2, 2, 8388609]);
});

deviceTest("sign() and abs() take every type", async () => {
  await assertSame(tensor([-2.5, 0, 7]).sign(), [-1, 0, 1]);
  const ints = tensor(Int32Array.of(-5, 0, 7, -(2 ** 31)));
  await assertSame(ints.sign(), [-1, 0, 1, -1]);
  await assertSame(ints.abs(), [5, 0, 7, -(2 ** 31)]); // wraps, as in C
  const words = tensor(Uint32Array.of(0, 2 ** 32 - 1));
  await assertSame(words.sign(), [0, 1]);
  await assertSame(words.abs(), [0, 2 ** 32 - 1]);
  await assertSame(tensor([true, false]).sign(), [1, 0]);
  await assertSame(tensor([true, false]).abs(), [1, 0]);
});

deviceTest("neg() of whole numbers wraps and of bools counts", async () => {
  await assertSame(tensor(Int32Array.of(3, -(2 ** 31))).neg(), [
    -3,
    -(2 ** 31),
  ]);
  await assertSame(tensor(Uint32Array.of(0, 1)).neg(), [0, 2 ** 32 - 1]);
  await assertSame(tensor([true, false]).neg(), [-1, 0]);
});

Deno.test("unary operations give float32, and integers where they stay whole", () => {
  const types: DType[] = ["float32", "int32", "uint32", "bool"];
  const typesOf = (f: (x: Tensor) => Tensor) =>
    types.map((dtype) => f(tensor([1, 0], { dtype })).dtype);
  const floats = ["float32", "float32", "float32", "float32"];
  for (
    const f of [
      heddle.exp,
      heddle.log,
      heddle.sqrt,
      heddle.rsqrt,
      heddle.reciprocal,
      heddle.sin,
      heddle.cos,
      heddle.tan,
      heddle.tanh,
      heddle.erf,
      heddle.sigmoid,
      heddle.log1p,
      heddle.expm1,
    ]
  ) assertEquals(typesOf(f), floats);
  for (
    const f of [
      heddle.floor,
      heddle.ceil,
      heddle.round,
      heddle.trunc,
      heddle.abs,
      heddle.sign,
    ]
  ) assertEquals(typesOf(f), types);
  assertEquals(typesOf(heddle.neg), ["float32", "int32", "uint32", "int32"]);
});

deviceTest("unary operations of integers compute in float32", async () => {
  const x = tensor(Int32Array.of(1, 4, 9));
  await assertClose(x.sqrt(), [1, 2, 3]);
  await assertClose(tensor([true, false]).exp(), [Math.E, 1]);
});

deviceTest(
  "abs(), sign() and the steps have gradients of 0 at their kinks",
  async () => {
    for (
      const f of [
        heddle.abs,
        heddle.sign,
        heddle.floor,
        heddle.ceil,
        heddle.round,
        heddle.trunc,
      ]
    ) {
      const x = tensor([0, 2], { requiresGrad: true });
      // Something that depends on x, so that there is a gradient at all.
      f(x).add(x.mul(3)).sum().backward();
      const slope = f === heddle.abs ? 1 : 0;
      await assertSame(x.grad!, [3, 3 + slope]);
    }
  },
);

deviceTest(
  "clamp() keeps values within bounds, each of them optional",
  async () => {
    const x = new Values([6], [-5, -1, 0, 0.5, 2, 9]);
    const bound = (low: number, high: number) =>
      x.map((v) => Math.min(high, Math.max(low, v)));
    await assertSame(x.tensor().clamp({ min: -1, max: 2 }), bound(-1, 2));
    await assertSame(x.tensor().clamp({ min: 0.25 }), bound(0.25, 9));
    await assertSame(x.tensor().clamp({ max: 1.5 }), bound(-5, 1.5));
    await assertSame(x.tensor().clamp({}), x);
    const ints = tensor(Int32Array.of(-7, 3, 7)).clamp({ min: -2, max: 5 });
    assertEquals(ints.dtype, "int32");
    await assertSame(ints, [-2, 3, 5]);
  },
);

deviceTest("clamp() passes gradients within the bounds only", async () => {
  const x = seeded(4).values([3, 5], { low: -3, high: 3 });
  await checkGradients(
    (t) => t.clamp({ min: -1.25, max: 0.75 }),
    (v) => v.map((a) => Math.min(0.75, Math.max(-1.25, a))),
    x,
  );
  const edge = tensor([-1, 2], { requiresGrad: true });
  edge.clamp({ min: -1, max: 2 }).sum().backward();
  await assertSame(edge.grad!, [1, 1]);
});

deviceTest("clamp() keeps NaN", async () => {
  await assertSame(tensor([NaN, 3]).clamp({ min: 0, max: 1 }), [NaN, 1]);
}, { devices: ["reference", "wasm"] });

Deno.test("clamp() refuses bounds that cross", () => {
  assertThrows(
    () => tensor([1]).clamp({ min: 2, max: 1 }),
    RangeError,
    "clamp: min is above max: got 2 and 1",
  );
});
