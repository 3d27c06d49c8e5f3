// A processor that plays a GPU ends loops early, without a word: reductions
// that are longer than its loops may be must come out right all the same.
import {
  arange,
  ones,
  randomKey,
  realize,
  Scope,
  type Tensor,
  uniform,
  useDevice,
  zeros,
} from "@heddle/tensor";
import { assert, assertEquals } from "@std/assert";
import { nodeOf } from "../../tensor/tensor.ts";
import { assertClose, assertSame } from "../assert_close.ts";
import { deviceTest } from "../devices.ts";
import { seeded } from "../seeded.ts";
import { openReference } from "./reference_backend.ts";

const ON = { devices: ["wasm", "webgpu"] } as const;

/** Ones that are on the device, not part of the program. */
async function onesThere(shape: number[]): Promise<Tensor> {
  const x = ones(shape).add(uniform(randomKey(1), shape).mul(0));
  return await x.realize();
}

deviceTest("sum() of millions counts them all", async () => {
  await assertSame((await onesThere([5_000_000])).sum(), 5_000_000);
  // A prime, and rows that are many.
  await assertSame((await onesThere([100_003])).sum(), 100_003);
  const sums = (await onesThere([20, 100_003])).sum({ axis: 1 });
  await assertSame(sums, new Array(20).fill(100_003));
  const columns = (await onesThere([100_003, 20])).sum({ axis: 0 });
  await assertSame(columns, new Array(20).fill(100_003));
}, ON);

deviceTest("max(), argmax() and any() of millions see the last", async () => {
  const count = 5_000_000;
  await assertSame(arange(count).max(), count - 1);
  await assertSame(arange(count).argmax(), count - 1);
  await assertSame(arange(count).eq(count - 1).any(), true);
}, ON);

deviceTest("matmul() over 100,003 terms adds them all", async () => {
  const [a, b] = [await onesThere([9, 100_003]), await onesThere([100_003, 9])];
  await assertSame(a.matmul(b).min(), 100_003);
  await assertSame(a.matmul(b.slice(null, 0)).min(), 100_003);
}, ON);

deviceTest("softmax() and layerNorm() of long rows are right", async () => {
  for (const rows of [2, 20]) {
    const x = await onesThere([rows, 70_000]);
    await assertClose(x.softmax().mul(70_000).max(), 1, { rtol: 1e-4 });
    await assertClose(x.softmax().mul(70_000).min(), 1, { rtol: 1e-4 });
    await assertClose(x.layerNorm().abs().max(), 0, { atol: 0.1 });
  }
}, ON);

deviceTest(
  "cumsum() and scatterAdd() of long lines go to their end",
  async () => {
    const x = await onesThere([70_001, 17]);
    await assertSame(x.cumsum(0).slice(70_000).min(), 70_001);
    const same = zeros([70_001], { dtype: "int32" });
    const sum = zeros([2]).scatterAdd(same, await onesThere([70_001]), 0);
    await assertSame(sum, [70_001, 0]);
  },
  ON,
);

Deno.test("planOf() keeps reductions as short as the device wants them", async () => {
  // More than the parts that a reduction is cut into.
  const maxReduction = 300;
  for (const shape of [[9973], [3, 3313], [61, 7, 11], [128, 64]]) {
    using device = openReference({ maxReduction });
    useDevice(device);
    using _scope = new Scope();
    const values = seeded(3).integers(shape, -9, 9);
    const x = values.tensor();
    const total = Array.from(values.data).reduce((a, b) => a + b, 0);
    const results = [x.sum(), x.max(), x.min(), x.gt(8).any(), x.lt(10).all()];
    for (const { kernel } of device.plan(results.map(nodeOf)).steps) {
      if (kernel.kind !== "loop") continue;
      const cols = kernel.cols.reduce((size, { extent }) => size * extent, 1);
      assert(cols <= maxReduction, `${kernel.name}: ${cols}`);
    }
    await realize(...results);
    const [sum, max, min, any, all] = await Promise.all(
      results.map((result) => result.item()),
    );
    assertEquals([sum, max, min], [
      total,
      Math.max(...values.data),
      Math.min(...values.data),
    ]);
    assertEquals([any, all], [Number(values.data.includes(9)), 1]);
  }
});
