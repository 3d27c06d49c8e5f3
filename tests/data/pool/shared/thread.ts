/// <reference lib="deno.worker" />
import type {
  Barrier,
  Lock,
  RLock,
  Semaphore,
  SharedArray,
  SharedEvent,
} from "@heddle/data/pool";
import { revive } from "../../../../data/pool/shared/_revive.ts";

type Int32 = SharedArray<"int32">;

const functions = {
  /** Adds 1 so often, with the lock held: 3 steps that others could break. */
  increment(lock: Lock | RLock, counter: Int32, times: number): number {
    const { data } = counter;
    for (let i = 0; i < times; i++) {
      const held = lock.acquireSync();
      data[0]! = data[0]! + 1;
      held.release();
    }
    return times;
  },

  async incrementLater(lock: Lock, counter: Int32, times: number) {
    const { data } = counter;
    for (let i = 0; i < times; i++) {
      using _held = await lock.acquire();
      const before = data[0]!;
      if (i % 16 === 0) await Promise.resolve();
      data[0] = before + 1;
    }
    return times;
  },

  /** The same without a lock. */
  race(start: Barrier, counter: Int32, times: number): void {
    const { data } = counter;
    start.waitSync();
    for (let i = 0; i < times; i++) data[0]! = data[0]! + 1;
  },

  addAtomically(
    start: Barrier,
    arrays: readonly SharedArray[],
    times: number,
  ): void {
    start.waitSync();
    for (let i = 0; i < times; i++) {
      for (const array of arrays) {
        array.add(
          0,
          (array.dtype.endsWith("64") && array.dtype[0] !== "f"
            ? 1n
            : 1) as never,
        );
      }
    }
  },

  /** Notes in which place it got the lock. */
  queue(lock: Lock, places: Int32, me: number, blocking: boolean) {
    const note = () => places.set(places.add(0, 1) + 1, me);
    if (!blocking) {
      return lock.acquire().then((held) => (note(), held.release()));
    }
    using _held = lock.acquireSync();
    note();
  },

  /** Takes and gives back as fast as it can until told to stop. */
  hammer(lock: Lock, counts: Int32): void {
    while (counts.get(0) === 0) {
      const held = lock.acquireSync();
      counts.data[1]!++;
      held.release();
    }
  },

  /** Holds what it acquires; then ends in one of many ways, or does not. */
  hold(lock: Lock | RLock | Semaphore, held: SharedEvent, then: string): void {
    lock.acquireSync();
    held.set();
    if (then === "close") self.close();
    if (then === "exit") Deno.exit(1);
    if (then === "throw") throw new Error("on purpose");
    if (then === "block") {
      for (;;) {
        Atomics.wait(held.handle.words, 0, 1, 20);
      }
    }
    if (then === "compute") { while (held.isSet); }
  },

  /** Waits for what it never gets, without blocking. */
  waitAndDie(semaphore: Semaphore, ready: Int32) {
    const waiting = semaphore.acquire();
    ready.add(0, 1);
    return waiting;
  },

  /** Acquires, and gives the error's name. */
  tryTo(lock: Lock, timeoutMs: number): string {
    try {
      lock.acquireSync({ timeoutMs }).release();
      return "acquired";
    } catch (error) {
      return (error as Error).name;
    }
  },

  /** Passes the barrier so often; notes how many rounds each has done. */
  rounds(barrier: Barrier, done: Int32, me: number, times: number): boolean {
    let together = true;
    for (let round = 1; round <= times; round++) {
      done.set(me, round);
      barrier.waitSync();
      // Nobody is a round behind, nor two ahead.
      for (const other of done.data) {
        together &&= other === round || other === round + 1;
      }
      barrier.waitSync();
    }
    return together;
  },

  async waitAt(barrier: Barrier, blocking: boolean): Promise<string> {
    try {
      return `place ${blocking ? barrier.waitSync() : await barrier.wait()}`;
    } catch (error) {
      return (error as Error).name;
    }
  },

  async waitFor(event: SharedEvent, ready: Int32, blocking: boolean) {
    if (!blocking) {
      const waiting = event.wait();
      ready.add(0, 1);
      return await waiting;
    }
    ready.add(0, 1);
    event.waitSync();
  },

  /** Never more than `permits` inside. */
  crowd(semaphore: Semaphore, inside: Int32, times: number): number {
    let most = 0;
    for (let i = 0; i < times; i++) {
      const held = semaphore.acquireSync();
      most = Math.max(most, inside.add(0, 1) + 1);
      inside.add(0, -1);
      held.release();
    }
    return most;
  },
};

export interface ToThread {
  readonly name: keyof typeof functions;
  readonly args: readonly unknown[];
}

self.onmessage = async ({ data }: MessageEvent<ToThread>) => {
  const f = functions[data.name] as (...args: unknown[]) => unknown;
  if (data.name === "hold") {
    f(...revive(data.args));
    return;
  }
  try {
    self.postMessage({ value: await f(...revive(data.args)) });
  } catch (error) {
    self.postMessage({ error: `${(error as Error).name}: ${error}` });
  }
};
