import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { Lock, Semaphore, SharedArray } from "@heddle/data/pool";
import { start } from "./threads.ts";

Deno.test("Semaphore lets in so many threads at a time", async () => {
  const semaphore = new Semaphore(2);
  const inside = new SharedArray("int32", 1);
  const threads = [1, 2, 3, 4].map(() =>
    start("crowd", semaphore, inside, 20_000)
  );
  const most = await Promise.all(threads.map((thread) => thread.result));
  for (const thread of threads) thread.terminate();
  assert(Math.max(...most as number[]) <= 2);
  assertEquals(inside.get(0), 0);
  assertEquals(semaphore.permits, 2);
});

Deno.test("Semaphore wakes as many as permits are released, first come first served", async () => {
  const semaphore = new Semaphore(0);
  const served: number[] = [];
  const waiting = [0, 1, 2, 3].map((me) =>
    semaphore.acquire().then(() => served.push(me))
  );
  semaphore.release(3);
  await Promise.all(waiting.slice(0, 3));
  assertEquals([served, semaphore.permits], [[0, 1, 2], 0]);
  semaphore.release();
  await waiting[3];
  assertEquals(semaphore.permits, 0);
});

Deno.test("Semaphore gives back by using and by release(), once", async () => {
  const semaphore = new Semaphore(1, { maximum: 1 });
  {
    using _held = semaphore.acquireSync();
    assertEquals([semaphore.permits, semaphore.tryAcquire()], [0, undefined]);
    assertThrows(() => semaphore.acquireSync({ timeoutMs: 5 }), DOMException);
    await assertRejects(
      () => semaphore.acquire({ timeoutMs: 5 }),
      DOMException,
    );
  }
  const held = semaphore.tryAcquire()!;
  held.release();
  assertThrows(() => held.release(), Error, "it was released before");
  assertThrows(
    () => semaphore.release(),
    RangeError,
    "Semaphore.release: more than was taken: 1 of 1 permits are free",
  );
});

Deno.test("Semaphore hands on what an aborted waiter was woken for", async () => {
  const semaphore = new Semaphore(0);
  const controller = new AbortController();
  const first = assertRejects(() =>
    semaphore.acquire({ signal: controller.signal })
  );
  const second = semaphore.acquire();
  semaphore.release(); // wakes the first
  controller.abort();
  await first;
  (await second).release();
  assertEquals(semaphore.permits, 1);
});

Deno.test("Semaphore and Lock have more waiters than places", async () => {
  const semaphore = new Semaphore(3);
  const lock = new Lock();
  let inside = 0;
  let most = 0;
  await Promise.all(Array.from({ length: 300 }, async () => {
    using _permit = await semaphore.acquire();
    using _held = await lock.acquire();
    most = Math.max(most, ++inside);
    await Promise.resolve();
    inside--;
  }));
  assertEquals([most, semaphore.permits, lock.locked], [1, 3, false]);
});

Deno.test("Semaphore goes on when threads died that waited for it", async () => {
  const semaphore = new Semaphore(0);
  const inside = new SharedArray("int32", 1);
  const dead = [1, 2, 3].map(() => start("waitAndDie", semaphore, inside));
  while (inside.get(0) < 3) await new Promise((go) => setTimeout(go, 5));
  for (const thread of dead) thread.terminate();
  const alive = semaphore.acquire();
  semaphore.release(4);
  await alive;
});

Deno.test("Semaphore refuses numbers of permits that cannot be", () => {
  for (const permits of [-1, 0.5, NaN, 2 ** 31]) {
    assertThrows(
      () => new Semaphore(permits),
      RangeError,
      "Semaphore: permits must be a whole number from 0 to 2147483647: got " +
        permits,
    );
  }
  assertThrows(() => new Semaphore(0, { maximum: 0 }), RangeError, "maximum");
  assertThrows(() => new Semaphore(2, { maximum: 1 }), RangeError, "0 to 1");
  const semaphore = new Semaphore(1);
  assertThrows(() => semaphore.release(0), RangeError, "got 0");
  assertEquals(semaphore.permits, 1);
});
