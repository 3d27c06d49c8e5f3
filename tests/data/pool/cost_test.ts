import { assertEquals, assertLess } from "@std/assert";
import { Costs } from "../../../data/pool/_cost.ts";
import { ItemsJob } from "../../../data/pool/_items_job.ts";
import { square } from "./work.ts";

Deno.test("chunkSize() gets over one send that took long", () => {
  const items = Array.from({ length: 1e6 }, (_, at) => at);
  const job = new ItemsJob(square, items, "reject", {
    spread: false,
    chunkSize: undefined,
    mayRunHere: false,
  });
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
