import {
  type Barrier,
  Lock,
  remote,
  type Semaphore,
  type SharedArray,
  SharedEvent,
  type SharedValue,
} from "@heddle/data/pool";

/** Adds so often, in steps that others would break. */
export const addTo = remote(
  import.meta,
  function addTo(
    { lock, parts }: { lock: Lock; parts: readonly SharedArray<"float64">[] },
    amount: number,
    times: number,
  ): void {
    const { data } = parts[0]!;
    for (let i = 0; i < times; i++) {
      using _held = lock.acquireSync();
      data[0] = data[0]! + amount;
      data[1] = data[1]! + 1;
    }
  },
);

export const sumOf = remote(
  import.meta,
  function sumOf(value: SharedValue<"int32">): number {
    return value.add(1) + 1;
  },
);

/** Adds 1 to each value, in whatever holds them. */
export const addOneToAll = remote(
  import.meta,
  function addOneToAll(
    { byName, all }: {
      byName: Map<string | SharedEvent, SharedValue<"int32">[]>;
      all: Set<Set<SharedValue<"int32">>>;
    },
  ): (string | boolean)[] {
    for (const list of byName.values()) for (const one of list) one.add(1);
    for (const set of all) for (const one of set) one.add(1);
    return [...byName.keys()]
      .map((key) => typeof key === "string" ? key : key.isSet);
  },
);

export const makeShared = remote(
  import.meta,
  function makeShared(): { lock: Lock; list: SharedEvent[] } {
    const event = new SharedEvent();
    event.set();
    return { lock: new Lock(), list: [event] };
  },
);

export const addWithin = remote(
  import.meta,
  function addWithin(lock: Lock, timeoutMs: number): string {
    try {
      lock.acquireSync({ timeoutMs }).release();
      return "acquired";
    } catch (error) {
      return (error as Error).name;
    }
  },
);

export const meet = remote(
  import.meta,
  async function meet(barrier: Barrier, semaphore: Semaphore) {
    const place = barrier.waitSync({ timeoutMs: 20_000 });
    using _held = await semaphore.acquire();
    return place;
  },
);

/** Ends its worker, with the permit if there is one. */
export const takeAndExit = remote(
  import.meta,
  function takeAndExit(semaphore: Semaphore): void {
    semaphore.tryAcquire();
    Deno.exit(1);
  },
);
