/** Sorting 100,000 elements. TensorFlow.js sorts with its topk, downwards. */

import { compare, input } from "./_compare.ts";
import { forward } from "./_functions.ts";

const SIZE = 100_000;

const x = input([SIZE], 1);
const sorted = x.values.slice().sort();

await compare({
  name: "sort 100k",
  device: "wasm",
  inputs: [x],
  expected: [{
    size: SIZE,
    rtol: 0,
    atol: 0,
    at: (position) => sorted[position]!,
  }],
  ...forward({
    heddle: (x) => x.sort().values,
    jax: ({ numpy }) => (x) => numpy.sort(x),
    tfjs: (tf) => ({
      f: (x) => tf.topk(x, SIZE).values,
      fromOwn: (results) => results.map((result) => tf.reverse(result)),
    }),
    pytorch: "sort",
  }),
});
