// What TypeScript would refuse, as plain JavaScript may call it.
import { assertEquals, assertThrows } from "@std/assert";
import * as heddle from "@heddle/tensor";
import { ones, type Tensor, tensor, zeros } from "@heddle/tensor";

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

Deno.test("operations refuse what is no tensor, by their names", () => {
  const x = ones([2, 2]);
  const other = 2 as unknown as Tensor;
  const calls: Record<string, () => unknown> = {
    matmul: () => x.matmul(other),
    gather: () => x.gather(other, 0),
    take: () => x.take(other),
    scatterAdd: () => x.scatterAdd(zeros([1, 1], { dtype: "int32" }), other, 0),
    conv2d: () => x.conv2d(other),
    concat: () => heddle.concat([x, other]),
    stack: () => heddle.stack([other, x]),
    exp: () => heddle.exp(other),
    sum: () => heddle.sum(other),
    max: () => heddle.max(other),
    logSumExp: () => heddle.logSumExp(other),
    argmax: () => heddle.argmax(other),
    softmax: () => heddle.softmax(other),
    sort: () => heddle.sort(other),
    topK: () => heddle.topK(other, 1),
    cumsum: () => heddle.cumsum(other),
    split: () => heddle.split(other, 1),
    layerNorm: () => heddle.layerNorm(other),
    maxPool2d: () => heddle.maxPool2d(other, 2),
    zerosLike: () => heddle.zerosLike(other),
  };
  for (const [name, call] of Object.entries(calls)) {
    const message = `${name}: not a tensor: got the number 2: make one with`;
    assertThrows(call, TypeError, message);
  }
  // Where no operation has a word of its own, the value has one all the same.
  assertThrows(() => heddle.relu(other), TypeError, "Tensor: not a tensor");
});

Deno.test("operations refuse arguments in the form of other libraries", () => {
  // deno-lint-ignore no-explicit-any
  const x = ones([2, 2]) as any;
  assertThrows(
    () => x.sum(0),
    TypeError,
    "sum: options must be an object: got 0: use { axis, keepDims }",
  );
  assertThrows(() => x.argmax(1), TypeError, "argmax: options must be an");
  assertThrows(
    () => x.permute(1, 0),
    TypeError,
    "permute: the axes are an array: got 1: use [1, 0]",
  );
  assertThrows(() => x.expand(2, 2), TypeError, "expand: a shape is an array");
  assertThrows(
    () => heddle.concat(x),
    TypeError,
    "concat: not an array of tensors: got object: pass [a, b]",
  );
});
