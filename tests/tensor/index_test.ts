import { arange, type Tensor, tensor, zeros } from "@heddle/tensor";
import { assertEquals, assertThrows } from "@std/assert";
import { assertSame } from "../assert_close.ts";
import { checkGradients } from "../check_gradients.ts";
import { deviceTest } from "../devices.ts";
import { seeded } from "../seeded.ts";
import { indices, Values } from "../values.ts";

function replaceAt(
  list: readonly number[],
  at: number,
  value: number,
): number[] {
  return list.map((old, i) => i === at ? value : old);
}

/** `x[..., places[...], ...]`, 0 out of range. */
function gatherReference(x: Values, places: Values, axis: number): Values {
  const at = axis < 0 ? axis + x.shape.length : axis;
  return Values.of(places.shape, (...index) => {
    const chosen = places.at(...index);
    if (chosen < 0 || chosen >= x.shape[at]!) return 0;
    return x.at(...replaceAt(index, at, chosen));
  });
}

deviceTest("gather() takes along any axis, with gradients", async () => {
  const random = seeded(1);
  const x = random.values([3, 4, 5]);
  for (const axis of [0, 1, 2, -1, -2, -3]) {
    const at = (axis + 3) % 3;
    for (const count of [1, 3, 7]) {
      const shape = replaceAt(x.shape, at, count);
      const places = random.integers(shape, 0, x.shape[at]!);
      await checkGradients(
        (t) => t.gather(places.tensor("int32"), axis),
        (v) => gatherReference(v, places, axis),
        x,
        { of: `axis ${axis}, ${count} places` },
      );
    }
  }
});

deviceTest("gather() takes smaller indices on the other axes", async () => {
  const random = seeded(2);
  const x = random.values([3, 4, 5]);
  const places = random.integers([2, 6, 3], 0, 4);
  await checkGradients(
    (t) => t.gather(places.tensor("uint32"), 1),
    (v) => gatherReference(v, places, 1),
    x,
  );
});

deviceTest("gather() gives 0 and no gradient out of range", async () => {
  const x = seeded(3).values([5, 3]);
  const places = Values.from([[-1, 0, 5], [4, -100, 2], [1000000, 1, 4]]);
  await checkGradients(
    (t) => t.gather(places.tensor("int32"), 0),
    (v) => gatherReference(v, places, 0),
    x,
  );
});

deviceTest("gather() takes from views and of every type", async () => {
  const x = seeded(4).integers([4, 6], -9, 9);
  const places = seeded(5).integers([3, 4], 0, 6);
  const turned = Values.of([6, 4], (i, j) => x.at(3 - j!, i!));
  for (const dtype of ["float32", "int32"] as const) {
    const view = x.tensor(dtype).flip([0]).transpose();
    const result = view.gather(places.tensor("int32"), 0);
    assertEquals(result.dtype, dtype);
    await assertSame(result, gatherReference(turned, places, 0));
  }
  const bools = tensor([true, false]).gather(tensor(Int32Array.of(1, 0, 0)), 0);
  assertEquals(bools.dtype, "bool");
  await assertSame(bools, [0, 1, 1]);
  const empty = zeros([0, 3], { dtype: "int32" });
  assertEquals((await x.tensor().gather(empty, 0).data()).length, 0);
});

deviceTest(
  "gather() takes places that are computed, and of itself",
  async () => {
    const order = tensor([3, 1, 2, 0]);
    const places = order.add(1).mod(4).cast("int32");
    await assertSame(order.gather(places, 0), [3, 2, 0, 1]);
    await assertSame(order.gather(order.argsort(), 0), [0, 1, 2, 3]);
  },
);

Deno.test("gather() refuses floats and shapes that do not fit", () => {
  const x = zeros([2, 3]);
  assertThrows(
    () => x.gather(zeros([2, 3]), 0),
    TypeError,
    "gather: needs int32 or uint32: got float32: indices are integers",
  );
  for (const shape of [[3], [2, 4], [2, 3, 1]]) {
    assertThrows(
      () => x.gather(zeros(shape, { dtype: "int32" }), 0),
      RangeError,
      `gather: the indices' shape does not fit: got [${
        shape.join(", ")
      }] for [2, 3] along axis 0`,
    );
  }
  assertThrows(() => x.gather(zeros([2, 3]), 2), RangeError, "gather: axis 2");
});

/** Whole slices, zeros out of range. */
function takeReference(x: Values, places: Values, axis: number): Values {
  const at = axis < 0 ? axis + x.shape.length : axis;
  const inner = places.shape.length;
  const shape = [...x.shape];
  shape.splice(at, 1, ...places.shape);
  return Values.of(shape, (...index) => {
    const chosen = places.at(...index.splice(at, inner));
    index.splice(at, 0, chosen);
    return chosen < 0 || chosen >= x.shape[at]! ? 0 : x.at(...index);
  });
}

deviceTest(
  "take() replaces an axis by those of the indices, with gradients",
  async () => {
    const random = seeded(6);
    const x = random.values([3, 4, 5]);
    for (const axis of [0, 1, 2, -1, -2, -3]) {
      for (const shape of [[], [1], [7], [2, 3], [2, 1, 2]]) {
        const places = random.integers(shape, -1, 6);
        await checkGradients(
          (t) => t.take(places.tensor("int32"), axis),
          (v) => takeReference(v, places, axis),
          x,
          { of: `axis ${axis}, indices [${shape}]` },
        );
      }
    }
  },
);

deviceTest(
  "take() adds up the gradients of a row that is taken twice",
  async () => {
    const table = tensor([[1, 2], [3, 4], [5, 6]], { requiresGrad: true });
    const rows = table.take(tensor(Int32Array.of(2, 0, 2, 2, 9)));
    rows.mul(tensor([[1], [10], [100], [1000], [1e4]])).sum().backward();
    await assertSame(table.grad!, [[10, 10], [0, 0], [1101, 1101]]);
  },
);

deviceTest("take() of nothing is empty and has a gradient of 0", async () => {
  const table = tensor([[1, 2], [3, 4]], { requiresGrad: true });
  const none = table.take(zeros([0], { dtype: "int32" }));
  assertEquals(none.shape, [0, 2]);
  none.sum().add(table.sum().mul(0)).backward();
  await assertSame(table.grad!, [[0, 0], [0, 0]]);
});

Deno.test("take() refuses floats and axes out of range", () => {
  assertThrows(
    () => zeros([2, 3]).take(zeros([1])),
    TypeError,
    "take: needs int32 or uint32: got float32: indices are integers",
  );
  assertThrows(
    () => zeros([2, 3]).take(arange(2), 2),
    RangeError,
    "take: axis 2 is out of range for shape [2, 3]: use -2 to 1",
  );
});

/** `x` with updates added where they are in range. */
function scatterReference(
  x: Values,
  places: Values,
  updates: Values,
  axis: number,
): Values {
  const at = axis < 0 ? axis + x.shape.length : axis;
  const result = new Values(x.shape, x.data);
  const flat = (index: readonly number[]) =>
    index.reduce((sum, i, a) => sum * x.shape[a]! + i, 0);
  for (const index of indices(places.shape)) {
    const target = places.at(...index);
    if (target < 0 || target >= x.shape[at]!) continue;
    result.data[flat(replaceAt(index, at, target))]! += updates.at(...index);
  }
  return result;
}

deviceTest(
  "scatterAdd() adds along any axis, with both gradients",
  async () => {
    const random = seeded(7);
    const x = random.values([3, 4, 5]);
    for (const axis of [0, 1, 2, -1, -2, -3]) {
      const at = (axis + 3) % 3;
      for (const count of [1, 6]) {
        const shape = replaceAt(x.shape, at, count);
        const places = random.integers(shape, -1, x.shape[at]! + 1);
        await checkGradients(
          (t, u) => t!.scatterAdd(places.tensor("int32"), u!, axis),
          (v, w) => scatterReference(v!, places, w!, axis),
          [x, random.values(shape)],
          { of: `axis ${axis}, ${count} updates` },
        );
      }
    }
  },
);

deviceTest(
  "scatterAdd() takes smaller indices, and whole rows by expanding",
  async () => {
    const random = seeded(8);
    const x = random.values([5, 4]);
    const places = random.integers([3, 2], 0, 5);
    await checkGradients(
      (t, u) => t!.scatterAdd(places.tensor("int32"), u!, 0),
      (v, w) => scatterReference(v!, places, w!, 0),
      [x, random.values([3, 2])],
    );
    const rows = random.integers([7, 1], 0, 5);
    const spread = Values.of([7, 4], (i) => rows.at(i!, 0));
    await checkGradients(
      (t, u) => t!.scatterAdd(rows.tensor("int32").expand([7, 4]), u!, 0),
      (v, w) => scatterReference(v!, spread, w!, 0),
      [x, random.values([7, 4])],
    );
  },
);

deviceTest("scatterAdd() adds whole numbers, and nothing at all", async () => {
  const ints = zeros([3], { dtype: "int32" })
    .scatterAdd(
      tensor(Int32Array.of(2, 2, 0, 7)),
      tensor(Int32Array.of(1, 5, -3, 9)),
      0,
    );
  assertEquals(ints.dtype, "int32");
  await assertSame(ints, [-3, 0, 6]);
  const words = zeros([2], { dtype: "uint32" }).scatterAdd(
    tensor(Uint32Array.of(1, 1)),
    tensor(Uint32Array.of(2 ** 31, 2 ** 31)),
    0,
  );
  await assertSame(words, [0, 0]);
  const x = tensor([1, 2]);
  const none = zeros([0], { dtype: "int32" });
  await assertSame(x.scatterAdd(none, zeros([0]), 0), [1, 2]);
});

deviceTest("scatterAdd() adds many to one place", async () => {
  const count = 1000;
  const places = zeros([count], { dtype: "int32" });
  const updates = arange(count).cast("float32");
  await assertSame(
    zeros([2]).scatterAdd(places, updates, 0),
    [count * (count - 1) / 2, 0],
  );
});

Deno.test("scatterAdd() refuses types and shapes that do not fit", () => {
  const x = zeros([2, 3]);
  const places = zeros([2, 3], { dtype: "int32" });
  assertThrows(
    () => x.scatterAdd(x, x, 0),
    TypeError,
    "scatterAdd: needs int32 or uint32: got float32: indices are integers",
  );
  assertThrows(
    () => x.scatterAdd(places, places, 0),
    TypeError,
    "scatterAdd: types differ: got int32 for float32",
  );
  assertThrows(
    () => x.scatterAdd(places, zeros([2, 2]), 0),
    RangeError,
    "scatterAdd: updates and indices differ: got [2, 2] and [2, 3]",
  );
  assertThrows(
    () => x.scatterAdd(zeros([2, 4], { dtype: "int32" }), zeros([2, 4]), 0),
    RangeError,
    "scatterAdd: the indices' shape does not fit: got [2, 4] for [2, 3] along axis 0",
  );
  const bools = tensor([true]);
  assertThrows(
    () => bools.scatterAdd(arange(1), bools, 0),
    TypeError,
    "scatterAdd: bool has no sums: cast it first",
  );
});

deviceTest(
  "oneHot() puts 1 at each index, and nothing out of range",
  async () => {
    const ids = tensor(Int32Array.of(2, 0, -1, 3, 1), { shape: [5] });
    await assertSame(ids.oneHot(3), [
      [0, 0, 1],
      [1, 0, 0],
      [0, 0, 0],
      [0, 0, 0],
      [0, 1, 0],
    ]);
    assertEquals(ids.oneHot(3).dtype, "float32");
    assertEquals(ids.reshape([5, 1]).oneHot(4).shape, [5, 1, 4]);
    await assertSame(tensor(Uint32Array.of(1), { shape: [] }).oneHot(2), [
      0,
      1,
    ]);
    assertEquals((await ids.oneHot(0).data()).length, 0);
  },
);

Deno.test("oneHot() refuses floats and sizes that are none", () => {
  assertThrows(
    () => zeros([2]).oneHot(3),
    TypeError,
    "oneHot: needs int32 or uint32: got float32: indices are integers",
  );
  const ids: Tensor = arange(2);
  assertThrows(
    () => ids.oneHot(-1),
    RangeError,
    "oneHot: sizes must be whole numbers >= 0: got [2, -1]",
  );
});
