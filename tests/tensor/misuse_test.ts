import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  arange,
  type DType,
  grad,
  noGrad,
  Scope,
  type SliceRange,
  tensor,
  zeros,
} from "@heddle/tensor";
import { deviceTest } from "../devices.ts";

Deno.test("operations refuse numbers that the tensor's type cannot hold", () => {
  const small = tensor([1], { dtype: "uint32" });
  assertThrows(() => small.add(-1), RangeError, "got -1 beside uint32");
  const large = tensor([1], { dtype: "int32" });
  assertThrows(() => large.lt(3e9), RangeError, "got 3000000000 beside int32");
});

Deno.test("tensor(), cast() and zeros() refuse types that there are not", () => {
  const wrong = "float64" as DType;
  for (
    const make of [
      () => tensor([1], { dtype: wrong }),
      () => zeros([1], { dtype: wrong }),
      () => zeros([1]).cast(wrong),
    ]
  ) assertThrows(make, TypeError, "no such type: got float64");
});

Deno.test("zeros() and reshape() want a shape as an array", () => {
  const three = 3 as unknown as number[];
  assertThrows(() => zeros(three), TypeError, "got 3");
  assertThrows(() => zeros([3]).reshape(three), TypeError, "got 3");
});

Deno.test("slice() refuses a range of one number", () => {
  const range = [1] as unknown as SliceRange;
  assertThrows(() => arange(6).slice(range), RangeError, "got [1] on axis 0");
});

Deno.test("needsGrad stops at types without gradients, and backward() says so", () => {
  const x = tensor([1, 2], { requiresGrad: true });
  for (const steps of [x.argmax(), x.gt(1).any(), x.cast("int32").sum()]) {
    assertEquals(steps.requiresGrad, false);
    assertThrows(() => steps.backward(), Error, "nothing to differentiate");
  }
  assertThrows(() => grad((a) => a.sum())(arange(3)), TypeError, "got int32");
});

Deno.test("noGrad() refuses an asynchronous function", () => {
  assertThrows(
    () => noGrad(() => Promise.resolve()),
    TypeError,
    "asynchronous",
  );
});

deviceTest(
  "Scope.keep() computes what is made of tensors that go",
  async () => {
    let kept;
    {
      using scope = new Scope();
      const made = await tensor([1, 2]).add(1).realize();
      kept = scope.keep(made.add(1));
    }
    assertEquals(await kept.toArray(), [3, 4]);
  },
);

deviceTest("logSumExp() of an infinity is infinite", async () => {
  assertEquals(await tensor([Infinity, 1]).logSumExp().item(), Infinity);
  assertEquals(await tensor([-Infinity]).logSumExp().item(), -Infinity);
});

deviceTest("using what was disposed of is an error that says so", async () => {
  const x = await tensor([1, 2]).add(1).realize();
  const later = x.add(1);
  x.dispose();
  await assertRejects(() => later.data(), Error, "it was disposed of");
});
