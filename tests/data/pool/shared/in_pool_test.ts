import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  Barrier,
  Lock,
  Pool,
  Semaphore,
  SharedArray,
  SharedEvent,
  SharedValue,
  TaskError,
  WorkerDiedError,
} from "@heddle/data/pool";
import {
  addOneToAll,
  addTo,
  addWithin,
  makeShared,
  meet,
  sumOf,
  takeAndExit,
} from "./in_pool.ts";

Deno.test("Pool passes shared objects as arguments, items, and in records", async () => {
  const lock = new Lock();
  const total = new SharedArray("float64", 2);
  await using pool = new Pool({ workers: 2, inCaller: false });
  await Promise.all(
    [1, 2, 3, 4].map((amount) =>
      pool.apply(addTo, [{ lock, parts: [total] }, amount, 5000])
    ),
  );
  assertEquals([...total.data], [50_000, 20_000]);
  const values = [1, 2, 3].map((value) => new SharedValue("int32", value));
  assertEquals(await pool.map(sumOf, values), [2, 3, 4]);
  assertEquals(values.map(({ value }) => value), [2, 3, 4]);
});

Deno.test("Pool passes shared objects where items run in the caller", async () => {
  await using pool = new Pool({ workers: 1 });
  const value = new SharedValue("int32");
  const items = Array.from({ length: 2000 }, () => value);
  const seen = await pool.map(sumOf, items);
  assertEquals(seen.length, 2000);
  assertEquals(value.value, 2000);
});

Deno.test("Pool passes shared objects in maps and sets, in their order", async () => {
  await using pool = new Pool({ workers: 1 });
  const event = new SharedEvent();
  event.set();
  const values = [1, 2, 3].map((value) => new SharedValue("int32", value));
  const [a, b, c] = values as [
    typeof values[0],
    typeof values[0],
    typeof values[0],
  ];
  const argument = {
    byName: new Map<string | SharedEvent, typeof values>([
      ["first", []],
      [event, [a]],
      ["last", [b]],
    ]),
    all: new Set([new Set([b, c])]),
  };
  assertEquals(await pool.apply(addOneToAll, [argument]), [
    "first",
    true,
    "last",
  ]);
  assertEquals(values.map(({ value }) => value), [2, 4, 4]);
});

Deno.test("Pool gives back the shared objects that a function made", async () => {
  await using pool = new Pool({ workers: 1 });
  const made = await pool.apply(makeShared, []);
  assert(made.lock instanceof Lock);
  assert(made.list[0] instanceof SharedEvent);
  assert(made.list[0].isSet);
  {
    using _held = made.lock.acquireSync();
    assertEquals(await pool.apply(addWithin, [made.lock, 5]), "TimeoutError");
  }
  assertEquals(await pool.apply(addWithin, [made.lock, 5000]), "acquired");
});

Deno.test("Barrier.abort() and Semaphore.release() make up for a worker that died", async () => {
  await using pool = new Pool({ workers: 2 });
  const barrier = new Barrier(2);
  const semaphore = new Semaphore(1);
  const waits = assertRejects(
    () => pool.apply(meet, [barrier, semaphore]),
    TaskError,
    "BrokenBarrierError",
  );
  await assertRejects(
    () => pool.apply(takeAndExit, [semaphore]),
    WorkerDiedError,
  );
  assertEquals(semaphore.permits, 0);
  barrier.abort();
  await waits;
  barrier.reset();
  semaphore.release();
  const places = await Promise.all([
    pool.apply(meet, [barrier, semaphore]),
    pool.apply(meet, [barrier, semaphore]),
  ]);
  assertEquals(places.sort(), [0, 1]);
});

Deno.test("Pool's workers meet at a Barrier and share a Semaphore", async () => {
  await using pool = new Pool({ workers: 2 });
  const barrier = new Barrier(2);
  const semaphore = new Semaphore(1);
  const places = await Promise.all([
    pool.apply(meet, [barrier, semaphore]),
    pool.apply(meet, [barrier, semaphore]),
  ]);
  assertEquals(places.sort(), [0, 1]);
});
