/**
 * Attention of 8 heads of 64 over 512 tokens: 0.54 GFLOP forward, and at least
 * 1.34 more backward, where the weights are computed again.
 */

import { scaledDotProductAttention } from "@heddle/tensor";
import { compare, input } from "./_compare.ts";
import { forward, type Functions, withGradients } from "./_functions.ts";
import { DEVICES } from "./_peers.ts";

const [HEADS, LENGTH, DIM] = [8, 512, 64];
const SIZE = HEADS * LENGTH * DIM;
/** Of the two products of the forward pass; there are five backward. */
const OPERATIONS = 4 * HEADS * LENGTH ** 2 * DIM;
const SHAPE = [1, HEADS, LENGTH, DIM] as const;

const spread = { low: -2, high: 2 };
const query = input(SHAPE, 1, spread);
const key = input(SHAPE, 2, spread);
const value = input(SHAPE, 3);
const seed = input(SHAPE, 4);

/** A number of a row of one of the inputs. */
type Rows = (row: number, column: number) => number;

const rowsOf =
  ({ values }: { readonly values: Float32Array }): Rows => (row, column) =>
    values[row * DIM + column]!;
const [q, k, v, g] = [query, key, value, seed].map(rowsOf) as [
  Rows,
  Rows,
  Rows,
  Rows,
];

function dot(a: Rows, row: number, b: Rows, other: number): number {
  let sum = 0;
  for (let d = 0; d < DIM; d++) sum += a(row, d) * b(other, d);
  return sum;
}

/** Weights of all queries and the slopes of their scores, in float64. */
const weights = new Float64Array(HEADS * LENGTH * LENGTH);
const slopes = new Float64Array(HEADS * LENGTH * LENGTH);
for (let row = 0; row < HEADS * LENGTH; row++) {
  const first = row - row % LENGTH;
  const own = weights.subarray(row * LENGTH, (row + 1) * LENGTH);
  const bent = slopes.subarray(row * LENGTH, (row + 1) * LENGTH);
  for (let j = 0; j < LENGTH; j++) {
    own[j] = Math.exp(dot(q, row, k, first + j) / Math.sqrt(DIM));
    bent[j] = dot(g, row, v, first + j);
  }
  const total = own.reduce((a, b) => a + b);
  for (let j = 0; j < LENGTH; j++) own[j]! /= total;
  const mean = own.reduce((sum, weight, j) => sum + weight * bent[j]!, 0);
  for (let j = 0; j < LENGTH; j++) {
    bent[j] = own[j]! * (bent[j]! - mean) / Math.sqrt(DIM);
  }
}

/** Sums over the keys of a query, or over the queries of a key. */
function over(
  factors: Float64Array,
  other: Rows,
  side: "keys" | "queries",
): (position: number) => number {
  return (position) => {
    const row = Math.floor(position / DIM);
    const first = row - row % LENGTH;
    let sum = 0;
    for (let j = 0; j < LENGTH; j++) {
      const at = side === "keys"
        ? row * LENGTH + j
        : (first + j) * LENGTH + row % LENGTH;
      sum += factors[at]! * other(first + j, position % DIM);
    }
    return sum;
  };
}

const results = [
  over(weights, v, "keys"),
  over(slopes, k, "keys"),
  over(slopes, q, "queries"),
  over(weights, g, "queries"),
].map((at) => ({ size: SIZE, rtol: 1e-4, atol: 1e-5, at }));

const scale = 1 / Math.sqrt(DIM);

const attention: Functions = {
  heddle: (query, key, value) => scaledDotProductAttention(query, key, value),
  jax: ({ nn, numpy }) => (query, key, value) => {
    const scores = numpy.matmul(query, numpy.matrixTranspose(key)).mul(scale);
    return numpy.matmul(nn.softmax(scores), value);
  },
  tfjs: (tf) => ({
    f: (query, key, value) => {
      const scores = tf.matMul(query, key, false, true);
      return tf.matMul(tf.softmax(tf.mul(scores, scale)), value);
    },
  }),
  pytorch: "attention",
};

for (const device of DEVICES) {
  const name = `attention ${LENGTH}`;
  await compare({
    name: `${name} forward`,
    device,
    inputs: [query, key, value],
    expected: results.slice(0, 1),
    ahead: { "jax-js": 1, tfjs: 1 },
    costs: [{ operations: OPERATIONS }],
    ...forward(attention),
  });
  await compare({
    name,
    device,
    inputs: [query, key, value, seed],
    expected: results,
    ahead: { "jax-js": 1, tfjs: 1 },
    costs: [{ operations: 3.5 * OPERATIONS }],
    ...withGradients(attention),
  });
}
