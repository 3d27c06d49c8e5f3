import { logSoftmax, softmax, tensor, zeros } from "@heddle/tensor";
import { assertEquals, assertThrows } from "@std/assert";
import { assertClose, assertSame } from "../assert_close.ts";
import { checkGradients } from "../check_gradients.ts";
import { deviceTest } from "../devices.ts";
import { seeded } from "../seeded.ts";
import type { Values } from "../values.ts";

const softmaxOf = (axis: number) => (logits: Values): Values =>
  logits.along(axis, (line) => {
    const top = Math.max(...line);
    const powers = line.map((value) => Math.exp(value - top));
    const total = powers.reduce((a, b) => a + b, 0);
    return powers.map((power) => power / total);
  });

deviceTest("softmax() gradient matches its float64 reference", async () => {
  const logits = seeded(7).values([3, 5]); // primes: a swapped axis cannot pass
  await checkGradients(softmax, softmaxOf(-1), logits);
});

deviceTest("softmax() takes any axis, from both ends", async () => {
  const logits = seeded(8).values([2, 3, 5], { low: -4, high: 4 });
  for (const axis of [0, 1, 2, -1, -2, -3]) {
    const of = `axis ${axis}`;
    await checkGradients((x) => softmax(x, axis), softmaxOf(axis), logits, {
      of,
    });
    await checkGradients(
      (x) => logSoftmax(x, axis),
      (x) => softmaxOf(axis)(x).map(Math.log),
      logits,
      { of },
    );
  }
});

deviceTest("softmax() takes every row length", async () => {
  for (const size of [1, 2, 63, 64, 65, 257, 1030]) {
    const logits = seeded(size).values([3, size], { low: -4, high: 4 });
    const of = `${size}`;
    await assertClose(softmax(logits.tensor()), softmaxOf(-1)(logits), { of });
    await assertClose(
      softmax(logits.tensor().transpose(), 0),
      softmaxOf(-1)(logits).along(0, (line) => line).tensor().transpose(),
      { of: `${of} turned` },
    );
  }
});

deviceTest("softmax() ignores a constant added to every logit", async () => {
  for (const shift of [0, 4, 4096, -4096]) { // exact in float32
    const probs = softmax(tensor([shift, shift + 1]));
    await assertClose(probs, [1 / (1 + Math.E), Math.E / (1 + Math.E)]);
  }
});

deviceTest(
  "softmax() and logSoftmax() neither overflow nor underflow",
  async () => {
    const logits = tensor([[1e4, -1e4, 0], [3e38, 0, -3e38]]);
    await assertSame(softmax(logits), [[1, 0, 0], [1, 0, 0]]);
    await assertClose(
      logSoftmax(logits),
      [[0, -2e4, -1e4], [0, -3e38, -Infinity]]
        .map((row) => row.map(Math.fround)),
    );
  },
  { devices: ["reference", "wasm"] },
);

deviceTest("softmax() gives no share to -Infinity", async () => {
  const probs = softmax(tensor([[0, -Infinity, 0], [-Infinity, 5, -Infinity]]));
  await assertSame(probs, [[0.5, 0, 0.5], [0, 1, 0]]);
  await assertSame(softmax(tensor([-Infinity, -Infinity])), [NaN, NaN]);
}, { devices: ["reference", "wasm"] });

deviceTest(
  "softmax() of empty tensors, scalars along no axis, other types",
  async () => {
    assertEquals((await softmax(zeros([0, 3])).data()).length, 0);
    assertEquals((await softmax(zeros([3, 0])).data()).length, 0);
    await assertSame(softmax(tensor([[3]])), [[1]]);
    await assertSame(softmax(tensor(3)), 1);
    await assertSame(logSoftmax(tensor(3), 0), 0);
    assertEquals(softmax(tensor(Int32Array.of(1, 1))).dtype, "float32");
    await assertSame(softmax(tensor(Int32Array.of(1, 1))), [0.5, 0.5]);
    for (const [name, f] of Object.entries({ softmax, logSoftmax })) {
      assertThrows(
        () => f(zeros([4, 8]), 2),
        RangeError,
        `${name}: axis 2 is out of range for shape [4, 8]: use -2 to 1`,
      );
      assertThrows(() => f(zeros([]), 1), RangeError, `${name}: axis 1`);
    }
  },
);

deviceTest("logSoftmax() is right where softmax() is 0", async () => {
  await assertClose(logSoftmax(tensor([0, 200])), [-200, 0]);
});
