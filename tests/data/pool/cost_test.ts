import { assert, assertEquals, assertLess } from "@std/assert";
import { Costs } from "../../../data/pool/_cost.ts";
import { ItemsJob } from "../../../data/pool/_items_job.ts";
import { square } from "./work.ts";

function jobOf(mayRunHere: boolean): ItemsJob {
  const items = Array.from({ length: 1e6 }, (_, at) => at);
  const job = new ItemsJob(square, "reject", {
    spread: false,
    chunkSize: undefined,
    mayRunHere,
  });
  job.begin(items);
  return job;
}

Deno.test("isFasterHere() gets over one slow run in the caller", () => {
  const job = jobOf(true);
  const cost = new Costs().of(job);
  cost.ran(16, 16e-4);
  assert(cost.isFasterHere(job, 2));
  cost.ranHere(16, 20); // the thread was stopped for 20 ms
  assert(cost.isFasterHere(job, 2));
  for (let round = 0; round < 2; round++) cost.ranHere(16, 16e-4);
  assert(cost.isFasterHere(job, 2));
});

Deno.test("isFasterHere() does not keep costly items because one send was slow", () => {
  const job = jobOf(true);
  const cost = new Costs().of(job);
  cost.ran(16, 16 * 0.5);
  cost.shipped(16, 50, 100);
  assert(!cost.isFasterHere(job, 2));
  for (let round = 0; round < 2; round++) cost.shipped(16, 0.1, 0.5);
  assert(!cost.isFasterHere(job, 2));
});

Deno.test("chunkSize() gets over one send that took long", () => {
  const job = jobOf(false);
  const cost = new Costs().of(job);
  assertEquals(cost.chunkSize(job, 2), 1);
  cost.ran(16, 0.001);
  // The thread was busy with something else for 50 ms.
  cost.shipped(16, 50, undefined);
  for (let round = 0; round < 40; round++) {
    const size = cost.chunkSize(job, 2);
    job.largest = Math.max(job.largest, size);
    cost.ran(size, size * 1e-4);
    cost.shipped(size, size * 1e-4, undefined);
  }
  assertLess(10_000, cost.chunkSize(job, 2));
});
