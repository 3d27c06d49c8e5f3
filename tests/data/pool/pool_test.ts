import {
  assert,
  assertEquals,
  assertGreater,
  assertInstanceOf,
  assertLess,
  assertRejects,
  assertThrows,
} from "@std/assert";
import {
  Barrier,
  delayed,
  Lock,
  moved,
  parallel,
  Pool,
  Process,
  remote,
  remoteModule,
  Semaphore,
  SharedEvent,
  TaskError,
  TaskFailedError,
  TaskGraph,
} from "@heddle/data/pool";
import {
  add,
  awaitTurn,
  countArguments,
  countCalls,
  countParts,
  evenOnly,
  fails,
  getState,
  givesFunction,
  increment,
  innerMap,
  meetOthers,
  ones,
  setState,
  spin,
  square,
  sumOf,
  throwsOdd,
  throwsOwn,
  throwsText,
  wait,
} from "./work.ts";
import type * as Work from "./work.ts";

const work = remoteModule<typeof Work>(import.meta.resolve("./work.ts"));

/** What `promise` rejects with. */
async function reasonOf(promise: Promise<unknown>): Promise<unknown> {
  return await promise.then(() => undefined, (reason) => reason);
}

Deno.test("Pool.map() keeps the order of the items, wherever they run", async () => {
  const items = Array.from({ length: 5000 }, (_, i) => i - 2500);
  const squares = items.map((x) => x * x);
  await using pool = new Pool({ workers: 2 });
  // Unknown, then known to be cheap, then of a module that is not loaded here.
  assertEquals(await pool.map(square, items), squares);
  assertEquals(await pool.map(square, items), squares);
  assertEquals(await pool.map(work.square, items), squares);
  for (const chunkSize of [1, 7, 9999]) {
    const few = items.slice(0, 50);
    assertEquals(
      await pool.map(square, few, { chunkSize }),
      squares.slice(0, 50),
    );
  }
});

Deno.test("Pool.map() takes every kind of collection, and none and one item", async () => {
  await using pool = new Pool({ workers: 2, inCaller: false });
  const shared = new Float64Array(new SharedArrayBuffer(24));
  shared.set([1, 2, 3]);
  for (
    const items of [
      [1, 2, 3],
      new Set([1, 2, 3]),
      Int32Array.of(1, 2, 3),
      Float64Array.of(0, 1, 2, 3).subarray(1),
      shared,
      (function* () {
        yield* [1, 2, 3];
      })(),
      (async function* () {
        yield* [1, 2, 3];
      })(),
    ]
  ) assertEquals(await pool.map(square, items), [1, 4, 9]);
  assertEquals(await pool.map(square, []), []);
  assertEquals(await pool.map(square, [3]), [9]);
  assertEquals(await pool.map(square, [-0, NaN, Infinity]), [0, NaN, Infinity]);
});

Deno.test("Pool.starmap() spreads each item over the parameters", async () => {
  await using pool = new Pool({ workers: 2 });
  assertEquals(await pool.starmap(add, [[1, 2], [3, 4]]), [3, 7]);
  const pairs = Array.from({ length: 300 }, (_, i): [number, number] => [i, 1]);
  const sums = pairs.map(([a, b]) => a + b);
  assertEquals(await pool.starmap(add, pairs), sums);
  assertEquals(await pool.starmap(add, pairs), sums);
});

Deno.test("Pool runs a function both with items and with lists of arguments in the caller", async () => {
  await using pool = new Pool({ workers: 1 });
  const lists = Array.from({ length: 5000 }, (_, x) => [x, x, x]);
  for (let round = 0; round < 2; round++) {
    const spread = await pool.starmap(countArguments, lists as [][]);
    assertEquals(new Set(spread), new Set([3]));
    const whole = await pool.map(countArguments, lists as []);
    assertEquals(new Set(whole), new Set([1]));
  }
  assertLess(1000, pool.statistics.itemsInCaller);
});

Deno.test("Pool.map() gives arrays made for numbers, whatever it gave before", async () => {
  const program = `
    import { Pool } from "@heddle/data/pool";
    import { getState, negate } from ${
    JSON.stringify(import.meta.resolve("./work.ts"))
  };
    await using pool = new Pool({ workers: 1, inCaller: false });
    const halves = Array.from({ length: 5000 }, (_, x) => x + 0.5);
    for (let i = 0; i < 3; i++) await pool.map(getState, halves);
    const negated = await pool.map(negate, halves);
    const test = new Function("array", "return %HasDoubleElements(array)");
    console.log(test(negated));`;
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--v8-flags=--allow-natives-syntax", program],
    cwd: new URL("../../..", import.meta.url),
    stderr: "inherit",
  }).output();
  assertEquals(new TextDecoder().decode(stdout), "true\n");
});

Deno.test("Pool.apply() and applyAsync() give what the function gives", async () => {
  await using pool = new Pool({ workers: 2 });
  assertEquals(await pool.apply(add, [1, 2]), 3);
  const result = pool.applyAsync(wait, [30]);
  assertEquals(result.ready(), false);
  assertThrows(() => result.successful(), Error, "has not ended");
  assertEquals(await result.wait(0), false);
  const late = await assertRejects(() => result.get(1), DOMException);
  assertEquals(late.name, "TimeoutError");
  assertEquals(await result.get(5000), 30);
  assertEquals(
    [result.ready(), result.successful(), await result.wait()],
    [true, true, true],
  );
  const failure = pool.applyAsync(fails, ["why"]);
  assertEquals(await failure.wait(5000), true);
  assertEquals(failure.successful(), false);
  await assertRejects(() => failure.get(), TaskError, "why");
  const mapped = pool.mapAsync(square, [1, 2]);
  assertEquals(await mapped.get(5000), [1, 4]);
});

Deno.test("Pool rejects with the error of the worker, its stack and the index", async () => {
  await using pool = new Pool({ workers: 2 });
  const error = await assertRejects(
    () => pool.map(evenOnly, [0, 2, 4, 5, 6]),
    TaskError,
    "evenOnly: item 3: RangeError: 5 is odd",
  );
  assertEquals(error.index, 3);
  assertInstanceOf(error.cause, RangeError);
  assertEquals(error.cause.message, "5 is odd");
  assert(error.cause.stack?.includes("work.ts:"), error.cause.stack);

  const own = await reasonOf(pool.apply(throwsOwn, []));
  assertInstanceOf(own, TaskError);
  assertInstanceOf(own.cause, Error);
  assertEquals(own.cause.name, "CodedError");
  assertEquals((own.cause as Error & { code: string }).code, "E_CODE");
  assertEquals((own.cause.cause as Error).message, "deeper");

  const text = await reasonOf(pool.apply(throwsText, [], { index: 12 }));
  assertInstanceOf(text, TaskError);
  assertEquals([text.cause, text.index], ["only text", 12]);
});

for (const isolation of ["thread", "process"] as const) {
  Deno.test(`Pool, isolation: "${isolation}", reports what was thrown, whatever it is`, async () => {
    await using pool = new Pool({ workers: 1, isolation });
    const kinds = ["stack", "cause", "field", "shared", "proxy", "plain"];
    const outcomes = await pool.mapSettled(throwsOdd, kinds);
    for (const [index, kind] of kinds.entries()) {
      const { reason } = outcomes[index] as PromiseRejectedResult;
      assertInstanceOf(reason, TaskError);
      assertEquals(reason.index, index);
      if (kind === "proxy") assert(reason.message.includes("threw object"));
      else assertEquals((reason.cause as Error).message, kind);
    }
  });
}

Deno.test("Pool's errors show who awaits the call", async () => {
  await using pool = new Pool({ workers: 1 });
  async function namesItself(run: () => Promise<unknown>): Promise<Error> {
    try {
      await run();
    } catch (error) {
      return error as Error;
    }
    throw new Error("no error");
  }
  for (
    const run of [
      () => pool.apply(fails, ["text"]),
      () => pool.map(evenOnly, [0, 1]),
      () => pool.starmap(fails, [["text"]]),
      () => pool.imap(fails, ["text"]).next(),
      () => pool.imapUnordered(fails, ["text"]).next(),
    ]
  ) {
    const { stack } = await namesItself(run);
    const [first, second] = stack!.split("\n");
    assert(first!.startsWith("TaskError: "), stack);
    assert(second!.includes("namesItself"), stack);
  }
  async function loopsItself(ms: number): Promise<void> {
    const results = pool.imap(evenOnly, [0, 1]);
    await results.next();
    await new Promise((resolve) => setTimeout(resolve, ms));
    for await (const _ of results);
  }
  for (const ms of [0, 50]) { // before the error is there, and after
    const error = await reasonOf(loopsItself(ms)) as Error;
    assert(error.stack!.split("\n")[1]!.includes("loopsItself"), error.stack);
  }
});

Deno.test("Pool.mapSettled() goes on after items that fail", async () => {
  await using pool = new Pool({ workers: 2 });
  const items = Array.from({ length: 100 }, (_, i) => i);
  for (let round = 0; round < 2; round++) { // in workers, then here
    const outcomes = await pool.mapSettled(evenOnly, items);
    for (const [i, outcome] of outcomes.entries()) {
      if (outcome.status === "fulfilled") assertEquals(outcome.value, i);
      else {
        assertInstanceOf(outcome.reason, TaskError);
        assertEquals([outcome.reason.index, i % 2], [i, 1]);
      }
    }
    assertEquals(outcomes.length, 100);
  }
});

Deno.test("Pool says which argument or result cannot be sent", async () => {
  await using pool = new Pool({ workers: 1 });
  const callback = (() => 1) as unknown as number;
  const argument = await assertRejects(
    () => pool.map(square, [1, 2, callback]),
    TaskError,
    "square: item 2: TypeError: the argument cannot be sent",
  );
  assertEquals(argument.index, 2);
  for (let round = 0; round < 2; round++) {
    const outcomes = await pool.mapSettled(givesFunction, [0, 1, 2]);
    assertEquals(outcomes.map(({ status }) => status), [
      "fulfilled",
      "rejected",
      "fulfilled",
    ]);
    const [, failed] = outcomes as [unknown, PromiseRejectedResult];
    assertEquals(failed.reason.index, 1);
    assert(failed.reason.message.includes("the result cannot be sent"));
  }
});

Deno.test("Pool names the way to what cannot be sent", async () => {
  class Settings {
    future = graph.submit(square, 2);
  }
  const f = () => 1;
  const port = new MessageChannel();
  await using pool = new Pool({ workers: 1 });
  using graph = new TaskGraph(pool);
  const loop: { self?: unknown; f: unknown } = { f };
  loop.self = loop;
  const cases: [unknown, string][] = [
    [f, "argument 1 cannot be sent: got function f"],
    [
      { config: { f } },
      "argument 1, .config.f, cannot be sent: got function f",
    ],
    [[0, { "a b": f }], 'argument 1, [1]["a b"], cannot'],
    [new Map([["k", [f]]]), 'argument 1, .get("k")[0], cannot'],
    [new Map([[{ f }, 1]]), "argument 1, .keys()[0].f, cannot"],
    [new Set([1, f]), "argument 1, .values()[1], cannot"],
    [loop, "argument 1, .f, cannot"],
    [
      { settings: new Settings() },
      "argument 1, .settings.future, cannot be sent: got Future: await its",
    ],
    [pool.applyAsync(square, [1]), "cannot be sent: got AsyncResult: await"],
    [
      [pool],
      "argument 1, [0], cannot be sent: got Pool: a worker makes its own",
    ],
    [{ p: Promise.resolve() }, "argument 1, .p, cannot be sent: #<Promise>"],
    [[port.port1], "argument 1, [0], cannot be sent"],
  ];
  for (const [value, message] of cases) {
    const error = await assertRejects(
      () => pool.apply(countParts, [0, value]),
      TaskError,
      message,
    );
    assertInstanceOf(error.cause, TypeError);
  }
  const failed = graph.submit(countParts, { settings: new Settings() });
  await assertRejects(
    () => failed.result(),
    TaskFailedError,
    "argument 0, .settings.future, cannot be sent: got Future",
  );
  await assertRejects(
    () => pool.map(countParts, [{ f } as never]),
    TaskError,
    "the argument, .f, cannot be sent: got function f",
  );
  port.port1.close();
  port.port2.close();
});

Deno.test("Pool says which module, export or function is missing", async () => {
  await using pool = new Pool({ workers: 1 });
  const nowhere = remoteModule<{ f(): number }>(
    new URL("./not_there.ts", import.meta.url),
  );
  await assertRejects(
    () => pool.apply(nowhere.f, []),
    Error,
    `f: cannot load ${new URL("./not_there.ts", import.meta.url)}: `,
  );
  const wrong = remoteModule<{ sqare(x: number): number; number(): number }>(
    import.meta.resolve("./work.ts"),
  );
  await assertRejects(
    () => pool.map(wrong.sqare, [1, 2]),
    TypeError,
    "has no such export: it exports add,",
  );
  await assertRejects(
    () => pool.apply(wrong.number, []),
    TypeError,
    "is no function: got number",
  );
  const plain = ((x: number) => x) as unknown as typeof square;
  await assertRejects(
    () => pool.map(plain, [1]),
    TypeError,
    "Pool.map: the function has no module to find it by: got function plain",
  );
  assertEquals(await pool.apply(add, [1, 1]), 2); // still works
});

Deno.test("remote() and remoteModule() refuse what has no name", () => {
  assertThrows(
    () => remote(import.meta, (() => () => 1)()),
    TypeError,
    "remote: the function has no name",
  );
  assertThrows(
    () => remote(import.meta, 3 as unknown as () => void),
    TypeError,
    "remote: expected a function: got number",
  );
  assertThrows(
    () => remoteModule("./work.ts"),
    TypeError,
    'the URL must be absolute: got "./work.ts"',
  );
  assertEquals(square(4), 16);
});

Deno.test("Pool says what is wrong with items and arguments", async () => {
  await using pool = new Pool({ workers: 1 });
  for (const items of [5, undefined, {}, Promise.resolve([1]), { length: 1 }]) {
    const wrong = items as unknown as number[];
    const message = ": items must be iterable: got ";
    await assertRejects(() => pool.map(square, wrong), TypeError, message);
    assertThrows(() => pool.imap(square, wrong), TypeError, message);
  }
  await assertRejects(
    () => pool.starmap(add, [[1, 2], 3 as unknown as [number, number]]),
    TypeError,
    "Pool.starmap: item 1 must be a list of arguments: got number",
  );
  await assertRejects(
    () => pool.apply(square, 5 as unknown as [number]),
    TypeError,
    "Pool.apply: expected a list of arguments: got number",
  );
  assertThrows(
    () => new Pool({ initializer: square as never }),
    TypeError,
    "Pool: initializer: expected a delayed call: got function square",
  );
  assertEquals(await pool.map(getState, "ab" as Iterable<unknown> as []), [
    "fresh",
    "fresh",
  ]);
});

Deno.test("AsyncResult.get() takes any number of ms, and nothing else", async () => {
  await using pool = new Pool({ workers: 1 });
  const result = pool.applyAsync(wait, [50]);
  for (const timeoutMs of [-1, NaN, null, "5"] as number[]) {
    await assertRejects(() => result.get(timeoutMs), RangeError, "got");
  }
  assertEquals(await result.wait(2 ** 40), true);
  assertEquals(await result.get(Infinity), 50);
});

Deno.test("Pool.map() draws from a slow source until it is stopped", async () => {
  async function* blocked() {
    yield 1;
    await new Promise(() => {});
  }
  const pool = new Pool({ workers: 1 });
  await assertRejects(
    () => pool.map(square, blocked(), { signal: AbortSignal.timeout(20) }),
    DOMException,
    "timeout",
  );
  const { promise: asked, resolve: give } = Promise.withResolvers<void>();
  async function* slow() {
    await asked;
    yield 3;
  }
  const squares = pool.map(square, slow());
  pool.close();
  const ended = pool.join();
  give();
  assertEquals(await squares, [9]);
  await ended;

  const other = new Pool({ workers: 1 });
  const never = assertRejects(() => other.map(square, blocked()), DOMException);
  other.terminate();
  await never;
  await other.join();
});

Deno.test("Pool.terminate() leaves silent what nobody waits for", async () => {
  await assertRejects(
    async () => {
      await using pool = new Pool({ workers: 3 });
      pool.map(wait, [1000]); // an unhandled rejection would end this test
      pool.apply(wait, [1000]);
      await pool.apply(fails, ["the error that counts"]);
    },
    TaskError,
    "the error that counts",
  );
});

Deno.test("Pool refuses options out of range", async () => {
  for (const workers of [0, 1.5, -1, NaN]) {
    assertThrows(() => new Pool({ workers }), RangeError, "workers must be");
  }
  assertThrows(
    () => new Pool({ maxTasksPerWorker: 0 }),
    RangeError,
    "maxTasksPerWorker must be a whole number from 1 on: got 0",
  );
  assertThrows(() => new Pool({ idleMs: -1 }), RangeError, "idleMs");
  await using pool = new Pool({ workers: 1 });
  await assertRejects(
    () => pool.map(square, [1], { chunkSize: 0 }),
    RangeError,
    "Pool.map: chunkSize must be",
  );
  assertThrows(
    () => pool.imap(square, [1], { ahead: 0 }),
    RangeError,
    "Pool.imap: ahead must be",
  );
});

Deno.test("Pool runs cheap items in the calling thread, and says so", async () => {
  await using pool = new Pool({ workers: 2 });
  const items = Array.from({ length: 20_000 }, (_, i) => i);
  // What it measures is disturbed by what else runs: it may take a few maps.
  for (let maps = 0;; maps++) {
    assertLess(maps, 100);
    const before = pool.statistics;
    await pool.map(square, items.slice(0, 200));
    const { items: all, itemsInCaller } = pool.statistics;
    assertEquals(all - before.items, 200);
    if (itemsInCaller - before.itemsInCaller === 200) break;
  }

  await using workersOnly = new Pool({ workers: 2, inCaller: false });
  await workersOnly.map(square, items);
  await workersOnly.map(square, items);
  assertEquals(workersOnly.statistics.itemsInCaller, 0);
  assertEquals(workersOnly.statistics.items, 40_000);
});

Deno.test("Pool runs costly items in workers, in chunks that follow from their cost", async () => {
  await using pool = new Pool({ workers: 2 });
  await pool.map(spin, Array<number>(6).fill(15));
  const slow = pool.statistics;
  assertEquals([slow.itemsInCaller, slow.chunks], [0, 6]); // one each
  await pool.map(spin, Array<number>(400).fill(0.2), { chunkSize: 10 });
  assertEquals(pool.statistics.chunks - slow.chunks, 40);
  assertGreater(pool.statistics.workers[0]!.busyMs, 0);
});

Deno.test("Pool shares out a chunk that takes longer than expected", async () => {
  await using pool = new Pool({ workers: 2, inCaller: false });
  const cheap = Array<number>(200).fill(0.01);
  await pool.map(spin, cheap);
  // By now a chunk holds many: the last ones of the first must not wait.
  await pool.map(spin, [...cheap, ...Array<number>(16).fill(60)]);
  const [a, b] = pool.statistics.workers;
  assertGreater(Math.min(a!.busyMs, b!.busyMs), 250); // of 960
});

Deno.test("Pool gives to idle workers what waits behind an item that takes long", async () => {
  await using pool = new Pool({ workers: 2, inCaller: false });
  const words = new Int32Array(new SharedArrayBuffer(4));
  const cheap = Array.from({ length: 2000 }, () => [words, 0] as const);
  const calls: [Int32Array, number][] = cheap.map((args) => [...args]);
  await pool.starmap(meetOthers, calls);
  for (let round = 0; round < 3; round++) { // behind it in its chunk
    words[0] = 0;
    const some = calls.slice(0, 40);
    some[round] = [words, 39];
    const met = await pool.starmap(meetOthers, some);
    assertEquals(new Set(met), new Set([true]));
  }
  for (let round = 0; round < 3; round++) { // and in the next chunk
    words[0] = 0;
    const applied = [[words, 39] as [Int32Array, number], ...calls.slice(0, 39)]
      .map((args) => pool.apply(meetOthers, args));
    assertEquals(new Set(await Promise.all(applied)), new Set([true]));
  }
  assertEquals(pool.statistics.failed + pool.statistics.deaths, 0);
});

Deno.test("Pool copies no shared memory, and moves what is marked", async () => {
  await using pool = new Pool({ workers: 2 });
  const words = new Int32Array(new SharedArrayBuffer(4));
  await Promise.all(
    Array.from({ length: 50 }, () => pool.apply(increment, [words])),
  );
  assertEquals(words[0], 50);

  const kept = Float64Array.of(1, 2);
  const given = Float64Array.of(3, 4);
  assertEquals(await pool.apply(sumOf, [kept]), 3);
  assertEquals(await pool.apply(sumOf, [moved(given)]), 7);
  assertEquals([kept.length, given.length], [2, 0]);

  const pieces = [1, 2, 3].map((x) => moved(new Float64Array(5).fill(x)));
  assertEquals(await pool.map(sumOf, pieces), [5, 10, 15]);
  assertEquals(pieces.map(({ length }) => length), [0, 0, 0]);
  // Cheap by now, yet still moved where it runs in the calling thread.
  const many = Array.from(
    { length: 100 },
    () => moved(new Float64Array(1).fill(1)),
  );
  assertEquals(await pool.map(sumOf, many), Array(100).fill(1));
  assertEquals(many.every(({ length }) => length === 0), true);
  assertThrows(() => moved({ x: 1 }), TypeError, "moved: nothing to move");
});

Deno.test("Pool carries large results", async () => {
  await using pool = new Pool({ workers: 2 });
  const arrays = await pool.map(ones, Array<number>(4).fill(1_000_000));
  assertEquals(arrays.map(({ length }) => length), Array(4).fill(1_000_000));
  assertEquals(arrays[3]!.at(-1), 1);
});

Deno.test("Pool calls the initializer in each worker, and nothing in the caller", async () => {
  await using pool = new Pool({
    workers: 2,
    initializer: delayed(setState)("set"),
  });
  const states = await pool.map(getState, Array<number>(500).fill(0));
  assertEquals(new Set(states), new Set(["set"]));
  assertEquals(pool.statistics.itemsInCaller, 0);
});

Deno.test("Pool fails as a whole where the initializer does", async () => {
  await using throwing = new Pool({
    workers: 2,
    initializer: delayed(setState)("throw"),
  });
  await assertRejects(
    () => throwing.map(square, [1, 2]),
    Error,
    "Pool: the initializer failed: RangeError: no such state",
  );
  await assertRejects(() => throwing.apply(add, [1, 2]), Error, "initializer");
  await using exiting = new Pool({
    workers: 2,
    initializer: delayed(setState)("exit"),
  });
  await assertRejects(
    () => exiting.map(square, [1, 2]),
    Error,
    "3 workers ended before they could work: Deno.exit(3)",
  );
});

Deno.test("Pool replaces workers after maxTasksPerWorker items", async () => {
  await using pool = new Pool({
    workers: 2,
    maxTasksPerWorker: 5,
    inCaller: false,
  });
  const counts = await pool.map(countCalls, Array<number>(40).fill(0));
  assertEquals(Math.max(...counts), 5);
  assertGreater(pool.statistics.restarts, 5);
  assertEquals(pool.statistics.deaths, 0);
});

Deno.test("Pool.imap() draws only so far ahead of what is asked for", async () => {
  await using pool = new Pool({ workers: 2 });
  let drawn = 0;
  let returned = false;
  function* endless() {
    try {
      for (;;) yield drawn++;
    } finally {
      returned = true;
    }
  }
  for (const ahead of [1, 10]) {
    drawn = 0;
    returned = false;
    let taken = 0;
    for await (const value of pool.imap(square, endless(), { ahead })) {
      assertEquals(value, taken ** 2);
      taken++;
      await new Promise((resolve) => setTimeout(resolve, 1));
      assertLess(drawn, taken + 1 + ahead + 1);
      if (taken === 25) break;
    }
    assertEquals(returned, true);
  }
});

Deno.test("Pool.imap() and imapUnordered() give everything", async () => {
  await using pool = new Pool({ workers: 2 });
  async function* slowly() {
    for (let i = 0; i < 20; i++) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      yield i;
    }
  }
  const squares = Array.from({ length: 20 }, (_, i) => i * i);
  assertEquals(await Array.fromAsync(pool.imap(square, slowly())), squares);
  const words = new Int32Array(new SharedArrayBuffer(4));
  const turns = [[words, 1], [words, 0]] as [Int32Array, number][];
  const unordered: number[] = [];
  for await (const turn of pool.imapUnordered(awaitTurn, turns)) {
    unordered.push(turn);
    Atomics.add(words, 0, 1);
  }
  assertEquals(unordered, [0, 1]);
  const many = Array.from({ length: 3000 }, (_, i) => i);
  assertEquals(
    await Array.fromAsync(pool.imap(square, many)),
    many.map((x) => x * x),
  );
  assertEquals(await Array.fromAsync(pool.imap(square, [])), []);
});

Deno.test("Pool.imap() fails at the item that failed, and goes on if asked", async () => {
  await using pool = new Pool({ workers: 2 });
  const results = pool.imap(evenOnly, [0, 1, 2, 3]);
  assertEquals(await results.next(), { done: false, value: 0 });
  const error = await assertRejects(() => results.next(), TaskError);
  assertEquals(error.index, 1);
  assertEquals(await results.next(), { done: false, value: 2 });
  await assertRejects(() => results.next(), TaskError);
  assertEquals((await results.next()).done, true);

  function* breaks() {
    yield 1;
    throw new RangeError("no more");
  }
  const broken = pool.imap(square, breaks());
  assertEquals((await broken.next()).value, 1);
  await assertRejects(() => broken.next(), RangeError, "no more");
  assertEquals((await broken.next()).done, true);
});

function* countTo(count: number) {
  for (let i = 0; i < count; i++) yield i;
}

Deno.test("Pool.join() does what iterators have still to do, and the results wait there", async () => {
  const items = Array.from({ length: 300 }, (_, i) => i);
  const squares = items.map((x) => x * x);
  await Promise.all([true, false].map(async (inCaller) => {
    const pool = new Pool({ workers: 2, inCaller });
    const begun = pool.imap(square, items, { ahead: 3 });
    assertEquals((await begun.next()).value, 0);
    const untouched = pool.imapUnordered(square, new Set(items));
    const failing = pool.imap(evenOnly, Int8Array.of(1));
    pool.close();
    await pool.join();
    assertEquals(await Array.fromAsync(begun), squares.slice(1));
    const unordered = await Array.fromAsync(untouched);
    assertEquals(unordered.sort((a, b) => a - b), squares);
    await assertRejects(() => failing.next(), TaskError, "1 is odd");
    assertEquals((await failing.next()).done, true);
  }));
});

Deno.test("Pool.join() says which iterator holds the pool, unless it may end", async () => {
  const aside = async (touched: boolean) => {
    const pool = new Pool({ workers: 1 });
    const first = pool.imap(square, Array(300).fill(1));
    const results = pool.imap(square, countTo(Infinity), { ahead: 5 });
    if (touched) assertEquals((await results.next()).value, 0);
    pool.close();
    await assertRejects(
      () => pool.join(),
      Error,
      "Pool.join: the iterator of Pool.imap(square) holds the pool: its source",
    );
    assertLess(pool.statistics.items, 300); // the others were not drawn
    assertEquals((await results.next()).value, touched ? 1 : 0); // it goes on
    await results.return!();
    await pool.join();
    assertEquals((await Array.fromAsync(first)).length, 300);
  };
  await Promise.all([aside(true), aside(false)]);

  const other = new Pool({ workers: 1 });
  const short = other.imap(square, [1, 2].values());
  assertEquals((await short.next()).value, 1); // and the end is known
  const untouched = other.imap(square, countTo(3));
  other.close();
  await other.join();
  assertEquals((await short.next()).value, 4);
  assertEquals(await Array.fromAsync(untouched), [0, 1, 4]);
});

Deno.test("Pool.join() waits for iterators that are being read", async () => {
  const pool = new Pool({ workers: 2 });
  let read = 0;
  const reading = (async () => {
    for await (const _ of pool.imap(square, countTo(500))) read++;
  })();
  const leaving = (async () => {
    for await (const _ of pool.imap(square, countTo(Infinity))) break;
  })();
  pool.close();
  await pool.join();
  assertEquals(read, 500);
  await Promise.all([reading, leaving]);
});

Deno.test("Pool.join() keeps the limit on results ahead while somebody reads slowly", async () => {
  const pool = new Pool({ workers: 1 });
  const items = Array.from({ length: 40 }, (_, i) => i);
  let read = 0;
  let most = 0;
  const readSlowly = async (source: Iterable<number>) => {
    for await (const _ of pool.imap(square, source, { ahead: 4 })) {
      read++;
      await new Promise((resolve) => setTimeout(resolve, 30));
      most = Math.max(most, pool.statistics.items - read);
    }
  };
  const reading = [readSlowly(items), readSlowly(countTo(40))];
  pool.close();
  await pool.join();
  assertLess(most, 12); // 4 ahead of each, and what is on its way
  await Promise.all(reading);
  assertEquals(read, 80);
});

Deno.test("Pool and what goes with it refuse options that there are not", async () => {
  await using pool = new Pool({ workers: 1 });
  const graph = new TaskGraph(pool);
  const wrong = { wrokers: 1 } as Record<never, never>;
  const calls: Record<string, () => unknown> = {
    "Pool": () => new Pool(wrong),
    "Pool.map": () => pool.map(square, [1], wrong),
    "Pool.starmap": () => pool.starmap(add, [[1, 2]], wrong),
    "Pool.imap": () => pool.imap(square, [1], wrong),
    "Pool.apply": () => pool.apply(square, [1], wrong),
    "parallel": () => parallel(wrong),
    "Process": () => new Process(square, [1], wrong),
    "TaskGraph": () => graph.with(wrong),
    "TaskGraph.wait": () => graph.wait([], wrong),
    "Future.result": () => graph.scatter(1).result(wrong),
    "Semaphore": () => new Semaphore(1, wrong),
    "Semaphore.acquire": () => new Semaphore(1).acquire(wrong),
    "Lock.acquire": () => new Lock().acquire(wrong),
    "Barrier.wait": () => new Barrier(1).wait(wrong),
    "SharedEvent.wait": () => new SharedEvent().wait(wrong),
  };
  for (const [name, call] of Object.entries(calls)) {
    await assertRejects(
      async () => await call(),
      TypeError,
      `${name}: no such option: got wrokers: use `,
    );
  }
  assertThrows(
    () => new Semaphore(1, { max: 1 } as Record<never, never>),
    TypeError,
    "Semaphore: no such option: got max: use maximum",
  );
  assertThrows(
    () => new Pool(4 as unknown as Record<never, never>),
    TypeError,
    "Pool: the options are not an object: got number: pass them as { workers,",
  );
});

Deno.test("Pool.close() lets iterators be read that were made before", async () => {
  const pool = new Pool({ workers: 1 });
  const results = pool.imap(square, [1, 2, 3].values(), { ahead: 1 });
  pool.close();
  assertEquals(await Array.fromAsync(results), [1, 4, 9]);
  await pool.join();
});

Deno.test("Pool.imap() releases everything when its loop is left", async () => {
  const pool = new Pool({ workers: 2, inCaller: false });
  let returned = 0;
  async function* slowly() {
    try {
      for (let i = 0;; i++) {
        await new Promise((resolve) => setTimeout(resolve, 1));
        yield i;
      }
    } finally {
      returned++;
    }
  }
  const { signal } = new AbortController();
  const listeners = new Set<unknown>();
  let added = 0;
  signal.addEventListener = (_: string, listener: unknown) => {
    added = listeners.add(listener).size;
  };
  signal.removeEventListener = (_: string, listener: unknown) => {
    listeners.delete(listener);
  };
  for await (const _ of pool.imap(wait, slowly(), { ahead: 4, signal })) break;
  for await (const _ of pool.imapUnordered(square, [1, 2], { signal }));
  assertEquals([added, listeners.size], [1, 0]);
  const before = pool.statistics.items;
  assertEquals(await pool.map(square, [3]), [9]);
  await new Promise((resolve) => setTimeout(resolve, 30));
  assertLess(pool.statistics.items - before, 10);
  assertEquals(returned, 1);
  pool.close();
  await pool.join();
});

Deno.test("Pool stops at its signal, in the middle of an item too", async () => {
  await using pool = new Pool({ workers: 2 });
  const aborted = AbortSignal.abort(new RangeError("before"));
  await assertRejects(
    () => pool.map(square, [1], { signal: aborted }),
    RangeError,
    "before",
  );
  await pool.map(wait, [1, 1]); // until they are there
  const late = await reasonOf(
    pool.apply(spin, [900], { signal: AbortSignal.timeout(20) }),
  );
  assertEquals((late as DOMException).name, "TimeoutError");
  const stop = new AbortController();
  const map = pool.map(spin, [900, 900, 900], {
    signal: stop.signal,
  });
  const stream = pool.imap(wait, [1, 60_000], { signal: stop.signal });
  const single = pool.apply(add, [1, 2]); // waits behind them
  setTimeout(() => stop.abort(new RangeError("stop")), 50);
  await assertRejects(() => map, RangeError, "stop");
  await assertRejects(() => Array.fromAsync(stream), RangeError, "stop");
  assertEquals(await single, 3);
  while (pool.statistics.restarts === 0) await pool.apply(wait, [20]);
  assertEquals(pool.statistics.deaths, 0);
});

Deno.test("Pool.close() finishes what is there and refuses what comes", async () => {
  const pool = new Pool({ workers: 2 });
  await assertRejects(() => pool.join(), Error, "call close() or terminate()");
  const running = pool.map(wait, [20, 20, 20]);
  pool.close();
  await assertRejects(
    () => pool.map(square, [1]),
    Error,
    "Pool.map: the pool is closed",
  );
  assertThrows(() => pool.imap(square, [1]), Error, "Pool.imap: the pool is");
  await assertRejects(() => pool.apply(add, [1, 2]), Error, "Pool.apply");
  assertEquals(await running, [20, 20, 20]);
  await pool.join();
  await pool.join();
});

Deno.test("Pool.terminate() fails what is under way", async () => {
  const pool = new Pool({ workers: 2 });
  const running = reasonOf(pool.map(spin, [900, 900, 900]));
  const streaming = reasonOf(pool.imap(wait, [60_000]).next());
  await new Promise((resolve) => setTimeout(resolve, 20));
  pool.terminate();
  for (const reason of [await running, await streaming]) {
    assertEquals((reason as DOMException).name, "AbortError");
  }
  await pool.join();
  using unused = new Pool({ workers: 1 });
  assertEquals(unused.size, 1);
});

Deno.test("Pool may be made in a worker of another", async () => {
  await using pool = new Pool({ workers: 2 });
  assertEquals(await pool.map(innerMap, [1, 2]), [[1, 4], [4, 9]]);
});

Deno.test("Pool refuses to be made by a module that a worker loads", async () => {
  await using pool = new Pool({ workers: 1 });
  const careless = remoteModule<{ f(): number }>(
    import.meta.resolve("./careless.ts"),
  );
  await assertRejects(
    () => pool.apply(careless.f, []),
    Error,
    "make it behind if (import.meta.main)",
  );
});

Deno.test("Pool lets idle workers go and starts them again", async () => {
  await using pool = new Pool({ workers: 1, idleMs: 50, inCaller: false });
  assertEquals(await pool.map(countCalls, [0, 0]), [1, 2]);
  await new Promise((resolve) => setTimeout(resolve, 700));
  assertEquals(await pool.map(countCalls, [0]), [1]);
  assertEquals(pool.statistics.restarts, 1);
});

Deno.test("Pool that is forgotten lets the program end", async () => {
  const program = `
    import { Pool, remoteModule } from "@heddle/data/pool";
    const { extname } = remoteModule(${
    JSON.stringify(import.meta.resolve("@std/path"))
  });
    const pool = new Pool({ workers: 2, idleMs: 100 });
    console.log(await pool.apply(extname, ["a.csv"]));`;
  const { code, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", program],
    cwd: new URL("../../..", import.meta.url),
    stderr: "inherit",
  }).output();
  assertEquals([code, new TextDecoder().decode(stdout)], [0, ".csv\n"]);
});

Deno.test("Pool says why its workers cannot start", async () => {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--no-check", "--config", "deno.json", "-"],
    cwd: new URL("../../..", import.meta.url),
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const program = `
    import { Pool, remoteModule } from "@heddle/data/pool";
    const f = { moduleUrl: "data:text/javascript,", exportName: "f" };
    await using pool = new Pool({ workers: 2 });
    console.log(await pool.apply(f, []).catch((error) => error.message));`;
  const input = child.stdin.getWriter();
  await input.write(new TextEncoder().encode(program));
  await input.close();
  const said = new TextDecoder().decode((await child.output()).stdout);
  assert(said.includes("before they could work: Requires read access"), said);
});
