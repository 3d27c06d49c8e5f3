import { assert, assertEquals, assertThrows } from "@std/assert";
import { type Local, ModuleBuilder } from "../../../tensor/wasm/assembler.ts";
import {
  type Program,
  type Step,
  ThreadPool,
} from "../../../tensor/wasm/threads.ts";

/** `mark`: adds 1 to word i and writes the thread's number to word i + 4096. */
function markModule(): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder();
  module.importMemory({ shared: true, initial: 1, maximum: 16 });
  const thread = module.importFunction("env", "thread", [], ["i32"]);
  module.function("mark", ["i32", "i32", "i32"], [], (f) => {
    const [frame, start, end] = f.params as [Local, Local, Local];
    const address = f.local("i32");
    f.loop((again) => {
      f.get(start).i32(4).op("i32.mul").get(frame).op("i32.add").tee(address);
      f.get(address).memory("i32.load").i32(1).op("i32.add");
      f.memory("i32.store");
      f.get(address).call(thread).memory("i32.store", 4 * 4096);
      f.get(start).i32(1).op("i32.add").tee(start);
      f.get(end).op("i32.lt_s").brIf(again);
    });
  });
  module.function("trap", ["i32", "i32", "i32"], [], (f) => {
    // Only a worker traps; the calling thread waits until one has been here.
    const [frame] = f.params as [Local];
    f.call(thread).if(() => {
      f.get(frame).i32(1).memory("i32.atomic.store").op("unreachable");
    }, () => {
      f.loop((again) => {
        f.get(frame).memory("i32.atomic.load").op("i32.eqz").brIf(again);
      });
    });
  });
  return module.finish();
}

function step(
  program: Program,
  stage: string,
  items: number,
  grain: number,
  frame = 0,
): Step {
  return { program, stage, frame, items, grain };
}

function sharedMemory(): WebAssembly.Memory {
  return new WebAssembly.Memory({ initial: 16, maximum: 16, shared: true });
}

Deno.test("ThreadPool runs on the calling thread until there is enough work", async () => {
  const memory = sharedMemory();
  const pool = new ThreadPool(memory, { threads: 2, startAfterMs: 0 });
  const program = pool.load(markModule());
  const words = new Int32Array(memory.buffer);
  assertEquals(pool.active, 1);
  pool.run(pool.sequence([step(program, "mark", 100, 1)]), 0);
  assertEquals([...words.subarray(0, 101)], [...Array(100).fill(1), 0]);
  await pool.start();
  assertEquals(pool.active, 2);
  pool.close();
});

for (const [items, grain] of [[1, 1], [7, 3], [100, 1], [1000, 64]] as const) {
  Deno.test(`ThreadPool does each of ${items} items once, ${grain} neighbours at least`, async () => {
    const memory = sharedMemory();
    const pool = new ThreadPool(memory, { threads: 3 });
    await pool.start();
    const program = pool.load(markModule());
    const sequence = pool.sequence([step(program, "mark", items, grain)]);
    const words = new Int32Array(memory.buffer);
    for (let round = 1; round <= 20; round++) {
      pool.run(sequence, 0);
      assert(words.subarray(0, items).every((count) => count === round));
      assertEquals(words[items], 0);
      const by = words.subarray(4096, 4096 + items);
      by.forEach((thread, item) =>
        assertEquals(thread, by[item - item % grain])
      );
    }
    pool.close();
  });
}

Deno.test("ThreadPool reports a worker that traps and goes on", async () => {
  const memory = sharedMemory();
  const pool = new ThreadPool(memory, { threads: 2 });
  await pool.start();
  const program = pool.load(markModule());
  const trap = pool.sequence([step(program, "trap", 64, 1)]);
  const mark = pool.sequence([step(program, "mark", 64, 1)]);
  const error = assertThrows(
    () => pool.run(trap, 0),
    Error,
    "wasm: thread 1 failed",
  );
  assert(error.message.includes("unreachable"), error.message);
  pool.run(mark, 0);
  assertEquals(new Int32Array(memory.buffer)[63], 1, "still works");
  pool.close();
});

Deno.test("ThreadPool loads a module larger than its mailbox", async () => {
  const memory = sharedMemory();
  const pool = new ThreadPool(memory, { threads: 2 });
  const module = new ModuleBuilder();
  module.importMemory({ shared: true, initial: 1, maximum: 16 });
  module.function("fill", ["i32", "i32", "i32"], [], (f) => {
    const [frame, start, end] = f.params;
    // 40,000 stores of 8 bytes of code each.
    for (let i = 0; i < 40000; i++) {
      f.get(frame!).i32(1000 + i).memory("i32.store", 4 * (i % 64));
    }
    f.get(start!).get(end!).op("i32.sub").op("drop");
  });
  await pool.start();
  const program = pool.load(module.finish());
  const sequence = pool.sequence([step(program, "fill", 2, 1)]);
  pool.run(sequence, 0);
  assertEquals(new Int32Array(memory.buffer)[63], 1000 + 39999);
  pool.unload(sequence);
  pool.unload(program);
  pool.close();
});

Deno.test("ThreadPool stays on one thread where memory is not shared", () => {
  const memory = new WebAssembly.Memory({ initial: 1 });
  const reasons: string[] = [];
  const pool = new ThreadPool(memory, {
    threads: 4,
    onSingleThread: (reason) => reasons.push(reason),
  });
  assertEquals(pool.threads, 1);
  assertEquals(reasons, ["memory cannot be shared between threads"]);
  pool.close();
});

Deno.test("ThreadPool throws once it is closed", () => {
  const pool = new ThreadPool(sharedMemory(), { threads: 2 });
  pool.close();
  pool.close();
  assertThrows(() => pool.load(markModule()), Error, "closed");
});
