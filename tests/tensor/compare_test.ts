import * as heddle from "@heddle/tensor";
import {
  type Operand,
  type Tensor,
  tensor,
  where,
  zeros,
} from "@heddle/tensor";
import { assertEquals, assertThrows } from "@std/assert";
import { assertSame } from "../assert_close.ts";
import { checkGradients } from "../check_gradients.ts";
import { deviceTest } from "../devices.ts";
import { seeded } from "../seeded.ts";
import { zip } from "../values.ts";

type Binary = (a: Operand, b: Operand) => Tensor;

const COMPARISONS: Record<string, [Binary, (a: number, b: number) => boolean]> =
  {
    eq: [heddle.eq, (a, b) => a === b],
    ne: [heddle.ne, (a, b) => a !== b],
    lt: [heddle.lt, (a, b) => a < b],
    le: [heddle.le, (a, b) => a <= b],
    gt: [heddle.gt, (a, b) => a > b],
    ge: [heddle.ge, (a, b) => a >= b],
  };

for (const [name, [f, plain]] of Object.entries(COMPARISONS)) {
  deviceTest(
    `${name}() compares numbers of every type, broadcast`,
    async () => {
      const random = seeded(2);
      const a = random.integers([3, 1], 0, 4);
      const b = random.integers([7], 0, 4);
      const expected = zip((x, y) => Number(plain(x, y)), a, b);
      for (const dtype of ["float32", "int32", "uint32"] as const) {
        const result = f(a.tensor(dtype), b.tensor(dtype));
        assertEquals(result.dtype, "bool");
        await assertSame(result, expected, dtype);
      }
      await assertSame(f(a.tensor(), 2), a.map((x) => Number(plain(x, 2))));
      await assertSame(f(2, a.tensor()), a.map((x) => Number(plain(2, x))));
    },
  );

  deviceTest(`${name}() knows signs, and that words have none`, async () => {
    const ints = tensor(Int32Array.of(-1, 2 ** 31 - 1, -(2 ** 31)));
    const expected = [-1, 2 ** 31 - 1, -(2 ** 31)];
    await assertSame(f(ints, 1), expected.map((x) => Number(plain(x, 1))));
    const words = tensor(Uint32Array.of(2 ** 32 - 1, 0, 2 ** 31));
    await assertSame(
      f(words, 1),
      [2 ** 32 - 1, 0, 2 ** 31].map((x) => Number(plain(x, 1))),
    );
  });

  deviceTest(`${name}() compares bools`, async () => {
    const a = tensor([true, true, false, false]);
    const b = tensor([true, false, true, false]);
    const expected = [[1, 1], [1, 0], [0, 1], [0, 0]]
      .map(([x, y]) => Number(plain(x!, y!)));
    await assertSame(f(a, b), expected);
  });

  deviceTest(`${name}() of NaN is as in IEEE 754`, async () => {
    const a = tensor([NaN, 1, NaN]);
    const b = tensor([NaN, NaN, 1]);
    await assertSame(f(a, b), [NaN, NaN, NaN].map((x) => Number(plain(x, 1))));
  }, { devices: ["reference", "wasm"] });
}

deviceTest("comparisons of -0 and 0, and of infinities", async () => {
  const a = tensor([0, Infinity, -Infinity, -Infinity]);
  const b = tensor([-0, Infinity, Infinity, -Infinity]);
  await assertSame(a.eq(b), [1, 1, 0, 1]);
  await assertSame(a.lt(b), [0, 0, 1, 0]);
}, { devices: ["reference", "wasm"] });

deviceTest("logical operations count what is not 0 as true", async () => {
  const a = tensor([2, -0.5, 0, 0]);
  const b = tensor(Int32Array.of(3, 0, -1, 0));
  await assertSame(a.logicalAnd(b), [1, 0, 0, 0]);
  await assertSame(a.logicalOr(b), [1, 1, 1, 0]);
  await assertSame(a.logicalXor(b), [0, 1, 1, 0]);
  await assertSame(a.logicalNot(), [0, 0, 1, 1]);
  for (const x of [a.logicalAnd(b), a.logicalNot(), b.logicalXor(true)]) {
    assertEquals(x.dtype, "bool");
  }
  await assertSame(b.logicalXor(true), [0, 1, 0, 1]);
});

deviceTest("bit operations match those of JavaScript", async () => {
  const random = seeded(5);
  const word = () => random.integer(0, 2 ** 32);
  const a = Uint32Array.from({ length: 37 }, word);
  const b = Uint32Array.from({ length: 37 }, word);
  const cases: [string, Binary, (a: number, b: number) => number][] = [
    ["bitAnd", heddle.bitAnd, (x, y) => x & y],
    ["bitOr", heddle.bitOr, (x, y) => x | y],
    ["bitXor", heddle.bitXor, (x, y) => x ^ y],
    ["shiftLeft", heddle.shiftLeft, (x, y) => x << y],
  ];
  for (const [name, f, plain] of cases) {
    const signed = f(tensor(new Int32Array(a)), tensor(new Int32Array(b)));
    assertEquals(signed.dtype, "int32");
    await assertSame(signed, [...a].map((x, i) => plain(x, b[i]!) | 0), name);
    const unsigned = f(tensor(a), tensor(b));
    assertEquals(unsigned.dtype, "uint32");
    await assertSame(
      unsigned,
      [...a].map((x, i) => plain(x, b[i]!) >>> 0),
      name,
    );
  }
  await assertSame(
    tensor(new Int32Array(a)).shiftRight(tensor(new Int32Array(b))),
    [...a].map((x, i) => x >> b[i]!),
  );
  await assertSame(
    tensor(a).shiftRight(tensor(b)),
    [...a].map((x, i) => x >>> b[i]!),
  );
  await assertSame(tensor(a).bitNot(), [...a].map((x) => ~x >>> 0));
  await assertSame(tensor(new Int32Array(a)).bitNot(), [...a].map((x) => ~x));
});

deviceTest("bit operations of bools are logical", async () => {
  const a = tensor([true, true, false, false]);
  const b = tensor([true, false, true, false]);
  await assertSame(a.bitAnd(b), [1, 0, 0, 0]);
  await assertSame(a.bitOr(b), [1, 1, 1, 0]);
  await assertSame(a.bitXor(b), [0, 1, 1, 0]);
  await assertSame(a.bitNot(), [0, 0, 1, 1]);
  assertEquals(a.bitNot().dtype, "bool");
});

deviceTest("shifts take a number, and its distance mod 32", async () => {
  await assertSame(tensor(Int32Array.of(-8, 5)).shiftRight(1), [-4, 2]);
  await assertSame(tensor(Uint32Array.of(1)).shiftLeft(31), [2 ** 31]);
  await assertSame(tensor(Int32Array.of(3)).shiftLeft(33), [6]);
});

Deno.test("bit operations refuse floats", () => {
  const float = tensor([1]);
  const hint = "needs int32 or uint32 or bool: got float32: cast it first";
  assertThrows(() => float.bitAnd(1), TypeError, `bitAnd: ${hint}`);
  assertThrows(
    () => heddle.shiftLeft(1, float),
    TypeError,
    `shiftLeft: ${hint}`,
  );
  assertThrows(() => float.bitNot(), TypeError, `bitNot: ${hint}`);
  assertThrows(
    () => tensor(Int32Array.of(1)).bitOr(0.5),
    TypeError,
    "bitOr: needs whole numbers: got a fraction",
  );
});

deviceTest("shifts of bools count them", async () => {
  const shifted = tensor([true, false]).shiftLeft(tensor([true, true]));
  assertEquals(shifted.dtype, "int32");
  await assertSame(shifted, [2, 0]);
});

deviceTest("isNaN(), isInf() and isFinite() look at the bits", async () => {
  const x = tensor([0, -1, NaN, Infinity, -Infinity, 3.4e38, -1e-45]);
  await assertSame(x.isNaN(), [0, 0, 1, 0, 0, 0, 0]);
  await assertSame(x.isInf(), [0, 0, 0, 1, 1, 0, 0]);
  await assertSame(x.isFinite(), [1, 1, 0, 0, 0, 1, 1]);
  const ints = tensor(Int32Array.of(0, 2 ** 31 - 1));
  await assertSame(ints.isNaN(), [0, 0]);
  await assertSame(ints.isFinite(), [1, 1]);
});

deviceTest("where() chooses and broadcasts all three", async () => {
  const random = seeded(6);
  const test = random.integers([3, 1], 0, 2);
  const a = random.integers([7], -9, 9);
  const b = random.integers([2, 1, 1], -9, 9);
  const expected = zip((c, x, y) => c !== 0 ? x : y, test, a, b);
  await assertSame(
    where(test.tensor("bool"), a.tensor(), b.tensor()),
    expected,
  );
  // Numbers count as true where they are not 0.
  await assertSame(where(test.tensor(), a.tensor(), b.tensor()), expected);
});

deviceTest("where() takes numbers, and the type of both sides", async () => {
  const test = tensor([true, false]);
  assertEquals(where(test, tensor(Int32Array.of(1, 2)), 0).dtype, "int32");
  assertEquals(where(test, tensor(Int32Array.of(1, 2)), 0.5).dtype, "float32");
  assertEquals(where(test, 1, 2).dtype, "float32");
  await assertSame(where(test, 1.5, tensor(Int32Array.of(7, 8))), [1.5, 8]);
  await assertSame(where(true, tensor([1]), 2), [1]);
  await assertSame(where(0, 1, 2), 2);
  const bools = where(test, tensor([true]), tensor([false, true]));
  assertEquals(bools.dtype, "bool");
  await assertSame(bools, [1, 1]);
});

deviceTest("where() gives its gradient to the chosen side alone", async () => {
  const random = seeded(7);
  const test = random.integers([3, 5], 0, 2);
  await checkGradients(
    (a, b) => where(test.tensor("bool"), a!.mul(2), b!),
    (a, b) => zip((c, x, y) => c !== 0 ? 2 * x : y, test, a!, b!),
    [random.values([3, 5]), random.values([5])],
  );
});

deviceTest("where() keeps infinite slopes of the other side out", async () => {
  const x = tensor([4, 0], { requiresGrad: true });
  where(x.gt(0), x.sqrt(), 0).sum().backward();
  // The slope of sqrt at 0 is infinite; 0 * Infinity would be NaN.
  const slopes = await x.grad!.data();
  assertEquals(slopes[0], 0.25);
}, { devices: ["reference", "wasm"] });

Deno.test("where() refuses shapes that do not broadcast", () => {
  assertThrows(
    () => where(zeros([2]), zeros([3]), zeros([3])),
    RangeError,
    "where: shapes do not broadcast: [2] and [3]",
  );
});
