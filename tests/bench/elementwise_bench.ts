/**
 * A sum, which shows what memory gives, and a chain of eight elementwise
 * operations, two of them transcendental, on a million elements:
 * `sigmoid(1.5 tanh(a b + a) - b)² + |a|`. Either reads 8 MB and writes 4.
 */

import { compare, input } from "./_compare.ts";
import { forward } from "./_functions.ts";
import { DEVICES } from "./_peers.ts";

const SIZE = 1_000_000;

const [a, b] = [input([SIZE], 1), input([SIZE], 2)];

for (const device of DEVICES) {
  await compare({
    name: "add 1M",
    device,
    inputs: [a, b],
    expected: [{
      size: SIZE,
      rtol: 1e-7,
      at: (position) => a.values[position]! + b.values[position]!,
    }],
    costs: [{ bytes: 12 * SIZE }],
    ...forward({
      heddle: (a, b) => a.add(b),
      jax: () => (a, b) => a.add(b),
      tfjs: (tf) => ({ f: (a, b) => tf.add(a, b) }),
      pytorch: "add",
    }),
  });
  await compare({
    name: "elementwise chain 1M",
    device,
    inputs: [a, b],
    costs: [{ bytes: 12 * SIZE }],
    expected: [{
      size: SIZE,
      at: (position) => {
        const [x, y] = [a.values[position]!, b.values[position]!];
        const inner = 1.5 * Math.tanh(x * y + x) - y;
        return 1 / (1 + Math.exp(-inner)) ** 2 + Math.abs(x);
      },
    }],
    ...forward({
      heddle: (a, b) =>
        a.mul(b).add(a).tanh().mul(1.5).sub(b).sigmoid().square()
          .add(a.abs()),
      jax: ({ numpy, nn }) => (a, b) => {
        const inner = numpy.tanh(a.ref.mul(b.ref).add(a.ref)).mul(1.5);
        const outer = numpy.square(nn.sigmoid(inner.sub(b)));
        return outer.add(numpy.abs(a));
      },
      tfjs: (tf) => ({
        f: (a, b) => {
          const inner = tf.mul(tf.tanh(tf.add(tf.mul(a, b), a)), 1.5);
          const outer = tf.square(tf.sigmoid(tf.sub(inner, b)));
          return tf.add(outer, tf.abs(a));
        },
      }),
      pytorch: "chain",
    }),
  });
}
