import {
  arange,
  type Device,
  endStep,
  grad,
  matmul,
  randomKey,
  realize,
  Scope,
  type Tensor,
  tensor,
  uniform,
  zeros,
} from "@heddle/tensor";
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { assertSame } from "../assert_close.ts";
import { deviceTest } from "../devices.ts";

/** Buffers held, once all that is queued is done. */
async function buffersOf(device: Device): Promise<number> {
  await device.finish();
  return device.memory().buffers;
}

deviceTest("Scope frees what was made in it", async (device) => {
  const before = await buffersOf(device);
  {
    using _scope = new Scope();
    const x = tensor([1, 2, 3]);
    const y = x.mul(2);
    await realize(y, y.sum(), x.sort().values);
    assert(await buffersOf(device) > before);
  }
  assertEquals(await buffersOf(device), before);
});

deviceTest(
  "Scope frees what its operations made on their way",
  async (device) => {
    const before = await buffersOf(device);
    {
      using _scope = new Scope();
      const key = randomKey(1);
      const x = uniform(key, [8, 8]).asVariable();
      const loss = matmul(x.softmax(), x.transpose()).layerNorm().square()
        .mean();
      loss.backward();
      await realize(loss, x.grad!);
      await grad((y) => y!.sort().values.cumsum().square().sum())(x).data();
    }
    endStep();
    endStep();
    assertEquals(await buffersOf(device), before);
  },
);

deviceTest(
  "Scope.keep() leaves a tensor to the scope around",
  async (device) => {
    const before = await buffersOf(device);
    let result: Tensor;
    {
      using outer = new Scope();
      let kept: Tensor;
      {
        using inner = new Scope();
        kept = inner.keep(tensor([1, 2]).mul(2));
        await kept.realize();
      }
      await assertSame(kept, [2, 4]);
      result = outer.keep(kept.add(1));
      await result.realize();
    }
    await assertSame(result, [3, 5]);
    assertEquals(await buffersOf(device), before + 1);
    result.dispose();
    assertEquals(await buffersOf(device), before);
  },
);

deviceTest(
  "Scope frees also when its block ends by an error",
  async (device) => {
    const before = await buffersOf(device);
    await assertRejects(
      async () => {
        using _scope = new Scope();
        await tensor([1]).add(1).realize();
        throw new Error("inside");
      },
      Error,
      "inside",
    );
    assertEquals(await buffersOf(device), before);
  },
);

deviceTest(
  "Scope.dispose() twice is once, and out of order ends its own",
  async (device) => {
    const before = await buffersOf(device);
    const outer = new Scope();
    const first = await tensor([1]).add(1).realize();
    const inner = new Scope();
    const second = await tensor([2]).add(1).realize();
    outer.dispose();
    outer.dispose();
    await assertRejects(() => first.data(), Error, "disposed");
    await assertSame(second, [3]);
    inner.dispose();
    assertEquals(await buffersOf(device), before);
  },
);

deviceTest("Scope keeps the new values of variables", async () => {
  const weight = zeros([2]).asVariable();
  for (let step = 1; step <= 3; step++) {
    using _scope = new Scope();
    weight.assign(weight.add(tensor([1, 10])));
    endStep(weight);
  }
  await assertSame(weight, [3, 30]);
});

deviceTest("training steps in scopes leave memory flat", async (device) => {
  const weight = uniform(randomKey(2), [8, 8]).asVariable();
  const moment = zeros([8, 8]);
  const counts: number[] = [];
  for (let step = 0; step < 12; step++) {
    using _scope = new Scope();
    const x = uniform(randomKey(step), [4, 8]);
    const loss = x.matmul(weight).tanh().sub(x).square().mean();
    weight.grad = null;
    loss.backward();
    moment.assign(moment.mul(0.9).add(weight.grad!));
    weight.assign(weight.sub(moment.mul(0.1)));
    endStep(loss, weight, moment);
    if (step % 4 === 3) assert(Number.isFinite(await loss.item()));
    counts.push(await buffersOf(device));
  }
  assertEquals(counts.slice(4), counts.slice(4).map(() => counts[4]));
});

deviceTest(
  "dispose() frees at once, and only what nothing else shows",
  async (device) => {
    const before = await buffersOf(device);
    const x = await arange(4).add(1).realize();
    const same = x.reshape([4]);
    assertEquals(await buffersOf(device), before + 1);
    x.dispose();
    x.dispose();
    await assertSame(same, [1, 2, 3, 4]);
    same.dispose();
    assertEquals(await buffersOf(device), before);
  },
);

deviceTest("a reshape of what is there shares its memory", async (device) => {
  const before = await buffersOf(device);
  const x = await arange(4).add(1).realize();
  const square = await x.reshape([2, 2]).realize();
  assertEquals(await buffersOf(device), before + 1);
  x.dispose();
  await assertSame(square, [[1, 2], [3, 4]]);
  square.dispose();
  assertEquals(await buffersOf(device), before);
});

deviceTest("what a disposed tensor was made into stays", async () => {
  const x = await tensor([1, 2]).add(1).realize();
  const sum = await x.sum().realize();
  const later = x.mul(2);
  x.dispose();
  await assertSame(sum, 5);
  await assertRejects(
    () => x.data(),
    Error,
    "compute: an input has been freed",
  );
  await assertRejects(
    () => later.data(),
    Error,
    "compute: an input has been freed",
  );
  // The next computation is not hurt by it.
  await assertSame(tensor([1]).add(1), [2]);
});

Deno.test("Scope with nothing computed needs no device", () => {
  using _scope = new Scope();
  const x = tensor([1]);
  assertEquals(x.add(1).shape, [1]);
  assertThrows(() => x.reshape([2]), RangeError);
});
