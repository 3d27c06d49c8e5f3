/** Layer norm over the rows of a matrix of 1024 x 1024, 4 MiB in and out. */

import { layerNorm } from "@heddle/tensor";
import { compare, input } from "./_compare.ts";
import { forward, type Functions, withGradients } from "./_functions.ts";
import { DEVICES } from "./_peers.ts";

const SIZE = 1024;
const EPSILON = 1e-5;

const x = input([SIZE, SIZE], 1);
const weight = input([SIZE], 2);
const bias = input([SIZE], 3);
const seed = input([SIZE, SIZE], 4);

/** 1 / standard deviation of each row, and the normalized values, in float64. */
const scales = new Float64Array(SIZE);
const normalized = new Float64Array(SIZE ** 2);
for (let row = 0; row < SIZE; row++) {
  const values = Array.from(x.values.subarray(row * SIZE, (row + 1) * SIZE));
  const mean = values.reduce((a, b) => a + b) / SIZE;
  const variance = values.reduce((sum, a) => sum + (a - mean) ** 2, 0) / SIZE;
  const scale = scales[row] = 1 / Math.sqrt(variance + EPSILON);
  normalized.set(values.map((a) => (a - mean) * scale), row * SIZE);
}

/** Sums over the rows of a column. */
function overRows(f: (position: number) => number, column: number): number {
  let sum = 0;
  for (let at = column; at < SIZE ** 2; at += SIZE) sum += f(at);
  return sum;
}

const results = [
  {
    size: SIZE ** 2,
    at: (position: number) =>
      normalized[position]! * weight.values[position % SIZE]! +
      bias.values[position % SIZE]!,
  },
  {
    size: SIZE ** 2,
    at(position: number): number {
      const row = Math.floor(position / SIZE);
      let [mean, slope] = [0, 0];
      const g = (at: number) => seed.values[at]! * weight.values[at % SIZE]!;
      for (let at = row * SIZE; at < (row + 1) * SIZE; at++) {
        mean += g(at) / SIZE;
        slope += g(at) * normalized[at]! / SIZE;
      }
      const rest = g(position) - mean - normalized[position]! * slope;
      return scales[row]! * rest;
    },
  },
  {
    size: SIZE,
    atol: 1e-7 * SIZE,
    at: (column: number) =>
      overRows((at) => seed.values[at]! * normalized[at]!, column),
  },
  {
    size: SIZE,
    atol: 1e-7 * SIZE,
    at: (column: number) => overRows((at) => seed.values[at]!, column),
  },
];

const norm: Functions = {
  heddle: (x, weight, bias) =>
    layerNorm(x, { weight: weight, bias: bias, eps: EPSILON }),
  jax: ({ nn }) => (x, weight, bias) =>
    nn.standardize(x, -1, { epsilon: EPSILON }).mul(weight).add(bias),
  tfjs: (tf) => ({
    f: (x, weight, bias) => {
      const { mean, variance } = tf.moments(x, -1, true);
      const scale = tf.rsqrt(tf.add(variance, EPSILON));
      const rows = tf.mul(tf.sub(x, mean), scale);
      return tf.add(tf.mul(rows, weight), bias);
    },
  }),
  pytorch: "layer norm",
};

for (const device of DEVICES) {
  const name = `layer norm ${SIZE}x${SIZE}`;
  await compare({
    name,
    device,
    inputs: [x, weight, bias],
    expected: results.slice(0, 1),
    ahead: { "jax-js": 1, tfjs: 1 },
    costs: [{ bytes: 8 * SIZE ** 2 }],
    ...forward(norm),
  });
  await compare({
    name: `${name} forward and backward`,
    device,
    inputs: [x, weight, bias, seed],
    expected: results,
    ahead: { "jax-js": 1, tfjs: 1 },
    costs: [{ bytes: 16 * SIZE ** 2 }],
    ...withGradients(norm),
  });
}
