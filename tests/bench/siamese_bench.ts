/**
 * A whole training step of a small network: forward, backward and Adam.
 */

import { compare, type Expected, type Prepare } from "./_compare.ts";
import type { Device, Tensor } from "@heddle/tensor";
import type { DeviceName, Input } from "./_peers.ts";
import { DROPOUT, SIAMESE_ADAM_BYTES, siameseInputs } from "./_siamese.ts";
import type { Ahead } from "./_results.ts";
import { heddleStep, type StepOptions } from "./_siamese_heddle.ts";
import { jaxStep } from "./_siamese_jax.ts";
import { jaxLosses } from "./_training_jax.ts";

type HeddleWork = Prepare<Tensor, Device, readonly Input[]>;

/**
 * The loss of the first steps without dropout, by batch size, from
 * pytorch_siamese.py in float64 (PyTorch 1.13).
 */
const LOSSES: Readonly<Record<number, readonly number[]>> = {
  1: [1.52565885, 1.35575557, 1.16176486],
  64: [1.49777782, 1.48896325],
};

/** Operations on one pair, forward and backward. */
const OPERATIONS = 17.4e6;

async function siamese(
  batch: number,
  device: DeviceName,
  ahead: Ahead,
): Promise<void> {
  const losses = LOSSES[batch]!;
  const steps =
    (options: Partial<StepOptions>): HeddleWork =>
    async (inputs, _device, purpose) => {
      const dropout = purpose === "time";
      const step = await heddleStep(inputs, { ...options, dropout });
      return dropout ? () => [step()] : () => losses.map(step);
    };
  await compare({
    name: `siamese step batch ${batch}`,
    device,
    inputs: siameseInputs(batch),
    ahead,
    costs: [{ operations: OPERATIONS * batch }, { bytes: SIAMESE_ADAM_BYTES }],
    expected: losses.map((loss): Expected => ({
      size: 1,
      rtol: 1e-4, // Adam's first steps have the size 1e-3, whatever the gradient.
      at: () => loss,
    })),
    heddle: steps({}),
    // An uncompiled step shows what compiling gives.
    ...device === "wasm" && { eager: steps({ compiled: false }) },
    jax: (inputs, jax, purpose) => {
      const step = jaxStep(inputs, jax, purpose === "time");
      if (purpose === "time") return step;
      return () => jaxLosses(step, losses.length);
    },
    pytorch: (purpose) => ({
      name: "siamese",
      options: purpose === "time"
        ? { dropout: DROPOUT }
        : { dropout: 0, steps: losses.length },
    }),
  });
}

await siamese(1, "wasm", { "jax-js": 40, pytorch: 4 });
await siamese(64, "wasm", { "jax-js": 40, pytorch: 1.3 });
await siamese(64, "webgpu", { "jax-js": 10 });
