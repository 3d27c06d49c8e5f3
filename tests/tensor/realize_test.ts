import { realizeSync, tensor } from "@heddle/tensor";
import { assert, assertEquals, assertFalse } from "@std/assert";
import { deviceTest } from "../devices.ts";

deviceTest("realizeSync() computes before it returns", async () => {
  const sum = tensor([1, 2]).sum();
  const other = tensor([3, 4]).sum();
  assertFalse(sum.isComputed);
  realizeSync(sum, other);
  assert(sum.isComputed && other.isComputed);
  assertEquals([await sum.item(), await other.item()], [3, 7]);
});

deviceTest("isVariable is true for leaves with a gradient alone", () => {
  const weight = tensor([1], { requiresGrad: true });
  const product = weight.mul(2);
  assert(weight.isVariable);
  assert(product.requiresGrad);
  assertFalse(product.isVariable);
  assertFalse(weight.detach().isVariable);
  assert(weight.assign(tensor([3])).isVariable);
});
