import { logSoftmax } from "@heddle/tensor";
import { assertClose } from "../assert_close.ts";
import { checkGradients } from "../check_gradients.ts";
import { deviceTest } from "../devices.ts";
import { seeded } from "../seeded.ts";
import type { Values } from "../values.ts";

function logSoftmaxReference(logits: Values): Values {
  return logits.along(-1, (line) => {
    const top = Math.max(...line);
    const total = line.reduce((sum, x) => sum + Math.exp(x - top), 0);
    return line.map((x) => x - top - Math.log(total));
  });
}

deviceTest("logSoftmax() gradient matches its float64 reference", async () => {
  const logits = seeded(7).values([3, 5]);
  await checkGradients((x) => logSoftmax(x), logSoftmaxReference, logits);
});

deviceTest("logSoftmax() of long rows can be reduced again", async () => {
  // Three reductions in one kernel, of rows that a workgroup shares.
  const logits = seeded(8).values([3, 257], { low: -4, high: 4 });
  const sums = logSoftmaxReference(logits)
    .reduce(1, false, (line) => line.reduce((a, b) => a + b));
  await assertClose(logSoftmax(logits.tensor()).sum({ axis: 1 }), sums, {
    atol: 1e-7 * 257 * 8,
  });
});
