/** Matrix products of two square matrices, 2 n³ operations. */

import { compare, input } from "./_compare.ts";
import { forward } from "./_functions.ts";
import type { DeviceName } from "./_peers.ts";
import type { Ahead } from "./_results.ts";

async function matmul(
  n: number,
  device: DeviceName,
  ahead: Ahead,
): Promise<void> {
  const [a, b] = [input([n, n], 1), input([n, n], 2)];
  await compare({
    name: `matmul ${n}`,
    device,
    inputs: [a, b],
    ahead,
    costs: [{ operations: 2 * n ** 3 }],
    expected: [{
      size: n * n,
      atol: 1e-7 * n,
      at: (position) => {
        const column = position % n;
        const row = position - column;
        let sum = 0;
        for (let k = 0; k < n; k++) {
          sum += a.values[row + k]! * b.values[k * n + column]!;
        }
        return sum;
      },
    }],
    ...forward({
      heddle: (a, b) => a.matmul(b),
      jax: ({ numpy }) => (a, b) => numpy.matmul(a, b),
      tfjs: (tf) => ({ f: (a, b) => tf.matMul(a, b) }),
      pytorch: "matmul",
    }),
  });
}

const AHEAD = { "jax-js": 3.5, tfjs: 2.4, pytorch: 1 };
await matmul(512, "wasm", AHEAD);
await matmul(1024, "wasm", AHEAD);
await matmul(1024, "webgpu", { "jax-js": 8, tfjs: 4 });
