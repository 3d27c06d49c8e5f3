import { DataLoader } from "@heddle/data";
import {
  Adam,
  type BatchLoader,
  Dropout,
  evaluate,
  fit,
  type FitStep,
  Linear,
  Schedule,
  Sequential,
  SGD,
} from "@heddle/nn";
import { compile, ones, type Tensor, tensor } from "@heddle/tensor";
import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertRejects,
} from "@std/assert";
import { deviceTest } from "../devices.ts";

type Batch = { readonly x: Tensor; readonly y: Tensor };

/** Points on a line, in batches of 2, 2 and 1. */
function points(): Batch[] {
  return [[0, 1], [2, 3], [4]].map((xs) => ({
    x: tensor(xs.map((x) => [x])),
    y: tensor(xs.map((x) => [2 * x - 1])),
  }));
}

/** A line that is 0 at first, and its training step. */
function line(learningRate = 0.02) {
  const model = new Linear(1, 1);
  model.loadStateDict({ weight: tensor([[0]]), bias: tensor([0]) });
  const optimizer = new SGD(model.parameters(), { learningRate });
  const lossOf = ({ x, y }: Batch) => model.forward(x).sub(y).square().mean();
  const step = (batch: Batch) => {
    const loss = lossOf(batch);
    loss.backward();
    optimizer.step();
    return loss;
  };
  return { model, optimizer, lossOf, step };
}

deviceTest("fit() trains as the loop by hand does, to the bit", async () => {
  const [one, other] = [line(), line()];
  const compiled = compile(one.step);
  for (let epoch = 0; epoch < 3; epoch++) {
    for (const batch of points()) compiled(batch);
  }
  const { totalSteps, stopped, history } = await fit(
    compile(other.step),
    points(),
    { epochs: 3 },
  );
  assertEquals([totalSteps, stopped, history.length], [9, "epochs", 3]);
  assertEquals(
    await other.model.weight.data(),
    await one.model.weight.data(),
  );
});

deviceTest("fit() takes a step that is not compiled", async () => {
  const { step, model } = line();
  const { history } = await fit(step, points(), { epochs: 60 });
  assert(history.at(-1)!.metrics.loss! < 0.05 * history[0]!.metrics.loss!);
  assertAlmostEquals(await model.weight.item(), 2, 0.3);
});

deviceTest("fit() weights means by the sizes of the batches", async () => {
  const batches = [tensor([1, 2, 3]), tensor([6]), tensor([4, 8])];
  const step = compile((x: Tensor) => ({
    mean: x.mean(),
    large: x.gt(2),
    first: x.slice([0, 1]),
  }));
  const { history } = await fit(step, batches, { epochs: 2 });
  const metrics = { mean: 4, large: 4 / 6, first: (3 * 1 + 6 + 2 * 4) / 6 };
  assertEquals(history, [
    { epoch: 1, totalSteps: 3, metrics },
    { epoch: 2, totalSteps: 6, metrics },
  ]);
  const equal = await fit(step, batches, { batchSize: () => 1 });
  assertEquals(equal.history[0]!.metrics["mean"], (2 + 6 + 6) / 3);
});

deviceTest("fit() finds the size of a batch inside of it", async () => {
  const batches = [
    { name: "a", parts: [{ x: { shape: [3, 1] } }] },
    { name: "b", parts: [{ x: { shape: [1, 7] } }] },
  ];
  const values: Record<string, number> = { a: 1, b: 5 };
  const { history } = await fit(
    ({ name }: { name: string }) => tensor(values[name]!),
    batches,
  );
  assertEquals(history[0]!.metrics, { loss: 2 });
});

deviceTest("fit() loses no small values to a large sum", async () => {
  const batches = [2 ** 24, ...new Array<number>(100).fill(1)]
    .map((value) => tensor([value]));
  const { history } = await fit((x: Tensor) => x, batches);
  assertEquals(history[0]!.metrics.loss! * 101, 2 ** 24 + 100);
  // A driver may simplify what keeps the rounding errors.
}, { devices: ["reference", "wasm"] });

deviceTest("fit() evaluates without gradients and dropout", async () => {
  const frozen = new Dropout(0.5).eval();
  const model = new Sequential(new Linear(2, 4), new Dropout(0.5), frozen);
  const optimizer = new Adam(model.parameters());
  const modes: boolean[][] = [];
  const modesNow = () => model.modules().map(({ training }) => training);
  const lossOf = (x: Tensor) => model.forward(x).square().mean();
  const { history } = await fit(
    compile((x: Tensor) => {
      modes.push(modesNow());
      const loss = lossOf(x);
      loss.backward();
      optimizer.step();
      return loss;
    }),
    [ones([4, 2])],
    {
      epochs: 4,
      model,
      evaluation: {
        step: (x: Tensor) => {
          const loss = lossOf(x);
          assert(!loss.requiresGrad);
          assertEquals(modesNow(), [false, false, false, false]);
          return { loss, same: loss.eq(lossOf(x)) };
        },
        loader: [ones([4, 2]), ones([1, 2])],
        every: 2,
      },
    },
  );
  assertEquals(history.map(({ evaluation }) => evaluation?.["same"]), [
    undefined,
    1,
    undefined,
    1,
  ]);
  assertEquals(modes, [[true, true, true, false]]); // Traced once.
  assertEquals(modesNow(), [true, true, true, false]);
});

deviceTest("fit() steps a schedule by epochs or by steps", async () => {
  for (const scheduleEach of [undefined, "step"] as const) {
    const { step, optimizer } = line(1e-3);
    const rates: number[] = [];
    const schedule = new Schedule(optimizer, (base, n) => base / 2 ** n);
    await fit(step, points(), {
      epochs: 2,
      schedule,
      ...scheduleEach ? { scheduleEach } : {},
      onStep: () => void rates.push(optimizer.groups[0]!.learningRate * 1e3),
    });
    assertEquals(
      rates,
      scheduleEach === "step"
        ? [1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32, 1 / 64]
        : [1, 1, 1, 1 / 2, 1 / 2, 1 / 2],
    );
  }
});

deviceTest("fit() reads metrics some steps late, not in each", async () => {
  const batches = [1, 2, 3, 4, 5, 6, 7, 8].map((x) => tensor([x]));
  const seen = async (
    options: { metricsMs: number; metricsSteps?: number },
  ) => {
    const values: (number | undefined)[] = [];
    await fit((x: Tensor) => x, batches, {
      epochs: 2,
      ...options,
      onStep: async ({ metrics }) => {
        values.push(metrics.loss);
        // Long enough for any device to answer.
        await new Promise((resolve) => setTimeout(resolve, 30));
      },
    });
    return values;
  };
  const none = new Array<undefined>(8).fill(undefined);
  assertEquals(
    await seen({ metricsMs: 1e9 }),
    [...none, ...new Array<number>(8).fill(4.5)],
  );
  assertEquals(
    (await seen({ metricsMs: 1e9, metricsSteps: 3 })).slice(0, 8),
    [undefined, undefined, undefined, 2, 2, 2, 3.5, 3.5],
  );
});

deviceTest("fit() calls callbacks in order, and waits for them", async () => {
  const { step, lossOf } = line();
  const calls: string[] = [];
  const later = async (text: string) => {
    await new Promise((resolve) => setTimeout(resolve));
    calls.push(text);
  };
  await fit(step, points(), {
    epochs: 2,
    evaluation: { step: lossOf, loader: points(), every: 2 },
    onStep: ({ epoch, step, stepsPerEpoch, totalSteps }) =>
      later(`${epoch} ${step}/${stepsPerEpoch} ${totalSteps}`),
    onEvaluate: ({ epoch }) => later(`evaluated ${epoch}`),
    onEpoch: ({ epoch }) => later(`epoch ${epoch}`),
    callbacks: [{ onEpoch: ({ epoch }) => void calls.push(`also ${epoch}`) }],
  });
  assertEquals(calls, [
    "1 1/3 1",
    "1 2/3 2",
    "1 3/3 3",
    "epoch 1",
    "also 1",
    "2 1/3 4",
    "2 2/3 5",
    "2 3/3 6",
    "evaluated 2",
    "epoch 2",
    "also 2",
  ]);
});

deviceTest("fit() ends where a callback answers stop", async () => {
  const { step, lossOf } = line();
  const evaluation = { step: lossOf, loader: points() };
  const options = { epochs: 9, evaluation };
  const inStep = await fit(step, points(), {
    ...options,
    onStep: ({ totalSteps }) =>
      Promise.resolve(totalSteps === 4 ? "stop" as const : undefined),
  });
  assertEquals(
    [inStep.totalSteps, inStep.history.length, inStep.stopped],
    [4, 1, "callback"],
  );
  const afterEvaluation = await fit(step, points(), {
    ...options,
    onEvaluate: () => "stop",
  });
  assertEquals(afterEvaluation.history.length, 1);
  const afterEpoch = await fit(step, points(), {
    ...options,
    onEpoch: ({ epoch }) => epoch === 2 ? "stop" : undefined,
  });
  assertEquals(
    [afterEpoch.history.length, afterEpoch.stopped],
    [2, "callback"],
  );
});

deviceTest("fit() stops early behind the best epoch", async () => {
  const losses = [5, 3, 4, 2.9, 2.95, 2.99, 1];
  const run = (earlyStopping: object, values = losses) => {
    let epoch = 0;
    return fit(() => tensor(0), [null], {
      epochs: values.length,
      evaluation: { step: () => tensor(values[epoch++]!), loader: [null] },
      earlyStopping: { metric: "loss", ...earlyStopping },
    });
  };
  const usual = await run({ patience: 2 });
  assertEquals(usual.stopped, "early");
  assertEquals(usual.history.map(({ improved }) => improved), [
    true,
    true,
    false,
    true,
    false,
    false,
  ]);
  assertEquals(usual.best!.epoch, 4);
  assertAlmostEquals(usual.best!.value, 2.9, 1e-6);
  assertEquals((await run({ patience: 0 })).history.length, 3);
  assertEquals((await run({ patience: 1 })).history.length, 3);
  const coarse = await run({ patience: 2, minDelta: 0.5 });
  assertEquals([coarse.best!.epoch, coarse.history.length], [2, 4]);
  assertEquals((await run({ patience: Infinity })).best!.epoch, 7);
  const most = await run({ mode: "max", patience: 2 }, [1, 3, 2, 4, 3, 2, 9]);
  assertEquals([most.best!.epoch, most.history.length], [4, 6]);
  const never = await run({ patience: 2 }, [NaN, NaN, 1]);
  assertEquals([never.best, never.history.length], [undefined, 2]);
  const training = await run({ of: "training", patience: 1 });
  assertEquals([training.best!.value, training.history.length], [0, 2]);
});

deviceTest("fit() gives the model the weights of its best epoch", async () => {
  for (const restoreBest of [false, true]) {
    const model = new Linear(1, 1, { bias: false });
    model.loadStateDict({ weight: tensor([[0]]) });
    const optimizer = new SGD(model.parameters(), { learningRate: 1 });
    // The weight is 1, 2, 3, … and best at 2.
    const { stopped } = await fit(
      compile((x: Tensor) => {
        const loss = model.forward(x).neg().sum();
        loss.backward();
        optimizer.step();
        return loss;
      }),
      [ones([1, 1])],
      {
        epochs: 5,
        model,
        evaluation: {
          step: compile((x: Tensor) => model.forward(x).sub(2).abs()),
          loader: [ones([1, 1])],
        },
        earlyStopping: { metric: "loss", patience: 3, restoreBest },
      },
    );
    assertEquals(stopped, "early");
    assertEquals(await model.weight.item(), restoreBest ? 2 : 5);
  }
});

deviceTest("fit() asks for the next batch before it does a step", async () => {
  const log: string[] = [];
  const loader = {
    async *[Symbol.asyncIterator]() {
      for (let at = 1; at <= 3; at++) {
        log.push(`make ${at}`);
        yield await Promise.resolve(tensor([at]));
      }
    },
  };
  await fit((x: Tensor) => {
    log.push("step");
    return x;
  }, loader);
  assertEquals(log, ["make 1", "make 2", "step", "make 3", "step", "step"]);
});

deviceTest("fit() lets the device catch up after each step", async (device) => {
  const log: string[] = [];
  const { ready } = device;
  device.ready = () => {
    log.push("ready");
    return ready.call(device);
  };
  try {
    await fit((x: Tensor) => (log.push("step"), x), [ones([1]), ones([1])]);
  } finally {
    device.ready = ready;
  }
  assertEquals(log, ["step", "ready", "step", "ready"]);
});

deviceTest("fit() ends epochs of a loader without an end", async () => {
  let made = 0;
  let open = true;
  const endless = (async function* () {
    try {
      for (;;) yield await Promise.resolve(tensor([++made]));
    } finally {
      open = false;
    }
  })();
  const { history } = await fit((x: Tensor) => x, endless, {
    epochs: 3,
    stepsPerEpoch: 2,
  });
  assertEquals(history.map(({ metrics }) => metrics.loss), [1.5, 3.5, 5.5]);
  assertEquals(made, 6);
  await Promise.resolve();
  assert(!open);
});

deviceTest("fit() goes on over the ends of a loader's epochs", async () => {
  const data = { length: 3, get: (index: number) => index };
  const loader = new DataLoader(data, {
    collate: ([index]) => tensor([index!]),
  });
  const seen: number[] = [];
  const { history } = await fit((x: Tensor) => x, loader, {
    epochs: 3,
    stepsPerEpoch: 2,
    onStep: ({ stepsPerEpoch }) => void seen.push(stepsPerEpoch!),
  });
  assertEquals(history.map(({ metrics }) => metrics.loss), [0.5, 1, 1.5]);
  assertEquals(seen, [2, 2, 2, 2, 2, 2]);
  await assertRejects(
    () => fit((x: Tensor) => x, [], { stepsPerEpoch: 2 }),
    RangeError,
    "fit: the loader gave no batch",
  );
});

deviceTest("fit() leaves the loader behind the last batch done", async () => {
  const data = { length: 5, get: (index: number) => index };
  const loader = new DataLoader(data, {
    collate: ([index]) => tensor([index!]),
  });
  const run = (stopAt?: number) =>
    fit((x: Tensor) => x, loader, {
      onStep: ({ step }) => step === stopAt ? "stop" : undefined,
    });
  await run(2);
  assertEquals(loader.state().position, 2);
  const { history } = await run();
  assertEquals(history[0]!.metrics.loss, 3);
  assertEquals(loader.epoch, 1);
});

deviceTest("fit() lets timers run, and says how fast it is", async () => {
  let ticks = 0;
  const timer = setInterval(() => ticks++, 1);
  const begun = performance.now();
  const told: FitStep[] = [];
  await fit((x: Tensor) => x.add(1), [tensor([1])], {
    epochs: 100_000,
    onStep: (step) => {
      told.push(step);
      return performance.now() - begun > 700 ? "stop" : undefined;
    },
  });
  clearInterval(timer);
  assert(ticks >= 3, `${ticks}`);
  assertEquals(told[0]!.stepsPerSecond, undefined);
  const { stepsPerSecond, secondsLeft, totalSteps } = told.at(-1)!;
  assert(stepsPerSecond! > 0.3 * told.length);
  assertAlmostEquals(secondsLeft! * stepsPerSecond!, 1e5 - totalSteps, 1);
});

deviceTest("fit() leaves memory flat, and as it was", async (device) => {
  const { model, step, lossOf } = line(1e-3);
  const trained = compile(step);
  const tested = compile(lossOf);
  const options = { model, evaluation: { step: tested, loader: points() } };
  await fit(trained, points(), { epochs: 2, ...options });
  const before = device.memory().buffers;
  const buffers = new Set<number>();
  await fit(trained, points(), {
    epochs: 9,
    ...options,
    onEpoch: ({ epoch }) => {
      if (epoch > 3) buffers.add(device.memory().buffers);
    },
  });
  assertEquals(buffers.size, 1);
  // What the last step replaced is freed by the next.
  const after = device.memory().buffers;
  assert(Math.abs(after - before) <= 1, `${before} to ${after}`);
});

deviceTest("fit() replays once a step, metrics included", async () => {
  let calls = 0;
  const { step, lossOf } = line();
  const options = { loader: points(), every: 2 };
  await fit(
    compile((batch: Batch) => {
      calls++;
      return { loss: step(batch), size: batch.x.mul(0).add(batch.x.shape[0]!) };
    }),
    points(),
    {
      epochs: 4,
      evaluation: {
        step: compile((batch: Batch) => {
          calls++;
          return lossOf(batch);
        }),
        ...options,
      },
      onEpoch: ({ metrics }) => {
        assertAlmostEquals(metrics["size"]!, (4 + 4 + 1) / 5, 1e-6);
      },
    },
  );
  assertEquals(calls, 4); // Two shapes each.
});

deviceTest("fit() compiles as its step was compiled", async () => {
  const divide = compile((x: Tensor) => tensor([1, 1]).div(x).sum(), {
    nanWatch: true,
  });
  await assertRejects(
    // On a GPU it is found some steps later.
    () => fit(divide, [tensor([2, 3]), tensor([1, 0])], { epochs: 20 }),
    Error,
    "compile: a value is not finite",
  );
});

deviceTest("evaluate() averages over all batches", async () => {
  const model = new Dropout(0.5);
  const step = (x: Tensor) => ({
    mean: model.forward(x).mean(),
    large: x.gt(1),
  });
  const batches = [tensor([1, 2, 3]), tensor([6])];
  assertEquals(await evaluate(step, batches, { model }), {
    mean: 3,
    large: 0.75,
  });
  assert(model.training);
  await assertRejects(
    () => evaluate(step, [], { model }),
    RangeError,
    "evaluate: the loader gave no batch: if it is a generator",
  );
  assert(model.training);
});

deviceTest("fit() refuses steps and loaders it cannot use", async () => {
  const batches = [tensor([1])];
  const cases: [step: unknown, loader: unknown, type: unknown, text: string][] =
    [
      [3, batches, TypeError, "fit: the step must be a function of a batch"],
      [
        () => {},
        batches,
        TypeError,
        "fit: the step gave nothing to read: got undefined: return the loss, " +
        "or a record of tensors such as { loss, accuracy }",
      ],
      [() => ({}), batches, TypeError, "fit: the step gave nothing to read"],
      [
        () => Promise.resolve(tensor(1)),
        batches,
        TypeError,
        "fit: the step is asynchronous: got a promise",
      ],
      [
        () => ({ loss: 3 }),
        batches,
        TypeError,
        "fit: the step's loss is no tensor with values: got number",
      ],
      [
        (x: Tensor) => ({ loss: x.slice([0, 0]) }),
        batches,
        TypeError,
        "fit: the step's loss is no tensor with values: got shape [0]",
      ],
      [(x: Tensor) => x, 3, TypeError, "fit: the loader gives no batches"],
      [(x: Tensor) => x, [], RangeError, "fit: the loader gave no batch"],
      [
        (x: Tensor) => x,
        (function* () {
          yield tensor([1]);
        })(),
        RangeError,
        "fit: the loader gave no batch: if it is a generator, which gives its " +
        "batches once, pass an array or a DataLoader",
      ],
      [
        ((at: number) => (x: Tensor) => ({ [`loss${at++}`]: x }))(0),
        batches,
        RangeError,
        "fit: the step gave other metrics than before: got loss1: before it " +
        "was loss0",
      ],
      [
        (x: Tensor) =>
          Object.fromEntries(Array.from({ length: 65 }, (_, at) => [at, x])),
        batches,
        RangeError,
        "fit: the step gave 65 metrics: there may be 64",
      ],
      [
        compile((x: Tensor) => ({ a: x, b: null })),
        batches,
        TypeError,
        "fit: the step's b is no tensor with values: got object",
      ],
    ];
  for (const [step, loader, type, text] of cases) {
    await assertRejects(
      () =>
        fit(
          step as (x: Tensor) => Tensor,
          loader as BatchLoader<Tensor>,
          { epochs: 2 },
        ),
      type as ErrorConstructor,
      text,
    );
  }
});

deviceTest("fit() refuses options that do not fit", async () => {
  const model = new Linear(1, 1);
  const schedule = new Schedule(
    new SGD(model.parameters(), { learningRate: 1 }),
    () => 1,
  );
  const store = {
    read: () => Promise.resolve(undefined),
    write: async () => {},
  };
  const batches = [tensor([1])];
  const evaluation = { step: (x: Tensor) => x, loader: batches };
  const cases: [options: object, text: string][] = [
    [{ epochs: 0 }, "fit: epochs must be a whole number from 1: got 0"],
    [{ stepsPerEpoch: 1.5 }, "fit: stepsPerEpoch must be a whole number"],
    [{ metricsMs: -1 }, "fit: metricsMs must be 0 or more: got -1"],
    [{ evaluation: { ...evaluation, every: 0 } }, "fit: evaluation.every must"],
    [
      { earlyStopping: { metric: "loss", of: "evaluation" } },
      "fit: earlyStopping is of the evaluation, and there is none",
    ],
    [
      { earlyStopping: { metric: "loss", mode: "least" } },
      "fit: earlyStopping.mode must be min or max: got least",
    ],
    [
      { earlyStopping: { metric: "loss", patience: -1 } },
      "fit: earlyStopping.patience must be 0 or more: got -1",
    ],
    [
      { earlyStopping: { metric: "accuracy" } },
      "fit: earlyStopping: there is no metric accuracy in the training: it " +
      "gives loss",
    ],
    [
      { evaluation, earlyStopping: { metric: "accuracy" } },
      "fit: earlyStopping: there is no metric accuracy in the evaluation: it " +
      "gives loss",
    ],
    [
      { earlyStopping: { metric: "loss", restoreBest: true } },
      "fit: earlyStopping.restoreBest is of no model: pass { model }",
    ],
    [
      { model, checkpoint: { store, parts: {} } },
      "fit: the model is none of the checkpoint's parts",
    ],
    [
      { schedule, checkpoint: { store, parts: { model } } },
      "fit: the schedule is none of the checkpoint's parts",
    ],
    [
      { checkpoint: { store, parts: { loader: batches } } },
      "fit: the loader is one of the checkpoint's parts",
    ],
    [
      { checkpoint: { store, parts: { bestWeights: model } } },
      "fit: a part is named bestWeights, which is fit's own: rename it",
    ],
    [
      { checkpoint: { store, parts: {}, everySteps: 0 } },
      "fit: checkpoint.everySteps must be a whole number from 1: got 0",
    ],
  ];
  for (const [options, text] of cases) {
    await assertRejects(
      () => fit((x: Tensor) => x, batches, options),
      Error,
      text,
    );
  }
});
