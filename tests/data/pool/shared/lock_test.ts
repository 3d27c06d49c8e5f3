import {
  assert,
  assertEquals,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import {
  AbandonedLockError,
  Lock,
  RLock,
  SharedArray,
  SharedEvent,
} from "@heddle/data/pool";
import { isDead } from "../../../../data/pool/shared/_threads.ts";
import { TURN_WORDS } from "../../../../data/pool/shared/_turns.ts";
import { start, until } from "./threads.ts";

/** The word of a lock that holds the number of its owner. */
const OWNER = TURN_WORDS;

const timedOut = { name: "TimeoutError" };

function assertTimeout(error: unknown): void {
  assert(error instanceof DOMException);
  assertEquals({ name: error.name }, timedOut);
}

for (const Kind of [Lock, RLock]) {
  const name = Kind.name;

  Deno.test(`${name} loses none of 1,000,000 increments of 4 threads`, async () => {
    const lock = new Kind();
    const counter = new SharedArray("int32", 1);
    const times = 250_000;
    const threads = [1, 2, 3, 4].map(() =>
      start("increment", lock, counter, times)
    );
    await Promise.all(threads.map((thread) => thread.result));
    for (const thread of threads) thread.terminate();
    assertEquals(counter.get(0), 4 * times);
    assertEquals(lock.locked, false);
  });

  for (const blocking of [true, false]) {
    const how = blocking ? "block" : "await";
    Deno.test(`${name} is given to threads that ${how} in the order in which they came`, async () => {
      const lock = new Kind();
      const sleepers = lock.handle.words; // the first word counts them
      for (let repetition = 0; repetition < 2; repetition++) {
        const places = new SharedArray("int32", 5);
        const held = lock.acquireSync();
        const threads = [];
        for (const me of [1, 2, 3, 4]) {
          threads.push(start("queue", lock, places, me, blocking));
          await until(() => Atomics.load(sleepers, 0) === me);
        }
        held.release();
        await Promise.all(threads.map((thread) => thread.result));
        for (const thread of threads) thread.terminate();
        assertEquals([...places.data], [4, 1, 2, 3, 4]);
      }
    });
  }

  const ends = ["terminate", "close", "exit", "throw"];
  for (const then of Kind === Lock ? ends : ends.slice(0, 1)) {
    Deno.test(`${name} whose holder ended by ${then} is reported to those who wait`, async () => {
      const lock = new Kind();
      const held = new SharedEvent();
      using holder = start("hold", lock, held, then);
      await held.wait();
      // It blocks, and hears of nothing: it has to find out by itself.
      using waiter = start("tryTo", lock, 60_000);
      const waiting = assertRejects(() => lock.acquire(), AbandonedLockError);
      if (then === "terminate") holder.terminate();
      await waiting;
      assertEquals(await waiter.result, "AbandonedLockError");
      // It stays so, until somebody sees to it.
      assertThrows(() => lock.acquireSync(), AbandonedLockError, "recover()");
      assertThrows(() => lock.tryAcquire(), AbandonedLockError);
      assert(lock.locked);
      {
        using _held = lock.recover();
        using late = start("tryTo", lock, 20);
        assertEquals(await late.result, "TimeoutError");
      }
      using next = start("tryTo", lock, 60_000);
      assertEquals(await next.result, "acquired");
    });
  }

  Deno.test(`${name} whose holder computes and does not answer is waited for`, async () => {
    const lock = new Kind();
    const held = new SharedEvent();
    using _holder = start("hold", lock, held, "compute");
    await held.wait();
    assertTimeout(
      await assertRejects(() => lock.acquire({ timeoutMs: 250 })),
    );
    assertTimeout(assertThrows(() => lock.acquireSync({ timeoutMs: 250 })));
    held.clear();
    using waiter = start("tryTo", lock, 300);
    assertEquals(await waiter.result, "TimeoutError"); // held, and alive
  });

  Deno.test(`${name} of another thread cannot be released, nor recovered while that lives`, async () => {
    const lock = new Kind();
    const held = new SharedEvent();
    using _holder = start("hold", lock, held, "idle");
    await held.wait();
    assertThrows(
      () => lock.release(),
      Error,
      `${name}.release: this thread does not hold the lock: it is held by another`,
    );
    assertThrows(
      () => lock.recover(),
      Error,
      "the lock is not abandoned: it is held by another",
    );
    assertEquals(lock.tryAcquire(), undefined);
  });

  Deno.test(`${name} that is free cannot be released, nor an acquisition twice`, async () => {
    const lock = new Kind();
    const free = "does not hold the lock: it is free";
    assertThrows(() => lock.release(), Error, free);
    const held = lock.acquireSync();
    held.release();
    assertThrows(() => held.release(), Error, "it was released before");
    held[Symbol.dispose](); // as `using` after release()
    const first = await lock.acquire();
    lock.release();
    assertThrows(() => first.release(), Error, "as acquired here: it is free");
    const before = lock.acquireSync();
    lock.release();
    using _held = lock.acquireSync();
    assertThrows(
      () => before.release(),
      Error,
      "as acquired here: it is held by this thread",
    );
    assert(lock.locked);
  });

  Deno.test(`${name}.acquire() ends by its signal, and those behind it go on`, async () => {
    const lock = new Kind();
    const heldElsewhere = new SharedEvent();
    const controller = new AbortController();
    using holder = start("hold", lock, heldElsewhere, "idle");
    await heldElsewhere.wait();
    const first = assertRejects(
      () => lock.acquire({ signal: controller.signal }),
    );
    const second = lock.acquire();
    const reason = new Error("no longer wanted");
    controller.abort(reason);
    assertStrictEquals(await first, reason);
    assertStrictEquals(
      await assertRejects(() => lock.acquire({ signal: controller.signal })),
      reason,
    );
    holder.terminate();
    await assertRejects(() => second, AbandonedLockError);
  });

  Deno.test(`${name} refuses a timeout that is no time, and what is no lock`, async () => {
    const lock = new Kind();
    using _held = lock.acquireSync({ timeoutMs: 0 }); // free: no time needed
    const other = new Kind();
    for (const timeoutMs of [-1, NaN, "1" as unknown as number]) {
      await assertRejects(
        () => new Lock().acquire({ timeoutMs }),
        RangeError,
        `Lock.acquire: timeoutMs must be a number from 0: got ${timeoutMs}`,
      );
    }
    assertThrows(
      () => Kind.from({} as never),
      TypeError,
      `${name}.from: expected what arrived of a ${name}: got object`,
    );
    assertThrows(
      () => Kind.from(structuredClone(new SharedEvent()) as never),
      TypeError,
      "got SharedEvent",
    );
    other.acquireSync().release();
  });
}

Deno.test("Lock loses no increment of threads that block and threads that await", async () => {
  const lock = new Lock();
  const counter = new SharedArray("int32", 1);
  const threads = [
    start("increment", lock, counter, 20_000),
    start("increment", lock, counter, 20_000),
    start("incrementLater", lock, counter, 500),
    start("incrementLater", lock, counter, 500),
  ];
  await Promise.all(threads.map((thread) => thread.result));
  for (const thread of threads) thread.terminate();
  assertEquals(counter.get(0), 41_000);
});

Deno.test("Lock excludes tasks of one thread, in the order in which they came", async () => {
  const lock = new Lock();
  const log: string[] = [];
  await Promise.all(["a", "b", "c"].map(async (name) => {
    using _held = await lock.acquire();
    log.push(`${name} in`);
    await new Promise((resolve) => setTimeout(resolve, 2));
    log.push(`${name} out`);
  }));
  assertEquals(log, ["a in", "a out", "b in", "b out", "c in", "c out"]);
});

Deno.test("Lock passes over a thread that waits only while that wakes", async () => {
  const lock = new Lock();
  const counts = new SharedArray("int32", 2);
  const hammers = [1, 2].map(() => start("hammer", lock, counts));
  await until(() => counts.get(1) > 1000);
  let most = 0;
  for (let i = 0; i < 50; i++) {
    const before = counts.get(1);
    const held = i % 2 === 0 ? lock.acquireSync() : await lock.acquire();
    most = Math.max(most, counts.get(1) - before);
    held.release();
  }
  counts.set(0, 1);
  await Promise.all(hammers.map((thread) => thread.result));
  for (const thread of hammers) thread.terminate();
  // 60 ms of a lock that takes 50 ns: a machine under load wakes slowly.
  assert(most < 1_200_000, `passed over ${most} times`);
});

Deno.test("Lock.acquireSync() while the thread holds it is an error, not a deadlock", async () => {
  const lock = new Lock();
  using _held = lock.acquireSync();
  assertThrows(
    () => lock.acquireSync({ timeoutMs: 5 }),
    Error,
    "Lock.acquireSync: this thread holds the lock and would wait for itself",
  );
  assertEquals(lock.tryAcquire(), undefined);
  // Another task of this thread may wait: it does not block the holder.
  assertTimeout(await assertRejects(() => lock.acquire({ timeoutMs: 5 })));
});

Deno.test("RLock is free once it was released as often as acquired", async () => {
  const lock = new RLock();
  const first = lock.acquireSync();
  const second = await lock.acquire();
  const third = lock.tryAcquire()!;
  for (const [held, rest] of [[first, 2], [third, 1], [second, 0]] as const) {
    using other = start("tryTo", lock, 1);
    assertEquals(await other.result, "TimeoutError");
    held.release();
    assertEquals(lock.locked, rest > 0);
  }
  assertThrows(() => lock.release(), Error, "it is free");
});

Deno.test("isDead() knows threads that ended, and no others", async () => {
  const lock = new Lock();
  const held = new SharedEvent();
  using thread = start("hold", lock, held, "idle");
  await held.wait();
  const { words, threads } = lock.handle;
  const owner = words[OWNER]!;
  for (let i = 0; i < 20; i++) {
    assertEquals(isDead(threads, owner), false);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  thread.terminate();
  await until(() => isDead(threads, owner));
  assertEquals(isDead(threads, owner), true);
});
