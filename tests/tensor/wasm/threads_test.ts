import { assert, assertEquals, assertThrows } from "@std/assert";
import { type Local, ModuleBuilder } from "../../../tensor/wasm/assembler.ts";
import {
  type Program,
  type Step,
  ThreadPool,
} from "../../../tensor/wasm/threads.ts";
import { Random } from "./random_kernel.ts";

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
  // Adds to word i of one array word 7 i + 3 of another: each needs all others.
  module.function("mix", ["i32", "i32", "i32"], [], (f) => {
    const [frame, start, end] = f.params as [Local, Local, Local];
    const [to, from, left] = [f.local("i32"), f.local("i32"), f.local("i32")];
    // Some threads are slow.
    f.get(frame).memory("i32.load", 12).get(frame).memory("i32.load", 16);
    f.call(thread).op("select").i32(1).op("i32.add").set(left);
    f.loop((again) => {
      f.get(left).i32(1).op("i32.sub").tee(left).brIf(again);
    });
    f.get(frame).memory("i32.load").set(to);
    f.get(frame).memory("i32.load", 4).set(from);
    f.loop((again) => {
      f.get(to).get(start).i32(4).op("i32.mul").op("i32.add");
      f.get(from).get(start).i32(7).op("i32.mul").i32(3).op("i32.add");
      f.get(frame).memory("i32.load", 8).op("i32.rem_u");
      f.i32(4).op("i32.mul").op("i32.add").memory("i32.load");
      f.get(start).op("i32.add").i32(3).op("i32.mul");
      f.memory("i32.store");
      f.get(start).i32(1).op("i32.add").tee(start);
      f.get(end).op("i32.lt_s").brIf(again);
    });
  });
  module.function("trapCaller", ["i32", "i32", "i32"], [], (f) => {
    const [frame] = f.params as [Local];
    f.call(thread).op("i32.eqz").if(() => {
      f.get(frame).i32(1).memory("i32.atomic.store").op("unreachable");
    }, () => {
      f.loop((again) => {
        f.get(frame).memory("i32.atomic.load").op("i32.eqz").brIf(again);
      });
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

Deno.test("ThreadPool gives a program the functions of another, on all threads", async () => {
  const memory = sharedMemory();
  const pool = new ThreadPool(memory, { threads: 3 });
  await pool.start();
  const library = pool.load(markModule());
  const params = ["i32", "i32", "i32"] as const;
  const words = new Int32Array(memory.buffer);
  // Two programs of one library: the workers have it when the second comes.
  for (const offset of [0, 128]) {
    const module = new ModuleBuilder();
    module.importMemory({ shared: true, initial: 1, maximum: 16 });
    const mark = module.importFunction("env", "mark", params, []);
    module.function("further", params, [], (f) => {
      const [frame, start, end] = f.params as [Local, Local, Local];
      f.get(frame).i32(4 * offset).op("i32.add");
      f.get(start).get(end).call(mark);
    });
    const program = pool.load(module.finish(), library);
    const sequence = pool.sequence([step(program, "further", 100, 1)]);
    for (let round = 1; round <= 20; round++) pool.run(sequence, 0);
    const marks = words.subarray(offset, offset + 100);
    assert(marks.every((count) => count === 20));
  }
  pool.close();
});

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

/** Writes the frame of a stage `mix`; gives its address. */
function placeMix(
  words: Int32Array,
  at: number,
  to: number,
  from: number,
  count: number,
  slow: readonly [number, number],
): number {
  words.set([4 * to, 4 * from, count, ...slow], at);
  return 4 * at;
}

for (const threads of [1, 2, 4]) {
  Deno.test(`ThreadPool runs stages that need each other on ${threads} threads`, async () => {
    const memory = sharedMemory();
    const words = new Int32Array(memory.buffer);
    const pool = new ThreadPool(memory, { threads });
    await pool.start();
    assertEquals(pool.active, threads);
    const program = pool.load(markModule());
    const random = new Random(threads);
    for (let round = 0; round < 20; round++) {
      const count = random.integer(1, 300);
      const arrays = [0, 1].map((i) => 65536 + 1024 * i);
      const want = [0, 1].map(() =>
        Array.from({ length: count }, () => random.integer(-9, 9))
      );
      want.forEach((array, i) => words.set(array, arrays[i]!));
      const length = random.integer(1, 40);
      const steps = Array.from({ length }, (_, i) => {
        const [to, from] = i % 2 === 0 ? arrays : arrays.toReversed();
        // Counted from another address than 0.
        const slow = random.pick([[0, 0], [0, 9000], [9000, 0]] as const);
        const frame = placeMix(words, 4096 + 5 * i, to!, from!, count, slow);
        // Some are for one thread.
        const grain = random.pick([1, 1, 3, 16, count]);
        return step(program, "mix", count, grain, frame - 4 * 4096);
      });
      const sequence = pool.sequence(steps);
      for (let again = 0; again < 10; again++) {
        pool.run(sequence, 4 * 4096);
        for (let i = 0; i < length; i++) {
          const [to, from] = i % 2 === 0 ? want : want.toReversed();
          for (let at = 0; at < count; at++) {
            const sum = from![(7 * at + 3) % count]! + at;
            to![at] = Math.imul(3, sum);
          }
        }
        want.forEach((array, i) => {
          const from = arrays[i]!;
          assertEquals([...words.subarray(from, from + count)], array);
        });
      }
      pool.unload(sequence);
    }
    pool.close();
  });
}

Deno.test("ThreadPool wakes threads that have fallen asleep", async () => {
  const memory = sharedMemory();
  const pool = new ThreadPool(memory, { threads: 3 });
  await pool.start();
  const words = new Int32Array(memory.buffer);
  const program = pool.load(markModule());
  const sequence = pool.sequence([
    step(program, "mark", 1000, 1),
    step(program, "mark", 1000, 1000),
    step(program, "mark", 1000, 10),
  ]);
  for (let round = 1; round <= 5; round++) {
    pool.run(sequence, 0);
    assert(words.subarray(0, 1000).every((count) => count === 3 * round));
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  pool.close();
});

Deno.test("ThreadPool leaves out what stands behind a stage that traps", async () => {
  for (const stage of ["trap", "trapCaller"]) {
    const memory = sharedMemory();
    const pool = new ThreadPool(memory, { threads: 3 });
    await pool.start();
    const words = new Int32Array(memory.buffer);
    const program = pool.load(markModule());
    const at = 4 * 9000;
    const mark = step(program, "mark", 1000, 1);
    const sequences = [
      [mark, step(program, stage, 500, 1, at), mark],
      [mark, step(program, "mark", 4, 4), step(program, stage, 9, 1, at), mark],
      [mark, step(program, "trapCaller", 3, 3), mark],
    ].map((steps) => pool.sequence(steps));
    const again = pool.sequence([mark, mark]);
    for (let round = 0; round < 10; round++) {
      for (const sequence of sequences) {
        words.fill(0);
        assertThrows(() => pool.run(sequence, 0), Error, "unreachable");
        assertEquals(words[999], 1, "the first, not the last");
        pool.run(again, 0);
        assertEquals(words[999], 3, "still works");
      }
    }
    pool.close();
  }
});

Deno.test("ThreadPool traps on the calling thread where it is alone", () => {
  const pool = new ThreadPool(sharedMemory(), { threads: 1 });
  const program = pool.load(markModule());
  const trap = pool.sequence([step(program, "trapCaller", 4, 1)]);
  assertThrows(() => pool.run(trap, 0), WebAssembly.RuntimeError);
  pool.run(pool.sequence([step(program, "mark", 4, 1)]), 0);
  pool.close();
});

Deno.test("ThreadPool leaves out stages without items", async () => {
  const memory = sharedMemory();
  const pool = new ThreadPool(memory, { threads: 2 });
  await pool.start();
  const program = pool.load(markModule());
  pool.run(pool.sequence([]), 0);
  const trap = step(program, "trapCaller", 0, 1);
  pool.run(pool.sequence([trap, step(program, "mark", 9, 1), trap]), 0);
  assertEquals(new Int32Array(memory.buffer)[8], 1);
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
  const heard: [string, number][] = [];
  const onFewerThreads = (reason: string, threads: number) =>
    heard.push([reason, threads]);
  const pool = new ThreadPool(memory, { threads: 4, onFewerThreads });
  assertEquals(pool.threads, 1);
  assertEquals(heard.length, 1);
  assert(heard[0]![0].startsWith("memory cannot be shared between threads"));
  assertEquals(heard[0]![1], 1);
  new ThreadPool(memory, { threads: 1, onFewerThreads }).close();
  assertEquals(heard.length, 1, "no more was asked for");
  pool.close();
});

Deno.test("ThreadPool throws once it is closed", () => {
  const pool = new ThreadPool(sharedMemory(), { threads: 2 });
  pool.close();
  pool.close();
  assertThrows(() => pool.load(markModule()), Error, "closed");
});
