import { arange, ones, softmax, where, zeros } from "@heddle/tensor";
import { assertEquals } from "@std/assert";
import { assertSame } from "../assert_close.ts";
import { deviceTest } from "../devices.ts";
import { Values } from "../values.ts";

deviceTest(
  "matmul() over an empty axis is 0, whatever is computed on it",
  async () => {
    const x = ones([2, 2, 3]).asVariable();
    const none = ones([2, 0, 3]).asVariable();
    const scores = x.matmul(none.transpose()).mul(0.3); // [2, 2, 0]
    const isPadding = zeros([2, 0], { dtype: "bool" }).reshape([2, 1, 0]);
    const allowed = isPadding.logicalNot()
      .logicalAnd(arange(0).le(arange(2).unsqueeze(1)));
    const weights = where(allowed, softmax(where(allowed, scores, -3e38)), 0);
    const product = weights.matmul(none);
    await assertSame(product, Values.of([2, 2, 3], () => 0));
    product.sum().backward();
    await assertSame(x.grad!, Values.of([2, 2, 3], () => 0));
    assertEquals(none.grad!.shape, [2, 0, 3]);
    assertEquals((await none.grad!.data()).length, 0);
  },
);
