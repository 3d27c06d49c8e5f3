import { tensor, zeros } from "@heddle/tensor";
import { assertEquals, assertThrows } from "@std/assert";
import { assertClose, assertSame } from "../assert_close.ts";
import { checkGradients } from "../check_gradients.ts";
import { deviceTest } from "../devices.ts";
import { seeded } from "../seeded.ts";
import { Values } from "../values.ts";

/** Positions in sorted order: stable, NaN last. */
function orderOf(line: readonly number[], descending: boolean): number[] {
  return line.map((_, at) => at).sort((p, q) => {
    const [a, b] = [line[p]!, line[q]!];
    if (Number.isNaN(a) || Number.isNaN(b)) {
      return Number(Number.isNaN(a)) - Number(Number.isNaN(b)) || p - q;
    }
    return (descending ? b - a : a - b) || p - q;
  });
}

function sorted(
  x: Values,
  axis: number,
  descending: boolean,
): [Values, Values] {
  return [
    x.along(axis, (line) => orderOf(line, descending).map((at) => line[at]!)),
    x.along(axis, (line) => orderOf(line, descending)),
  ];
}

deviceTest(
  "sort() orders any axis both ways, equal values as they were",
  async () => {
    const x = seeded(1).integers([3, 7, 5], -3, 4);
    for (const axis of [0, 1, 2, -1, -2, -3]) {
      for (const descending of [false, true]) {
        const of = `axis ${axis}, descending ${descending}`;
        const [values, order] = sorted(x, axis, descending);
        for (const dtype of ["float32", "int32"] as const) {
          const result = x.tensor(dtype).sort({ axis, descending });
          assertEquals(result.values.dtype, dtype);
          assertEquals(result.indices.dtype, "int32");
          await assertSame(result.values, values, of);
          await assertSame(result.indices, order, of);
        }
        await assertSame(x.tensor().argsort({ axis, descending }), order, of);
      }
    }
  },
);

deviceTest("sort() takes every length", async () => {
  for (const size of [0, 1, 2, 3, 31, 32, 33, 100, 255, 256, 257, 1000, 5000]) {
    const x = seeded(size).integers([size], -50, 50);
    const [values, order] = sorted(x, 0, false);
    const result = x.tensor().sort();
    await assertSame(result.values, values, `${size}`);
    await assertSame(result.indices, order, `${size}`);
    const [down, downOrder] = sorted(x, 0, true);
    const reverse = x.tensor().sort({ descending: true });
    await assertSame(reverse.values, down, `${size} down`);
    await assertSame(reverse.indices, downOrder, `${size} down`);
  }
});

deviceTest("sort() takes words, bools and views", async () => {
  const words = tensor(Uint32Array.of(2 ** 32 - 1, 0, 2 ** 31, 5));
  await assertSame(words.sort().values, [0, 5, 2 ** 31, 2 ** 32 - 1]);
  await assertSame(words.sort({ descending: true }).indices, [0, 2, 3, 1]);
  const ints = tensor(Int32Array.of(2 ** 31 - 1, -1, -(2 ** 31), 0));
  await assertSame(ints.sort().indices, [2, 1, 3, 0]);
  const bools = tensor([true, false, true, false]).sort();
  assertEquals(bools.values.dtype, "bool");
  await assertSame(bools.values, [0, 0, 1, 1]);
  await assertSame(bools.indices, [1, 3, 0, 2]);
  const x = seeded(2).integers([4, 6], -9, 9);
  const turned = Values.of([6, 2], (i, j) => x.at(3 - 2 * j!, i!));
  const view = x.tensor().slice([null, null, -2]).transpose();
  await assertSame(view.sort({ axis: 0 }).values, sorted(turned, 0, false)[0]);
});

deviceTest("sort() puts NaN last both ways", async () => {
  const x = tensor([3, NaN, -Infinity, 1, NaN, Infinity]);
  const up = x.sort();
  await assertSame(up.values, [-Infinity, 1, 3, Infinity, NaN, NaN]);
  await assertSame(up.indices, [2, 3, 0, 5, 1, 4]);
  const down = x.sort({ descending: true });
  await assertSame(down.values, [Infinity, 3, 1, -Infinity, NaN, NaN]);
  await assertSame(down.indices, [5, 0, 3, 2, 1, 4]);
}, { devices: ["reference", "wasm"] });

deviceTest("sort() of -0 and 0 keeps their order", async () => {
  await assertSame(tensor([0, -0, 0, -0, -1]).argsort(), [4, 0, 1, 2, 3]);
  await assertSame(
    tensor([0, -0, 0, -0, 1]).argsort({ descending: true }),
    [4, 0, 1, 2, 3],
  );
});

deviceTest("sort() gives gradients back to where the values were", async () => {
  const x = seeded(3).distinct([3, 5]);
  for (const axis of [0, -1]) {
    for (const descending of [false, true]) {
      await checkGradients(
        (t) => t.sort({ axis, descending }).values,
        (v) => sorted(v, axis, descending)[0],
        x,
      );
    }
  }
});

deviceTest("topK() gives the greatest first, with gradients", async () => {
  const x = seeded(4).distinct([3, 7]);
  for (const [k, axis] of [[1, -1], [3, 1], [7, -1], [2, 0], [3, -2], [0, 1]]) {
    const [values, order] = sorted(x, axis!, true);
    const first = (all: Values) => all.along(axis!, (line) => line.slice(0, k));
    const top = x.tensor().topK(k!, { axis: axis! });
    await assertSame(top.values, first(values));
    await assertSame(top.indices, first(order));
    assertEquals(top.indices.dtype, "int32");
  }
  await checkGradients(
    (t) => t.topK(3).values,
    (v) => sorted(v, -1, true)[0].along(-1, (line) => line.slice(0, 3)),
    x,
  );
});

deviceTest("topK() gives the first of equal values", async () => {
  const top = tensor([1, 5, 5, 1, 5]).topK(4);
  await assertSame(top.values, [5, 5, 5, 1]);
  await assertSame(top.indices, [1, 2, 4, 0]);
});

Deno.test("sort(), argsort() and topK() refuse what does not fit", () => {
  const x = zeros([2, 3]);
  assertThrows(
    () => x.sort({ axis: 2 }),
    RangeError,
    "sort: axis 2 is out of range for shape [2, 3]: use -2 to 1",
  );
  assertThrows(() => zeros([]).sort({ axis: 1 }), RangeError, "sort: axis 1");
  assertThrows(() => x.argsort({ axis: -3 }), RangeError, "argsort: axis -3");
  for (const k of [4, -1, 1.5]) {
    assertThrows(
      () => x.topK(k),
      RangeError,
      `topK: k must be 0 to 3: got ${k} for [2, 3]`,
    );
  }
  assertThrows(() => x.topK(1, { axis: 5 }), RangeError, "topK: axis 5");
});

function cumsumReference(x: Values, axis: number): Values {
  return x.along(axis, (line) => {
    let sum = 0;
    return line.map((value) => sum += value);
  });
}

deviceTest("cumsum() adds up along any axis, with gradients", async () => {
  const x = seeded(5).values([3, 4, 5]);
  for (const axis of [0, 1, 2, -1, -2, -3]) {
    await checkGradients(
      (t) => t.cumsum(axis),
      (v) => cumsumReference(v, axis),
      x,
      { of: `axis ${axis}` },
    );
  }
});

deviceTest(
  "cumsum() takes every length, exactly for whole numbers",
  async () => {
    for (const size of [0, 1, 2, 63, 64, 65, 256, 257, 1025, 5000]) {
      const x = seeded(size).integers([size], -9, 10);
      await assertSame(x.tensor().cumsum(), cumsumReference(x, 0), `${size}`);
      await assertSame(x.tensor("int32").cumsum(), cumsumReference(x, 0));
    }
    const long = seeded(6).values([2, 3000]);
    await assertClose(long.tensor().cumsum(), cumsumReference(long, -1), {
      rtol: 1e-5,
      atol: 1e-7 * 3000,
    });
  },
);

deviceTest("cumsum() wraps whole numbers and counts bools", async () => {
  const top = tensor(Int32Array.of(2 ** 31 - 1, 1)).cumsum();
  await assertSame(top, [2 ** 31 - 1, -(2 ** 31)]);
  const counted = tensor([true, false, true]).cumsum();
  assertEquals(counted.dtype, "int32");
  await assertSame(counted, [1, 1, 2]);
  assertThrows(
    () => zeros([2]).cumsum(1),
    RangeError,
    "cumsum: axis 1 is out of range for shape [2]: use -1 to 0",
  );
});

deviceTest("cumsum() takes views", async () => {
  const x = seeded(7).integers([4, 6], -9, 9);
  const turned = Values.of([6, 4], (i, j) => x.at(3 - j!, i!));
  await assertSame(
    x.tensor().flip([0]).transpose().cumsum(0),
    cumsumReference(turned, 0),
  );
});

deviceTest(
  "sort() and cumsum() of a scalar take it as one element",
  async () => {
    const { values, indices } = tensor(3).sort({ descending: true });
    await assertSame(values, 3);
    await assertSame(indices, 0);
    await assertSame(tensor(3).argsort({ axis: 0 }), 0);
    await assertSame(tensor(3).cumsum(), 3);
  },
);
