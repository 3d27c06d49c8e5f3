import {
  concat,
  split,
  stack,
  type Tensor,
  tensor,
  zeros,
} from "@heddle/tensor";
import { assertEquals, assertThrows } from "@std/assert";
import { assertSame } from "../assert_close.ts";
import { checkGradients } from "../check_gradients.ts";
import { deviceTest } from "../devices.ts";
import { seeded } from "../seeded.ts";
import { Values } from "../values.ts";

function concatReference(parts: readonly Values[], axis: number): Values {
  const first = parts[0]!;
  const at = axis < 0 ? axis + first.shape.length : axis;
  const total = parts.reduce((sum, part) => sum + part.shape[at]!, 0);
  const shape = first.shape.map((n, i) => i === at ? total : n);
  return Values.of(shape, (...index) => {
    const place = [...index];
    for (const part of parts) {
      const extent = part.shape[at]!;
      if (place[at]! < extent) return part.at(...place);
      place[at]! -= extent;
    }
    return NaN;
  });
}

deviceTest("concat() joins along any axis, with gradients", async () => {
  const random = seeded(1);
  for (const axis of [0, 1, 2, -1, -2, -3]) {
    const at = (axis + 3) % 3;
    const parts = [3, 1, 0, 4].map((n) =>
      random.values([2, 3, 5].map((extent, i) => i === at ? n : extent))
    );
    await checkGradients(
      (...xs) => concat(xs, axis),
      (...xs) => concatReference(xs, axis),
      parts,
      { of: `axis ${axis}` },
    );
  }
});

deviceTest("concat() takes one tensor, views, and many", async () => {
  const x = tensor([[1, 2], [3, 4]]);
  await assertSame(concat([x]), [[1, 2], [3, 4]]);
  await assertSame(concat([x.transpose(), x.flip()], 1), [
    [1, 3, 4, 3],
    [2, 4, 2, 1],
  ]);
  const many = Array.from({ length: 33 }, (_, i) => tensor([i, -i]));
  const expected = Array.from({ length: 33 }, (_, i) => [i, -i]).flat();
  await assertSame(concat(many), expected);
  await assertSame(concat([zeros([0]), zeros([0])]), []);
});

deviceTest("concat() takes the widest type", async () => {
  const joined = concat([tensor([true]), tensor(Int32Array.of(-2))]);
  assertEquals(joined.dtype, "int32");
  await assertSame(joined, [1, -2]);
  const floats = concat([tensor(Int32Array.of(-2)), tensor([0.5])]);
  assertEquals(floats.dtype, "float32");
  await assertSame(floats, [-2, 0.5]);
});

deviceTest("stack() adds an axis anywhere, with gradients", async () => {
  const random = seeded(2);
  const parts = [1, 2, 3].map(() => random.values([2, 5]));
  for (const axis of [0, 1, 2, -1, -2, -3]) {
    const at = (axis + 3) % 3;
    await checkGradients(
      (...xs) => stack(xs, axis),
      (...xs) => {
        const shape = [2, 5];
        shape.splice(at, 0, xs.length);
        return Values.of(shape, (...index) => {
          const [which] = index.splice(at, 1);
          return xs[which!]!.at(...index);
        });
      },
      parts,
      { of: `axis ${axis}` },
    );
  }
  await assertSame(stack([tensor(1), tensor(2)]), [1, 2]);
});

deviceTest("split() cuts an axis into pieces, with gradients", async () => {
  const x = seeded(3).values([5, 3, 4]);
  const cases: [number | number[], number, number[]][] = [
    [2, 0, [2, 2, 1]],
    [5, 0, [5]],
    [7, 0, [5]],
    [[1, 4], 0, [1, 4]],
    [[2, 0, 3], -3, [2, 0, 3]],
    [1, 1, [1, 1, 1]],
    [[3, 1], -1, [3, 1]],
  ];
  for (const [sizes, axis, expected] of cases) {
    const at = (axis + 3) % 3;
    const pieces = split(x.tensor(), sizes, axis);
    assertEquals(pieces.map((piece) => piece.shape[at]), expected);
    await assertSame(concat(pieces, axis), x);
    await checkGradients(
      (t) =>
        t.split(sizes, axis).map((piece, i) => piece.mul(i + 1).sum())
          .reduce((a, b) => a.add(b)),
      (v) => {
        let total = 0;
        v.map((value, index) => {
          let rest = index[at]!;
          let piece = 0;
          while (rest >= expected[piece]!) rest -= expected[piece++]!;
          total += value * (piece + 1);
          return 0;
        });
        return new Values([], [total]);
      },
      x,
      { forward: { rtol: 1e-5, atol: 1e-5 } },
    );
  }
  assertEquals(split(zeros([0, 2]), 3).map(({ shape }) => shape), [[0, 2]]);
});

Deno.test("concat(), stack() and split() refuse what does not fit", () => {
  const x = zeros([2, 3]);
  const cases: [() => unknown, ErrorConstructor, string][] = [
    [() => concat([]), RangeError, "concat: needs at least one tensor"],
    [() => stack([]), RangeError, "stack: needs at least one tensor"],
    [
      () => concat([x, zeros([2, 4])]),
      RangeError,
      "concat: shapes differ outside axis 0: got [2, 3], [2, 4]",
    ],
    [
      () => concat([x, zeros([3])], 1),
      RangeError,
      "concat: shapes differ outside axis 1: got [2, 3], [3]",
    ],
    [() => concat([x], 2), RangeError, "concat: axis 2 is out of range"],
    [
      () => concat([zeros([])]),
      RangeError,
      "concat: axis 0 is out of range: a scalar has no axes",
    ],
    [
      () => concat([tensor(Int32Array.of(1)), tensor(Uint32Array.of(1))]),
      TypeError,
      "concat: int32 and uint32 do not mix: cast one of them first",
    ],
    [
      () => stack([x, zeros([3, 2])]),
      RangeError,
      "stack: shapes differ: got [2, 3], [3, 2]",
    ],
    [() => stack([x], 3), RangeError, "stack: axis 3 is out of range"],
    [
      () => split(x, [1, 3], 1),
      RangeError,
      "split: the sizes must add up to 3: got [1,3] for axis 1 of [2, 3]",
    ],
    [() => split(x, 0), RangeError, "split: the sizes must add up to 2: got 0"],
    [() => split(x, [3, -1]), RangeError, "split: the sizes must add up to 2"],
    [
      () => split(x, 1.5),
      RangeError,
      "split: the sizes must add up to 2: got 1.5",
    ],
    [() => split(x, 1, 2), RangeError, "split: axis 2 is out of range"],
  ];
  for (const [call, type, message] of cases) assertThrows(call, type, message);
});

deviceTest(
  "concat() of parts of one tensor gives each part its gradient",
  async () => {
    const x = tensor([1, 2, 3, 4], { requiresGrad: true });
    const twice: Tensor = concat([x.slice([0, 3]), x.slice([1, 4]), x]);
    twice.mul(tensor([1, 2, 3, 10, 20, 30, 100, 200, 300, 400])).sum()
      .backward();
    await assertSame(x.grad!, [101, 212, 323, 430]);
  },
);
