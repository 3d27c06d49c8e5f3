import { arange, realize, type Tensor, tensor, zeros } from "@heddle/tensor";
import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { deviceTest } from "../devices.ts";

// Printed by NumPy 2.4.6, but for the letters of its booleans:
// np.set_printoptions(precision=4); np.array2string(x, separator=", ")
const PRINTED: readonly [string, () => Tensor, string][] = [
  ["a scalar", () => tensor(3), "3."],
  ["a negative fraction", () => tensor(-0.125), "-0.125"],
  ["whole floats", () => tensor([1, 2, -3]), "[ 1.,  2., -3.]"],
  ["one decimal for some", () => tensor([1, 2.25]), "[1.  , 2.25]"],
  [
    "more decimals than are shown",
    () => tensor([1 / 3, -2 / 3]),
    "[ 0.3333, -0.6667]",
  ],
  ["halves to even", () => tensor([0.03125, 0.09375]), "[0.0312, 0.0938]"],
  ["rounding up to the next digit", () => tensor([0.99996, 9.5]), "[1. , 9.5]"],
  [
    "digits that float32 does not have",
    () => tensor([100.1, 12345.678]),
    "[  100.1  , 12345.678]",
  ],
  ["a small number", () => tensor([0.00001, 1]), "[1.e-05, 1.e+00]"],
  ["the least that needs no exponent", () => tensor([0.0001]), "[0.0001]"],
  ["a large number", () => tensor([1234567]), "[1.2346e+06]"],
  ["the greatest that needs no exponent", () => tensor([999999]), "[999999.]"],
  ["a wide range", () => tensor([1, 1001]), "[1.000e+00, 1.001e+03]"],
  ["a range that is not too wide", () => tensor([1, 1000]), "[   1., 1000.]"],
  [
    "exponents of three sizes",
    () => tensor([1e-10, 2.5, 3e38]),
    "[1.0e-10, 2.5e+00, 3.0e+38]",
  ],
  ["the least float32", () => tensor([1e-45]), "[1.e-45]"],
  [
    "what is not finite",
    () => tensor([1, NaN, Infinity, -Infinity]),
    "[  1.,  nan,  inf, -inf]",
  ],
  ["nothing finite", () => tensor([NaN, -Infinity]), "[ nan, -inf]"],
  [
    "not finite beside an exponent",
    () => tensor([1e9, NaN]),
    "[1.e+09,    nan]",
  ],
  ["zeros of both signs", () => tensor([0, -0]), "[ 0., -0.]"],
  ["integers", () => tensor(Int32Array.of(1, -20, 300)), "[  1, -20, 300]"],
  [
    "words",
    () => tensor(Uint32Array.of(4294967295, 0)),
    "[4294967295,          0]",
  ],
  [
    "bools",
    () => tensor([[true, false], [true, true]]),
    "[[ true, false],\n [ true,  true]]",
  ],
  ["one bool", () => tensor(true), "true"],
  [
    "a matrix",
    () => tensor([[1, 2.5], [-3, 4]]),
    "[[ 1. ,  2.5],\n [-3. ,  4. ]]",
  ],
  [
    "three axes",
    () => arange(12).reshape([2, 3, 2]),
    "[[[ 0,  1],\n  [ 2,  3],\n  [ 4,  5]],\n\n [[ 6,  7],\n  [ 8,  9],\n  [10, 11]]]",
  ],
  [
    "four axes",
    () => arange(4).reshape([2, 1, 2, 1]),
    "[[[[0],\n   [1]]],\n\n\n [[[2],\n   [3]]]]",
  ],
  ["a column", () => arange(3).reshape([3, 1]), "[[0],\n [1],\n [2]]"],
  ["no elements", () => zeros([0, 3]), "[]"],
  [
    "lines that wrap",
    () => arange(30),
    "[ 0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14, 15, 16, 17,\n 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29]",
  ],
  [
    "rows that wrap",
    () => arange(50).reshape([2, 25]).mul(100),
    "[[   0,  100,  200,  300,  400,  500,  600,  700,  800,  900, 1000, 1100,\n  1200, 1300, 1400, 1500, 1600, 1700, 1800, 1900, 2000, 2100, 2200, 2300,\n  2400],\n [2500, 2600, 2700, 2800, 2900, 3000, 3100, 3200, 3300, 3400, 3500, 3600,\n  3700, 3800, 3900, 4000, 4100, 4200, 4300, 4400, 4500, 4600, 4700, 4800,\n  4900]]",
  ],
  [
    "a thousand elements whole",
    () => zeros([1000]).slice([0, 20]),
    "[0., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0.,\n 0., 0.]",
  ],
  [
    "more than a thousand elements",
    () => arange(1001),
    "[   0,    1,    2, ...,  998,  999, 1000]",
  ],
  [
    "a large matrix",
    () => arange(2000).reshape([40, 50]),
    "[[   0,    1,    2, ...,   47,   48,   49],\n [  50,   51,   52, ...,   97,   98,   99],\n [ 100,  101,  102, ...,  147,  148,  149],\n ...,\n [1850, 1851, 1852, ..., 1897, 1898, 1899],\n [1900, 1901, 1902, ..., 1947, 1948, 1949],\n [1950, 1951, 1952, ..., 1997, 1998, 1999]]",
  ],
  [
    "a long, narrow matrix",
    () => arange(2000).reshape([400, 5]),
    "[[   0,    1,    2,    3,    4],\n [   5,    6,    7,    8,    9],\n [  10,   11,   12,   13,   14],\n ...,\n [1985, 1986, 1987, 1988, 1989],\n [1990, 1991, 1992, 1993, 1994],\n [1995, 1996, 1997, 1998, 1999]]",
  ],
  [
    "digits of the edges alone",
    () => arange(1001).cast("float32").mul(0.5).sub(250),
    "[-250. , -249.5, -249. , ...,  249. ,  249.5,  250. ]",
  ],
];

for (const [name, make, text] of PRINTED) {
  deviceTest(`show() prints ${name} as NumPy does`, async () => {
    assertEquals(await make().show(), text);
  }, { devices: ["reference"] });
}

deviceTest(
  "toString() shows values as far as they can be had at once",
  async (device) => {
    const x = tensor([[1, 2.5], [-3, 4]]);
    const text =
      "Tensor([[ 1. ,  2.5],\n        [-3. ,  4. ]], float32 [2, 2])";
    assertEquals(`${x}`, text);
    assertEquals(Deno.inspect(x), text);
    const y = x.mul(1);
    const z = x.add(1);
    assertEquals(
      `${z}`,
      "Tensor(float32 [2, 2], not computed yet: await show())",
    );
    await realize(y, z);
    if (device.name === "webgpu") {
      assertEquals(`${z}`, "Tensor(float32 [2, 2], on webgpu: await show())");
    } else assertStringIncludes(`${z}`, "[[ 2. ,  3.5],");
    assertEquals(
      `${arange(3)}`.startsWith("Tensor(int32 [3], not computed"),
      true,
    );
  },
);

Deno.test("toString() indents rows that wrap behind its name", () => {
  const rows = [
    "[ 0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14, 15, 16,",
    " 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29]",
  ];
  const x = tensor(Int32Array.from({ length: 30 }, (_, i) => i));
  const indent = " ".repeat("Tensor(".length);
  assertEquals(`${x}`, `Tensor(${rows.join(`\n${indent}`)}, int32 [30])`);
});

deviceTest("toArray() nests numbers, and booleans for bool", async () => {
  assertEquals(await tensor([[1, 2], [3, 4]]).mul(2).toArray(), [[2, 4], [
    6,
    8,
  ]]);
  assertEquals(await tensor([1, 0]).gt(0).toArray(), [true, false]);
  assertEquals(await tensor(3).add(1).toArray(), 4);
  assertEquals(await tensor(3).gt(1).toArray(), true);
  assertEquals(await zeros([2, 0]).toArray(), [[], []]);
  assertEquals(await zeros([0, 2]).toArray(), []);
});

deviceTest(
  "data() gives an array of the tensor's type, each time a new one",
  async () => {
    const typed: [Tensor, unknown][] = [
      [tensor([1, 2]), Float32Array.of(1, 2)],
      [tensor(Int32Array.of(-1)), Int32Array.of(-1)],
      [tensor(Uint32Array.of(2 ** 32 - 1)), Uint32Array.of(2 ** 32 - 1)],
      [tensor([true, false]), Uint8Array.of(1, 0)],
      [tensor([1, 2]).mul(3), Float32Array.of(3, 6)],
      [tensor([1, 2]).gt(1), Uint8Array.of(0, 1)],
    ];
    for (const [x, expected] of typed) {
      const first = await x.data();
      assertEquals(first as unknown, expected);
      first[0] = 77;
      assertEquals(await x.data() as unknown, expected);
    }
  },
);

deviceTest("item() gives the one value, whatever the rank", async () => {
  assertEquals(await tensor(3).item(), 3);
  assertEquals(await tensor([[3]]).mul(2).item(), 6);
  assertEquals(await tensor([true]).item(), 1);
  await assertRejects(
    () => tensor([1, 2]).item(),
    RangeError,
    "item: not a single element: got shape [2]: use data()",
  );
  await assertRejects(
    () => zeros([0]).item(),
    RangeError,
    "item: not a single",
  );
});

deviceTest(
  "reading computes once, and at once for all that is asked",
  async () => {
    const x = tensor([1, 2, 3]).mul(2);
    assertEquals(x.isComputed, false);
    const [a, b] = await Promise.all([x.data(), x.add(1).data()]);
    assertEquals([[...a], [...b]], [[2, 4, 6], [3, 5, 7]]);
    assertEquals(x.isComputed, true);
    const same = await x.realize();
    assertEquals(same, x);
  },
);
