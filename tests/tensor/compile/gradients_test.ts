import { Adam, Dropout, Linear, manualSeed, SGD } from "@heddle/nn";
import {
  checkpoint,
  compile,
  grad,
  noGrad,
  ones,
  Scope,
  type Tensor,
  tensor,
  valueAndGrad,
} from "@heddle/tensor";
import { assert, assertEquals, assertLess, assertThrows } from "@std/assert";
import { assertClose } from "../../assert_close.ts";
import { deviceTest } from "../../devices.ts";
import { seeded } from "../../seeded.ts";

deviceTest("compile() adds up gradients over micro-batches", async () => {
  const weight = tensor([1, 1], { requiresGrad: true });
  const micro = compile((x) => {
    const loss = weight.mul(x).sum();
    loss.backward();
    return loss;
  });
  const apply = compile(() => {
    noGrad(() => weight.assign(weight.sub(weight.grad!)));
    weight.grad = null;
  });
  for (let round = 0; round < 3; round++) {
    micro(tensor([1, 0]));
    const first = weight.grad!;
    micro(tensor([1, 2]));
    micro(tensor([1, 4]));
    assertEquals(await weight.grad!.toArray(), [3, 6]);
    assertEquals(await first.toArray(), [1, 0]);
    apply();
    assertEquals(weight.grad, null);
    assertEquals(await weight.toArray(), [
      1 - 3 * (round + 1),
      1 - 6 * (round + 1),
    ]);
  }
  // One trace without a gradient, and one that adds to it.
  assertEquals([micro.traces, apply.traces], [2, 1]);
  assertEquals(weight.isVariable, true);
});

deviceTest("compile() reads gradients that others have set", async () => {
  const weight = tensor([1, 1], { requiresGrad: true });
  weight.mul(3).sum().backward();
  const add = compile((x) => weight.mul(x).sum().backward());
  add(tensor([1, 2]));
  assertEquals(await weight.grad!.toArray(), [4, 5]);
  weight.grad = tensor([5, 6]);
  add(tensor([1, 2]));
  assertEquals(await weight.grad.toArray(), [6, 8]);
  // And goes on uncompiled.
  weight.mul(10).sum().backward();
  assertEquals(await weight.grad.toArray(), [16, 18]);
  assertEquals(add.traces, 1);
});

deviceTest(
  "step() in a compiled function clears gradients, or keeps them",
  async () => {
    for (const keep of [false, true]) {
      const weight = tensor([1, 1], { requiresGrad: true });
      const optimizer = new SGD([weight], { learningRate: 1 });
      const step = compile((x) => {
        weight.mul(x).sum().backward();
        optimizer.step({ keep });
      });
      for (let run = 0; run < 3; run++) step(ones([2]));
      assertEquals(await weight.toArray(), keep ? [-5, -5] : [-2, -2]);
      assertEquals(await weight.grad?.toArray(), keep ? [3, 3] : undefined);
      optimizer.zeroGrad();
      assertEquals(weight.grad, null);
    }
    const optimizer = new Adam([tensor([1], { requiresGrad: true })]);
    assertThrows(
      () => compile(() => optimizer.step())(),
      Error,
      "Adam.step: no parameter has a gradient",
    );
  },
);

deviceTest("grad() and valueAndGrad() run in a compiled function", async () => {
  const factor = tensor([2]);
  const f = compile((x) => {
    const both = valueAndGrad((x) => x.mul(x).mul(factor).sum())(x);
    return [both.value, ...both.grads];
  });
  const [value, slope] = f(tensor([3]));
  assertEquals([await value!.item(), await slope!.item()], [18, 12]);
  factor.assign(tensor([1]));
  assertEquals(await f(tensor([3]))[1]!.item(), 6);
  const bend = compile((x) => grad(grad((x) => x.mul(x).mul(x)))(x));
  assertEquals(await bend(tensor(2)).item(), 12);
});

/** A deep network of blocks that widen, with dropout, and one step of it. */
function deepStep(
  options: { layers: number; size: number; blocks: number | undefined },
): (x: Tensor) => Tensor {
  const { layers, size, blocks } = options;
  manualSeed(3);
  const all = Array.from({ length: layers }, () => ({
    wide: new Linear(size, 4 * size),
    dropout: new Dropout(0.1),
    narrow: new Linear(4 * size, size),
  }));
  const parameters = all.flatMap(({ wide, narrow }) => [
    ...wide.parameters(),
    ...narrow.parameters(),
  ]);
  const optimizer = new SGD(parameters, { learningRate: 0.1 });
  const some = (from: number, to: number) => (x: Tensor) =>
    all.slice(from, to).reduce((x, { wide, dropout, narrow }) => {
      const hidden = dropout.forward(wide.forward(x).gelu());
      return x.add(narrow.forward(hidden));
    }, x);
  return (x) => {
    let hidden = x;
    const per = blocks ?? layers;
    for (let at = 0; at < layers; at += per) {
      const block = some(at, at + per);
      hidden = (blocks ? checkpoint(block) : block)(hidden);
    }
    const loss = hidden.square().mean();
    loss.backward();
    optimizer.step();
    return loss;
  };
}

deviceTest("checkpoint() lowers the memory of a deep compiled step", () => {
  const x = ones([64, 8]);
  const intermediates = (blocks: number | undefined) =>
    compile(deepStep({ layers: 24, size: 8, blocks })).memory(x).intermediates;
  const plain = intermediates(undefined);
  // All activations, against those of a block and one value for each block.
  assertLess(intermediates(1) / plain, 0.15);
  assertLess(intermediates(4) / plain, 0.25);
  assertLess(intermediates(6) / plain, 0.35);
}, { devices: ["wasm"] });

deviceTest("checkpoint() gives the results of what it saves", async () => {
  const x = seeded(1).values([4, 3]).tensor();
  const losses = async (
    blocks: number | undefined,
    compiles: boolean,
  ): Promise<number[]> => {
    const step = deepStep({ layers: 4, size: 3, blocks });
    const run = compiles ? compile(step) : step;
    const list: number[] = [];
    for (let at = 0; at < 4; at++) {
      using _scope = new Scope();
      list.push(await run(x).item());
    }
    return list;
  };
  const want = await losses(undefined, false);
  assert(want[3]! < want[0]!);
  for (const blocks of [1, 2]) {
    await assertClose(await losses(blocks, true), want);
    await assertClose(await losses(blocks, false), want);
  }
});

deviceTest(
  "checkpoint() draws the same in and beside another checkpoint",
  async () => {
    const x = ones([40]);
    const slopes = async (wrap: (f: (x: Tensor) => Tensor) => typeof f) => {
      manualSeed(5);
      const [a, b, c] = [new Dropout(0.5), new Dropout(0.5), new Dropout(0.5)];
      const inner = wrap((x) => b.forward(x.mul(2)).tanh());
      const outer = wrap((x) => inner(a.forward(x)).add(inner(x)).square());
      const f = (x: Tensor) => c.forward(outer(x)).sum();
      return await grad(f)(x).toArray();
    };
    const want = await slopes((f) => f);
    await assertClose(await slopes((f) => checkpoint(f)), want as number[]);
  },
);
