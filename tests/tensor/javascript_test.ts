// What TypeScript would refuse, as plain JavaScript may call it.
import { assertEquals, assertThrows } from "@std/assert";
import { type Tensor, tensor } from "@heddle/tensor";

Deno.test("Tensor in a template is its text", () => {
  assertEquals(`${tensor([1, 2])}`, "Tensor([1., 2.], float32 [2])");
});

Deno.test("Tensor in arithmetic and comparisons is an error", () => {
  // deno-lint-ignore no-explicit-any
  const x = tensor([1, 2]) as any;
  for (const use of [() => x + 1, () => x > 0, () => +x]) {
    assertThrows(use, TypeError, "not a number: got shape [2]");
  }
});

Deno.test("JSON.stringify() of a Tensor says that values must be awaited", () => {
  assertThrows(
    () => JSON.stringify({ loss: tensor(1) }),
    TypeError,
    "use await toArray()",
  );
});

Deno.test("assign() and backward() refuse what is no tensor", () => {
  const x = tensor(1, { requiresGrad: true });
  const two = 2 as unknown as Tensor;
  assertThrows(
    () => x.assign(two),
    TypeError,
    "assign: not a tensor: got the number 2: make one with tensor()",
  );
  assertThrows(() => x.mul(2).backward(two), TypeError, "backward: not a");
});
