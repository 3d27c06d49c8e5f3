import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  Barrier,
  BrokenBarrierError,
  Lock,
  RLock,
  Semaphore,
  SharedArray,
  SharedEvent,
} from "@heddle/data/pool";
import { start, until } from "./threads.ts";

Deno.test("Barrier keeps threads together round after round", async () => {
  const barrier = new Barrier(4);
  const done = new SharedArray("int32", 4);
  const threads = [0, 1, 2, 3].map((me) =>
    start("rounds", barrier, done, me, 300)
  );
  const together = await Promise.all(threads.map((thread) => thread.result));
  for (const thread of threads) thread.terminate();
  assertEquals(together, [true, true, true, true]);
  assertEquals([barrier.waiting, barrier.broken], [0, false]);
});

Deno.test("Barrier gives each party its place, blocking or not", async () => {
  const barrier = new Barrier(3);
  const threads = [start("waitAt", barrier, true)];
  await until(() => barrier.waiting === 1);
  threads.push(start("waitAt", barrier, false));
  await until(() => barrier.waiting === 2);
  assertEquals(barrier.waitSync(), 2);
  const places = await Promise.all(threads.map((thread) => thread.result));
  for (const thread of threads) thread.terminate();
  assertEquals(places, ["place 0", "place 1"]);
  assertEquals(new Barrier(1).waitSync(), 0);
});

for (const blocking of [true, false]) {
  const how = blocking ? "blocks" : "awaits";

  Deno.test(`Barrier.abort() reaches a thread that ${how}, and those who come, until reset()`, async () => {
    const barrier = new Barrier(2);
    using thread = start("waitAt", barrier, blocking);
    await until(() => barrier.waiting === 1);
    barrier.abort();
    assertEquals(await thread.result, "BrokenBarrierError");
    assert(barrier.broken);
    assertThrows(() => barrier.waitSync(), BrokenBarrierError, "reset() it");
    await assertRejects(() => barrier.wait(), BrokenBarrierError, "reset() it");
    barrier.reset();
    assertEquals(await Promise.all([barrier.wait(), barrier.wait()]), [0, 1]);
  });

  Deno.test(`Barrier.reset() sends a thread that ${how} away`, async () => {
    const barrier = new Barrier(2);
    using thread = start("waitAt", barrier, blocking);
    await until(() => barrier.waiting === 1);
    barrier.reset();
    assertEquals(await thread.result, "BrokenBarrierError");
    assertEquals([barrier.broken, barrier.waiting], [false, 0]);
  });
}

Deno.test("Barrier that one gives up is broken for the others", async () => {
  const barrier = new Barrier(3);
  const other = assertRejects(() => barrier.wait(), BrokenBarrierError);
  const late = await assertRejects(() => barrier.wait({ timeoutMs: 10 }));
  assertEquals((late as Error).name, "TimeoutError");
  await other;
  assert(barrier.broken);
  barrier.reset();
  const again = assertRejects(() => barrier.wait(), BrokenBarrierError);
  assertThrows(() => barrier.waitSync({ timeoutMs: 10 }), DOMException);
  await again;
  barrier.reset();
  const last = assertRejects(() => barrier.wait(), BrokenBarrierError);
  const controller = new AbortController();
  const aborted = assertRejects(() =>
    barrier.wait({ signal: controller.signal })
  );
  controller.abort(new Error("not any more"));
  assertEquals((await aborted as Error).message, "not any more");
  await last;
});

Deno.test("Barrier remembers that a round was reset while others went on", async () => {
  const barrier = new Barrier(2);
  const reset = assertRejects(
    () => barrier.wait(),
    BrokenBarrierError,
    "reset",
  );
  barrier.reset();
  // In the same turn of the event loop: the first has not looked yet.
  const rounds = [
    barrier.wait(),
    barrier.wait(),
    barrier.wait(),
    barrier.wait(),
  ];
  await reset;
  assertEquals(await Promise.all(rounds), [0, 1, 0, 1]);
});

Deno.test("Barrier refuses numbers of parties that cannot be", () => {
  for (const parties of [0, -1, 1.5, 1024, NaN]) {
    assertThrows(
      () => new Barrier(parties),
      RangeError,
      `Barrier: parties must be a whole number from 1 to 1023: got ${parties}`,
    );
  }
  assertEquals(new Barrier(1023).parties, 1023);
  assertThrows(() => Barrier.from({ handle: {} } as never), TypeError);
});

Deno.test("Barrier is not broken by options that are refused", async () => {
  const barrier = new Barrier(2);
  const timeoutMs = -1;
  assertThrows(() => barrier.waitSync({ timeoutMs }), RangeError, "got -1");
  await assertRejects(() => barrier.wait({ timeoutMs }), RangeError, "got -1");
  assertEquals([barrier.waiting, barrier.broken], [0, false]);
});

Deno.test("Barrier, Lock and the like refuse what is no handle", () => {
  for (const Kind of [Barrier, Lock, RLock, Semaphore, SharedEvent]) {
    const Wrong = Kind as unknown as new (handle: unknown) => unknown;
    for (const handle of ["2", {}, new SharedArray("int8").handle]) {
      assertThrows(
        () => new Wrong(handle),
        TypeError,
        `${Kind.name}: expected`,
      );
    }
  }
});
