/**
 * The convolution in the middle of a small image network: 64 images of 24
 * channels, 24 filters of 3x3, no padding. Forward 96 million operations.
 */

import { compare, input } from "./_compare.ts";
import { forward, type Functions, withGradients } from "./_functions.ts";
import { DEVICES } from "./_peers.ts";

const [IMAGES, CHANNELS, SIDE, WINDOW] = [64, 24, 14, 3];
const OUT = SIDE - WINDOW + 1;

/** Of the forward pass; each gradient has as many. */
const OPERATIONS = 2 * IMAGES * (CHANNELS * OUT * WINDOW) ** 2;

const x = input([IMAGES, CHANNELS, SIDE, SIDE], 1);
const weight = input([CHANNELS, CHANNELS, WINDOW, WINDOW], 2);
const seed = input([IMAGES, CHANNELS, OUT, OUT], 3);

/** The index along each axis of an image, a weight or a result. */
function split(position: number, channels: number, side: number): number[] {
  const column = position % side;
  const row = Math.floor(position / side) % side;
  const channel = Math.floor(position / side ** 2) % channels;
  return [Math.floor(position / side ** 2 / channels), channel, row, column];
}

function xAt(image: number, channel: number, row: number, column: number) {
  return x.values[((image * CHANNELS + channel) * SIDE + row) * SIDE + column]!;
}

function weightAt(to: number, from: number, row: number, column: number) {
  const filter = (to * CHANNELS + from) * WINDOW ** 2;
  return weight.values[filter + row * WINDOW + column]!;
}

function seedAt(image: number, channel: number, row: number, column: number) {
  // Beyond its edges the gradient is 0.
  if (row < 0 || column < 0 || row >= OUT || column >= OUT) return 0;
  return seed
    .values[((image * CHANNELS + channel) * OUT + row) * OUT + column]!;
}

/** Sums over `[0, count)`. */
function total(count: number, f: (index: number) => number): number {
  let sum = 0;
  for (let index = 0; index < count; index++) sum += f(index);
  return sum;
}

/** Sums over the channels and the places of a window. */
function overWindow(
  f: (channel: number, row: number, column: number) => number,
): number {
  return total(
    CHANNELS,
    (channel) =>
      total(
        WINDOW,
        (row) => total(WINDOW, (column) => f(channel, row, column)),
      ),
  );
}

const results = [
  {
    size: seed.values.length,
    atol: 1e-7 * CHANNELS * WINDOW ** 2,
    at(position: number): number {
      const [n, to, i, j] = split(position, CHANNELS, OUT) as Place;
      return overWindow((from, row, column) =>
        xAt(n, from, i + row, j + column) * weightAt(to, from, row, column)
      );
    },
  },
  {
    size: x.values.length,
    atol: 1e-7 * CHANNELS * WINDOW ** 2,
    at(position: number): number {
      const [n, from, i, j] = split(position, CHANNELS, SIDE) as Place;
      return overWindow((to, row, column) =>
        seedAt(n, to, i - row, j - column) * weightAt(to, from, row, column)
      );
    },
  },
  {
    size: weight.values.length,
    atol: 1e-7 * IMAGES * OUT ** 2,
    at(position: number): number {
      const [to, from, row, column] = split(
        position,
        CHANNELS,
        WINDOW,
      ) as Place;
      return total(
        IMAGES,
        (n) =>
          total(
            OUT,
            (i) =>
              total(OUT, (j) =>
                xAt(n, from, i + row, j + column) * seedAt(n, to, i, j)),
          ),
      );
    },
  },
];

type Place = [number, number, number, number];

const conv2d: Functions = {
  heddle: (x, weight) => x.conv2d(weight),
  jax: ({ lax }) => (x, weight) => lax.conv(x, weight, [1, 1], "VALID"),
  tfjs: (tf) => ({
    // Its channels are last; it has no gradient in another order.
    toOwn: ([x, weight, ...seeds]) => [
      tf.transpose(x!, [0, 2, 3, 1]),
      tf.transpose(weight!, [2, 3, 1, 0]),
      ...seeds.map((seed) => tf.transpose(seed, [0, 2, 3, 1])),
    ],
    f: (x, weight) =>
      tf.conv2d(
        x as ReturnType<typeof tf.tensor4d>,
        weight as ReturnType<typeof tf.tensor4d>,
        1,
        "valid",
      ),
    fromOwn: (results) =>
      results.map((result, at) =>
        tf.transpose(result, at === 2 ? [3, 2, 0, 1] : [0, 3, 1, 2])
      ),
  }),
  pytorch: "conv2d",
};

for (const device of DEVICES) {
  const name = `conv2d ${x.shape.join("x")} ${WINDOW}x${WINDOW}`;
  await compare({
    name,
    device,
    inputs: [x, weight],
    expected: results.slice(0, 1),
    costs: [{ operations: OPERATIONS }],
    ...forward(conv2d),
  });
  await compare({
    name: `${name} forward and backward`,
    device,
    inputs: [x, weight, seed],
    expected: results,
    costs: [{ operations: 3 * OPERATIONS }],
    ...withGradients(conv2d),
  });
}
