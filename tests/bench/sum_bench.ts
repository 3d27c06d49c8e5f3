/** The sum of a million elements, 4 MB read. */

import { compare, input } from "./_compare.ts";
import { forward } from "./_functions.ts";

const SIZE = 1_000_000;

const x = input([SIZE], 1);

await compare({
  name: "sum 1M",
  device: "wasm",
  inputs: [x],
  costs: [{ bytes: 4 * SIZE }],
  expected: [{
    size: 1,
    rtol: 0,
    atol: 1e-7 * SIZE,
    at: () => x.values.reduce((sum, value) => sum + value, 0),
  }],
  ...forward({
    heddle: (x) => x.sum(),
    jax: ({ numpy }) => (x) => numpy.sum(x),
    tfjs: (tf) => ({ f: (x) => tf.sum(x) }),
    pytorch: "sum",
  }),
});
