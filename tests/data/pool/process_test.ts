import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertThrows,
} from "@std/assert";
import {
  Process,
  remoteModule,
  TaskError,
  WorkerDiedError,
} from "@heddle/data/pool";
import { CaptureStderr } from "./capture_stderr.ts";
import {
  end,
  fails,
  fillMemory,
  givesFunction,
  increment,
  spin,
  wait,
} from "./work.ts";

Deno.test("Process runs a function and ends with it", async () => {
  const words = new Int32Array(new SharedArrayBuffer(4));
  const process = new Process(increment, [words], { name: "counter" });
  assertEquals([process.name, process.isAlive()], ["counter", false]);
  await assertRejects(() => process.join(), Error, "counter was not started");
  process.start();
  assertEquals([process.isAlive(), process.exitCode], [true, undefined]);
  assertThrows(() => process.start(), Error, "counter was started before");
  assertEquals(await process.join(), true);
  assertEquals([process.isAlive(), process.exitCode], [false, 0]);
  assertEquals([process.error, words[0]], [undefined, 1]);
  assert(/^Process-\d+$/.test(new Process(wait, [1]).name));
  const plain = ((x: number) => x) as unknown as typeof wait;
  assertThrows(() => new Process(plain, [1]), TypeError, "Process: the func");
});

for (const isolation of ["thread", "process"] as const) {
  Deno.test(`Process of a ${isolation} says how it ended`, async () => {
    const run = async <Args extends unknown[]>(
      process: Process<Args>,
    ): Promise<Process<Args>> => {
      process.start();
      await process.join();
      return process;
    };
    const options = { isolation };
    const threw = await run(new Process(fails, ["why"], options));
    assertEquals(threw.exitCode, 1);
    assertInstanceOf(threw.error, TaskError);
    assertInstanceOf(threw.error.cause, RangeError);

    const left = await run(new Process(end, ["exit", 1], options));
    assertEquals(left.exitCode, 7);
    assertInstanceOf(left.error, WorkerDiedError);
    const closed = await run(new Process(end, ["close", 1], options));
    assertEquals([closed.exitCode, closed.error], [0, undefined]);
    const broke = await run(new Process(end, ["timer", 1], options));
    assertEquals(broke.exitCode, 1);
    assertEquals((broke.error!.cause as Error).message, "late");
    // Nobody asked for what it returns.
    const dropped = await run(new Process(givesFunction, [1], options));
    assertEquals([dropped.exitCode, dropped.error], [0, undefined]);

    const missing = remoteModule<{ nope(): void }>(
      import.meta.resolve("./work.ts"),
    );
    const lost = await run(new Process(missing.nope, [], options));
    assertEquals(lost.exitCode, 1);
    assert(lost.error!.message.includes("no such export"));
  });

  Deno.test(`Process of a ${isolation} can be terminated`, async () => {
    const process = new Process(wait, [100_000], { isolation });
    process.start();
    assertEquals(await process.join(20), false);
    assertEquals(process.isAlive(), true);
    process.terminate();
    assertEquals(await process.join(), true);
    assertEquals([process.exitCode, process.error], [143, undefined]);
    {
      await using other = new Process(wait, [100_000], { isolation });
      other.start();
    }
    await using never = new Process(wait, [1], { isolation });
    assertEquals(never.isAlive(), false);
  });
}

Deno.test("Process of the operating system ends in the middle of a loop, or without memory", async () => {
  const loop = new Process(spin, [100_000], { isolation: "process" });
  loop.start();
  await loop.join(300);
  loop.terminate();
  await loop.join();
  assertEquals(loop.exitCode, 143);
  using stderr = new CaptureStderr();
  const hungry = new Process(fillMemory, [Infinity], {
    isolation: "process",
    v8Flags: ["--max-old-space-size=30"],
  });
  hungry.start();
  await hungry.join();
  assertEquals(hungry.exitCode! > 128, true);
  assert(hungry.error!.message.includes("out of memory"));
  assert(stderr.text.includes("out of memory"), stderr.text); // is passed on
});

Deno.test("Process refuses arguments that cannot be sent", async () => {
  const callback = (() => 1) as unknown as number;
  const process = new Process(wait, [callback]);
  assertThrows(
    () => process.start(),
    TypeError,
    "Process.start: wait: argument 0 cannot be sent: got function callback",
  );
  await process.join();
});

Deno.test("Process refuses options and arguments that are none", async () => {
  const make = (args: unknown, options = {}) => () =>
    new Process(wait, args as [number], options);
  assertThrows(make(5), TypeError, "Process: expected a list of arguments");
  assertThrows(make([1], { isolation: "fork" }), TypeError, "got fork");
  assertThrows(
    make([1], { permissions: ["--allow-net"] }),
    TypeError,
    "permissions and v8Flags are of processes",
  );
  const process = make([1])();
  process.terminate(); // nothing to end yet
  process.start();
  await assertRejects(() => process.join(-1), RangeError, "got -1");
  assertEquals([await process.join(Infinity), process.exitCode], [true, 0]);
});
