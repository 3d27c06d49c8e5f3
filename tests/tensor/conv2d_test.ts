import {
  conv2d,
  type ConvOptions,
  type Pair,
  tensor,
  zeros,
} from "@heddle/tensor";
import { assertEquals, assertThrows } from "@std/assert";
import { assertClose, assertSame } from "../assert_close.ts";
import { checkGradients } from "../check_gradients.ts";
import { deviceTest } from "../devices.ts";
import { seeded } from "../seeded.ts";
import { indices, Values } from "../values.ts";

const both = (pair: Pair = 1): readonly [number, number] =>
  typeof pair === "number" ? [pair, pair] : pair;

/** Six loops. */
function conv2dReference(
  x: Values,
  weight: Values,
  bias: Values | undefined,
  options: Omit<ConvOptions, "bias">,
): Values {
  const [batch, channels, height, width] = x.shape as [
    number,
    number,
    number,
    number,
  ];
  const [out, part, kernelHeight, kernelWidth] = weight.shape as [
    number,
    number,
    number,
    number,
  ];
  const groups = options.groups ?? 1;
  const stride = both(options.stride);
  const padding = both(options.padding ?? 0);
  const dilation = both(options.dilation);
  const size = (extent: number, kernel: number, at: 0 | 1) =>
    Math.floor(
      (extent + 2 * padding[at] - dilation[at] * (kernel - 1) - 1) / stride[at],
    ) + 1;
  const shape = [
    batch,
    out,
    size(height, kernelHeight, 0),
    size(width, kernelWidth, 1),
  ];
  assertEquals(part * groups, channels);
  return Values.of(shape, (...index) => {
    const [n, o, y, x0] = index as [number, number, number, number];
    const group = Math.floor(o / (out / groups));
    let sum = bias ? bias.at(o) : 0;
    for (const [c, i, j] of indices([part, kernelHeight, kernelWidth])) {
      const row = y * stride[0] + i! * dilation[0] - padding[0];
      const col = x0 * stride[1] + j! * dilation[1] - padding[1];
      if (row < 0 || row >= height || col < 0 || col >= width) continue;
      sum += x.at(n, group * part + c!, row, col) * weight.at(o, c!, i!, j!);
    }
    return sum;
  });
}

interface Case {
  readonly input: readonly [number, number, number, number];
  readonly weight: readonly [number, number, number, number];
  readonly options: Omit<ConvOptions, "bias">;
}

const CASES: Record<string, Case> = {
  plain: { input: [2, 3, 4, 5], weight: [2, 3, 3, 2], options: {} },
  "1x1": { input: [2, 3, 4, 5], weight: [2, 3, 1, 1], options: {} },
  "as large as the input": {
    input: [1, 2, 4, 3],
    weight: [3, 2, 4, 3],
    options: {},
  },
  padded: {
    input: [1, 2, 5, 4],
    weight: [3, 2, 3, 3],
    options: { padding: 1 },
  },
  "padded unevenly": {
    input: [1, 2, 5, 4],
    weight: [3, 2, 2, 3],
    options: { padding: [0, 2] },
  },
  "padded by more than the kernel": {
    input: [1, 1, 2, 3],
    weight: [2, 1, 2, 2],
    options: { padding: [3, 1] },
  },
  strided: {
    input: [1, 2, 7, 8],
    weight: [3, 2, 3, 3],
    options: { stride: 2 },
  },
  "strided past the kernel": {
    input: [1, 2, 8, 7],
    weight: [2, 2, 2, 1],
    options: { stride: [3, 2] },
  },
  dilated: {
    input: [1, 2, 7, 6],
    weight: [2, 2, 3, 2],
    options: { dilation: 2 },
  },
  "dilated unevenly": {
    input: [1, 1, 8, 5],
    weight: [2, 1, 3, 3],
    options: { dilation: [3, 1] },
  },
  "in two groups": {
    input: [2, 4, 3, 4],
    weight: [6, 2, 2, 3],
    options: { groups: 2 },
  },
  depthwise: {
    input: [1, 3, 5, 5],
    weight: [3, 1, 3, 3],
    options: { groups: 3, padding: 1 },
  },
  "depthwise, two a channel": {
    input: [1, 3, 4, 5],
    weight: [6, 1, 2, 2],
    options: { groups: 3 },
  },
  "of all options": {
    input: [1, 4, 7, 6],
    weight: [6, 2, 3, 2],
    options: { stride: [2, 3], padding: [2, 1], dilation: [2, 3], groups: 2 },
  },
  "of one row": {
    input: [2, 2, 1, 9],
    weight: [3, 2, 1, 4],
    options: { stride: [1, 2] },
  },
};

for (const [name, { input, weight, options }] of Object.entries(CASES)) {
  deviceTest(`conv2d() ${name} matches six loops, with gradients`, async () => {
    const random = seeded(1);
    const x = random.values(input);
    const w = random.values(weight);
    const bias = random.values([weight[0]]);
    await assertClose(
      conv2d(x.tensor(), w.tensor(), options),
      conv2dReference(x, w, undefined, options),
    );
    await checkGradients(
      (t, u, b) => conv2d(t!, u!, { ...options, bias: b! }),
      (v, u, b) => conv2dReference(v!, u!, b!, options),
      [x, w, bias],
    );
  });
}

deviceTest(
  "conv2d() takes as many channels and places as networks have",
  async () => {
    const random = seeded(2);
    // Whole numbers: every order of the sum is exact.
    for (
      const [input, weight, options] of [
        [[3, 17, 13, 11], [33, 17, 3, 3], { padding: 1 }],
        [[5, 1, 14, 14], [24, 1, 3, 3], {}],
        [[2, 8, 16, 16], [16, 8, 5, 5], { padding: 2, stride: 2 }],
        [[1, 64, 3, 3], [65, 64, 1, 1], {}],
      ] as [number[], number[], ConvOptions][]
    ) {
      const x = random.integers(input, -3, 4);
      const w = random.integers(weight, -3, 4);
      await assertSame(
        conv2d(x.tensor(), w.tensor(), options),
        conv2dReference(x, w, undefined, options),
        `[${input}] by [${weight}]`,
      );
    }
  },
);

deviceTest("conv2d() takes views and what is computed on the way", async () => {
  const random = seeded(3);
  const x = random.values([2, 5, 6, 3]); // channels last
  const w = random.values([3, 2, 3, 4]);
  const first = (v: Values) =>
    Values.of([2, 3, 5, 6], (n, c, y, i) => v.at(n!, y!, i!, c!));
  await checkGradients(
    (t, u) =>
      conv2d(
        t!.permute([0, 3, 1, 2]).tanh(),
        u!.permute([3, 0, 2, 1]).flip([2]),
      ).relu(),
    (v, u) => {
      const turned = Values.of(
        [4, 3, 3, 2],
        (o, c, i, j) => u!.at(c!, j!, 2 - i!, o!),
      );
      const result = conv2dReference(
        first(v!).map(Math.tanh),
        turned,
        undefined,
        {},
      );
      return result.map((value) => Math.max(0, value));
    },
    [x, w],
  );
});

deviceTest("conv2d() of nothing", async () => {
  const w = zeros([3, 2, 2, 2]);
  assertEquals((await conv2d(zeros([0, 2, 4, 4]), w).data()).length, 0);
  const none = conv2d(zeros([1, 0, 3, 3]), zeros([2, 0, 2, 2]));
  await assertSame(none, zeros([1, 2, 2, 2]));
});

deviceTest("conv2d() of integers computes in float32", async () => {
  const x = tensor(Int32Array.of(1, 2, 3, 4), { shape: [1, 1, 2, 2] });
  const result = conv2d(x, x);
  assertEquals(result.dtype, "float32");
  await assertClose(result, [[[[30]]]]);
});

Deno.test("conv2d() refuses shapes and options that do not fit", () => {
  const x = zeros([1, 4, 5, 6]);
  const w = zeros([6, 4, 3, 3]);
  const cases: [() => unknown, string][] = [
    [
      () => conv2d(zeros([4, 5, 6]), w),
      "conv2d: needs four axes each: got [4, 5, 6] with weight [6, 4, 3, 3]",
    ],
    [
      () => conv2d(x, zeros([6, 4, 3])),
      "conv2d: needs four axes each: got [1, 4, 5, 6] with weight [6, 4, 3]",
    ],
    [
      () => conv2d(x, zeros([6, 3, 3, 3])),
      "conv2d: the channels do not fit: got [1, 4, 5, 6] with weight [6, 3, 3, 3] in 1 groups",
    ],
    [
      () => conv2d(x, zeros([5, 2, 3, 3]), { groups: 2 }),
      "conv2d: the channels do not fit: got [1, 4, 5, 6] with weight [5, 2, 3, 3] in 2 groups",
    ],
    [() => conv2d(x, w, { groups: 0 }), "conv2d: the channels do not fit"],
    [() => conv2d(x, w, { groups: 1.5 }), "conv2d: the channels do not fit"],
    [
      () => conv2d(x, zeros([6, 4, 6, 3])),
      "conv2d: the window does not fit: got 6 elements for 5, padding included",
    ],
    [
      () => conv2d(x, w, { dilation: [1, 3] }),
      "conv2d: the window does not fit: got 7 elements for 6, padding included",
    ],
    [
      () => conv2d(x, w, { bias: zeros([4]) }),
      "conv2d: the bias does not fit: got [4] for 6 channels",
    ],
    [
      () => conv2d(x, w, { bias: zeros([6, 1]) }),
      "conv2d: the bias does not fit: got [6, 1] for 6 channels",
    ],
    [
      () => conv2d(x, w, { stride: 0 }),
      "conv2d: stride must be whole and at least 1: got 0",
    ],
    [
      () => conv2d(x, w, { padding: [1, -1] }),
      "conv2d: padding must be whole and at least 0: got [1,-1]",
    ],
    [
      () => conv2d(x, w, { dilation: 1.5 }),
      "conv2d: dilation must be whole and at least 1: got 1.5",
    ],
  ];
  for (const [call, message] of cases) assertThrows(call, RangeError, message);
});
