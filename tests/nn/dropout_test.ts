import { Dropout, Linear } from "@heddle/nn";
import { Generator, ones, Scope, tensor } from "@heddle/tensor";
import {
  assert,
  assertEquals,
  assertNotEquals,
  assertThrows,
} from "@std/assert";
import { assertSame } from "../assert_close.ts";
import { deviceTest } from "../devices.ts";

deviceTest("Dropout keeps 1 - rate of the elements, scaled", async () => {
  const dropout = new Dropout(0.2);
  const data = await dropout.forward(ones([50, 100])).data();
  const kept = data.filter((value) => value !== 0);
  assertEquals(new Set(kept), new Set([Math.fround(1.25)]));
  // Five standard deviations of a binomial.
  const share = kept.length / 5000;
  assert(Math.abs(share - 0.8) < 5 * Math.sqrt(0.16 / 5000), `${share}`);
});

deviceTest("Dropout draws anew each time, backward as forward", async () => {
  const dropout = new Dropout(0.5);
  const x = ones([200]).asVariable();
  const first = dropout.forward(x);
  first.sum().backward();
  const values = await first.data();
  await assertSame(x.grad!, values);
  assertNotEquals(await dropout.forward(x).data(), values);
});

deviceTest("Dropout has one plan for all steps", async (device) => {
  const dropout = new Dropout(0.5);
  const layer = new Linear(4, 4);
  const input = ones([3, 4]);
  const counts: number[] = [];
  for (let step = 0; step < 4; step++) {
    using _scope = new Scope();
    await dropout.forward(layer.forward(input)).sum().data();
    counts.push(device.memory().buffers);
  }
  assertEquals(counts.slice(2), [counts[1], counts[1]]);
});

deviceTest("Dropout does nothing in evaluation or at rate 0", async () => {
  const x = tensor([1, 2]);
  const generator = new Generator(3);
  const dropout = new Dropout(0.9, { generator }).eval();
  assertEquals(dropout.forward(x), x);
  assertEquals(new Dropout(0, { generator }).forward(x), x);
  assertEquals(generator.state().count, 0);
  await assertSame(new Dropout(1).forward(tensor([1, Infinity])), [0, 0]);
});

deviceTest("Dropout goes on where its generator is restored to", async () => {
  const dropout = new Dropout(0.5);
  const state = dropout.generator.state();
  const first = await dropout.forward(ones([64])).data();
  dropout.generator.restore(JSON.parse(JSON.stringify(state)));
  await assertSame(dropout.forward(ones([64])), first);
});

Deno.test("Dropout refuses what is no rate", () => {
  assertThrows(
    () => new Dropout(1.5),
    RangeError,
    "Dropout: dropoutRate must be from 0 to 1: got 1.5",
  );
  assertThrows(() => new Dropout(NaN), RangeError, "got NaN");
});
