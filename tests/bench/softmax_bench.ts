/** Softmax over the rows of a matrix of 1024 x 1024, 4 MiB in and out. */

import { compare, input } from "./_compare.ts";
import { forward, type Functions, withGradients } from "./_functions.ts";
import { DEVICES } from "./_peers.ts";

const SIZE = 1024;

const x = input([SIZE, SIZE], 1, { low: -4, high: 4 });
const seed = input([SIZE, SIZE], 2);

/** A row of the result, in float64. */
function probabilities(row: number): number[] {
  const logits = [...x.values.subarray(row * SIZE, (row + 1) * SIZE)];
  const max = Math.max(...logits);
  const weights = logits.map((logit) => Math.exp(logit - max));
  const total = weights.reduce((a, b) => a + b);
  return weights.map((weight) => weight / total);
}

const results = [
  {
    size: SIZE ** 2,
    rtol: 1e-4, // exp of WGSL is within 3 + 2|x| ulp.
    atol: 1e-7,
    at: (position: number) =>
      probabilities(Math.floor(position / SIZE))[position % SIZE]!,
  },
  {
    size: SIZE ** 2,
    rtol: 1e-4,
    atol: 1e-7,
    at(position: number): number {
      const row = Math.floor(position / SIZE);
      const probs = probabilities(row);
      const seeds = seed.values.subarray(row * SIZE, (row + 1) * SIZE);
      const mean = probs.reduce((sum, p, at) => sum + p * seeds[at]!, 0);
      const at = position % SIZE;
      return probs[at]! * (seeds[at]! - mean);
    },
  },
];

const softmax: Functions = {
  heddle: (x) => x.softmax(),
  jax: ({ nn }) => (x) => nn.softmax(x),
  tfjs: (tf) => ({ f: (x) => tf.softmax(x) }),
  pytorch: "softmax",
};

for (const device of DEVICES) {
  const name = `softmax ${SIZE}x${SIZE}`;
  await compare({
    name,
    device,
    inputs: [x],
    expected: results.slice(0, 1),
    ahead: { "jax-js": 1, tfjs: 1 },
    costs: [{ bytes: 8 * SIZE ** 2 }],
    ...forward(softmax),
  });
  await compare({
    name: `${name} forward and backward`,
    device,
    inputs: [x, seed],
    expected: results,
    ahead: { "jax-js": 1, tfjs: 1 },
    costs: [{ bytes: 16 * SIZE ** 2 }],
    ...withGradients(softmax),
  });
}
