import {
  assert,
  assertEquals,
  assertGreater,
  assertInstanceOf,
  assertRejects,
  assertThrows,
} from "@std/assert";
import {
  delayed,
  Lock,
  moved,
  Pool,
  Process,
  TaskError,
  WorkerDiedError,
  type WorkerPoolOptions,
} from "@heddle/data/pool";
import { CaptureStderr } from "./capture_stderr.ts";
import {
  add,
  countCalls,
  end,
  evenOnly,
  exitAt7,
  fillMemory,
  getState,
  givesFunction,
  increment,
  meetInFolder,
  ones,
  pidOf,
  readEnv,
  setState,
  spin,
  square,
  sumOf,
} from "./work.ts";

function openPool(workers = 2): Pool {
  return new Pool({ workers, isolation: "process" });
}

/** Whether there is a process of that id. */
async function isAlive(pid: number): Promise<boolean> {
  const { code } = await new Deno.Command("kill", {
    args: ["-0", `${pid}`],
    stderr: "null",
  }).output();
  return code === 0;
}

async function untilDead(pids: readonly number[]): Promise<void> {
  for (const pid of pids) {
    for (let tries = 0; await isAlive(pid); tries++) {
      assert(tries < 100, `process ${pid} is still there`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

Deno.test("Pool of processes gives what a pool of threads gives", async () => {
  await using pool = openPool();
  const items = Array.from({ length: 300 }, (_, i) => i);
  assertEquals(await pool.map(square, items), items.map((x) => x * x));
  assertEquals(await pool.map(square, Float64Array.of(1, 2)), [1, 4]);
  assertEquals(await pool.starmap(add, [[1, 2], [3, 4]]), [3, 7]);
  assertEquals(await Array.fromAsync(pool.imap(square, [1, 2])), [1, 4]);
  assertEquals((await pool.apply(ones, [500_000])).length, 500_000);
  assertEquals(await pool.apply(sumOf, [moved(Float64Array.of(1, 2))]), 3);
  const error = await assertRejects(
    () => pool.map(evenOnly, [0, 2, 5]),
    TaskError,
    "evenOnly: item 2: RangeError: 5 is odd",
  );
  assertInstanceOf(error.cause, RangeError);
  assert(error.cause.stack?.includes("work.ts:"));
  await assertRejects(
    () => pool.map(givesFunction, [1]),
    TaskError,
    "the result cannot be sent",
  );
  await assertRejects(
    () => pool.map(square, [(() => 1) as unknown as number]),
    TaskError,
    "the argument cannot be sent",
  );
  await assertRejects(
    () => pool.apply(increment, [new Int32Array(new SharedArrayBuffer(4))]),
    TaskError,
    "argument 0 cannot be sent: shared memory does not reach another process",
  );
  await assertRejects(
    () => pool.map(getState, [{ config: { lock: new Lock() } } as never]),
    TaskError,
    "the argument, .config.lock, cannot be sent: shared memory does not",
  );
  assertEquals(pool.statistics.itemsInCaller, 0);
  const pids = await pool.map(pidOf, [0, 0, 0, 0], { chunkSize: 1 });
  assertEquals(pids.includes(Deno.pid), false);
});

Deno.test("Pool of processes gives to idle ones what waits behind an item that takes long", async () => {
  const folder = await Deno.makeTempDir();
  await using pool = new Pool({
    workers: 2,
    isolation: "process",
    permissions: [`--allow-write=${folder}`],
  });
  try {
    const cheap = Array.from(
      { length: 100 },
      (): [string, number] => [folder, 0],
    );
    await pool.starmap(meetInFolder, cheap);
    for (let round = 0; round < 2; round++) { // behind it in its chunk
      const there = [...Deno.readDirSync(folder)].length;
      const some = cheap.slice(0, 20);
      some[round] = [folder, there + 19];
      const met = await pool.starmap(meetInFolder, some);
      assertEquals(new Set(met), new Set([true]));
    }
    for (let round = 0; round < 2; round++) { // and in the next chunk
      const there = [...Deno.readDirSync(folder)].length;
      const first: [string, number] = [folder, there + 19];
      const calls = [first, ...cheap.slice(0, 19)]
        .map((args) => pool.apply(meetInFolder, args));
      assertEquals(new Set(await Promise.all(calls)), new Set([true]));
    }
    const { failed, deaths, items } = pool.statistics;
    assertEquals([failed, deaths, items], [0, 0, 180]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("Pool of processes survives heap exhaustion", async () => {
  using stderr = new CaptureStderr();
  await using pool = new Pool({
    workers: 2,
    isolation: "process",
    v8Flags: ["--max-old-space-size=40"],
  });
  const outcomes = await pool.mapSettled(fillMemory, [1, 2, Infinity, 3]);
  assertEquals(
    outcomes.map((outcome) =>
      outcome.status === "fulfilled" ? outcome.value : undefined
    ),
    [1, 2, undefined, 3],
  );
  const { reason } = outcomes[2] as PromiseRejectedResult;
  assertInstanceOf(reason, WorkerDiedError);
  assert(reason.message.includes("out of memory"), reason.message);
  assertEquals([reason.index, reason.attempts], [2, 2]);
  assertEquals(pool.statistics.deaths, 2);
  assert(stderr.text.includes("out of memory"), stderr.text); // is passed on
});

Deno.test("Pool of processes replaces one that ends", async () => {
  await using pool = openPool();
  const died = await assertRejects(
    () => pool.apply(end, ["exit", 1]),
    WorkerDiedError,
    "Deno.exit(7)",
  );
  assertEquals([died.exitCode, died.attempts], [7, 2]);
  await assertRejects(() => pool.apply(end, ["timer", 1]), WorkerDiedError);
  const items = Array.from({ length: 30 }, (_, i) => i);
  const outcomes = await pool.mapSettled(exitAt7, items, { chunkSize: 30 });
  assertEquals(
    outcomes.flatMap(({ status }, i) => status === "rejected" ? [i] : []),
    [7],
  );
  assertGreater(pool.statistics.restarts, 3);
});

Deno.test("Pool of processes has initializers and workers that wear out", async () => {
  await using pool = new Pool({
    workers: 1,
    isolation: "process",
    initializer: delayed(setState)("set"),
    maxTasksPerWorker: 3,
  });
  assertEquals(await pool.map(getState, [0, 0]), ["set", "set"]);
  assertEquals(await pool.map(countCalls, [0, 0, 0, 0]), [1, 1, 2, 3]);
  assertEquals(pool.statistics.deaths, 0);
});

Deno.test("Pool of processes ends a function in a long loop at once", async () => {
  const pool = openPool();
  const pids = await pool.map(pidOf, [0, 0, 0, 0], { chunkSize: 1 });
  const running = pool.map(spin, [100_000, 100_000]);
  await assertRejects(
    () => pool.apply(spin, [100_000], { signal: AbortSignal.timeout(50) }),
    DOMException,
  );
  pool.terminate();
  await assertRejects(() => running, DOMException, "terminated");
  await pool.join();
  await untilDead([...new Set(pids)]);
});

Deno.test("Pool of processes has the permissions that it is given, and no more", async () => {
  await using narrow = openPool(1);
  const error = await assertRejects(
    () => narrow.apply(readEnv, ["HOME"]),
    TaskError,
  );
  assertEquals((error.cause as Error).name, "NotCapable");
  await using wider = new Pool({
    workers: 1,
    isolation: "process",
    permissions: ["--allow-env=HOME"],
  });
  assertEquals(await wider.apply(readEnv, ["HOME"]), Deno.env.get("HOME"));
  assertThrows(
    () => new Pool({ v8Flags: ["--max-old-space-size=40"] }),
    TypeError,
    "permissions and v8Flags are of processes",
  );
  assertThrows(
    () => new Pool({ isolation: "fork" as "thread" }),
    TypeError,
    'isolation must be "thread" or "process": got fork',
  );
});

Deno.test("Pool and Process say which flag is wrong, and what is allowed", async () => {
  const make = (options: WorkerPoolOptions) => () =>
    new Pool({ isolation: "process", ...options });
  for (
    const flag of ["allow-net", "--allow-foo", "--reload", "--allow-net=", ""]
  ) {
    assertThrows(
      make({ permissions: ["--allow-env", flag] }),
      RangeError,
      `Pool: permissions[1]: got "${flag}": expected a permission flag, one ` +
        "of -A, --allow-all, --allow-read, ",
    );
  }
  assertThrows(
    make({ permissions: [3 as unknown as string] }),
    TypeError,
    "Pool: permissions[0]: got number: expected",
  );
  for (const flag of ["max-old-space-size=50", "--a,--b", "--a --b"]) {
    assertThrows(
      () => new Process(pidOf, [1], { isolation: "process", v8Flags: [flag] }),
      RangeError,
      `Process: v8Flags[0]: got "${flag}": expected one flag of V8, as --max`,
    );
  }
  using stderr = new CaptureStderr();
  await using pool = make({ workers: 1, v8Flags: ["--nope"] })();
  await assertRejects(
    () => pool.map(square, [1]),
    Error,
    "the exit code 1 (V8 did not recognize flag '--nope')",
  );
  const process = new Process(pidOf, [1], {
    isolation: "process",
    permissions: ["-R", "-N=:::", "--deny-env", "--ignore-read=/x"],
  });
  process.start();
  await process.join();
  assert(process.error?.message.includes("(invalid"), process.error?.message);
  assert(stderr.text.includes("--nope"));
});

const PROGRAM = `
  import { Pool } from "@heddle/data/pool";
  import { pidOf, prints, spin } from ${
  JSON.stringify(import.meta.resolve("./work.ts"))
};
  const pool = new Pool({ workers: 2, isolation: "process" });
  const pids = await pool.map(pidOf, [0, 0, 0, 0], { chunkSize: 1 });
  const echoes = await pool.map(prints, ["one", "two"], { chunkSize: 1 });
  console.log(JSON.stringify({ pids: [...new Set(pids)], echoes }));
  await pool.map(spin, [100_000, 100_000]);`;

for (const signal of ["SIGKILL", "SIGINT"] as const) {
  Deno.test(`Pool of processes leaves none behind after ${signal}, and what they print does no harm`, async () => {
    const child = new Deno.Command(Deno.execPath(), {
      args: ["eval", PROGRAM],
      cwd: new URL("../../..", import.meta.url),
      stdout: "piped",
      stderr: "null",
    }).spawn();
    let printed = "";
    const lines = child.stdout.pipeThrough(new TextDecoderStream());
    for await (const text of lines) {
      printed += text;
      if (/^\{.*\}$/m.test(printed)) break;
    }
    const { pids, echoes } = JSON.parse(/^\{.*\}$/m.exec(printed)![0]);
    assertEquals(echoes, ["one", "two"]);
    assert(printed.includes("printed one\n"), printed);
    child.kill(signal);
    await child.status;
    await untilDead(pids);
  });
}
