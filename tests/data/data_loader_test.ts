import {
  columns,
  DataLoader,
  type Dataset,
  type HostArray,
  hostArray,
} from "@heddle/data";
import { assertEquals, assertRejects, assertThrows } from "@std/assert";

/** The numbers from 0. */
function numbers(count: number): Dataset<number> {
  return { length: count, get: (index) => index };
}

async function epoch<Batch>(loader: DataLoader<number, Batch>) {
  return await Array.fromAsync(loader);
}

const list = (items: readonly number[]) => [...items];

Deno.test("DataLoader gives items in order, the last batch smaller", async () => {
  const loader = new DataLoader(numbers(5), { batchSize: 2, collate: list });
  assertEquals(loader.length, 3);
  assertEquals(await epoch(loader), [[0, 1], [2, 3], [4]]);
  assertEquals(loader.epoch, 1);
});

Deno.test("DataLoader drops the smaller batch, and only that", async () => {
  const options = { batchSize: 2, dropLast: true, collate: list };
  const odd = new DataLoader(numbers(5), options);
  assertEquals([odd.length, await epoch(odd)], [2, [[0, 1], [2, 3]]]);
  const even = new DataLoader(numbers(4), options);
  assertEquals([even.length, await epoch(even)], [2, [[0, 1], [2, 3]]]);
  const few = new DataLoader(numbers(1), options);
  assertEquals([few.length, await epoch(few)], [0, []]);
  assertEquals(few.epoch, 1);
});

Deno.test("DataLoader shuffles by seed and epoch", async () => {
  const make = (seed: number) =>
    new DataLoader(numbers(20), { shuffle: true, seed, collate: ([x]) => x });
  const first = make(1);
  const [zero, one] = [await epoch(first), await epoch(first)];
  const ascending = Array.from({ length: 20 }, (_, i) => i);
  for (const order of [zero, one]) {
    assertEquals(order.toSorted((a, b) => a! - b!), ascending);
  }
  const orders = new Set([zero, one, ascending].map((order) => order.join()));
  assertEquals(orders.size, 3);
  const again = make(1);
  again.setEpoch(1);
  assertEquals(await epoch(again), one);
  assertEquals((await epoch(make(2))).join() === zero.join(), false);
});

Deno.test("DataLoader resumes with the batches that remained", async () => {
  for (const prefetch of [0, 3]) {
    const options = {
      batchSize: 3,
      shuffle: true,
      seed: 5,
      prefetch,
      collate: list,
    };
    const whole = new DataLoader(numbers(10), options);
    const want = [await epoch(whole), await epoch(whole), await epoch(whole)];
    for (let stop = 0; stop <= 8; stop++) {
      const killed = new DataLoader(numbers(10), options);
      let seen = 0;
      let state = JSON.stringify(killed.state());
      while (seen < stop) {
        for await (const _ of killed) {
          state = JSON.stringify(killed.state());
          if (++seen === stop) break;
        }
      }
      const resumed = new DataLoader(numbers(10), options);
      resumed.restore(JSON.parse(state));
      const rest: number[][] = [];
      while (resumed.epoch < 3) rest.push(...await epoch(resumed));
      assertEquals(rest, want.flat().slice(stop));
    }
  }
});

Deno.test("DataLoader restored behind the last batch ends that epoch", async () => {
  const loader = new DataLoader(numbers(2), { collate: list });
  const iterator = loader[Symbol.asyncIterator]();
  await iterator.next();
  await iterator.next();
  const state = loader.state();
  assertEquals([state.epoch, state.position], [0, 2]);
  const resumed = new DataLoader(numbers(2), { collate: list });
  resumed.restore(state);
  assertEquals(await epoch(resumed), []);
  assertEquals(resumed.epoch, 1);
  assertEquals(await epoch(resumed), [[0], [1]]);
});

Deno.test("DataLoader refuses a state of another order", () => {
  const options = { batchSize: 2, shuffle: true, seed: 1, dropLast: true };
  const state = new DataLoader(numbers(6), options).state();
  const others = [
    new DataLoader(numbers(7), options),
    new DataLoader(numbers(6), { ...options, batchSize: 3 }),
    new DataLoader(numbers(6), { ...options, shuffle: false }),
    new DataLoader(numbers(6), { ...options, seed: 2 }),
    new DataLoader(numbers(6), { ...options, dropLast: false }),
  ];
  for (const loader of others) {
    assertThrows(() => loader.restore(state), RangeError, "differs");
  }
  const same = new DataLoader(numbers(6), options);
  assertThrows(() => same.restore({ ...state, position: 4 }), RangeError);
  assertThrows(() => same.restore({ ...state, epoch: -1 }), RangeError);
});

Deno.test("DataLoader goes on behind a loop that was left", async () => {
  const loader = new DataLoader(numbers(4), { collate: list });
  for await (const _ of loader) break;
  assertEquals(await epoch(loader), [[1], [2], [3]]);
  for await (const _ of loader) break;
  loader.setEpoch(1);
  assertEquals(await epoch(loader), [[0], [1], [2], [3]]);
});

Deno.test("DataLoader allows one loop at a time", async () => {
  const loader = new DataLoader(numbers(4), { collate: list });
  const first = loader[Symbol.asyncIterator]();
  await first.next();
  const second = loader[Symbol.asyncIterator]();
  assertEquals(await second.next(), { done: false, value: [1] });
  await assertRejects(() => first.next(), Error, "another loop");
  loader.setEpoch(0);
  await assertRejects(() => second.next(), Error, "it was moved");
});

Deno.test("DataLoader prefetches that many batches and no more", async () => {
  const asked: number[] = [];
  const dataset: Dataset<number> = {
    length: 6,
    get: async (index) => {
      asked.push(index);
      await Promise.resolve();
      return index;
    },
  };
  const loader = new DataLoader(dataset, { prefetch: 2, collate: list });
  const got: number[] = [];
  for await (const [item] of loader) {
    got.push(item!);
    if (got.length === 1) assertEquals(asked, [0, 1, 2]);
    if (got.length === 4) assertEquals(asked, [0, 1, 2, 3, 4, 5]);
  }
  assertEquals(got, [0, 1, 2, 3, 4, 5]);
});

Deno.test("DataLoader throws an item's error where its batch is due", async () => {
  const dataset: Dataset<number> = {
    length: 4,
    get: (index) => {
      if (index === 2) throw new Error("item 2 is damaged");
      return index;
    },
  };
  for (const prefetch of [0, 3]) {
    const loader = new DataLoader(dataset, { prefetch, collate: list });
    const got: number[][] = [];
    await assertRejects(
      async () => {
        for await (const batch of loader) got.push(batch);
      },
      Error,
      "item 2 is damaged",
    );
    assertEquals(got, [[0], [1]]);
    assertEquals(loader.state().position, 2);
    // A loop that never comes there never hears of it.
    loader.setEpoch(0);
    for await (const _ of loader) break;
  }
});

Deno.test("DataLoader hears all items of a batch that fail", async () => {
  const dataset: Dataset<number> = {
    length: 3,
    get: async (index) => {
      if (index === 1) await Promise.resolve();
      throw new Error(`item ${index} is damaged`);
    },
  };
  const loader = new DataLoader(dataset, { batchSize: 3, collate: list });
  await assertRejects(() => epoch(loader), Error, "is damaged");
  // An error that nobody hears would end this process in the meantime.
  await new Promise((resolve) => setTimeout(resolve, 5));
});

Deno.test("DataLoader tells the data set the epoch, also when resumed", async () => {
  const epochs: number[] = [];
  const dataset: Dataset<number> = {
    length: 2,
    get: (index) => index,
    setEpoch: (epoch) => void epochs.push(epoch),
  };
  const loader = new DataLoader(dataset, { collate: list });
  await epoch(loader);
  for await (const _ of loader) break;
  const resumed = new DataLoader(dataset, { collate: list });
  resumed.restore(loader.state());
  await epoch(resumed);
  assertEquals(epochs, [0, 1, 1]);
});

Deno.test("DataLoader refuses a data set that changes its length", async () => {
  const items = [1, 2, 3];
  const loader = new DataLoader({
    get length() {
      return items.length;
    },
    get: (index: number) => items[index]!,
  });
  items.push(4);
  await assertRejects(() => epoch(loader), RangeError, "had 3 items: it has 4");
});

Deno.test("DataLoader stacks columns by default, in their types", async () => {
  const data = columns({
    x: hostArray(Float32Array.of(1, 2, 3, 4, 5, 6), [3, 2]),
    y: Int32Array.of(7, 8, 9),
    name: ["a", "b", "c"],
  });
  const loader = new DataLoader(data, { batchSize: 2 });
  // The types say the same: these lines check under `deno check`.
  const batches: {
    x: HostArray<Float32Array>;
    y: HostArray<Int32Array>;
    name: string[];
  }[] = await Array.fromAsync(loader);
  assertEquals(batches, [
    {
      x: hostArray(Float32Array.of(1, 2, 3, 4), [2, 2]),
      y: hostArray(Int32Array.of(7, 8)),
      name: ["a", "b"],
    },
    {
      x: hostArray(Float32Array.of(5, 6), [1, 2]),
      y: hostArray(Int32Array.of(9)),
      name: ["c"],
    },
  ]);
});

Deno.test("DataLoader refuses options out of range", () => {
  for (
    const options of [
      { batchSize: 0 },
      { batchSize: 1.5 },
      { prefetch: -1 },
      { seed: 0.5 },
    ]
  ) {
    assertThrows(() => new DataLoader(numbers(1), options), RangeError);
  }
});

Deno.test("DataLoader refuses a data set without get", () => {
  assertThrows(
    () => new DataLoader([1, 2] as unknown as Dataset<number>),
    TypeError,
    "DataLoader: a data set must have length and get: got an array: pass " +
      "columns({ name: array })",
  );
});
