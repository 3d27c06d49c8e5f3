import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import {
  type CallOptions,
  type Executor,
  type Future,
  moved,
  Pool,
  type RemoteReference,
  SharedValue,
  TaskFailedError,
  TaskGraph,
  WorkerDiedError,
} from "@heddle/data/pool";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import {
  add,
  double,
  entriesOf,
  exit,
  fail,
  failAtFirst,
  isShared,
  large,
  lengthOf,
  sleep,
  sumOf,
} from "./work.ts";

/** Runs tasks here when it is told to. */
class Manual implements Executor {
  readonly size: number;
  readonly waiting: { readonly name: string; run(): Promise<void> }[] = [];

  constructor(size = 1) {
    this.size = size;
  }

  apply<Args extends unknown[], Result>(
    f: RemoteReference<Args, Result>,
    args: Args,
    { signal }: CallOptions = {},
  ): Promise<Awaited<Result>> {
    const { promise, resolve, reject } = Promise.withResolvers<
      Awaited<Result>
    >();
    signal?.addEventListener("abort", () => reject(signal.reason));
    const run = async () => {
      try {
        const module = await import(f.moduleUrl);
        resolve(await module[f.exportName](...args));
      } catch (error) {
        reject(error);
      }
      await promise.catch(() => {});
      await new Promise((resolve) => setTimeout(resolve));
    };
    this.waiting.push({ name: `${args[1]}`, run });
    return promise;
  }

  async runAll(): Promise<string[]> {
    const names: string[] = [];
    for (let next; (next = this.waiting.shift());) {
      names.push(next.name);
      await next.run();
    }
    return names;
  }
}

Deno.test("TaskGraph.submit() takes futures as arguments, in arrays and in records", async () => {
  await using pool = new Pool({ workers: 2 });
  const graph = new TaskGraph(pool);
  const three = graph.submit(add, 1, 2);
  const six = graph.submit(double, three);
  const sum = graph.submit(
    sumOf,
    { list: [three, 10, six], record: { x: graph.submit(add, three, six) } },
    Float64Array.of(0.5, 0.25),
  );
  assertEquals(await sum.result(), 3 + 10 + 6 + 9 + 0.75);
  assertEquals([sum.name, sum.state, six.name], [
    "sumOf-1",
    "done",
    "double-1",
  ]);
  // Those that ended long ago as well.
  assertEquals(await graph.submit(add, sum, three).result(), 31.75);
});

Deno.test("TaskGraph finds futures in maps and sets", async () => {
  await using pool = new Pool({ workers: 1 });
  using graph = new TaskGraph(pool);
  const [x, y] = [graph.submit(double, 1), graph.submit(double, 2)];
  const shared = graph.scatter(new Set([new Float64Array(2)]));
  const parts = new Map<
    string | Future<number>,
    Set<number | Future<number>> | Future<Set<Float64Array>>
  >([["a", new Set([x, y])], [y, new Set([3])], ["s", shared]]);
  const entries = graph.submit(entriesOf, parts);
  assertEquals(await entries.result(), [["a", [2, 4]], [4, [3]], ["s", [
    true,
  ]]]);
  const gathered = await graph.gather(
    new Map([["both", new Set([x, y])], ["none", new Set<typeof x>()]]),
  );
  const both: Set<number> = gathered.get("both")!;
  assertEquals([...both], [2, 4]);
  const plain = new Map([["none", 1]]);
  assertStrictEquals(await graph.gather(plain), plain);
});

Deno.test("TaskGraph.gather() gives results in the places of futures", async () => {
  await using pool = new Pool({ workers: 1 });
  const graph = new TaskGraph(pool);
  const [x, y] = graph.map(add, [1, 2, 3], [10, 20]) as [
    Future<number>,
    Future<number>,
  ];
  const { list, rest } = await graph.gather({ list: [x, [y]], rest: "a" });
  assertEquals([list, rest], [[11, [22]], "a"]);
  assertEquals(await graph.gather([]), []);
  assertEquals(graph.map(double, []), []);
  const bad = graph.submit(fail, "no");
  await assertRejects(() => graph.gather([x, bad]), TaskFailedError, "no");
});

Deno.test("TaskGraph.scatter() shares typed arrays, once, and copies the rest", async () => {
  await using pool = new Pool({ workers: 1 });
  const graph = new TaskGraph(pool);
  const data = graph.scatter({ values: Float32Array.of(1, 2), text: "a" });
  const { values, text } = await data.result();
  assertInstanceOf(values.buffer, SharedArrayBuffer);
  assertEquals([...values, text], [1, 2, "a"]);
  const array = graph.scatter(Float32Array.of(1, 5));
  assertEquals(
    await graph.submit(isShared, array, "shared").result(),
    "shared true 5",
  );
  const shared = await array.result();
  assertStrictEquals(await graph.scatter(shared).result(), shared);
  // An executor that shares nothing gets the value itself.
  const plain = Float32Array.of(1);
  assertStrictEquals(
    await new TaskGraph(new Manual()).scatter(plain).result(),
    plain,
  );
});

Deno.test("TaskGraph.scatter() keeps what is the same, and circles", async () => {
  await using pool = new Pool({ workers: 1 });
  const graph = new TaskGraph(pool);
  const row = Float32Array.of(1, 2);
  const value: Record<string, unknown> = { row, list: [row, , "a"] };
  value.self = value;
  value.map = new Map<unknown, unknown>([["value", value], [row, new Set()]]);
  ((value.map as Map<unknown, unknown>).get(row) as Set<unknown>).add(value);
  const copy = await graph.scatter(value).result();
  const copied = copy.row as Float32Array;
  assertInstanceOf(copied.buffer, SharedArrayBuffer);
  assertStrictEquals((copy.list as unknown[])[0], copied);
  assertEquals(1 in (copy.list as unknown[]), false);
  assertStrictEquals(copy.self, copy);
  const map = copy.map as Map<unknown, unknown>;
  assertStrictEquals(map.get("value"), copy);
  assertEquals((map.get(copied) as Set<unknown>).has(copy), true);
});

Deno.test("TaskGraph.reduce() makes one of neighbours, in an order of its own", async () => {
  const executor = new Manual(1);
  const graph = new TaskGraph(executor);
  const leaves = graph.map(double, [1, 2, 3, 4, 5]);
  const sum = graph.reduce(add, leaves);
  const order = await executor.runAll();
  assertEquals(await sum.result(), 30);
  // Sums before what is begun anew, so that their parts are gone.
  const firstSum = order.indexOf("add");
  assert(firstSum <= 4, order.join(" "));
  assertThrows(() => graph.reduce(add, []), RangeError, "no futures to reduce");
  assertStrictEquals(graph.reduce(add, [sum]), sum);
});

Deno.test("TaskGraph fails what needs a task that failed, with the way to it", async () => {
  await using pool = new Pool({ workers: 2 });
  const graph = new TaskGraph(pool);
  const bad = graph.submit(fail, "too large");
  const next = graph.submit(double, bad);
  const last = graph.submit(sumOf, { list: [1, next], record: { x: 1 } }, [
    1,
  ] as never);
  const fine = graph.submit(double, 4);
  const error = await assertRejects(
    () => last.result(),
    TaskFailedError,
    "fail-1 -> double-1 -> sumOf-1: fail-1 failed: RangeError: too large",
  );
  assertEquals(error.path, ["fail-1", "double-1", "sumOf-1"]);
  assertInstanceOf(error.cause, RangeError);
  assert(error.cause.stack!.includes("work.ts"));
  assertEquals([bad.state, next.state, await fine.result()], [
    "failed",
    "failed",
    8,
  ]);
  // Also what is submitted afterwards.
  const late = await assertRejects(
    () => graph.submit(add, 1, next).result(),
    TaskFailedError,
  );
  assertEquals(late.path, ["fail-1", "double-1", "add-1"]);
});

Deno.test("TaskGraph reports a worker that died", async () => {
  await using pool = new Pool({ workers: 1 });
  const graph = new TaskGraph(pool);
  const { cause, path } = await assertRejects(
    () => graph.submit(exit).result(),
    TaskFailedError,
  );
  assertInstanceOf(cause, WorkerDiedError);
  assertEquals(path, ["exit-1"]);
  assertEquals(await graph.submit(double, 2).result(), 4);
});

Deno.test("TaskGraph.with() retries tasks, and names them", async () => {
  await using pool = new Pool({ workers: 1 });
  const graph = new TaskGraph(pool);
  const tries = new SharedValue("int32");
  const retrying = graph.with({ retries: 2, name: "stubborn" });
  const third = retrying.submit(failAtFirst, tries, 2);
  assertEquals(await third.result(), "try 3");
  assertEquals(third.name, "stubborn-1");
  tries.value = 0;
  const given = await assertRejects(
    () => retrying.submit(failAtFirst, tries, 3).result(),
    TaskFailedError,
    "stubborn-2: stubborn-2 failed: Error: try 3",
  );
  assertEquals([given.path, tries.value], [["stubborn-2"], 3]);
  for (const retries of [-1, 0.5, NaN]) {
    assertThrows(
      () => graph.with({ retries }),
      RangeError,
      `TaskGraph: retries must be a whole number from 0: got ${retries}`,
    );
  }
});

Deno.test("Future.cancel() drops a task and what needs it, running or not", async () => {
  await using pool = new Pool({ workers: 1 });
  const graph = new TaskGraph(pool);
  const running = graph.submit(sleep, 60_000, 1);
  const needs = graph.submit(double, running);
  const other = graph.submit(double, 3);
  while (running.state !== "running") {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  const reason = new Error("not wanted");
  assertEquals(running.cancel(reason), true);
  assertEquals(running.cancel(), false);
  const error = await assertRejects(() => needs.result(), TaskFailedError);
  assertStrictEquals(error.cause, reason);
  assertEquals(error.path, ["sleep-1", "double-1"]);
  assertEquals([running.state, needs.state], ["cancelled", "cancelled"]);
  assertEquals(await other.result(), 6);
});

Deno.test("TaskGraph drops all that has not ended when disposed of", async () => {
  const executor = new Manual(1);
  let futures: Future<number>[];
  {
    using graph = new TaskGraph(executor);
    futures = graph.map(double, [1, 2, 3]);
    await executor.waiting.shift()!.run();
    graph.cancel([futures[2]!], new Error("enough"));
    assertEquals(futures[2]!.state, "cancelled");
  }
  assertEquals(futures.map(({ state }) => state), [
    "done",
    "cancelled",
    "cancelled",
  ]);
  const { cause } = await assertRejects(
    () => futures[1]!.result(),
    TaskFailedError,
  );
  assertEquals((cause as Error).name, "AbortError");
});

Deno.test("TaskGraph.asCompleted() gives futures in the order in which they end", async () => {
  await using pool = new Pool({ workers: 2 });
  const graph = new TaskGraph(pool);
  const slow = graph.submit(sleep, 300, 1);
  const bad = graph.submit(fail, "x");
  const quick = graph.submit(sleep, 100, 2);
  const names: string[] = [];
  for await (const future of graph.asCompleted([slow, bad, quick, bad])) {
    names.push(`${future.name} ${future.state}`);
  }
  assertEquals(names, ["fail-1 failed", "sleep-2 done", "sleep-1 done"]);
  assertEquals(await Array.fromAsync(graph.asCompleted([])), []);
});

Deno.test("TaskGraph.wait() tells who ended, by all, the first, a failure or the time", async () => {
  const executor = new Manual(3);
  const graph = new TaskGraph(executor);
  const [a, b] = graph.map(double, [1, 2]) as [Future<number>, Future<number>];
  const bad = graph.submit(fail, "x");
  const futures = [a, b, bad];
  const late = await graph.wait(futures, { timeoutMs: 5 });
  assertEquals([late.done, late.pending], [[], futures]);
  const first = graph.wait(futures, { until: "first" });
  await executor.waiting.shift()!.run();
  assertEquals((await first).done, [a]);
  const failure = graph.wait(futures, { until: "firstFailure" });
  await executor.waiting.pop()!.run();
  assertEquals((await failure).done, [a, bad]);
  await executor.runAll();
  const all = await graph.wait(futures);
  assertEquals([all.done, all.pending], [futures, []]);
  assertEquals(await graph.wait([]), { done: [], pending: [] });
});

Deno.test("Future.result() gives up after its timeout; the task goes on", async () => {
  const executor = new Manual();
  const future = new TaskGraph(executor).submit(double, 4);
  const late = await assertRejects(
    () => future.result({ timeoutMs: 5 }),
    DOMException,
    "Future.result: double-1 took more than 5 ms",
  );
  assertEquals(late.name, "TimeoutError");
  await executor.runAll();
  assertEquals(await future.result({ timeoutMs: 5 }), 8);
});

Deno.test("TaskGraph moves arguments and results that are marked", async () => {
  await using pool = new Pool({ workers: 1 });
  const graph = new TaskGraph(pool);
  const values = new Float64Array(1000);
  const length = graph.submit(lengthOf, moved(values));
  assertEquals(await length.result(), 1000);
  assertEquals(values.length, 0);
  assertEquals((await graph.submit(large, 5).result()).length, 5);
});

Deno.test("TaskGraph keeps no result that nobody needs", async () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  await using pool = new Pool({ workers: 1 });
  const graph = new TaskGraph(pool);
  const gone: WeakRef<object>[] = [];
  const total = await (async () => {
    const arrays = graph.map(large, [100_000, 200_000]);
    const lengths = arrays.map((array) => graph.submit(lengthOf, array));
    for (const array of arrays) gone.push(new WeakRef(await array.result()));
    return graph.reduce(add, lengths);
  })();
  assertEquals(await total.result(), 300_000);
  for (let tries = 0; tries < 50; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    collect();
    if (gone.every((ref) => ref.deref() === undefined)) return;
  }
  throw new Error("results are still there");
});

Deno.test("TaskGraph runs 5,000 small tasks that depend on each other", async () => {
  await using pool = new Pool({ workers: 2 });
  const graph = new TaskGraph(pool);
  const leaves = graph.map(double, Array.from({ length: 2500 }, (_, i) => i));
  assertEquals(await graph.reduce(add, leaves).result(), 2499 * 2500);
});

Deno.test("TaskGraph refuses functions without a module", () => {
  assertThrows(
    () => new TaskGraph(new Manual()).submit((() => 1) as never),
    TypeError,
    "TaskGraph.submit: the function has no module to find it by",
  );
});

Deno.test("TaskGraph fails long chains as fast as others, and names their ends", async () => {
  const graph = new TaskGraph(new Manual());
  const first = graph.submit(fail, "never run");
  let last = graph.submit(add, 1, 1);
  const chain = [first as Future<unknown>];
  for (let at = 0; at < 20_000; at++) {
    last = graph.submit(add, chain.at(-1) as Future<number>, 1);
    chain.push(last);
  }
  first.cancel("not needed");
  const error = await last.result().catch((error) => error);
  assertInstanceOf(error, TaskFailedError);
  assertEquals(error.path.length, 20_001);
  assertEquals([error.path[0], error.path.at(-1)], ["fail-1", last.name]);
  assert(
    error.message.startsWith("fail-1 -> ... 19990 more ... -> add-19992 ->"),
    error.message,
  );
});

Deno.test("TaskGraph takes arguments that have themselves as a part", async () => {
  const graph = new TaskGraph(new Manual());
  const circle: Record<string, unknown> = { two: graph.scatter(2) };
  circle.self = circle;
  const gathered = await graph.gather(circle);
  assertEquals(gathered.two, 2);
  assertStrictEquals(gathered.self, gathered);
});

Deno.test("TaskGraph takes futures of another graph, and draws its own", async () => {
  await using pool = new Pool({ workers: 1 });
  const other = new TaskGraph(pool);
  other.submit(double, 1);
  const two = other.submit(double, 1);
  const graph = new TaskGraph(pool);
  const three = graph.submit(add, two, 1);
  assertEquals(await three.result(), 3);
  const html = await graph.html();
  assert(html.includes("add-1") && !html.includes("double"));
});

Deno.test("TaskGraph.with() does not retry what was moved to the first try", async () => {
  await using pool = new Pool({ workers: 1 });
  const graph = new TaskGraph(pool).with({ retries: 1 });
  const text = moved([new Float64Array(1)]) as unknown as string;
  const error = await graph.submit(fail, text).result().catch((e) => e);
  assertInstanceOf(error.cause, RangeError); // and not that it is detached
});

Deno.test("TaskGraph's errors show who awaits a result", async () => {
  await using pool = new Pool({ workers: 1 });
  const graph = new TaskGraph(pool);
  async function namesItself(future: Future): Promise<string> {
    return await future.result().catch((error) => error.stack) as string;
  }
  async function gathers(future: Future): Promise<string> {
    return await graph.gather([future]).catch((error) => error.stack) as string;
  }
  const failed = graph.submit(fail, "on purpose");
  assert((await namesItself(failed)).split("\n")[1]!.includes("namesItself"));
  assert((await gathers(failed)).split("\n")[1]!.includes("gathers"));
  const died = await graph.submit(exit).result().catch((error) => error);
  assert(died.message.includes("exit-1: its worker ended by"), died.message);
});

Deno.test("TaskGraph refuses what is no executor and no future", async () => {
  for (const executor of [undefined, {}, { apply() {} }]) {
    assertThrows(
      () => new TaskGraph(executor as never),
      TypeError,
      "TaskGraph: expected a Pool or another executor: got",
    );
  }
  const graph = new TaskGraph(new Manual());
  const future = graph.submit(add, 1, 2);
  const message = "expected futures";
  for (const wrong of [future, 5, [5], [{}]] as unknown[] as Future[][]) {
    assertThrows(() => graph.cancel(wrong), TypeError, message);
    await assertRejects(() => graph.wait(wrong), TypeError, message);
    await assertRejects(
      () => Array.fromAsync(graph.asCompleted(wrong)),
      TypeError,
      message,
    );
  }
  const until = "some" as "all";
  await assertRejects(
    () => graph.wait([future], { until }),
    RangeError,
    "some",
  );
  assertEquals(future.state, "running");
  graph.cancel();
});
