/**
 * A training step of many small kernels: a recurrence h = tanh(h U + x) of 64
 * steps on [8, 64], none of which can be joined with the next; backward by U,
 * and an SGD update of it. 12.6 million operations.
 */

import { SGD } from "@heddle/nn";
import { compile, type Device, endStep, type Tensor } from "@heddle/tensor";
import { compare, type Expected, input, type Prepare } from "./_compare.ts";
import { DEVICES, type Input, type JaxArray, type TfScalar } from "./_peers.ts";

const [STEPS, BATCH, SIZE] = [64, 8, 64];
const RATE = 0.1;

const weight = input([SIZE, SIZE], 1, { low: -0.2, high: 0.2 });
const start = input([BATCH, SIZE], 2);
const inputs = input([STEPS, BATCH, SIZE], 3);

/** The loss, and the weight after the update, in float64. */
function reference(): { loss: number; updated: Float64Array } {
  const u = weight.values;
  const states = [Float64Array.from(start.values)];
  for (let step = 0; step < STEPS; step++) {
    const before = states[step]!;
    states.push(before.map((_, at) => {
      const [row, column] = [at - at % SIZE, at % SIZE];
      let sum: number = inputs.values[step * BATCH * SIZE + at]!;
      for (let k = 0; k < SIZE; k++) {
        sum += before[row + k]! * u[k * SIZE + column]!;
      }
      return Math.tanh(sum);
    }));
  }
  const last = states[STEPS]!;
  const loss = last.reduce((sum, h) => sum + h * h, 0) / last.length;
  const updated = Float64Array.from(u);
  let gradient = last.map((h) => 2 * h / last.length);
  for (let step = STEPS - 1; step >= 0; step--) {
    const [before, after] = [states[step]!, states[step + 1]!];
    const inner = gradient.map((g, at) => g * (1 - after[at]! ** 2));
    gradient = gradient.map((_, at) => {
      const [row, k] = [at - at % SIZE, at % SIZE];
      let sum = 0;
      for (let column = 0; column < SIZE; column++) {
        sum += inner[row + column]! * u[k * SIZE + column]!;
      }
      return sum;
    });
    for (let at = 0; at < BATCH * SIZE; at++) {
      const [row, k] = [at - at % SIZE, at % SIZE];
      for (let column = 0; column < SIZE; column++) {
        updated[k * SIZE + column]! -= RATE * before[at]! *
          inner[row + column]!;
      }
    }
  }
  return { loss, updated };
}

const { loss, updated } = reference();
const expected: readonly Expected[] = [
  { size: 1, at: () => loss },
  { size: SIZE ** 2, at: (position) => updated[position]! },
];

/** The step of this library; it gives the loss, and what it trains. */
function heddle(compiled: boolean): Prepare<Tensor, Device, readonly Input[]> {
  return ([from, state, inputs], _device, purpose) => {
    const u = from!.detach().asVariable();
    const optimizer = new SGD([u], { learningRate: RATE });
    endStep();
    const step = (state: Tensor, inputs: Tensor) => {
      let h = state;
      for (let at = 0; at < STEPS; at++) {
        h = h.matmul(u).add(inputs.slice(at)).tanh();
      }
      const loss = h.square().mean();
      loss.backward();
      optimizer.step();
      return loss;
    };
    const run = compiled ? compile(step, { name: "recurrence step" }) : step;
    return () => {
      const loss = run(state!, inputs!);
      return purpose === "time" ? [loss] : [loss, u];
    };
  };
}

for (const device of DEVICES) {
  await compare({
    name: `lstm-like ${STEPS} small kernels step`,
    device,
    inputs: [weight, start, inputs],
    expected,
    ahead: { "jax-js": 1, tfjs: 1 },
    costs: [{ operations: 6 * STEPS * BATCH * SIZE ** 2 }],
    heddle: heddle(true),
    ...device === "wasm" && { eager: heddle(false) },
    jax: ([from, state, inputs], { jit, numpy, valueAndGrad }) => {
      const differentiate = valueAndGrad(
        (u: JaxArray, state: JaxArray, inputs: JaxArray) => {
          let h = state;
          for (let at = 0; at < STEPS; at++) {
            h = numpy.tanh(
              numpy.matmul(h, u.ref).add(inputs.ref.slice(at)),
            );
          }
          u.dispose();
          inputs.dispose();
          return numpy.square(h).mean();
        },
      );
      const step = jit((u: JaxArray, state: JaxArray, inputs: JaxArray) => {
        const [loss, gradient] = differentiate(u.ref, state, inputs) as [
          JaxArray,
          JaxArray,
        ];
        return [loss, u.sub(gradient.mul(RATE))];
      });
      let u = from.ref;
      return () => {
        const [loss, next] = step(u, state.ref, inputs.ref) as [
          JaxArray,
          JaxArray,
        ];
        u = next;
        return [loss, next.ref];
      };
    },
    tfjs: ([from, state, inputs], tf, purpose) => {
      const u = tf.variable(tf.clone(from));
      const steps = tf.unstack(inputs).map((x) => tf.keep(x));
      const optimizer = tf.train.sgd(RATE);
      const loss = () => {
        let h = state;
        for (const x of steps) h = tf.tanh(tf.add(tf.matMul(h, u), x));
        return tf.mean(tf.square(h)) as TfScalar;
      };
      return () => {
        const before = optimizer.minimize(loss, true, [u])!;
        return purpose === "time" ? [before] : [before, tf.clone(u)];
      };
    },
    pytorch: () => ({ name: "recurrence", options: { rate: RATE } }),
  });
}
