import {
  avgPool2d,
  type AvgPoolOptions,
  maxPool2d,
  type Pair,
  type PoolOptions,
  tensor,
  zeros,
} from "@heddle/tensor";
import { assertEquals, assertThrows } from "@std/assert";
import { assertSame } from "../assert_close.ts";
import { checkGradients } from "../check_gradients.ts";
import { deviceTest } from "../devices.ts";
import { seeded } from "../seeded.ts";
import { indices, Values } from "../values.ts";

const both = (pair: Pair): readonly [number, number] =>
  typeof pair === "number" ? [pair, pair] : pair;

/** `f` of the elements of each window, those of the padding as undefined. */
function poolReference(
  x: Values,
  size: Pair,
  options: PoolOptions,
  f: (window: (number | undefined)[]) => number,
): Values {
  const lead = x.shape.slice(0, -2);
  const extents = x.shape.slice(-2);
  const window = both(size);
  const stride = both(options.stride ?? size);
  const padding = both(options.padding ?? 0);
  const out = [0, 1].map((at) =>
    Math.floor((extents[at]! + 2 * padding[at]! - window[at]!) / stride[at]!) +
    1
  );
  return Values.of([...lead, ...out], (...index) => {
    const outer = index.slice(0, -2);
    const [y, x0] = index.slice(-2) as [number, number];
    return f(
      indices(window).map(([i, j]) => {
        const row = y * stride[0] + i! - padding[0];
        const col = x0 * stride[1] + j! - padding[1];
        const inside = row >= 0 && row < extents[0]! && col >= 0 &&
          col < extents[1]!;
        return inside ? x.at(...outer, row, col) : undefined;
      }),
    );
  });
}

const greatest = (window: (number | undefined)[]) =>
  Math.max(...window.filter((value) => value !== undefined));
const meanOf = (countPadding: boolean) => (window: (number | undefined)[]) => {
  const present = window.filter((value) => value !== undefined);
  const count = countPadding ? window.length : present.length;
  return present.reduce((a, b) => a + b, 0) / count;
};

const CASES: readonly [readonly number[], Pair, AvgPoolOptions][] = [
  [[2, 3, 6, 4], 2, {}],
  [[2, 3, 7, 5], 2, {}], // the last row and column are left out
  [[1, 2, 7, 8], 3, {}],
  [[1, 2, 7, 8], [2, 3], {}],
  [[1, 2, 7, 8], 3, { stride: 2 }],
  [[1, 2, 7, 8], 2, { stride: 3 }],
  [[1, 2, 7, 8], [3, 2], { stride: [1, 2] }],
  [[1, 2, 6, 5], 3, { padding: 1 }],
  [[1, 2, 6, 5], [2, 3], { stride: [2, 1], padding: [1, 0] }],
  [[1, 2, 5, 5], 1, {}],
  [[1, 1, 4, 3], [4, 3], {}],
  [[7, 5], 2, {}],
  [[3, 7, 5], 2, { stride: 1 }],
  [[2, 1, 2, 4, 4], 2, {}],
];

for (const [shape, size, options] of CASES) {
  const of = `[${shape}] by ${size}, ${JSON.stringify(options)}`;

  deviceTest(
    `maxPool2d() of ${of} matches plain loops, with its gradient`,
    async () => {
      const x = seeded(1).distinct(shape);
      await checkGradients(
        (t) => maxPool2d(t, size, options),
        (v) => poolReference(v, size, options, greatest),
        x,
      );
    },
  );

  deviceTest(
    `avgPool2d() of ${of} matches plain loops, with its gradient`,
    async () => {
      const x = seeded(2).values(shape);
      for (const countIncludePad of [true, false]) {
        await checkGradients(
          (t) => avgPool2d(t, size, { ...options, countIncludePad }),
          (v) => poolReference(v, size, options, meanOf(countIncludePad)),
          x,
          { of: `count padding ${countIncludePad}` },
        );
      }
    },
  );
}

deviceTest(
  "maxPool2d() gives the gradient to the first of equal elements",
  async () => {
    const x = tensor([[1, 1, 0, 2], [1, 1, 2, 2]], { requiresGrad: true });
    maxPool2d(x, 2).mul(tensor([[10, 100]])).sum().backward();
    await assertSame(x.grad!, [[10, 0, 0, 100], [0, 0, 0, 0]]);
  },
);

deviceTest(
  "maxPool2d() adds up the gradients of windows that overlap",
  async () => {
    const x = tensor([[0, 5, 0], [0, 0, 0]], { requiresGrad: true });
    maxPool2d(x, 2, { stride: 1 }).mul(tensor([[1, 10]])).sum().backward();
    await assertSame(x.grad!, [[0, 11, 0], [0, 0, 0]]);
  },
);

deviceTest("maxPool2d() prefers any element to padding", async () => {
  const x = seeded(3).values([1, 1, 3, 3], { low: -9, high: -8 });
  await assertSame(
    maxPool2d(x.tensor(), 2, { padding: 1 }),
    poolReference(x, 2, { padding: 1 }, greatest),
  );
});

deviceTest("maxPool2d() passes NaN and infinities on", async () => {
  const x = tensor([[NaN, 1, -Infinity, -Infinity], [
    0,
    2,
    -Infinity,
    -Infinity,
  ]]);
  await assertSame(maxPool2d(x, 2), [[NaN, -Infinity]]);
}, { devices: ["reference", "wasm"] });

deviceTest("pools take views and integers", async () => {
  const x = seeded(4).integers([6, 4, 2], -9, 9);
  const turned = Values.of([2, 6, 4], (c, y, i) => x.at(5 - y!, i!, c!));
  const view = x.tensor().flip([0]).permute([2, 0, 1]);
  await assertSame(maxPool2d(view, 2), poolReference(turned, 2, {}, greatest));
  const ints = x.tensor("int32").flip([0]).permute([2, 0, 1]);
  assertEquals(maxPool2d(ints, 2).dtype, "float32");
  await assertSame(
    avgPool2d(ints, 2),
    poolReference(turned, 2, {}, meanOf(true)),
  );
  assertEquals((await maxPool2d(zeros([0, 2, 4, 4]), 2).data()).length, 0);
});

Deno.test("pools refuse windows that do not fit", () => {
  const x = zeros([1, 2, 4, 5]);
  for (const [name, f] of Object.entries({ maxPool2d, avgPool2d })) {
    const cases: [() => unknown, string][] = [
      [() => f(zeros([5]), 2), `${name}: needs at least two axes: got [5]`],
      [
        () => f(x, 5),
        `${name}: the window does not fit: got 5 elements for 4, padding included`,
      ],
      [
        () => f(x, [2, 6]),
        `${name}: the window does not fit: got 6 elements for 5, padding included`,
      ],
      [() => f(x, 0), `${name}: the size must be whole and at least 1: got 0`],
      [
        () => f(x, 2, { stride: [1, 0] }),
        `${name}: stride must be whole and at least 1: got [1,0]`,
      ],
      [
        () => f(x, 2, { padding: -1 }),
        `${name}: padding must be whole and at least 0: got -1`,
      ],
      [
        () => f(x, [3, 2], { padding: [1, 2] }),
        `${name}: padding must be at most half the window: got [1, 2] for [3, 2]`,
      ],
    ];
    for (const [call, message] of cases) {
      assertThrows(call, RangeError, message);
    }
  }
});
