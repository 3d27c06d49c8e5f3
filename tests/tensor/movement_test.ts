import {
  arange,
  type DType,
  pad,
  reshape,
  type SliceRange,
  type Tensor,
  tensor,
  zeros,
} from "@heddle/tensor";
import { assertEquals, assertThrows } from "@std/assert";
import { assertSame } from "../assert_close.ts";
import { checkGradients } from "../check_gradients.ts";
import { deviceTest } from "../devices.ts";
import { seeded } from "../seeded.ts";
import { indices, Values } from "../values.ts";

const numbers = (shape: readonly number[]) =>
  Values.of(shape, (...index) => index.reduce((sum, i) => sum * 10 + i + 1, 0));

/** What a movement does in plain loops. */
interface Moved {
  readonly f: (x: Tensor) => Tensor;
  readonly reference: (x: Values) => Values;
}

/** Compares values and gradients of a movement. */
async function checkMove(
  shape: readonly number[],
  { f, reference }: Moved,
  of: string,
): Promise<void> {
  const x = numbers(shape);
  await assertSame(f(x.tensor()), reference(x), of);
  // Movements do not care for types.
  await assertSame(f(x.tensor("int32")), reference(x), `${of}, int32`);
  await checkGradients(f, reference, seeded(1).values(shape), { of });
}

deviceTest("reshape() keeps the elements in order", async () => {
  const cases: [number[], number[], number[]][] = [
    [[2, 3], [3, 2], [3, 2]],
    [[2, 3], [6], [6]],
    [[6], [1, 6, 1], [1, 6, 1]],
    [[2, 3, 5], [-1], [30]],
    [[2, 3, 5], [5, -1], [5, 6]],
    [[2, 3, 5], [-1, 5, 3], [2, 5, 3]],
    [[1, 1], [], []],
    [[], [1], [1]],
    [[], [-1], [1]],
    [[4, 6], [3, 8], [3, 8]],
    [[7, 11], [11, 7], [11, 7]],
  ];
  for (const [from, to, expected] of cases) {
    await checkMove(from, {
      f: (x) => x.reshape(to),
      reference: (x) => x.reshape(expected),
    }, `[${from}] to [${to}]`);
  }
});

deviceTest("reshape() takes axes of size 0", async () => {
  for (
    const [from, to, expected] of [
      [[0, 3], [3, 0], [3, 0]],
      [[0, 3], [0], [0]],
      [[2, 0], [-1, 5], [0, 5]],
      [[0], [0, 7], [0, 7]],
    ]
  ) {
    const x = zeros(from!).reshape(to!);
    assertEquals(x.shape, expected);
    assertEquals((await x.data()).length, 0);
  }
});

Deno.test("reshape() refuses sizes that do not fit", () => {
  const x = zeros([2, 3]);
  for (
    const shape of [[4], [-1, -1], [-1, 4], [-2, 3], [2.5, 2], [7, -1], [0, -1]]
  ) {
    assertThrows(
      () => reshape(x, shape),
      RangeError,
      `reshape: the sizes do not fit: got [${
        shape.join(", ")
      }] for [2, 3] with 6 elements`,
    );
  }
  assertThrows(
    () => zeros([0]).reshape([0, -1]),
    RangeError,
    "reshape: the sizes",
  );
});

deviceTest("permute() orders the axes in every way", async () => {
  const orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [
    2,
    1,
    0,
  ]];
  for (const order of orders) {
    const shape = [2, 3, 5];
    await checkMove(shape, {
      f: (x) => x.permute(order),
      reference: (x) =>
        Values.of(order.map((axis) => shape[axis]!), (...index) => {
          const from: number[] = [];
          order.forEach((axis, to) => from[axis] = index[to]!);
          return x.at(...from);
        }),
    }, `${order}`);
  }
  await assertSame(
    numbers([2, 3, 5]).tensor().permute([-1, 0, -2]),
    numbers([2, 3, 5]).tensor().permute([2, 0, 1]),
  );
  assertEquals(zeros([]).permute([]).shape, []);
});

Deno.test("permute() refuses what does not name each axis once", () => {
  const x = zeros([2, 3]);
  for (const axes of [[0], [0, 0], [0, 1, 0], [0, -2]]) {
    assertThrows(
      () => x.permute(axes),
      RangeError,
      `permute: every axis must be named once: got [${
        axes.join(", ")
      }] for [2, 3]`,
    );
  }
  assertThrows(
    () => x.permute([0, 2]),
    RangeError,
    "permute: axis 2 is out of range for shape [2, 3]: use -2 to 1",
  );
});

deviceTest("transpose() swaps any two axes, from both ends", async () => {
  const shape = [2, 3, 5];
  for (const [a, b] of indices([6, 6]).map(([a, b]) => [a! - 3, b! - 3])) {
    const order = [0, 1, 2];
    [order[(a! + 3) % 3], order[(b! + 3) % 3]] = [(b! + 3) % 3, (a! + 3) % 3];
    const x = numbers(shape).tensor();
    await assertSame(x.transpose(a, b), x.permute(order), `${a} and ${b}`);
  }
  assertEquals(zeros(shape).transpose().shape, [2, 5, 3]);
  assertThrows(
    () => zeros([3]).transpose(),
    RangeError,
    "transpose: axis -2 is out of range for shape [3]: use -1 to 0",
  );
});

deviceTest(
  "expand() repeats axes of size 1 and adds some in front",
  async () => {
    const cases: [number[], number[], number[]][] = [
      [[1, 3], [2, 3], [2, 3]],
      [[3], [2, 3], [2, 3]],
      [[2, 1], [2, 5], [2, 5]],
      [[1], [4, 1, 7], [4, 1, 7]],
      [[], [2, 3], [2, 3]],
      [[2, 1, 3], [-1, 5, -1], [2, 5, 3]],
      [[2, 3], [2, 3], [2, 3]],
    ];
    for (const [from, to, expected] of cases) {
      await checkMove(from, {
        f: (x) => x.expand(to),
        reference: (x) =>
          Values.of(expected, (...index) => {
            const own = index.slice(expected.length - from.length);
            return x.at(...own.map((i, axis) => from[axis] === 1 ? 0 : i));
          }),
      }, `[${from}] to [${to}]`);
    }
    assertEquals((await zeros([1, 3]).expand([0, 3]).data()).length, 0);
  },
);

Deno.test("expand() refuses shapes that do not broadcast", () => {
  for (const shape of [[3], [2, 4], [4, 3], [1, 3]]) {
    assertThrows(() => zeros([2, 3]).expand(shape), RangeError, "expand: ");
  }
  assertThrows(
    () => zeros([2, 3]).expand([1, 3]),
    RangeError,
    "expand: the shape does not broadcast: got [1, 3] for [2, 3]",
  );
  assertThrows(
    () => zeros([3]).expand([-1, 3]),
    RangeError,
    "expand: sizes must be whole numbers >= 0: got [-1, 3]",
  );
});

deviceTest(
  "squeeze() and unsqueeze() drop and add axes of size 1",
  async () => {
    const x = numbers([1, 3, 1, 2]).tensor();
    const shapes: [Tensor, number[]][] = [
      [x.squeeze(), [3, 2]],
      [x.squeeze(0), [3, 1, 2]],
      [x.squeeze(-2), [1, 3, 2]],
      [x.squeeze([0, 2]), [3, 2]],
      [x.squeeze([-4]), [3, 1, 2]],
      [x.unsqueeze(0), [1, 1, 3, 1, 2]],
      [x.unsqueeze(2), [1, 3, 1, 1, 2]],
      [x.unsqueeze(4), [1, 3, 1, 2, 1]],
      [x.unsqueeze(-1), [1, 3, 1, 2, 1]],
      [x.unsqueeze(-5), [1, 1, 3, 1, 2]],
      [zeros([]).unsqueeze(0), [1]],
      [zeros([1]).squeeze(), []],
    ];
    for (const [moved, shape] of shapes) assertEquals(moved.shape, shape);
    await assertSame(
      x.squeeze().unsqueeze(1),
      numbers([1, 3, 1, 2]).reshape([3, 1, 2]),
    );
    assertThrows(
      () => x.squeeze(1),
      RangeError,
      "squeeze: axis 1 is not of size 1: got [1, 3, 1, 2]",
    );
    assertThrows(
      () => x.squeeze([0, -4]),
      RangeError,
      "squeeze: an axis is given twice: [0, -4]",
    );
    assertThrows(
      () => x.unsqueeze(5),
      RangeError,
      "unsqueeze: axis 5 is out of range for shape [1, 3, 1, 2, 1]: use -5 to 4",
    );
  },
);

Deno.test("flatten() joins a range of axes, from both ends", () => {
  const x = zeros([2, 3, 5, 7]);
  assertEquals(x.flatten().shape, [210]);
  assertEquals(x.flatten(1).shape, [2, 105]);
  assertEquals(x.flatten(1, 2).shape, [2, 15, 7]);
  assertEquals(x.flatten(0, -2).shape, [30, 7]);
  assertEquals(x.flatten(-2).shape, [2, 3, 35]);
  assertEquals(x.flatten(2, 2).shape, [2, 3, 5, 7]);
  assertEquals(zeros([]).flatten().shape, [1]);
  assertEquals(zeros([2, 0, 3]).flatten(1).shape, [2, 0]);
  assertThrows(
    () => x.flatten(2, 1),
    RangeError,
    "flatten: startAxis comes after endAxis: got 2 and 1",
  );
  assertThrows(
    () => x.flatten(4),
    RangeError,
    "flatten: axis 4 is out of range",
  );
});

/** The positions that a range takes, as Python's `range(*slice.indices(n))`. */
function positionsOf(range: SliceRange, extent: number): number[] {
  if (range === null) return Array.from({ length: extent }, (_, i) => i);
  if (typeof range === "number") return [range < 0 ? range + extent : range];
  const [start, end, step = 1] = range;
  const place = (at: number | null, whole: number, low: number, high: number) =>
    at === null
      ? whole
      : Math.max(low, Math.min(high, at < 0 ? at + extent : at));
  const found: number[] = [];
  if (step > 0) {
    const to = place(end, extent, 0, extent);
    for (let i = place(start, 0, 0, extent); i < to; i += step) found.push(i);
  } else {
    const to = place(end, -1, -1, extent - 1);
    for (let i = place(start, extent - 1, -1, extent - 1); i > to; i += step) {
      found.push(i);
    }
  }
  return found;
}

const RANGES: readonly SliceRange[] = [
  null,
  0,
  4,
  -1,
  -5,
  [1, 4],
  [0, 5],
  [null, null],
  [2, null],
  [null, -1],
  [-3, -1],
  [1, 100],
  [-100, 2],
  [3, 1],
  [5, 9],
  [0, 5, 2],
  [1, null, 3],
  [null, null, 5],
  [null, null, -1],
  [null, null, -2],
  [3, 0, -1],
  [-1, -5, -3],
  [4, null, -4],
  [0, 4, -1],
  [100, -100, -1],
];

for (const range of RANGES) {
  deviceTest(
    `slice() takes ${JSON.stringify(range)} as NumPy does, on any axis`,
    async () => {
      const dropped = typeof range === "number";
      const picked = positionsOf(range, 5);
      const rows = picked.length;
      await checkMove([5, 3], {
        f: (x) => x.slice(range),
        reference: (x) =>
          Values.of([rows, 3], (i, j) => x.at(picked[i!]!, j!))
            .reshape(dropped ? [3] : [rows, 3]),
      }, "first axis");
      await checkMove([3, 5], {
        f: (x) => x.slice(null, range),
        reference: (x) =>
          Values.of([3, rows], (i, j) => x.at(i!, picked[j!]!))
            .reshape(dropped ? [3] : [3, rows]),
      }, "last axis");
    },
  );
}

deviceTest(
  "slice() of slices composes, also backwards and with padding",
  async () => {
    await checkMove([7, 5], {
      f: (x) =>
        x.slice([6, 0, -1], [1, null]).slice([null, null, 2]).flip()
          .pad([[1, 0], [0, 1]]).slice([0, 3], [null, null, 2]),
      reference: (x) => {
        const flipped = Values.of(
          [3, 4],
          (i, j) => x.at(6 - 2 * (2 - i!), 1 + (3 - j!)),
        );
        const padded = Values.of(
          [4, 5],
          (i, j) => i === 0 || j === 4 ? 0 : flipped.at(i! - 1, j!),
        );
        return Values.of([3, 3], (i, j) => padded.at(i!, 2 * j!));
      },
    }, "chain");
  },
);

Deno.test("slice() refuses elements out of range, steps of 0 and too many ranges", () => {
  const x = zeros([2, 3]);
  assertThrows(
    () => x.slice(2),
    RangeError,
    "slice: element 2 is out of range on axis 0 of size 2",
  );
  assertThrows(
    () => x.slice(null, -4),
    RangeError,
    "slice: element -4 is out of range on axis 1 of size 3",
  );
  assertThrows(
    () => x.slice([0, 2, 0]),
    RangeError,
    "slice: needs whole numbers and a step that is not 0: got [0, 2, 0] on axis 0",
  );
  assertThrows(
    () => x.slice([0.5, 2]),
    RangeError,
    "slice: needs whole numbers and a step that is not 0: got [0.5, 2] on axis 0",
  );
  assertThrows(
    () => x.slice(null, null, null),
    RangeError,
    "slice: too many ranges: got 3 for shape [2, 3]",
  );
  assertThrows(() => zeros([0]).slice(0), RangeError, "slice: element 0");
});

/** Padding in a plain loop; negative widths cut. */
function padReference(
  widths: readonly (readonly [number, number])[],
  value: number,
) {
  return (x: Values): Values => {
    const shape = x.shape.map((n, axis) =>
      n + widths[axis]![0] + widths[axis]![1]
    );
    return Values.of(shape, (...index) => {
      const from = index.map((i, axis) => i - widths[axis]![0]);
      const inside = from.every((i, axis) => i >= 0 && i < x.shape[axis]!);
      return inside ? x.at(...from) : value;
    });
  };
}

deviceTest("pad() surrounds with a value; negative widths cut", async () => {
  const cases: [[number, number][], number][] = [
    [[[0, 0], [0, 0]], 0],
    [[[1, 2], [3, 0]], 0],
    [[[0, 1], [1, 0]], 7],
    [[[2, 0], [0, 0]], -1.5],
    [[[-1, 0], [0, -2]], 0],
    [[[-1, 2], [1, -1]], 3],
    [[[-2, -1], [0, 0]], 0],
    [[[1, 1], [1, 1]], 1000],
  ];
  for (const [widths, value] of cases) {
    const of = `${JSON.stringify(widths)} with ${value}`;
    const x = seeded(2).values([3, 5]);
    await assertSame(
      x.tensor().pad(widths, value),
      padReference(widths, value)(x),
      of,
    );
    await checkGradients(
      (t) => t.pad(widths, value),
      padReference(widths, value),
      x,
      { of },
    );
  }
});

deviceTest("pad() keeps every type, and pads what is empty", async () => {
  const ints = tensor(Int32Array.of(1, 2)).pad([[1, 1]], -7);
  assertEquals(ints.dtype, "int32");
  await assertSame(ints, [-7, 1, 2, -7]);
  const bools = tensor([true]).pad([[0, 2]]);
  assertEquals(bools.dtype, "bool");
  await assertSame(bools, [1, 0, 0]);
  await assertSame(tensor([true]).pad([[1, 0]], 1), [1, 1]);
  await assertSame(zeros([0]).pad([[2, 1]], 5), [5, 5, 5]);
  await assertSame(zeros([0, 2]).pad([[1, 0], [0, 1]], 5), [[5, 5, 5]]);
  assertEquals(zeros([]).pad([]).shape, []);
});

Deno.test("pad() refuses widths that do not fit", () => {
  const message = (widths: string) =>
    `pad: needs two whole numbers for each axis: got ${widths} for [2, 3]`;
  const x = zeros([2, 3]);
  assertThrows(() => pad(x, [[1, 1]]), RangeError, message("[[1,1]]"));
  assertThrows(
    () => pad(x, [[1, 1], [0.5, 0]]),
    RangeError,
    message("[[1,1],[0.5,0]]"),
  );
  assertThrows(
    () => pad(x, [[-2, -1], [0, 0]]),
    RangeError,
    message("[[-2,-1],[0,0]]"),
  );
});

deviceTest("pad() refuses to cut more than there is on one side", async () => {
  // 2 - 3 + 4 leaves three elements, all of them new.
  await assertSame(tensor([1, 2]).pad([[-3, 4]], 9), [9, 9, 9]);
  await assertSame(tensor([1, 2]).pad([[4, -3]], 9), [9, 9, 9]);
});

deviceTest("flip() runs any axes backwards", async () => {
  for (const axes of [undefined, 0, -1, [0], [1, 2], [-3, 2], [0, 1, 2], []]) {
    const list = axes === undefined ? [0, 1, 2] : [axes].flat();
    const chosen = list.map((axis) => (axis + 3) % 3);
    await checkMove([2, 3, 5], {
      f: (x) => x.flip(axes),
      reference: (x) =>
        Values.of(
          [2, 3, 5],
          (...index) =>
            x.at(...index.map((i, axis) =>
              chosen.includes(axis) ? x.shape[axis]! - 1 - i : i
            )),
        ),
    }, `${axes}`);
  }
  assertThrows(
    () => zeros([2]).flip(1),
    RangeError,
    "flip: axis 1 is out of range",
  );
  assertThrows(
    () => zeros([2]).flip([0, -1]),
    RangeError,
    "flip: an axis is given twice",
  );
});

deviceTest("tril() and triu() keep one side of a diagonal", async () => {
  for (const offset of [-4, -2, -1, 0, 1, 2, 5]) {
    for (const shape of [[3, 5], [5, 3], [2, 4, 4], [1, 1]]) {
      const side = (lower: boolean) => (x: Values) =>
        x.map((value, index) => {
          const [row, col] = index.slice(-2) as [number, number];
          const keep = lower ? col - row <= offset : col - row >= offset;
          return keep ? value : 0;
        });
      const of = `[${shape}] at ${offset}`;
      await checkMove(shape, {
        f: (x) => x.tril(offset),
        reference: side(true),
      }, of);
      await checkMove(shape, {
        f: (x) => x.triu(offset),
        reference: side(false),
      }, of);
    }
  }
  assertEquals(tensor([[true]]).tril().dtype, "bool");
  assertThrows(
    () => zeros([3]).tril(),
    RangeError,
    "tril: needs at least two axes: got [3]",
  );
  assertThrows(
    () => zeros([]).triu(),
    RangeError,
    "triu: needs at least two axes: got []",
  );
}, { devices: ["reference", "wasm"] });

deviceTest("cast() truncates, saturates and tests for 0", async () => {
  const floats = tensor([-2.7, -0.5, 0, 0.9, 3e9, -3e9, 255.999]);
  const cases: [Tensor, DType, number[]][] = [
    [floats, "int32", [-2, 0, 0, 0, 2 ** 31 - 1, -(2 ** 31), 255]],
    [floats, "uint32", [0, 0, 0, 0, 3e9, 0, 255]],
    [floats, "bool", [1, 1, 0, 1, 1, 1, 1]],
    [tensor(Int32Array.of(-1, 0, 7)), "uint32", [2 ** 32 - 1, 0, 7]],
    [tensor(Uint32Array.of(2 ** 32 - 1, 7)), "int32", [-1, 7]],
    [tensor(Int32Array.of(-1, 0)), "bool", [1, 0]],
    [tensor(Int32Array.of(-16777217, 5)), "float32", [-16777216, 5]],
    [tensor(Uint32Array.of(2 ** 32 - 1)), "float32", [2 ** 32]],
    [tensor([true, false]), "float32", [1, 0]],
    [tensor([true, false]), "int32", [1, 0]],
    [tensor([true, false]), "uint32", [1, 0]],
  ];
  for (const [x, dtype, expected] of cases) {
    // Behind an operation, so that a kernel casts.
    const result = x.flip().cast(dtype).flip();
    assertEquals(result.dtype, dtype);
    await assertSame(result, expected, `${x.dtype} to ${dtype}`);
  }
});

deviceTest("cast() of NaN to an integer is 0", async () => {
  const x = tensor([NaN, Infinity, -Infinity]).flip();
  await assertSame(x.cast("int32"), [-(2 ** 31), 2 ** 31 - 1, 0]);
  await assertSame(x.cast("uint32"), [0, 2 ** 32 - 1, 0]);
  await assertSame(x.cast("bool"), [1, 1, 1]);
}, { devices: ["reference", "wasm"] });

deviceTest(
  "cast() to float32 passes gradients, to integers it stops them",
  async () => {
    const x = tensor([1.5, 2.5], { requiresGrad: true });
    x.cast("int32").cast("float32").add(x.cast("float32").mul(3)).sum()
      .backward();
    await assertSame(x.grad!, [3, 3]);
  },
);

deviceTest("movements take an arange, which has no memory", async () => {
  const x = arange(12);
  await assertSame(
    x.reshape([3, 4]).transpose().flip([0]).slice([1, 3]),
    [[2, 6, 10], [1, 5, 9]],
  );
  await assertSame(x.reshape([3, 4]).slice(1).pad([[1, 1]]), [
    0,
    4,
    5,
    6,
    7,
    0,
  ]);
});
