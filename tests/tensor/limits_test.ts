import { realize, Scope, stack, type Tensor, useDevice } from "@heddle/tensor";
import { assert, assertEquals } from "@std/assert";
import { nodeOf } from "../../tensor/tensor.ts";
import { assertSame } from "../assert_close.ts";
import { seeded } from "../seeded.ts";
import { zip } from "../values.ts";
import { openReference } from "./reference_backend.ts";

/** What the least of GPUs lets a kernel name. */
const MAX_BUFFERS = 8;

/** Checks the values on a device with few buffers; returns the kernels. */
async function checkFits(
  results: readonly Tensor[],
  expected: readonly number[],
): Promise<number> {
  using device = openReference({ maxBuffers: MAX_BUFFERS });
  useDevice(device);
  const { steps } = device.plan(results.map(nodeOf));
  // The device refuses what does not fit.
  await realize(...results);
  const sums = await Promise.all(results.map((x) => x.sum().item()));
  assertEquals(sums, expected);
  return steps.length;
}

const inputs = Array.from(
  { length: 100 },
  (_, i) => seeded(i).integers([3], 0, 9),
);
const total = (list: ArrayLike<number>) =>
  Array.from(list).reduce((a, b) => a + b, 0);

Deno.test("planOf() stacks 100 tensors with 8 buffers a kernel", async () => {
  using _scope = new Scope();
  const all = stack(inputs.map((x) => x.tensor()), 1);
  const sum = total(inputs.map((x) => total(x.data)));
  assert(await checkFits([all], [sum]) <= 40);
});

Deno.test("planOf() adds 100 tensors with 8 buffers a kernel", async () => {
  using _scope = new Scope();
  const all = inputs.map((x) => x.tensor()).reduce((a, b) => a.add(b));
  const sum = total(inputs.map((x) => total(x.data)));
  assert(await checkFits([all], [sum]) <= 40);
});

Deno.test("planOf() writes 100 results with 8 buffers a kernel", async () => {
  using _scope = new Scope();
  const x = inputs[0]!.tensor();
  const results = inputs.map((_, i) => x.mul(i));
  const sums = inputs.map((_, i) => total(inputs[0]!.data) * i);
  assert(await checkFits(results, sums) <= 30);
});

Deno.test("planOf() chains 100 results with 8 buffers a kernel", async () => {
  using _scope = new Scope();
  const results: Tensor[] = [];
  let x = inputs[0]!.tensor();
  for (let i = 0; i < 100; i++) results.push(x = x.add(1));
  const sums = results.map((_, i) => total(inputs[0]!.data) + 3 * (i + 1));
  assert(await checkFits(results, sums) <= 40);
});

Deno.test("planOf() stacks 100 sums with 8 buffers a kernel", async () => {
  using _scope = new Scope();
  const all = stack(inputs.map((x) => x.tensor().sum().mul(2)));
  const sum = total(inputs.map((x) => total(x.data)));
  await checkFits([all], [2 * sum]);
});

Deno.test("planOf() sums a product of 12 tensors with 8 buffers a kernel", async () => {
  using _scope = new Scope();
  const shapes = [[1, 2, 3], [2, 1, 3]];
  const factors = Array.from(
    { length: 12 },
    (_, i) => seeded(i).integers(shapes[i % 2]!, 1, 4),
  );
  const all = factors.map((x) => x.tensor()).reduce((a, b) => a.mul(b));
  const expected = zip((...list) => list.reduce((a, b) => a * b), ...factors);
  await checkFits([all.sum({ axis: 2 })], [total(expected.data)]);
});

Deno.test("planOf() follows 5000 movements without recursion", async () => {
  using _scope = new Scope();
  using device = openReference();
  useDevice(device);
  let x = seeded(1).integers([5010], 0, 9).tensor();
  const expected = [...await x.data()].slice(5000);
  for (let i = 0; i < 5000; i++) x = x.slice([1, null]).pad([[0, 0]]);
  assertEquals(device.plan([nodeOf(x)]).steps.length, 1);
  await assertSame(x, expected);
});
