import { matmul, type Tensor, tensor, zeros } from "@heddle/tensor";
import { assertEquals, assertThrows } from "@std/assert";
import { assertClose, assertSame } from "../assert_close.ts";
import { checkGradients } from "../check_gradients.ts";
import { deviceTest } from "../devices.ts";
import { seeded } from "../seeded.ts";
import { Values } from "../values.ts";

/** NumPy's `matmul`. */
function matmulReference(a: Values, b: Values): Values {
  const left = a.shape.length === 1 ? a.reshape([1, ...a.shape]) : a;
  const right = b.shape.length === 1 ? b.reshape([...b.shape, 1]) : b;
  const rank = Math.max(left.shape.length, right.shape.length);
  const lead = Array.from({ length: rank - 2 }, (_, axis) =>
    Math.max(
      left.shape[axis - rank + left.shape.length] ?? 1,
      right.shape[axis - rank + right.shape.length] ?? 1,
    ));
  const [rows, inner] = left.shape.slice(-2) as [number, number];
  const cols = right.shape.at(-1)!;
  const pick = (x: Values, batch: number[], i: number, j: number) => {
    const own = batch.slice(batch.length - x.shape.length + 2);
    return x.at(...own.map((at, axis) => x.shape[axis] === 1 ? 0 : at), i, j);
  };
  const product = Values.of([...lead, rows, cols], (...index) => {
    const batch = index.slice(0, -2);
    const [i, j] = index.slice(-2) as [number, number];
    let sum = 0;
    for (let k = 0; k < inner; k++) {
      sum += pick(left, batch, i, k) * pick(right, batch, k, j);
    }
    return sum;
  });
  return product.reshape([
    ...lead,
    ...a.shape.length === 1 ? [] : [rows],
    ...b.shape.length === 1 ? [] : [cols],
  ]);
}

/** Ranks and broadcasts. */
const SHAPES: readonly [number[], number[]][] = [
  [[3, 5], [5, 7]],
  [[1, 5], [5, 1]],
  [[3, 1], [1, 7]],
  [[1, 1], [1, 1]],
  [[5], [5]],
  [[5], [5, 7]],
  [[3, 5], [5]],
  [[1], [1]],
  [[2, 3, 5], [2, 5, 7]],
  [[2, 3, 5], [5, 7]],
  [[3, 5], [2, 5, 7]],
  [[2, 3, 5], [5]],
  [[5], [2, 5, 7]],
  [[2, 1, 3, 5], [1, 4, 5, 7]],
  [[1, 3, 5], [4, 5, 2]],
  [[2, 3, 4, 5], [3, 5, 2]],
];

for (const [a, b] of SHAPES) {
  deviceTest(
    `matmul() of [${a}] and [${b}] matches NumPy's, with gradients`,
    async () => {
      const random = seeded(a.length * 10 + b.length);
      await checkGradients(
        (x, y) => matmul(x!, y!),
        (x, y) => matmulReference(x!, y!),
        [random.values(a), random.values(b)],
      );
    },
  );
}

deviceTest("matmul() takes sizes about those of tiles", async () => {
  for (
    const [m, k, n] of [
      [1, 17, 1],
      [2, 3, 130],
      [8, 8, 8],
      [16, 16, 16],
      [17, 33, 15],
      [64, 64, 64],
      [65, 63, 67],
      [1, 300, 70],
      [70, 300, 1],
      [33, 1, 33],
      [5, 257, 9],
    ] as [number, number, number][]
  ) {
    const random = seeded(m + k + n);
    // Whole numbers: every order of the sum is exact.
    const a = random.integers([m, k], -4, 5);
    const b = random.integers([k, n], -4, 5);
    const want = matmulReference(a, b);
    const of = `[${m}, ${k}] x [${k}, ${n}]`;
    await assertSame(a.tensor().matmul(b.tensor()), want, of);
    const turnedA = a.tensor().transpose().add(0).transpose();
    const turnedB = b.tensor().reshape([k * n]).reshape([k, n]);
    await assertSame(turnedA.matmul(turnedB), want, `${of}, computed`);
  }
});

/** The transposed matrix, laid out anew. */
function transposed(x: Values): Values {
  const [rows, cols] = x.shape as [number, number];
  return Values.of([cols, rows], (i, j) => x.at(j!, i!));
}

deviceTest("matmul() takes views on both sides", async () => {
  const random = seeded(9);
  const a = random.integers([6, 10], -4, 5);
  const b = random.integers([10, 7], -4, 5);
  const want = matmulReference(a, b);
  await assertSame(
    transposed(a).tensor().transpose().matmul(
      transposed(b).tensor().transpose(),
    ),
    want,
    "transposed",
  );
  await assertSame(
    a.tensor().flip([0]).matmul(b.tensor()).flip([0]),
    want,
    "rows backwards",
  );
  await assertSame(
    a.tensor().flip([1]).matmul(b.tensor().flip([0])),
    want,
    "sum backwards",
  );
  await assertSame(
    a.tensor().pad([[0, 0], [1, 2]]).matmul(b.tensor().pad([[1, 2], [0, 0]])),
    want,
    "zeros in the sum",
  );
  const padded = a.tensor().pad([[1, 1], [0, 0]]).matmul(b.tensor());
  await assertSame(padded.slice([1, -1]), want, "zero rows");
  await assertSame(padded.slice(0), new Array(7).fill(0), "a zero row");
  await assertSame(
    a.tensor().slice(null, [null, null, 2])
      .matmul(b.tensor().slice([null, null, 2])),
    matmulReference(
      Values.of([6, 5], (i, j) => a.at(i!, 2 * j!)),
      Values.of([5, 7], (i, j) => b.at(2 * i!, j!)),
    ),
    "every second",
  );
  const row = a.tensor().slice([2, 3]).expand([4, 10]);
  await assertSame(
    row.matmul(b.tensor()),
    matmulReference(Values.of([4, 10], (_, j) => a.at(2, j!)), b),
    "expanded",
  );
});

deviceTest("matmul() takes what is computed on the way", async () => {
  const random = seeded(10);
  await checkGradients(
    (x, y, bias) => x!.mul(0.5).tanh().matmul(y!.exp()).add(bias!).relu(),
    (x, y, bias) => {
      const product = matmulReference(
        x!.map((v) => Math.tanh(v / 2)),
        y!.map(Math.exp),
      );
      return product.map((v, [, j]) => Math.max(0, v + bias!.at(j!)));
    },
    [
      random.values([4, 5]),
      random.values([5, 3]),
      random.values([3], { low: 0.2, high: 0.4 }),
    ],
  );
});

deviceTest("matmul() of long sums stays within float32's reach", async () => {
  const random = seeded(11);
  const a = random.values([3, 2000]);
  const b = random.values([2000, 5]);
  await assertClose(a.tensor().matmul(b.tensor()), matmulReference(a, b), {
    rtol: 1e-5,
    atol: 1e-7 * 2000,
  });
});

deviceTest("matmul() of axes of size 0", async () => {
  await assertSame(zeros([2, 0]).matmul(zeros([0, 3])), [[0, 0, 0], [0, 0, 0]]);
  assertEquals((await zeros([0, 2]).matmul(zeros([2, 3])).data()).length, 0);
  assertEquals(zeros([4, 2, 0]).matmul(zeros([0, 3])).shape, [4, 2, 3]);
  await assertSame(zeros([0]).matmul(zeros([0])), 0);
  const bias = tensor([1, 2, 3]);
  await assertSame(zeros([1, 0]).matmul(zeros([0, 3])).add(bias), [[1, 2, 3]]);
});

deviceTest(
  "matmul() of whole numbers is whole, and of two types the wider",
  async () => {
    const ints = tensor(Int32Array.of(1, 2, 3, 4), { shape: [2, 2] });
    const product = ints.matmul(ints);
    assertEquals(product.dtype, "int32");
    await assertSame(product, [[7, 10], [15, 22]]);
    const mixed = ints.matmul(tensor([[0.5], [1]]));
    assertEquals(mixed.dtype, "float32");
    await assertSame(mixed, [[2.5], [5.5]]);
    const large = tensor(Int32Array.of(65536, 1), { shape: [1, 2] });
    await assertSame(large.matmul(large.transpose()), [[1]]); // wraps
  },
);

deviceTest("matmul() of bools counts", async () => {
  const a = tensor([[true, true], [false, true]]);
  const counts = a.matmul(a);
  assertEquals(counts.dtype, "int32");
  await assertSame(counts, [[1, 2], [0, 1]]);
});

Deno.test("matmul() refuses inner sizes that differ, scalars and other batches", () => {
  const cases: [Tensor, Tensor, string][] = [
    [
      zeros([2, 3]),
      zeros([4, 5]),
      "matmul: inner dimensions differ: [2, 3] x [4, 5]",
    ],
    [zeros([3]), zeros([4]), "matmul: inner dimensions differ: [3] x [4]"],
    [
      zeros([2, 3]),
      zeros([2]),
      "matmul: inner dimensions differ: [2, 3] x [2]",
    ],
    [
      zeros([]),
      zeros([2]),
      "matmul: needs at least one axis: got [] x [2]: use mul for scalars",
    ],
    [
      zeros([2, 3, 4]),
      zeros([3, 4, 5]),
      "matmul: shapes do not broadcast: [2] and [3]",
    ],
  ];
  for (const [a, b, message] of cases) {
    assertThrows(() => a.matmul(b), RangeError, message);
  }
  assertThrows(
    () =>
      zeros([1, 1], { dtype: "int32" })
        .matmul(zeros([1, 1], { dtype: "uint32" })),
    TypeError,
    "matmul: int32 and uint32 do not mix: cast one of them first",
  );
});
