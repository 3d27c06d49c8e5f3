import { softmax } from "@heddle/tensor";
import { checkGradients } from "../check_gradients.ts";
import { deviceTest } from "../devices.ts";
import { seeded } from "../seeded.ts";
import type { Values } from "../values.ts";

function softmaxReference(logits: Values): Values {
  return logits.along(-1, (line) => {
    const top = Math.max(...line);
    const powers = line.map((value) => Math.exp(value - top));
    const total = powers.reduce((a, b) => a + b, 0);
    return powers.map((power) => power / total);
  });
}

deviceTest("softmax() gradient matches its float64 reference", async () => {
  const logits = seeded(7).values([3, 5]);
  await checkGradients(softmax, softmaxReference, logits);
});
