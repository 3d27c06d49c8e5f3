import { realize, Scope, type Tensor, tensor, useDevice } from "@heddle/tensor";
import { assert, assertEquals } from "@std/assert";
import type { Plan } from "../../../tensor/kernel/plan.ts";
import { nodeOf } from "../../../tensor/tensor.ts";
import { seeded } from "../../seeded.ts";
import { randomGraph } from "../random_graph.ts";
import { openReference } from "../reference_backend.ts";

/** Checks what every device relies on. */
function checkPlan({ steps, buffers, roots }: Plan, of: string): void {
  const written = new Set<number>();
  steps.forEach(({ kernel, buffers: named, params }, at) => {
    assertEquals(named.length, kernel.buffers.length, of);
    if (kernel.kind === "loop") {
      assertEquals(params.length, kernel.params.length);
    }
    named.forEach((number, slot) => {
      const { dtype, size, source, lastStep } = buffers[number]!;
      const { output, dtype: type, size: least } = kernel.buffers[slot]!;
      assertEquals(dtype, type, of);
      assert(size >= least, of);
      assert(lastStep === undefined || lastStep >= at, `${of}: used when gone`);
      if (output) {
        assert(source === undefined, `${of}: a source is written`);
        assert(!written.has(number), `${of}: written twice`);
        written.add(number);
      } else {
        assert(
          source !== undefined || written.has(number),
          `${of}: read before it is written`,
        );
      }
    });
  });
  for (const root of roots) {
    const { source, lastStep } = buffers[root]!;
    assert(source !== undefined || written.has(root), `${of}: no such result`);
    assertEquals(lastStep, undefined, of);
  }
  buffers.forEach(({ lastStep }, number) => {
    if (lastStep === undefined) return;
    assert(steps[lastStep]!.buffers.includes(number), `${of}: kept too long`);
  });
}

Deno.test("planOf() keeps each buffer from its first to its last use", () => {
  using _scope = new Scope();
  for (
    const [fuse, maxBuffers] of [[true, 32], [true, 6], [false, 32]] as const
  ) {
    using device = openReference({ fuse, maxBuffers });
    for (let seed = 1; seed <= 60; seed++) {
      const results = randomGraph({
        seed,
        whole: seed % 3 > 0,
        gradients: seed % 2 === 0,
        length: 5 + seed % 12,
      });
      const plan = device.plan(results.map(nodeOf));
      checkPlan(plan, `seed ${seed}, fuse ${fuse}, ${maxBuffers} buffers`);
    }
  }
});

Deno.test("planOf() cuts kernels of too many buffers into few", () => {
  using _scope = new Scope();
  using device = openReference({ fuse: true, maxBuffers: 64 });
  const sources = Array.from(
    { length: 2 },
    (_, at) => seeded(at).values([8, 16 + at]).tensor(),
  );
  const sums = Array.from(
    { length: 600 },
    (_, at) => sources[at % 2]!.mul(1 + at).exp().sum({ axis: -1 }),
  );
  while (sums.length > 1) sums.push(sums.shift()!.add(sums.shift()!));
  const plan = device.plan(sums.map(nodeOf));
  checkPlan(plan, "600 sums");
  assert(plan.steps.length < 100, `${plan.steps.length} kernels`);
});

Deno.test("planOf() frees what a chain no longer needs", async () => {
  using device = openReference();
  useDevice(device);
  using _scope = new Scope();
  let x: Tensor = seeded(1).values([100]).tensor();
  // No two of these share a kernel.
  for (let i = 0; i < 20; i++) x = x.cumsum().sort().values;
  await x.realize();
  // The source, one in, two out.
  assert(device.memory().peakBytes <= 4 * 400);
  assertEquals(device.memory().buffers, 2);
});

Deno.test("planOf() gives two results of equal values one buffer", async () => {
  using device = openReference();
  useDevice(device);
  using _scope = new Scope();
  const x = tensor([1, 2, 3]);
  const [a, b] = [x.exp().cumsum(), x.exp().cumsum()];
  const plan = device.plan([nodeOf(a), nodeOf(b)]);
  assertEquals(plan.roots[0], plan.roots[1]);
  await realize(a, b);
  assertEquals(device.memory().buffers, 2);
  const values = await a.data();
  a.dispose();
  assertEquals(await b.data(), values);
});

Deno.test("planOf() computes a result that others are made of once", async () => {
  using _scope = new Scope();
  const names: string[] = [];
  using device = openReference({ onRun: ({ name }) => names.push(name) });
  useDevice(device);
  const x = seeded(2).integers([4, 6], -9, 9).tensor();
  const turned = x.transpose();
  const results = [
    turned,
    turned.add(1),
    turned.sum({ axis: 0 }),
    x.reshape([24]),
    turned.sort().values,
    turned.matmul(x),
  ];
  await realize(...results);
  assert(names.length <= 6, `${names}`);
  assertEquals(await turned.sum().item(), await results[3]!.sum().item());
});

Deno.test("planOf() of a result that is a source, a movement or a constant", async () => {
  using _scope = new Scope();
  using device = openReference();
  useDevice(device);
  const x = tensor([[1, 2], [3, 4]]);
  const results = [x, x.reshape([4]), x.transpose(), x.slice(1).mul(0).add(7)];
  await realize(...results);
  assertEquals(await results[0]!.toArray(), [[1, 2], [3, 4]]);
  assertEquals(await results[1]!.toArray(), [1, 2, 3, 4]);
  assertEquals(await results[2]!.toArray(), [[1, 3], [2, 4]]);
  assertEquals(await results[3]!.toArray(), [7, 7]);
});
