import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertThrows,
} from "@std/assert";
import {
  columns,
  DataLoader,
  type DataLoaderOptions,
  remoteDataset,
  subset,
} from "@heddle/data";
import { Barrier, delayed, WorkerDiedError } from "@heddle/data/pool";
import { TempFolder } from "./places.ts";
import {
  csvFiles,
  type Drawn,
  halves,
  nothing,
  numbers,
  numbersLater,
  stackTwice,
  threads,
  views,
} from "./worker_datasets.ts";

type Options = DataLoaderOptions<Drawn, unknown>;

/** The batches of some epochs. */
async function epochs(loader: DataLoader<Drawn, unknown>, count: number) {
  const batches: unknown[] = [];
  const end = loader.epoch + count;
  while (loader.epoch < end) {
    for await (const batch of loader) batches.push(batch);
  }
  return batches;
}

const CASES: readonly Options[] = [
  { batchSize: 3 },
  { batchSize: 4, shuffle: true, seed: 7 },
  { batchSize: 4, dropLast: true, prefetch: 0 },
  { batchSize: 1, shuffle: true, prefetch: 20 },
  { batchSize: 5, collate: (items) => items.map(({ x }) => x) },
];

for (const options of CASES) {
  const text = JSON.stringify(options);
  Deno.test(`DataLoader with workers gives the batches that it gives without: ${text}`, async () => {
    const dataset = await remoteDataset(delayed(numbers)(14));
    const expected = await epochs(new DataLoader(dataset, options), 2);
    using loader = new DataLoader(dataset, {
      ...options,
      workers: 2,
      persistentWorkers: options.shuffle,
    });
    assertEquals(await epochs(loader, 2), expected);
    assert(expected.length >= 6);
  });
}

Deno.test("DataLoader with workers goes on where state() was taken", async () => {
  const dataset = await remoteDataset(delayed(numbersLater)(10));
  const options = { batchSize: 2, shuffle: true, seed: 2, workers: 2 };
  const loader = new DataLoader(dataset, options);
  for await (const _ of loader) if (loader.state().position === 2) break;
  // However many were begun.
  assertEquals(loader.state().position, 2);
  const resumed = new DataLoader(dataset, options);
  resumed.restore(JSON.parse(JSON.stringify(loader.state())));
  const rest = await Array.fromAsync(resumed);
  assertEquals(rest.length, 3);
  assertEquals(rest, await Array.fromAsync(loader));
});

Deno.test("DataLoader with workers makes a subset, and a subset of that", async () => {
  const dataset = await remoteDataset(delayed(numbers)(10));
  const half = subset(subset(dataset, [9, 7, 5, 3, 1]), [0, 2, 4]);
  const loader = new DataLoader(half, { batchSize: 3, workers: 1 });
  const [batch] = await Array.fromAsync(loader);
  assertEquals(batch!.x.data, Float32Array.of(90, 50, 10));
});

Deno.test("DataLoader names the item that fails in a worker, and goes on with the next loop", async () => {
  const dataset = await remoteDataset(delayed(numbers)(6, 3));
  using loader = new DataLoader(dataset, {
    batchSize: 2,
    workers: 2,
    persistentWorkers: true,
  });
  const seen: number[] = [];
  const error = await assertRejects(
    async () => {
      for await (const { x } of loader) seen.push(...x.data);
    },
    Error,
    "DataLoader: item 3: number 3 is bad",
  );
  assertInstanceOf(error.cause, RangeError);
  assert(error.cause.stack!.includes("worker_datasets.ts"));
  assertEquals(seen, [0, 10]);
  assertEquals(loader.state().position, 1);
  await assertRejects(() => Array.fromAsync(loader), Error, "item 3");
});

Deno.test("DataLoader reports a worker that died, with the items of the batch", async () => {
  const dataset = await remoteDataset(delayed(numbers)(6, -1, 4));
  const loader = new DataLoader(dataset, { batchSize: 2, workers: 1 });
  const error = await assertRejects(
    () => Array.fromAsync(loader),
    Error,
    "DataLoader: batch 2, items 4, 5: ",
  );
  assertInstanceOf(error.cause, WorkerDiedError);
  assertEquals(loader.state().position, 2);
});

Deno.test("DataLoader keeps its workers when told to, and uses all of them", async () => {
  const dataset = await remoteDataset(delayed(threads)(6, new Barrier(2)));
  const names = async (persistentWorkers: boolean) => {
    using loader = new DataLoader(dataset, { workers: 2, persistentWorkers });
    const first = new Set((await Array.fromAsync(loader)).flat());
    const second = new Set((await Array.fromAsync(loader)).flat());
    return [first.size, second.size, first.union(second).size];
  };
  assertEquals(await names(true), [2, 2, 2]);
  assertEquals(await names(false), [2, 2, 4]);
});

Deno.test("DataLoader collates in the worker where it can", async () => {
  const dataset = await remoteDataset(delayed(numbers)(4));
  const inWorker = new DataLoader(dataset, {
    batchSize: 2,
    workers: 1,
    collate: halves,
  });
  const batches = await Array.fromAsync(inWorker);
  assertEquals(batches.map(({ half }) => half), [[0, 5], [10, 15]]);
  const here = halves([]).in;
  assert(batches.every((batch) => batch.in !== here));
  const inCaller = new DataLoader(dataset, {
    batchSize: 2,
    workers: 1,
    collate: (items) => halves(items),
  });
  for await (const batch of inCaller) assertEquals(batch.in, here);
});

Deno.test("DataLoader leaves arrays that items are views of as they are", async () => {
  const dataset = await remoteDataset(delayed(views)());
  for (const collate of [undefined, stackTwice]) {
    using loader = new DataLoader(dataset, {
      workers: 1,
      persistentWorkers: true,
      ...collate && { collate },
    });
    for (let epoch = 0; epoch < 2; epoch++) {
      const batches = await Array.fromAsync(loader) as { data: Float32Array }[];
      assertEquals(
        batches.map(({ data }) => [...data.subarray(0, 2)]),
        [[1, 2], [3, 4], [5, 6]],
      );
    }
  }
});

Deno.test("DataLoader ends workers of a loop that is left, of an empty set starts none", async () => {
  const dataset = await remoteDataset(delayed(numbers)(100));
  const loader = new DataLoader(dataset, { workers: 2 });
  for await (const _ of loader) break;
  // Nothing is left that would keep this test from ending: its sanitizers see.
  const none = await remoteDataset(delayed(numbers)(0));
  assertEquals(await Array.fromAsync(new DataLoader(none, { workers: 2 })), []);
});

Deno.test("DataLoader reads CSV files with workers", async () => {
  using folder = new TempFolder();
  const paths = Array.from({ length: 5 }, (_, i) => `${folder.path}/${i}.csv`);
  for (const [i, path] of paths.entries()) {
    await Deno.writeTextFile(path, "a,b\n" + 'x,"y\nz"\n'.repeat(i + 1));
  }
  const dataset = await remoteDataset(delayed(csvFiles)(paths));
  const loader = new DataLoader(dataset, { batchSize: 5, workers: 2 });
  const [batch] = await Array.fromAsync(loader);
  assertEquals(batch!.rows.data, Float32Array.of(1, 2, 3, 4, 5));
  assertEquals(batch!.characters.data, Float32Array.of(4, 8, 12, 16, 20));
});

Deno.test("DataLoader refuses workers that cannot be", async () => {
  const dataset = await remoteDataset(delayed(numbers)(4));
  for (const workers of [-1, 0.5, NaN]) {
    assertThrows(
      () => new DataLoader(dataset, { workers }),
      RangeError,
      `DataLoader: workers must be a whole number from 0: got ${workers}`,
    );
  }
  assertThrows(
    () => new DataLoader(columns({ x: [1, 2] }), { workers: 1 }),
    TypeError,
    "DataLoader: workers cannot make this data set: it was made here",
  );
  await assertRejects(
    () => remoteDataset(delayed(nothing)()),
    TypeError,
    "must give a data set, with length and get: got number",
  );
});
