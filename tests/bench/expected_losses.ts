/**
 * Prints the losses that the training steps are compared with: those of
 * PyTorch, without dropout, in float64.
 *
 * `deno run -A tests/bench/expected_losses.ts`
 */

import { mlpInputs } from "./_mlp.ts";
import { openPyTorch } from "./_pytorch.ts";
import { say } from "./_say.ts";
import { siameseInputs } from "./_siamese.ts";

const pytorch = await openPyTorch();
if (pytorch === undefined) Deno.exit(1);
for (
  const [name, inputs, options] of [
    ["siamese", siameseInputs(1), { dropout: 0 }],
    ["siamese", siameseInputs(64), { dropout: 0 }],
    ["mlp", mlpInputs(32), {}],
  ] as const
) {
  const id = await pytorch.prepare(
    { name, options: { ...options, steps: 3, double: true } },
    inputs,
  );
  const losses = await pytorch.read(id);
  say(`${name}: ${losses.map(([loss]) => loss!.toFixed(8)).join(", ")}`);
}
Deno.exit();
