import {
  assertEquals,
  assertLess,
  assertRejects,
  assertThrows,
} from "@std/assert";
import {
  delayed,
  type DelayedCall,
  type Executor,
  parallel,
  type ParallelProgress,
  Pool,
  remoteModule,
  TaskError,
} from "@heddle/data/pool";
import { add, evenOnly, nestedSum, pidOf, square, wait } from "./work.ts";

Deno.test("parallel() keeps the order of the calls and tells how far it is", async () => {
  const progress: ParallelProgress[] = [];
  const calls = [30, 1, 20, 2].map((ms) => delayed(wait)(ms));
  const results = await parallel({
    jobs: 2,
    onProgress: (at) => progress.push(at),
  })(calls);
  assertEquals(results, [30, 1, 20, 2]);
  assertEquals(progress.map(({ done }) => done), [1, 2, 3, 4]);
  assertEquals(progress.map(({ total }) => total), [4, 4, 4, 4]);
  assertLess(progress[0]!.elapsedMs, progress[3]!.elapsedMs);
});

Deno.test("parallel() runs different functions, and none", async () => {
  const mixed: DelayedCall<number>[] = [
    delayed(square)(3),
    delayed(add)(1, 2),
    delayed(square)(4),
  ];
  for (const jobs of [1, 2, -1, -2]) {
    assertEquals(await parallel({ jobs })(mixed), [9, 3, 16]);
    assertEquals(await parallel({ jobs })([]), []);
  }
  for (const jobs of [0, 1.5]) {
    assertThrows(() => parallel({ jobs }), RangeError, "jobs must be");
  }
});

Deno.test("parallel() draws calls as there is room, from any iterable", async () => {
  let drawn = 0;
  let running = 0;
  const executor: Executor = {
    size: 1,
    async apply(_f, [x]) {
      assertLess(drawn - running, 66);
      await new Promise((resolve) => setTimeout(resolve, 0));
      running++;
      return x as never;
    },
  };
  async function* calls() {
    while (drawn < 500) yield delayed(square)(drawn++);
  }
  const results = await parallel({ executor })(calls());
  assertEquals(results, Array.from({ length: 500 }, (_, i) => i));
});

Deno.test("parallel() stops at the first call that fails", async () => {
  for (const jobs of [1, 2]) {
    let drawn = 0;
    let returned = false;
    const calls = function* () {
      try {
        while (drawn < 100_000) {
          drawn++;
          yield delayed(evenOnly)(drawn === 5 ? 5 : 0);
        }
      } finally {
        returned = true;
      }
    };
    const error = await assertRejects(
      () => parallel({ jobs })(calls()),
      TaskError,
      "item 4: RangeError: 5 is odd",
    );
    assertEquals([error.index, returned], [4, true]);
    assertLess(drawn, 1000);
  }
  const missing = remoteModule<{ nope(): void }>(
    import.meta.resolve("./work.ts"),
  );
  for (const jobs of [1, 2]) {
    await assertRejects(
      () => parallel({ jobs })([delayed(missing.nope)()]),
      TypeError,
      "no such export",
    );
  }
});

Deno.test("parallel() does not wait for a source or a call that does not end", async () => {
  async function* calls(first: DelayedCall) {
    yield first;
    await new Promise(() => {});
  }
  await assertRejects(
    () => parallel({ jobs: 2 })(calls(delayed(evenOnly)(1))),
    TaskError,
    "1 is odd",
  );
  for (const first of [delayed(square)(1), delayed(wait)(1e6)]) {
    const signal = AbortSignal.timeout(20);
    await assertRejects(
      () => parallel({ jobs: 1, signal })(calls(first)),
      DOMException,
      "timeout",
    );
  }
});

Deno.test("parallel() drops the calls that wait in an executor after one that fails", async () => {
  const open = new Set<unknown>();
  const executor: Executor = {
    size: 1,
    apply(_f, [x], { signal } = {}) {
      if (x === 3) return Promise.reject(new RangeError("3"));
      open.add(x);
      signal!.addEventListener("abort", () => open.delete(x));
      return new Promise(() => {});
    },
  };
  const calls = [1, 2, 3, 4].map((x) => delayed(square)(x));
  await assertRejects(() => parallel({ executor })(calls), RangeError, "3");
  assertEquals(open.size, 0);
});

Deno.test("parallel() says which of its calls is none", async () => {
  for (const jobs of [1, 2]) {
    await assertRejects(
      () => parallel({ jobs })([delayed(square)(1), square as never]),
      TypeError,
      "parallel: call 1: expected a delayed call: got function square",
    );
  }
  await assertRejects(
    () => parallel()(undefined as never),
    TypeError,
    "parallel: the calls must be iterable: got undefined",
  );
});

Deno.test("parallel() stops at its signal", async () => {
  const calls = Array.from({ length: 50 }, () => delayed(wait)(5000));
  for (const jobs of [2]) {
    await assertRejects(
      () => parallel({ jobs, signal: AbortSignal.timeout(100) })(calls),
      DOMException,
    );
  }
  await assertRejects(
    () => parallel({ signal: AbortSignal.abort(new RangeError("no")) })(calls),
    RangeError,
    "no",
  );
});

Deno.test("parallel() in a worker starts no workers of its own", async () => {
  await using pool = new Pool({ workers: 2 });
  const sums = await parallel({ executor: pool })(
    [10, 20].map((n) => delayed(nestedSum)(n)),
  );
  assertEquals(sums, [45, 190]);
});

Deno.test("parallel() takes a pool of processes", async () => {
  await using executor = new Pool({ workers: 2, isolation: "process" });
  const pids = await parallel({ executor })(
    [0, 0, 0].map((x) => delayed(pidOf)(x)),
  );
  assertEquals(pids.includes(Deno.pid), false);
});
