import * as heddle from "@heddle/tensor";
import {
  arange,
  type DType,
  type Operand,
  type Tensor,
  tensor,
  zeros,
} from "@heddle/tensor";
import { assertEquals, assertThrows } from "@std/assert";
import { assertClose, assertSame } from "../assert_close.ts";
import { checkGradients } from "../check_gradients.ts";
import { deviceTest } from "../devices.ts";
import { seeded } from "../seeded.ts";
import { type Values, zip } from "../values.ts";
import { VIEWS } from "./strided_views.ts";

type Binary = (a: Operand, b: Operand) => Tensor;
type Plain = (a: number, b: number) => number;

const SMOOTH: Record<string, [Binary, Plain]> = {
  add: [heddle.add, (a, b) => a + b],
  sub: [heddle.sub, (a, b) => a - b],
  mul: [heddle.mul, (a, b) => a * b],
  div: [heddle.div, (a, b) => a / b],
  maximum: [heddle.maximum, Math.max],
  minimum: [heddle.minimum, Math.min],
};

/** Shapes that broadcast, with size 1, other ranks, and a scalar. */
const SHAPES: readonly [number[], number[]][] = [
  [[3, 5], [3, 5]],
  [[3, 5], [5]],
  [[3, 1], [1, 5]],
  [[2, 1, 7], [3, 1]],
  [[], [2, 3]],
  [[2, 3], []],
  [[], []],
  [[1], [1, 1, 1]],
];

for (const [name, [f, plain]] of Object.entries(SMOOTH)) {
  deviceTest(`${name}() broadcasts, and so do its gradients`, async () => {
    for (const [a, b] of SHAPES) {
      const random = seeded(a.length + 7 * b.length);
      const inputs = [
        random.apartFromZero(a, 0.4, 2),
        random.apartFromZero(b, 0.41, 1.9),
      ];
      await checkGradients(
        (x, y) => f(x!, y!),
        (x, y) => zip(plain, x!, y!),
        inputs,
        { of: `[${a}] and [${b}]` },
      );
    }
  });
}

deviceTest("binary operations take views on both sides", async () => {
  const base = seeded(1).apartFromZero([5, 6], 0.5, 2);
  const other = seeded(2).apartFromZero([6], 0.5, 2);
  for (const { name, of, valuesOf } of VIEWS) {
    const width = valuesOf(base).shape.at(-1) ?? 1;
    const row = (v: Values) =>
      v.along(0, (line) => line.concat(line, line).slice(0, width));
    await checkGradients(
      (x, y) =>
        of(x!).mul(
          y!.reshape([1, 6]).expand([3, 6]).flatten().slice([0, width]),
        ),
      (x, y) => zip((a, b) => a * b, valuesOf(x!), row(y!)),
      [base, other],
      { of: name },
    );
  }
});

deviceTest("binary operations take axes of size 0", async () => {
  const none = zeros([0, 3]);
  assertEquals(none.add(tensor([1, 2, 3])).shape, [0, 3]);
  assertEquals((await none.mul(2).data()).length, 0);
  assertEquals((await zeros([2, 0]).div(zeros([1, 0])).data()).length, 0);
});

deviceTest(
  "arithmetic of a tensor and a number takes the tensor's type",
  async () => {
    const floats = tensor([1.5, -2]);
    const ints = tensor(Int32Array.of(7, -7));
    const words = tensor(Uint32Array.of(7, 1));
    const bools = tensor([true, false]);
    const cases: [Tensor, DType, number[]][] = [
      [floats.add(2), "float32", [3.5, 0]],
      [floats.mul(0.25), "float32", [0.375, -0.5]],
      [ints.add(2), "int32", [9, -5]],
      [ints.sub(1000), "int32", [-993, -1007]],
      [ints.add(0.5), "float32", [7.5, -6.5]],
      [heddle.sub(1, ints), "int32", [-6, 8]],
      [words.mul(3), "uint32", [21, 3]],
      [bools.add(1), "int32", [2, 1]],
      [bools.mul(0.5), "float32", [0.5, 0]],
      [ints.div(2), "float32", [3.5, -3.5]],
      [ints.maximum(0), "int32", [7, 0]],
      [heddle.minimum(3, ints), "int32", [3, -7]],
      [floats.add(true), "float32", [2.5, -1]],
      [bools.sub(true), "int32", [0, -1]],
    ];
    for (const [result, dtype, expected] of cases) {
      assertEquals(result.dtype, dtype);
      await assertSame(result, expected);
    }
  },
);

deviceTest("arithmetic of two types takes the wider", async () => {
  const one: Record<DType, Tensor> = {
    float32: tensor([2.5]),
    int32: tensor(Int32Array.of(-3)),
    uint32: tensor(Uint32Array.of(4)),
    bool: tensor([true]),
  };
  const pairs: [DType, DType, DType, number][] = [
    ["float32", "int32", "float32", -0.5],
    ["uint32", "float32", "float32", 6.5],
    ["bool", "float32", "float32", 3.5],
    ["bool", "int32", "int32", -2],
    ["uint32", "bool", "uint32", 5],
  ];
  for (const [a, b, dtype, sum] of pairs) {
    const result = one[a].add(one[b]);
    assertEquals(result.dtype, dtype);
    await assertSame(result, [sum]);
  }
  assertThrows(
    () => one.int32.add(one.uint32),
    TypeError,
    "add: int32 and uint32 do not mix: cast one of them first",
  );
});

deviceTest(
  "arithmetic of bools is logical for add and mul, else counts",
  async () => {
    const a = tensor([true, true, false, false]);
    const b = tensor([true, false, true, false]);
    await assertSame(a.add(b), [1, 1, 1, 0]);
    assertEquals(a.add(b).dtype, "bool");
    await assertSame(a.mul(b), [1, 0, 0, 0]);
    await assertSame(a.sub(b), [0, 1, -1, 0]);
    assertEquals(a.sub(b).dtype, "int32");
    await assertSame(a.maximum(b), [1, 1, 1, 0]);
  },
);

deviceTest("whole numbers wrap around", async () => {
  const top = tensor(Int32Array.of(2 ** 31 - 1, -(2 ** 31)));
  await assertSame(top.add(1), [-(2 ** 31), -(2 ** 31) + 1]);
  await assertSame(top.mul(top), [1, 0]);
  const words = tensor(Uint32Array.of(2 ** 32 - 1, 0));
  await assertSame(words.add(1), [0, 1]);
  await assertSame(words.sub(1), [2 ** 32 - 2, 2 ** 32 - 1]);
  await assertSame(words.mul(words), [1, 0]);
});

deviceTest(
  "maximum() and minimum() share the gradient of equal operands",
  async () => {
    for (const f of [heddle.maximum, heddle.minimum]) {
      const a = tensor([1, 2, 3], { requiresGrad: true });
      const b = tensor([3, 2, 1], { requiresGrad: true });
      f(a, b).sum().backward();
      const greater = f === heddle.maximum ? 1 : 0;
      await assertSame(a.grad!, [1 - greater, 0.5, greater]);
      await assertSame(b.grad!, [greater, 0.5, 1 - greater]);
    }
  },
);

deviceTest("maximum() and minimum() give NaN if one is", async () => {
  const a = tensor([NaN, 1, NaN]);
  const b = tensor([1, NaN, NaN]);
  await assertSame(a.maximum(b), [NaN, NaN, NaN]);
  await assertSame(a.minimum(b), [NaN, NaN, NaN]);
}, { devices: ["reference", "wasm"] });

deviceTest("div() gives infinity and NaN as IEEE 754 does", async () => {
  const a = tensor([1, -1, 0, Infinity]);
  await assertSame(a.div(zeros([4])), [Infinity, -Infinity, NaN, Infinity]);
  await assertSame(tensor([0]).div(Infinity), [0]);
}, { devices: ["reference", "wasm"] });

/** Python's, for a divisor that is not 0. */
const floorMod: Plain = (a, b) => a - b * Math.floor(a / b);

deviceTest("mod() has the sign of the divisor, as in Python", async () => {
  const a = [-7, -6, -1, 0, 1, 6, 7];
  for (const b of [3, -3, 1, 7]) {
    const expected = a.map((x) => floorMod(x, b) + 0);
    await assertSame(tensor(a).mod(b), expected, `float by ${b}`);
    const ints = tensor(Int32Array.from(a));
    await assertSame(ints.mod(b), expected, `int by ${b}`);
    assertEquals(ints.mod(b).dtype, "int32");
  }
  await assertSame(tensor(Uint32Array.of(7, 2 ** 32 - 1)).mod(4), [3, 3]);
  await assertClose(
    tensor([5.5, -5.5, 5.5]).mod(tensor([2, 2, -2])),
    [1.5, 0.5, -0.5],
  );
});

deviceTest("mod() of integers by 0 is 0", async () => {
  const by = tensor(Int32Array.of(0, 0));
  await assertSame(tensor(Int32Array.of(5, -5)).mod(by), [0, 0]);
});

deviceTest("floorDivide() rounds down, as in Python", async () => {
  const a = [-7, -6, -1, 0, 1, 6, 7];
  for (const b of [3, -3, 1, 7]) {
    const expected = a.map((x) => Math.floor(x / b) + 0);
    await assertSame(tensor(a).floorDivide(b), expected, `float by ${b}`);
    const ints = tensor(Int32Array.from(a)).floorDivide(b);
    assertEquals(ints.dtype, "int32");
    await assertSame(ints, expected, `int by ${b}`);
  }
  const words = tensor(Uint32Array.of(2 ** 32 - 1)).floorDivide(2);
  await assertSame(words, [2 ** 31 - 1]);
  await assertSame(
    tensor(Int32Array.of(5)).floorDivide(tensor(Int32Array.of(0))),
    [0],
  );
});

deviceTest(
  "mod() and floorDivide() together give back the dividend",
  async () => {
    const random = seeded(8);
    const a = random.integers([101], -50, 50).tensor("int32");
    const b = random.integers([101], 1, 9)
      .map((v) => random.next() < 0.5 ? -v : v).tensor("int32");
    await assertSame(a.floorDivide(b).mul(b).add(a.mod(b)), a);
  },
);

deviceTest("mod() has gradients where it does not jump", async () => {
  const a = tensor([5.5, -5.5, 1.25], { requiresGrad: true });
  const b = tensor([2, 2, 3], { requiresGrad: true });
  a.mod(b).sum().backward();
  await assertSame(a.grad!, [1, 1, 1]);
  await assertSame(b.grad!, [-2, 3, 0]);
});

deviceTest(
  "pow() of numbers matches a plain loop, with its gradient",
  async () => {
    const x = seeded(3).values([3, 5], { low: 0.3, high: 2 });
    for (const b of [0, 1, 2, 3, 5, -1, -2, 0.5, -0.5, 1.7, -2.3]) {
      await checkGradients(
        (t) => t.pow(b),
        (v) => v.map((a) => a ** b),
        x,
        { of: `exponent ${b}`, forward: { rtol: 2e-5, atol: 1e-5 } },
      );
    }
  },
);

deviceTest(
  "pow() of tensors matches a plain loop, with both gradients",
  async () => {
    const base = seeded(3).values([3, 1], { low: 0.3, high: 2 });
    const exponent = seeded(4).values([5], { low: -3, high: 3 });
    await checkGradients(
      (x, y) => x!.pow(y!),
      (x, y) => zip((a, b) => a ** b, x!, y!),
      [base, exponent],
      { forward: { rtol: 2e-5, atol: 1e-5 } },
    );
    await checkGradients(
      (x) => heddle.pow(2, x),
      (v) => v.map((a) => 2 ** a),
      exponent,
    );
  },
);

deviceTest("pow() of a negative base needs a whole exponent", async () => {
  const base = tensor([-2, -2, -2, -2]);
  await assertClose(base.pow(tensor([2, 3, -1, 0])), [4, -8, -0.5, 1]);
  await assertSame(tensor([-2, -3]).pow(3), [-8, -27]);
  const fraction = await tensor([-2]).pow(tensor([0.5])).data();
  assertEquals(Number.isNaN(fraction[0]), true);
}, { devices: ["reference", "wasm"] });

deviceTest("pow() of 0 and to the power 0", async () => {
  const exponents = tensor([0, 2, 0.5]);
  await assertSame(zeros([3]).pow(exponents), [1, 0, 0]);
  await assertSame(tensor([5, -3, 0]).pow(0), [1, 1, 1]);
  const x = tensor([0, 0], { requiresGrad: true });
  x.pow(tensor([2, 3])).sum().backward();
  await assertSame(x.grad!, [0, 0]);
});

deviceTest("pow() of integers stays whole for whole exponents", async () => {
  const ints = tensor(Int32Array.of(-3, 2)).pow(5);
  assertEquals(ints.dtype, "int32");
  await assertSame(ints, [-243, 32]);
  assertEquals(tensor(Int32Array.of(2)).pow(-1).dtype, "float32");
  await assertSame(tensor(Int32Array.of(2)).pow(-1), [0.5]);
  assertEquals(tensor([true]).pow(2).dtype, "float32");
});

deviceTest(
  "large numbers pass through as parameters, small as constants",
  async () => {
    for (const value of [0, 1, -16, 16, 17, -17, 0.1, 12345.75, -1e30, 1e-30]) {
      await assertSame(
        tensor([1, 2]).mul(value),
        [Math.fround(value), Math.fround(2 * Math.fround(value))],
        `${value}`,
      );
    }
    await assertSame(arange(3).add(123456789), [
      123456789,
      123456790,
      123456791,
    ]);
  },
);

Deno.test("arithmetic refuses shapes that do not broadcast", () => {
  assertThrows(
    () => zeros([2, 3]).add(zeros([4, 5])),
    RangeError,
    "add: shapes do not broadcast: [2, 3] and [4, 5]",
  );
  assertThrows(
    () => zeros([2, 3]).floorDivide(zeros([2])),
    RangeError,
    "floorDivide: shapes do not broadcast: [2, 3] and [2]",
  );
  assertThrows(() => zeros([3]).pow(zeros([2])), RangeError, "pow: shapes");
});

Deno.test("arithmetic refuses what is neither tensor nor number", () => {
  for (
    const [wrong, kind] of [["1", "string"], [null, "null"], [[1], "object"]]
  ) {
    assertThrows(
      () => tensor([1]).mul(wrong as unknown as number),
      TypeError,
      `mul: operands must be tensors or numbers: got ${kind}`,
    );
  }
});
