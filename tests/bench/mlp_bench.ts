/** A whole training step of an MLP on a batch of 32: forward, backward, Adam. */

import { compare } from "./_compare.ts";
import {
  heddleMlp,
  jaxMlp,
  MLP_ADAM_BYTES,
  MLP_OPERATIONS,
  mlpInputs,
  tfMlp,
} from "./_mlp.ts";
import { DEVICES } from "./_peers.ts";
import { jaxLosses } from "./_training_jax.ts";

const BATCH = 32;

/** The loss of the first steps, from `expected_losses.ts` (PyTorch 1.13). */
const LOSSES: readonly number[] = [2.32269049, 2.22269773, 2.13709784];

for (const device of DEVICES) {
  await compare({
    name: `mlp step batch ${BATCH}`,
    device,
    inputs: mlpInputs(BATCH),
    ahead: { "jax-js": 1, tfjs: 1 },
    costs: [{ operations: MLP_OPERATIONS * BATCH }, { bytes: MLP_ADAM_BYTES }],
    expected: LOSSES.map((loss) => ({
      size: 1,
      rtol: 1e-4, // Adam's first steps have the size 1e-3, whatever the gradient.
      at: () => loss,
    })),
    heddle: (inputs, _device, purpose) => {
      const step = heddleMlp(inputs, true);
      return purpose === "time" ? () => [step()] : () => LOSSES.map(step);
    },
    ...device === "wasm" && {
      eager: (inputs, _device, purpose) => {
        const step = heddleMlp(inputs, false);
        return purpose === "time" ? () => [step()] : () => LOSSES.map(step);
      },
    },
    jax: (inputs, jax, purpose) => {
      const step = jaxMlp(inputs, jax);
      if (purpose === "time") return step;
      return () => jaxLosses(step, LOSSES.length);
    },
    tfjs: (inputs, tf, purpose) => {
      const step = tfMlp(inputs, tf);
      return purpose === "time" ? () => [step()] : () => LOSSES.map(step);
    },
    pytorch: (purpose) => ({
      name: "mlp",
      options: purpose === "time" ? {} : { steps: LOSSES.length },
    }),
  });
}
