import * as heddle from "@heddle/tensor";
import {
  type DType,
  type ReduceOptions,
  type Tensor,
  tensor,
  zeros,
} from "@heddle/tensor";
import { assertEquals, assertThrows } from "@std/assert";
import { assertClose, assertSame, type Tolerance } from "../assert_close.ts";
import { checkGradients } from "../check_gradients.ts";
import { deviceTest } from "../devices.ts";
import { seeded } from "../seeded.ts";
import { Values } from "../values.ts";
import { VIEWS } from "./strided_views.ts";

const total = (list: readonly number[]) => list.reduce((a, b) => a + b, 0);
const product = (list: readonly number[]) => list.reduce((a, b) => a * b, 1);
const mean = (list: readonly number[]) => total(list) / list.length;
const variance = (list: readonly number[], correction = 1) => {
  const center = mean(list);
  return total(list.map((x) => (x - center) ** 2)) / (list.length - correction);
};

interface Reduction {
  readonly f: (x: Tensor, options?: ReduceOptions) => Tensor;
  readonly plain: (list: number[]) => number;
  /** Fewest elements it makes sense of. */
  readonly least?: number;
}

const REDUCTIONS: Record<string, Reduction> = {
  sum: { f: heddle.sum, plain: total },
  prod: { f: heddle.prod, plain: product },
  mean: { f: heddle.mean, plain: mean, least: 1 },
  max: { f: heddle.max, plain: (list) => Math.max(...list), least: 1 },
  min: { f: heddle.min, plain: (list) => Math.min(...list), least: 1 },
  variance: { f: heddle.variance, plain: (list) => variance(list), least: 2 },
  std: { f: heddle.std, plain: (list) => Math.sqrt(variance(list)), least: 2 },
  norm: { f: heddle.norm, plain: (list) => Math.hypot(...list), least: 1 },
  logSumExp: {
    f: heddle.logSumExp,
    plain: (list) => Math.log(total(list.map(Math.exp))),
    least: 1,
  },
};

const AXES: readonly (number | readonly number[] | undefined)[] = [
  undefined,
  0,
  1,
  2,
  -1,
  -2,
  -3,
  [0, 2],
  [-1, 0],
  [1, 2],
  [0, 1, 2],
];

for (const [name, { f, plain, least = 0 }] of Object.entries(REDUCTIONS)) {
  deviceTest(`${name}() reduces any axes, with gradients`, async () => {
    // Distinct, so that the greatest and the least are one.
    const x = seeded(1).distinct([2, 3, 5], 1 / 16).map((v) => v + 2.5);
    for (const axis of AXES) {
      for (const keepDims of [false, true]) {
        const options = axis === undefined ? { keepDims } : { axis, keepDims };
        await checkGradients(
          (t) => f(t, options),
          (v) => v.reduce(axis, keepDims, plain),
          x,
          {
            of: JSON.stringify(options),
            // A product of 30 numbers up to 3.4.
            ...name === "prod"
              ? { forward: { rtol: 1e-5 }, gradient: { rtol: 1e-4 } }
              : {},
          },
        );
      }
    }
  });

  deviceTest(`${name}() takes views, axes of size 1 and scalars`, async () => {
    const x = seeded(2).apartFromZero([5, 6], 0.5, 1.5);
    for (const { name: of, valuesOf, of: view } of VIEWS) {
      const values = valuesOf(x);
      if (values.size < least) continue;
      await assertClose(
        f(view(x.tensor())),
        values.reduce(undefined, false, plain),
        { of, rtol: 1e-5, atol: 1e-5 },
      );
    }
    if (least > 1) return;
    const column = seeded(3).values([4, 1], { low: 0.5, high: 1 });
    await assertClose(
      f(column.tensor(), { axis: 1 }),
      column.reduce(1, false, plain),
    );
  });

  deviceTest(`${name}() takes lengths about those of workgroups`, async () => {
    for (const size of [1, 2, 63, 64, 65, 257, 1031]) {
      if (size < least) continue;
      const spread = name === "prod" ? { low: 0.9, high: 1.1 } : {};
      const x = seeded(size).values([3, size], spread);
      const tolerance: Tolerance = { rtol: 2e-5, atol: 1e-6 + 1e-7 * size };
      const of = `${size}`;
      await assertClose(f(x.tensor(), { axis: 1 }), x.reduce(1, false, plain), {
        ...tolerance,
        of,
      });
      const turned = x.tensor().transpose();
      await assertClose(f(turned, { axis: 0 }), x.reduce(1, false, plain), {
        ...tolerance,
        of: `${of} turned`,
      });
    }
  });
}

deviceTest("reductions of many elements to few go in two steps", async () => {
  const x = seeded(4).integers([2, 64 * 1024], -3, 4);
  const cases: [Tensor, Values][] = [
    [x.tensor().sum(), x.reduce(undefined, false, total)],
    [x.tensor().sum({ axis: 1 }), x.reduce(1, false, total)],
    [x.tensor("int32").sum(), x.reduce(undefined, false, total)],
    [x.tensor().max(), new Values([], [3])],
    [x.tensor("int32").min({ axis: 1 }), new Values([2], [-3, -3])],
    [x.tensor("bool").all(), new Values([], [0])],
    [x.tensor("bool").any({ axis: 1 }), new Values([2], [1, 1])],
    [x.tensor().transpose().sum({ axis: 0 }), x.reduce(1, false, total)],
  ];
  for (const [got, want] of cases) await assertSame(got, want);
  // A prime has no parts to go in.
  const prime = seeded(5).integers([32771], -3, 4);
  await assertSame(prime.tensor().sum(), prime.reduce(0, false, total));
});

deviceTest("reductions of nothing give what they begin with", async () => {
  await assertSame(zeros([0]).sum(), 0);
  await assertSame(zeros([0]).prod(), 1);
  await assertSame(zeros([0, 3]).sum({ axis: 0 }), [0, 0, 0]);
  await assertSame(zeros([0, 3]).prod({ axis: 0 }), [1, 1, 1]);
  await assertSame(zeros([3, 0]).sum({ axis: 0 }), []);
  await assertSame(zeros([0]).norm(), 0);
  await assertSame(zeros([0]).any(), 0);
  await assertSame(zeros([0]).all(), 1);
  await assertSame(zeros([2, 0], { dtype: "int32" }).sum({ axis: 1 }), [0, 0]);
});

deviceTest("mean() and variance() of too little are NaN", async () => {
  await assertSame(zeros([0]).mean(), NaN);
  await assertSame(tensor([3]).variance(), NaN);
  await assertSame(tensor([3]).variance({ correction: 0 }), 0);
  await assertSame(tensor([3]).std(), NaN);
}, { devices: ["reference", "wasm"] });

Deno.test("max(), min(), argmax() and argmin() refuse to choose from nothing", () => {
  for (const name of ["max", "min"] as const) {
    assertThrows(
      () => zeros([2, 0])[name]({ axis: 1 }),
      RangeError,
      `${name}: nothing to choose from: got shape [2, 0] over axes [1]`,
    );
    // There are no rows to choose in.
    assertEquals(zeros([0, 2])[name]({ axis: 1 }).shape, [0]);
  }
  for (const name of ["argmax", "argmin"] as const) {
    assertThrows(
      () => zeros([0])[name](),
      RangeError,
      `${name}: nothing to choose from: got shape [0]`,
    );
  }
});

Deno.test("reductions refuse axes out of range or given twice", () => {
  const x = zeros([2, 3]);
  for (const [name, { f }] of Object.entries(REDUCTIONS)) {
    assertThrows(
      () => f(x, { axis: 2 }),
      RangeError,
      `${name}: axis 2 is out of range for shape [2, 3]: use -2 to 1`,
    );
    assertThrows(
      () => f(x, { axis: [0, -2] }),
      RangeError,
      `${name}: an axis is given twice: [0, -2]`,
    );
  }
  for (const name of ["any", "all"] as const) {
    assertThrows(() => x[name]({ axis: -3 }), RangeError, `${name}: axis -3`);
  }
  assertThrows(() => zeros([]).sum({ axis: 1 }), RangeError, "sum: axis 1");
  assertThrows(() => zeros([]).argmax({ axis: -2 }), RangeError, "argmax: a");
});

deviceTest(
  "sum() and argmax() of a scalar take it as one element",
  async () => {
    for (const axis of [0, -1]) {
      const x = tensor(3);
      await assertSame(x.sum({ axis }), 3);
      await assertSame(x.mean({ axis, keepDims: true }), 3);
      await assertSame(x.argmax({ axis }), 0);
    }
  },
);

deviceTest("logSumExp() of nothing is -Infinity", async () => {
  assertEquals(await zeros([0]).logSumExp().item(), -Infinity);
  const rows = zeros([0, 2]).logSumExp({ axis: 0, keepDims: true });
  assertEquals(await rows.toArray(), [[-Infinity, -Infinity]]);
  assertEquals(zeros([0, 2]).logSumExp({ axis: 1 }).shape, [0]);
});

deviceTest(
  "sum(), prod(), max() and min() keep whole numbers whole",
  async () => {
    const ints = tensor(Int32Array.of(2 ** 31 - 1, 2, -7));
    const typed: [Tensor, DType, number][] = [
      [ints.sum(), "int32", 2 ** 31 - 6],
      [ints.max(), "int32", 2 ** 31 - 1],
      [ints.min(), "int32", -7],
      [tensor(Int32Array.of(65536, 65537)).prod(), "int32", 65536],
      [tensor(Uint32Array.of(2 ** 32 - 1, 3)).sum(), "uint32", 2],
      [tensor(Uint32Array.of(2 ** 32 - 1, 3)).max(), "uint32", 2 ** 32 - 1],
      [tensor([true, false, true]).sum(), "int32", 2],
      [tensor([true, true]).prod(), "int32", 1],
      [tensor([true, false]).max(), "bool", 1],
      [tensor([true, false]).min(), "bool", 0],
      [ints.mean(), "float32", (2 ** 31 - 6) / 3],
      [tensor([true, false]).mean(), "float32", 0.5],
    ];
    for (const [result, dtype, value] of typed) {
      assertEquals(result.dtype, dtype);
      await assertClose(result, value);
    }
  },
);

deviceTest("any() and all() test for 0 along any axes", async () => {
  const x = seeded(6).integers([2, 3, 4], 0, 2);
  for (const axis of AXES) {
    for (const keepDims of [false, true]) {
      const options = axis === undefined ? { keepDims } : { axis, keepDims };
      const some = x.reduce(axis, keepDims, (list) => Number(list.includes(1)));
      const every = x.reduce(
        axis,
        keepDims,
        (list) => Number(!list.includes(0)),
      );
      for (const dtype of ["bool", "float32", "int32"] as const) {
        assertEquals(x.tensor(dtype).any(options).dtype, "bool");
        await assertSame(x.tensor(dtype).any(options), some);
        await assertSame(x.tensor(dtype).all(options), every);
      }
    }
  }
});

deviceTest("max() and min() share the gradient of equal elements", async () => {
  const x = tensor([[1, 3, 3], [2, 2, 2]], { requiresGrad: true });
  x.max({ axis: 1 }).sum().backward();
  await assertClose(x.grad!, [[0, 0.5, 0.5], [1 / 3, 1 / 3, 1 / 3]]);
  x.grad = null;
  x.min().backward();
  await assertSame(x.grad!, [[1, 0, 0], [0, 0, 0]]);
});

deviceTest("max() and min() give NaN if there is one", async () => {
  const x = tensor([[1, NaN, 3], [1, 2, 3], [-Infinity, Infinity, 0]]);
  await assertSame(x.max({ axis: 1 }), [NaN, 3, Infinity]);
  await assertSame(x.min({ axis: 1 }), [NaN, 1, -Infinity]);
  await assertSame(x.transpose().max({ axis: 0 }), [NaN, 3, Infinity]);
}, { devices: ["reference", "wasm"] });

deviceTest("prod() has gradients where factors are 0", async () => {
  const x = tensor([[2, 3, 4], [2, 0, 4], [0, 0, 4]], { requiresGrad: true });
  x.prod({ axis: 1 }).sum().backward();
  await assertClose(x.grad!, [[12, 8, 6], [0, 8, 0], [0, 0, 0]]);
});

deviceTest("variance() and std() take a correction", async () => {
  const x = seeded(7).values([4, 5]);
  for (const correction of [0, 1, 2]) {
    await checkGradients(
      (t) => t.variance({ axis: 1, correction }),
      (v) => v.reduce(1, false, (list) => variance(list, correction)),
      x,
    );
    await checkGradients(
      (t) => t.std({ axis: 0, correction, keepDims: true }),
      (v) => v.reduce(0, true, (list) => Math.sqrt(variance(list, correction))),
      x,
    );
  }
});

deviceTest("norm() has a gradient of 0 at 0", async () => {
  const x = tensor([[0, 0], [3, 4]], { requiresGrad: true });
  x.norm({ axis: 1 }).sum().backward();
  await assertClose(x.grad!, [[0, 0], [0.6, 0.8]]);
  assertEquals(tensor(Int32Array.of(70000, 0)).norm().dtype, "float32");
  await assertClose(tensor(Int32Array.of(70000, 0)).norm(), 70000);
});

deviceTest("variance() keeps its digits beside a large mean", async () => {
  const x = new Values([5], [4096, 4097, 4098, 4099, 4100]);
  await assertClose(x.tensor().variance(), 2.5);
});

deviceTest("logSumExp() neither overflows nor underflows", async () => {
  await assertClose(
    tensor([[1000, 1000], [-1000, -1000], [0, 500]]).logSumExp({ axis: 1 }),
    [1000 + Math.LN2, -1000 + Math.LN2, 500],
  );
});

deviceTest("logSumExp() of infinities", async () => {
  await assertSame(
    tensor([[-Infinity, -Infinity], [0, -Infinity]]).logSumExp({ axis: 1 }),
    [-Infinity, 0],
  );
}, { devices: ["reference", "wasm"] });

deviceTest("argmax() and argmin() find the first along any axis", async () => {
  const x = seeded(8).integers([3, 4, 5], -2, 3);
  const first = (pick: (...list: number[]) => number) => (list: number[]) =>
    list.indexOf(pick(...list));
  for (const axis of [undefined, 0, 1, 2, -1, -2, -3]) {
    for (const keepDims of [false, true]) {
      const options = axis === undefined ? { keepDims } : { axis, keepDims };
      const of = JSON.stringify(options);
      for (const dtype of ["float32", "int32"] as const) {
        const [top, bottom] = [
          x.tensor(dtype).argmax(options),
          x.tensor(dtype).argmin(options),
        ];
        assertEquals([top.dtype, bottom.dtype], ["int32", "int32"]);
        await assertSame(top, x.reduce(axis, keepDims, first(Math.max)), of);
        await assertSame(bottom, x.reduce(axis, keepDims, first(Math.min)), of);
      }
    }
  }
  await assertSame(tensor([false, true, true]).argmax(), 1);
  await assertSame(tensor(Uint32Array.of(1, 2 ** 32 - 1)).argmax(), 1);
  assertThrows(
    () => zeros([2]).argmax({ axis: 1 }),
    RangeError,
    "argmax: axis 1",
  );
});

deviceTest("argmax() and argmin() find the first NaN", async () => {
  const x = tensor([[1, NaN, NaN], [3, 2, 9]]);
  await assertSame(x.argmax({ axis: 1 }), [1, 2]);
  await assertSame(x.argmin({ axis: 1 }), [1, 1]);
}, { devices: ["reference", "wasm"] });
