import {
  compile,
  HostValue,
  noGrad,
  onEachRun,
  ones,
  onWarning,
  Scope,
  type Tensor,
  tensor,
} from "@heddle/tensor";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { deviceTest } from "../../devices.ts";

deviceTest("compile() traces once for each shape, type and mode", async () => {
  const doubles = new HostValue(true);
  const f = compile((x) => doubles.value ? x.mul(2) : x.add(1));
  const run = async (x: Tensor) => await f(x).toArray();
  for (let round = 0; round < 2; round++) {
    assertEquals(await run(tensor([1, 2])), [2, 4]);
    assertEquals(await run(tensor([1, 2, 3])), [2, 4, 6]);
    assertEquals(await run(tensor(new Int32Array([1, 2]))), [2, 4]);
    doubles.value = false;
    assertEquals(await run(tensor([1, 2])), [2, 3]);
    doubles.value = true;
  }
  assertEquals(f.traces, 4);
});

deviceTest("compile() traces apart what makes no gradients", async () => {
  const weight = tensor([2], { requiresGrad: true });
  const f = compile((x) => {
    const product = weight.mul(x).sum();
    if (product.requiresGrad) product.backward();
    return product;
  });
  for (let round = 0; round < 2; round++) {
    assertEquals(await noGrad(() => f(tensor([3]))).item(), 6);
    assertEquals(weight.grad, null);
  }
  f(tensor([3]));
  assertEquals(await weight.grad!.toArray(), [3]);
  assertEquals(f.traces, 2);
});

deviceTest("compile() tells lists and records apart", async () => {
  type Batch = { x: Tensor; mask?: Tensor | null; parts?: Tensor[] };
  const f = compile(({ x, mask, parts = [] }: Batch) => {
    const sum = parts.reduce((a, b) => a.add(b), x);
    return { all: [sum, null, undefined], mask: mask ? mask.mul(sum) : mask };
  });
  const x = ones([1]);
  const both = f({ x, mask: tensor([3]), parts: [x, x] });
  assertEquals(await both.all[0]!.toArray(), [3]);
  assertEquals(await both.mask!.toArray(), [9]);
  assertEquals(both.all.slice(1), [null, undefined]);
  const none = f({ x, mask: null });
  assertEquals(await none.all[0]!.toArray(), [1]);
  assertEquals(none.mask, null);
  assertEquals(f({ x }).mask, undefined);
  assertEquals(f.traces, 3);
});

deviceTest(
  "compile() frees what it has not used for longest",
  async (device) => {
    const other = ones([100]);
    await other.realize();
    const before = device.memory();
    const f = compile((x) => {
      const constants = tensor(new Float32Array(x.size).fill(2));
      return x.mul(constants).cumsum(0).add(other.sum()).cumsum(0);
    }, { maxTraces: 2 });
    const run = async (size: number) => {
      using _scope = new Scope();
      const x = tensor(new Float32Array(size).fill(1));
      assertEquals((await f(x).data())[1], 2 + 4 + 2 * 100);
      return device.memory();
    };
    const warnings: string[] = [];
    onWarning((message) => warnings.push(message));
    try {
      await run(1000);
      const two = await run(1001);
      for (let size = 1002; size < 1008; size++) {
        const { buffers, bytes } = await run(size);
        assertEquals(buffers, two.buffers);
        assert(bytes - two.bytes < 1000, `${bytes} after ${two.bytes}`);
      }
      assertEquals(f.traces, 8);
      // The one used before the last is still there; the one before that is not.
      await run(1006);
      assertEquals(f.traces, 8);
      await run(1005);
      assertEquals(f.traces, 9);
    } finally {
      onWarning(null);
    }
    assertEquals(warnings.length, 1);
    f.dispose();
    const { buffers, bytes } = device.memory();
    assertEquals([buffers, bytes], [before.buffers, before.bytes]);
    await run(1005);
    assertEquals(f.traces, 10);
    f.dispose();
    f.dispose();
  },
);

deviceTest("compile() warns at the fourth shape, once", () => {
  const warnings: string[] = [];
  onWarning((message) => warnings.push(message));
  const mode = new HostValue(0);
  try {
    const f = compile((x: Tensor) => x.mul(mode.value), {
      name: "step",
      maxTraces: 2,
    });
    for (let at = 0; at < 5; at++) {
      mode.value = at;
      f(ones([1]));
    }
    assertEquals(warnings, []);
    f(ones([2]));
    f(ones([3]));
    assertEquals(warnings, []);
    for (let size = 1; size < 10; size++) f(ones([size % 5]));
  } finally {
    onWarning(null);
  }
  assertEquals(warnings, [
    "compile: step has been traced for 4 shapes, and each costs a trace: " +
    "pad batches to one shape, or drop the last one",
  ]);
});

deviceTest(
  "compile() traces anew for a tensor that becomes a variable",
  async () => {
    const weight = tensor([2]);
    const f = compile((x) => {
      const product = weight.mul(x).sum();
      if (product.requiresGrad) product.backward();
      return product;
    });
    f(tensor([3]));
    assertEquals(weight.grad, null);
    weight.asVariable();
    f(tensor([3]));
    assertEquals(await weight.grad!.toArray(), [3]);
    assertEquals(f.traces, 2);
  },
);

deviceTest("compile() inside of another is a part of it", async () => {
  const weight = tensor([1]);
  const inner = compile((x: Tensor) => {
    weight.assign(weight.add(x));
    return weight.mul(10);
  });
  const outer = compile((x) => [inner(x), inner(x)]);
  const [a, b] = outer(tensor([2]));
  assertEquals(await a!.toArray(), [30]);
  assertEquals(await b!.toArray(), [50]);
  assertEquals(await weight.toArray(), [5]);
  assertEquals([outer.traces, inner.traces], [1, 0]);
  assertThrows(
    () => compile((x) => (inner.memory(x), x))(tensor([2])),
    Error,
    "memory: a compiled function asks for a value while it is traced",
  );
});

deviceTest("onEachRun() runs in order, and not for a trace", async () => {
  const seen: string[] = [];
  const f = compile((x) => {
    onEachRun(() => seen.push("a"));
    onEachRun(() => seen.push("b"));
    return x.neg();
  });
  f.memory(ones([1]));
  assertEquals(seen, []);
  f(ones([1]));
  assertEquals(await f(ones([1])).toArray(), [-1]);
  assertEquals(seen.join(""), "abab");
});
