import {
  type Barrier,
  type Lock,
  remote,
  type RLock,
  type Semaphore,
  type SharedArray,
} from "@heddle/data/pool";

/** What {@linkcode increment} holds meanwhile, or what it does instead. */
export type Guard = Lock | RLock | Semaphore | "add" | "nothing";

/** Adds 1 so often, once all are there; waits for all at the end. */
export const increment = remote(
  import.meta,
  function increment(
    guard: Guard,
    counter: SharedArray<"int32">,
    together: Barrier,
    times: number,
  ): number {
    const { data } = counter;
    together.waitSync();
    const began = performance.now();
    if (guard === "add") {
      for (let i = 0; i < times; i++) counter.add(0, 1);
    } else if (guard === "nothing") {
      for (let i = 0; i < times; i++) data[0] = data[0]! + 1;
    } else {
      for (let i = 0; i < times; i++) {
        const held = guard.acquireSync();
        data[0] = data[0]! + 1;
        held.release();
      }
    }
    together.waitSync();
    return performance.now() - began;
  },
);
