import { mean, zeros } from "@heddle/tensor";
import { assertEquals } from "@std/assert";
import { assertClose } from "../assert_close.ts";
import { deviceTest } from "../devices.ts";

deviceTest("mean() of nothing is NaN, and has a gradient", async () => {
  const x = zeros([0, 3]).asVariable();
  const whole = mean(x);
  await assertClose(whole, NaN);
  await assertClose(mean(x, { axis: 0 }), [NaN, NaN, NaN]);
  whole.backward();
  assertEquals(x.grad!.shape, [0, 3]);
});
