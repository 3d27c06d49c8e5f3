import { columns, DataLoader, hostArray, toTensors } from "@heddle/data";
import {
  AdamW,
  BatchNorm2d,
  Conv2d,
  Dropout,
  fit,
  type FitOptions,
  type FitResult,
  type FitState,
  Flatten,
  Linear,
  readCheckpointState,
  ReLU,
  Sequential,
  WarmupCosineLR,
  writeCheckpoint,
} from "@heddle/nn";
import { compile, Generator, type Tensor, tensor } from "@heddle/tensor";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { deviceTest } from "../devices.ts";
import { seeded } from "../seeded.ts";
import { type MemoryStore, memoryStore } from "./memory_store.ts";

type Batch = { readonly images: Tensor; readonly targets: Tensor };

const ITEMS = 11;

function dataOf(seed: number) {
  const random = seeded(seed);
  const values = (shape: number[]) =>
    Float32Array.from(random.values(shape).data);
  return columns({
    images: hostArray(values([ITEMS * 16]), [ITEMS, 1, 4, 4]),
    targets: values([ITEMS]),
  });
}

/** All of a run, made anew: with dropout, running statistics and a schedule. */
function makeRun(store: MemoryStore | undefined) {
  const generator = new Generator(5);
  const model = new Sequential(
    new Conv2d(1, 3, 3, { generator }),
    new BatchNorm2d(3),
    new ReLU(),
    new Dropout(0.3, { generator }),
    new Flatten(),
    new Linear(12, 1, { generator }),
  );
  const optimizer = new AdamW(model.parameters(), { learningRate: 0.02 });
  const schedule = new WarmupCosineLR(optimizer, {
    warmupSteps: 3,
    totalSteps: 40,
  });
  const lossOf = ({ images, targets }: Batch) =>
    model.forward(images).flatten().sub(targets).square();
  const step = compile((batch: Batch) => {
    const errors = lossOf(batch);
    errors.mean().backward();
    optimizer.step();
    return { loss: errors.mean(), small: errors.lt(0.2) };
  });
  const tested = compile(lossOf);
  const loader = (seed: number) =>
    new DataLoader(dataOf(seed), { batchSize: 2, shuffle: true, seed });
  const run = (
    options: Partial<FitOptions<{ images: object }>> = {},
  ): Promise<FitResult> =>
    fit(
      (batch) => step(toTensors(batch) as unknown as Batch),
      loader(1),
      {
        epochs: 5,
        model,
        schedule,
        scheduleEach: "step",
        evaluation: {
          step: (batch) => tested(toTensors(batch) as unknown as Batch),
          loader: loader(2),
        },
        earlyStopping: { metric: "loss", patience: 4, restoreBest: true },
        ...options,
        ...store
          ? {
            checkpoint: {
              store,
              parts: { model, optimizer, schedule },
              ...options.checkpoint,
            },
          }
          : {},
      } as FitOptions<{ images: object }>,
    );
  const weights = async () => {
    const entries = Object.entries(model.stateDict());
    return await Promise.all(
      entries.map(async ([name, x]) => [name, await x.data()]),
    );
  };
  return { run, weights, schedule, optimizer };
}

deviceTest("fit() resumed anywhere has the bits of one run", async () => {
  const whole = makeRun(undefined);
  const { seconds: _, ...result } = await whole.run();
  assertEquals(result.totalSteps, 30);
  assert(result.best!.epoch < 5); // So that there is something to restore.
  const store = memoryStore();
  // In an epoch, before its last step, behind it, and behind the first.
  for (const stopAt of [4, 11, 12, 13]) {
    const part = await makeRun(store).run({
      onStep: ({ totalSteps }) => totalSteps === stopAt ? "stop" : undefined,
    });
    assertEquals([part.totalSteps, part.stopped], [stopAt, "callback"]);
  }
  // Behind an epoch, and in the middle of an evaluation.
  await makeRun(store).run({
    onEpoch: ({ epoch }) => epoch === 3 ? "stop" : undefined,
  });
  const controller = new AbortController();
  let evaluated = 0;
  const interrupted = makeRun(store);
  const loader = new DataLoader(dataOf(2), {
    batchSize: 2,
    shuffle: true,
    seed: 2,
  });
  await assertRejects(() =>
    interrupted.run({
      signal: controller.signal,
      evaluation: {
        step: () => {
          if (++evaluated === 3) controller.abort();
          return tensor(0);
        },
        loader: loader as DataLoader<unknown, { images: object }>,
      },
    }), DOMException);
  const state = readCheckpointState((await store.read())!) as FitState;
  assertEquals([state.epoch, state.step, state.trained], [3, 6, true]);
  const last = makeRun(store);
  const { seconds: __, ...resumed } = await last.run();
  assertEquals(resumed, result);
  assertEquals(await last.weights(), await whole.weights());
  // A run that is over does nothing but give the model its weights.
  const again = makeRun(store);
  const { seconds: ___, ...repeated } = await again.run();
  assertEquals(repeated, result);
  assertEquals(await again.weights(), await whole.weights());
});

deviceTest("fit() resumed from every few steps has the bits", async () => {
  const whole = makeRun(undefined);
  const { history } = await whole.run();
  const store = memoryStore();
  const failing = makeRun(store);
  await assertRejects(
    () =>
      failing.run({
        checkpoint: { everySteps: 4 } as never,
        onStep: ({ totalSteps }) => {
          if (totalSteps === 10) throw new Error("a crash");
        },
      }),
    Error,
    "a crash",
  );
  assertEquals(store.writes, 3); // Behind steps 4, 6 (an epoch) and 8.
  const resumed = makeRun(store);
  assertEquals((await resumed.run()).history, history);
  assertEquals(await resumed.weights(), await whole.weights());
});

deviceTest(
  "fit() goes on for more epochs, and stays stopped early",
  async () => {
    const values = [3, 1, 2, 2, 5, 6, 7];
    const run = (store: MemoryStore, epochs: number, patience: number) => {
      let at = 0;
      return fit<null, number>(() => tensor(0), [null, null], {
        epochs,
        evaluation: {
          step: (value: number) => tensor(value),
          loader: {
            *[Symbol.iterator]() {
              yield values[at++]!;
            },
            state: () => at,
            restore: (state: number) => void (at = state),
          },
        },
        earlyStopping: { metric: "loss", patience },
        checkpoint: { store, parts: {} },
      });
    };
    const store = memoryStore();
    assertEquals((await run(store, 3, 3)).stopped, "epochs");
    const early = await run(store, 7, 3);
    assertEquals([early.stopped, early.history.length], ["early", 5]);
    assertEquals(early.best, { epoch: 2, value: 1 });
    assertEquals(early.totalSteps, 10);
    const again = await run(store, 7, 3);
    assertEquals([again.stopped, again.history.length], ["early", 5]);
    const patient = await run(store, 7, 4);
    assertEquals([patient.stopped, patient.history.length], ["early", 6]);
  },
);

deviceTest("fit() skips what a loader without a state has given", async () => {
  const batches = [1, 2, 3, 4].map((x) => tensor([x]));
  const store = memoryStore();
  const seen: number[] = [];
  const run = (stopAt?: number) =>
    fit((x: Tensor) => x, {
      *[Symbol.iterator]() {
        for (const [at, batch] of batches.entries()) {
          seen.push(at);
          yield batch;
        }
      },
    }, {
      epochs: 2,
      checkpoint: { store, parts: {} },
      onStep: ({ totalSteps }) => totalSteps === stopAt ? "stop" : undefined,
    });
  await run(6);
  const { history, totalSteps } = await run();
  assertEquals(history.map(({ metrics }) => metrics.loss), [2.5, 2.5]);
  assertEquals(totalSteps, 8);
  assertEquals(seen, [0, 1, 2, 3, 0, 1, 2, /* resumed */ 0, 1, 2, 3]);
});

deviceTest(
  "fit() writes every few epochs, at the end and on stop",
  async () => {
    const written = async (epochs: number, stopAt?: number) => {
      const store = memoryStore();
      const saved: number[] = [];
      await fit((x: Tensor) => x, [tensor([1])], {
        epochs,
        checkpoint: {
          store: {
            read: () => store.read(),
            write: (bytes) => {
              const state = readCheckpointState(bytes) as FitState;
              saved.push(state.epoch);
              assertEquals(state.own, { mine: state.totalSteps });
              return store.write(bytes);
            },
          },
          parts: {},
          everyEpochs: 3,
          state: () => ({ mine: own }),
        },
        onStep: ({ totalSteps }) => {
          own = totalSteps;
          return totalSteps === stopAt ? "stop" : undefined;
        },
      });
      return saved;
    };
    let own = 0;
    assertEquals(await written(7), [3, 6, 7]);
    assertEquals(await written(6), [3, 6]);
    assertEquals(await written(9, 5), [3, 4]);
  },
);

deviceTest("fit() begins anew with resume: false", async () => {
  const store = memoryStore();
  const run = (resume: boolean) =>
    fit((x: Tensor) => x, [tensor([1])], {
      epochs: 2,
      checkpoint: { store, parts: {}, resume },
    });
  await run(true);
  const writes = store.writes;
  await run(true);
  assertEquals(store.writes, writes);
  await run(false);
  assertEquals(store.writes, 2 * writes);
});

deviceTest(
  "fit() refuses checkpoints of others, and of other data",
  async () => {
    const store = memoryStore();
    await store.write(await writeCheckpoint({}, { epoch: 3 }));
    await assertRejects(
      () =>
        fit((x: Tensor) => x, [tensor([1])], {
          checkpoint: { store, parts: {} },
        }),
      RangeError,
      "fit: the checkpoint in the store is none of fit: move it away, or pass " +
        "{ resume: false } to replace it",
    );
    const loader = (batchSize: number) =>
      new DataLoader({ length: 4, get: (at: number) => at }, {
        batchSize,
        collate: (items) => tensor([...items]),
      });
    const run = (batchSize: number) =>
      fit((x: Tensor) => x, loader(batchSize), {
        checkpoint: { store: fresh, parts: {} },
      });
    const fresh = memoryStore();
    await run(2);
    await assertRejects(() => run(1), RangeError, "batchSize differs");
  },
);

deviceTest("fit() ends at once where its signal is aborted", async () => {
  const reason = new Error("enough");
  const early = AbortSignal.abort(reason);
  const options = (signal: AbortSignal, store = memoryStore()) => ({
    epochs: 1000,
    signal,
    checkpoint: { store, parts: {} },
  });
  let steps = 0;
  const step = (x: Tensor) => (steps++, x);
  await assertRejects(
    () => fit(step, [tensor([1])], options(early)),
    Error,
    "enough",
  );
  assertEquals(steps, 0);
  // While it waits for a batch that never comes.
  const controller = new AbortController();
  const store = memoryStore();
  const stuck = {
    async *[Symbol.asyncIterator]() {
      yield tensor([1]);
      yield tensor([2]);
      await new Promise(() => {});
    },
    state: () => "somewhere",
    restore: (_: string) => {},
  };
  setTimeout(() => controller.abort(reason), 50);
  await assertRejects(
    () => fit(step, stuck, options(controller.signal, store)),
    Error,
    "enough",
  );
  assertEquals(steps, 2);
  const state = readCheckpointState((await store.read())!) as FitState;
  assertEquals(
    [state.step, state.loader, state.metrics.sums],
    [2, "somewhere", [3]],
  );
  // From a timer, while steps go on.
  const timer = new AbortController();
  setTimeout(() => timer.abort(reason), 100);
  const begun = performance.now();
  await assertRejects(
    () => fit(step, [tensor([1])], { epochs: 1e6, signal: timer.signal }),
    Error,
    "enough",
  );
  assert(performance.now() - begun < 1000);
});
