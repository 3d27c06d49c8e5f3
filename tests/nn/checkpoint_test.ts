import {
  Adam,
  AverageMeter,
  BatchNorm2d,
  defaultGenerator,
  Dropout,
  Linear,
  loadCheckpoint,
  manualSeed,
  Module,
  readCheckpoint,
  readCheckpointState,
  readSafetensors,
  SafetensorsError,
  saveCheckpoint,
  Sequential,
  SGD,
  StepLR,
  writeCheckpoint,
  writeSafetensors,
} from "@heddle/nn";
import { ones, Scope, type Tensor } from "@heddle/tensor";
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { TempFolder } from "../data/places.ts";
import { deviceTest, TEST_DEVICES } from "../devices.ts";
import { fileStore } from "./file_store.ts";

/** A small run, and a step of it. */
function makeRun(options: { seed?: number; hidden?: number } = {}) {
  const { seed = 1, hidden = 3 } = options;
  manualSeed(seed);
  const model = new Sequential(
    new Linear(2, hidden),
    new Dropout(0.5),
    new Linear(hidden, 1),
  );
  const optimizer = new Adam(model.parameters(), { learningRate: 0.1 });
  const schedule = new StepLR(optimizer, { stepSize: 2 });
  const meter = new AverageMeter();
  return { model, optimizer, schedule, meter };
}

type Run = ReturnType<typeof makeRun>;

function stepOf({ model, optimizer, schedule, meter }: Run): void {
  using _scope = new Scope();
  const loss = model.forward(ones([4, 2])).sub(1).square().mean();
  loss.backward();
  meter.add(loss);
  optimizer.step();
  schedule.step();
}

async function valuesOf(run: Run): Promise<number[][]> {
  const tensors: Tensor[] = [
    ...Object.values(run.model.stateDict()),
    ...Object.values(run.optimizer.stateDict().tensors),
  ];
  return await Promise.all(tensors.map(async (x) => [...await x.data()]));
}

deviceTest("readCheckpoint() restores a run to the bit", async () => {
  const first = makeRun();
  for (let step = 0; step < 3; step++) stepOf(first);
  const state = {
    epoch: 3,
    best: Infinity,
    odd: [NaN, -0, 0.1, null, true, "text", { deep: -Infinity }],
  };
  const bytes = await writeCheckpoint(first, state);
  assertEquals(await writeCheckpoint(first, state), bytes);
  assertEquals(readCheckpointState(bytes), state);
  const second = makeRun({ seed: 2 });
  assertEquals(await readCheckpoint(bytes, second), state);
  assertEquals(await valuesOf(second), await valuesOf(first));
  const drawn = [first, second].map(() => undefined as unknown);
  for (const [at, run] of [first, second].entries()) {
    for (let step = 0; step < 2; step++) stepOf(run);
    drawn[at] = [
      await valuesOf(run),
      await run.meter.state(),
      run.schedule.learningRates,
      run.optimizer.groups[0]!.learningRate,
    ];
  }
  assertEquals(drawn[1], drawn[0]);
});

deviceTest("readCheckpoint() restores the default generator", async () => {
  manualSeed(11);
  defaultGenerator().next();
  const state = defaultGenerator().state();
  const bytes = await writeCheckpoint({});
  manualSeed(12);
  await readCheckpoint(bytes, {});
  assertEquals(defaultGenerator().state(), state);
});

deviceTest(
  "writeCheckpoint() gives a safetensors file by part and path",
  async () => {
    const model = new Sequential(new Linear(1, 1), new BatchNorm2d(1));
    const optimizer = new SGD(model.parameters(), {
      learningRate: 1,
      momentum: 0.5,
    });
    const { tensors, metadata } = readSafetensors(
      await writeCheckpoint({ model, optimizer }),
    );
    assertEquals(Object.keys(tensors).sort(), [
      "model.0.bias",
      "model.0.weight",
      "model.1.bias",
      "model.1.runningMean",
      "model.1.runningVariance",
      "model.1.weight",
      "optimizer.0.direction",
      "optimizer.1.direction",
      "optimizer.2.direction",
      "optimizer.3.direction",
    ]);
    assertEquals(Object.keys(metadata), ["heddle.checkpoint"]);
  },
);

Deno.test("writeCheckpoint() says what JSON cannot hold", async () => {
  const cases: readonly (readonly [unknown, string])[] = [
    [
      { a: [1n] },
      "checkpoint.state.a[0] cannot be written as JSON: got bigint",
    ],
    [new Float32Array(1), "checkpoint.state cannot be written as JSON: got Fl"],
    [{ when: new Date() }, "checkpoint.state.when cannot be written"],
    [[undefined], "checkpoint.state[0] cannot be written as JSON: got undefi"],
    [{ $number: 1 }, "got an object with the key $number"],
    [new Map(), "got Map"],
  ];
  for (const [state, message] of cases) {
    await assertRejects(
      () => writeCheckpoint({}, state),
      TypeError,
      `writeCheckpoint: `,
    ).then(({ message: got }) => assert(got.includes(message), got));
  }
  await assertRejects(
    () => writeCheckpoint({ "a.b": new Linear(1, 1) }),
    RangeError,
    `must not be empty or hold a dot: got "a.b"`,
  );
});

deviceTest(
  "readCheckpoint() says what does not fit, and changes nothing",
  async () => {
    const saved = makeRun();
    const bytes = await writeCheckpoint(saved);
    const { model, ...others } = makeRun({ seed: 2 });
    class Plain extends Module {
      layers: Linear[] = [new Linear(2, 3)];
      override forward(): void {}
    }
    const wider = makeRun({ hidden: 4 });
    const cases:
      readonly (readonly [Parameters<typeof readCheckpoint>, string])[] = [
        [
          [bytes, { model }],
          "other parts were saved: got meter (state), model",
        ],
        [
          [bytes, { ...others, model: others.optimizer }],
          "the parts to restore are meter (state), model (optimizer)",
        ],
        [[bytes, wider], "0.weight is [3, 2] instead of [4, 2]"],
        [
          [bytes, { ...others, model, optimizer: wider.optimizer }],
          "Adam.loadStateDict: the state does not fit: 0.mean is [3, 2] instead",
        ],
        [
          [await writeCheckpoint({ model: new Plain() }), { model }],
          "the state does not fit Sequential: missing 0.weight",
        ],
      ];
    const before = await valuesOf({ model, ...others });
    for (const [args, message] of cases) {
      await assertRejects(
        () => readCheckpoint(...args),
        RangeError,
        message,
      );
    }
    assertEquals(await valuesOf({ model, ...others }), before);
    assertEquals(others.schedule.steps, 0);
  },
);

Deno.test("readCheckpoint() refuses other generators and stray tensors", async () => {
  const dropout = await writeCheckpoint({ model: new Dropout() });
  await assertRejects(
    () => readCheckpoint(dropout, { model: new Sequential() }),
    RangeError,
    "other generators were saved: got generator: Sequential has none",
  );
  const bytes = await writeCheckpoint({});
  const { metadata } = readSafetensors(bytes);
  for (const name of ["x", "model.x", ".x"]) {
    const stray = await writeSafetensors({ [name]: ones([1]) }, metadata);
    await assertRejects(
      () => readCheckpoint(stray, {}),
      RangeError,
      `readCheckpoint: ${name} belongs to no part`,
    );
  }
});

Deno.test("readCheckpoint() refuses what is no checkpoint", async () => {
  const of = (json: string) =>
    writeSafetensors({}, { "heddle.checkpoint": json });
  const random = { words: [1, 2], count: 0 };
  const cases: readonly (readonly [Uint8Array, string])[] = [
    [new Uint8Array([1, 2]), "the file is cut off"],
    [await writeSafetensors({}), "the file is no checkpoint"],
    [await of("{"), "the file is no checkpoint"],
    [await of("null"), "unknown version: got undefined"],
    [await of(`{"version":2}`), "unknown version: got 2"],
    [await of(`{"version":1}`), "the metadata are damaged"],
    [
      await of(JSON.stringify({ version: 1, random, parts: null })),
      "the metadata are damaged",
    ],
    [
      await of(JSON.stringify({ version: 1, random: [], parts: {} })),
      "the metadata are damaged",
    ],
    [
      await of(
        JSON.stringify({ version: 1, random, parts: { a: { kind: "x" } } }),
      ),
      "the metadata are damaged",
    ],
    [
      await of(
        JSON.stringify({
          version: 1,
          random,
          parts: { a: { kind: "module" } },
        }),
      ),
      "the metadata are damaged",
    ],
  ];
  for (const [bytes, message] of cases) {
    await assertRejects(
      () => readCheckpoint(bytes, {}),
      SafetensorsError,
      message,
    );
    assertThrows(() => readCheckpointState(bytes), SafetensorsError, message);
  }
});

deviceTest("loadCheckpoint() gives undefined for an empty store", async () => {
  using folder = new TempFolder();
  const store = fileStore(`${folder.path}/run.safetensors`);
  const model = new Linear(1, 1);
  assertEquals(await loadCheckpoint(store, { model }), undefined);
  await saveCheckpoint(store, { model }, { epoch: 1 });
  await saveCheckpoint(store, { model }, { epoch: 2 });
  assertEquals(await loadCheckpoint(store, { model }), { epoch: 2 });
  assertEquals(folder.list(), ["run.safetensors"]);
});

/** Runs `resumable_run.ts`; kills it once it has saved a step. */
async function run(
  device: string,
  path: string,
  killAfter?: number,
): Promise<string[]> {
  const script = new URL("resumable_run.ts", import.meta.url);
  await using child = new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-A", "--no-check", script.pathname, device, path],
      // It goes no further than that: so it is never too late to kill it.
      ...killAfter ? [`${killAfter + 2}`] : [],
    ],
    stdout: "piped",
    stderr: "piped",
    env: { NO_COLOR: "1" },
  }).spawn();
  const errors = new Response(child.stderr).text();
  let said = "";
  let killed = false;
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    said += text;
    if (killAfter && !killed && said.includes(`saved ${killAfter}\n`)) {
      killed = true;
      child.kill("SIGKILL");
    }
  }
  const { success, signal } = await child.status;
  const problem = await errors;
  assertEquals(signal, killAfter ? "SIGKILL" : null, problem);
  assertEquals(success, !killAfter, problem);
  return said.trim().split("\n");
}

for (const { name, ignore } of TEST_DEVICES) {
  if (name === "reference") continue;
  Deno.test({
    name:
      `loadCheckpoint() makes a killed run end as one that was not [${name}]`,
    ignore,
    fn: async () => {
      using folder = new TempFolder();
      const whole = `${folder.path}/whole.safetensors`;
      const broken = `${folder.path}/broken.safetensors`;
      assertEquals((await run(name, whole)).at(-1), "done");
      const first = await run(name, broken, 8);
      assertEquals(first[0], "from 0");
      const second = await run(name, broken, 22);
      assertEquals(second[0], "from 8");
      const third = await run(name, broken);
      assertEquals([third[0], third.at(-1)], ["from 22", "done"]);
      const [a, b] = [whole, broken].map((path) => Deno.readFileSync(path));
      assertEquals(b!.length, a!.length);
      assert(a!.every((byte, at) => byte === b![at]), "the files differ");
    },
  });
}
