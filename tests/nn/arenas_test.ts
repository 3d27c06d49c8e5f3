import {
  Adam,
  AdamW,
  clipGradNorm,
  Linear,
  manualSeed,
  type Module,
  type Optimizer,
  ReLU,
  Sequential,
  SGD,
} from "@heddle/nn";
import {
  compile,
  type Compiled,
  type Device,
  Scope,
  type Tensor,
  tensor,
  useDevice,
} from "@heddle/tensor";
import { assert, assertEquals, assertLess } from "@std/assert";
import { Device as Runtime } from "../../tensor/device/runtime.ts";
import { openWebgpu } from "../../tensor/device/webgpu.ts";
import { assertClose } from "../assert_close.ts";
import { TEST_DEVICES } from "../devices.ts";
import { seeded } from "../seeded.ts";
import { openReference } from "../tensor/reference_backend.ts";
import { randomTraining, train } from "./random_training.ts";

/** How many networks; more of them find more. */
const COUNT = Number(Deno.env.get("HEDDLE_TEST_GRAPHS") ?? 8);
/** Rounding that training amplifies. */
const TRAINED = { rtol: 1e-3, atol: 1e-4 };
const MIB = 2 ** 20;

interface Trained {
  readonly model: Sequential;
  readonly optimizer: Optimizer;
  readonly step: Compiled<[Tensor], Tensor>;
}

/** A network of several sizes, whose gradients are clipped. */
function network(
  optimizerOf: (parameters: Tensor[]) => Optimizer,
  width: number = 20,
): Trained {
  manualSeed(5);
  const model = new Sequential(
    new Linear(6, width),
    new ReLU(),
    new Linear(width, 12),
    new ReLU(),
    new Linear(12, 3),
  );
  const optimizer = optimizerOf(model.parameters());
  return { model, optimizer, step: stepOf(model, optimizer) };
}

function stepOf(
  model: Module & { forward(x: Tensor): Tensor },
  optimizer: Optimizer,
  clipped: Tensor[] = model.parameters(),
): Compiled<[Tensor], Tensor> {
  return compile((x: Tensor): Tensor => {
    const loss = model.forward(x).sub(1).square().mean();
    loss.backward();
    clipGradNorm(clipped, 0.5);
    optimizer.step();
    return loss;
  });
}

const adam = (parameters: Tensor[]) =>
  new Adam(parameters, { learningRate: 0.01 });

const sgd = (parameters: Tensor[]) =>
  new SGD(parameters, { learningRate: 0.1, momentum: 0.9 });

/** The same inputs for the same number. */
function inputs(at: number, rows: number = 4): Tensor {
  return seeded(at + 1).values([rows, 6]).tensor();
}

async function valuesOf(
  { model, optimizer }: Pick<Trained, "model" | "optimizer">,
): Promise<number[][]> {
  const state = Object.values(optimizer.stateDict().tensors);
  const all = [...model.parameters(), ...state];
  return await Promise.all(all.map(async (x) => [...await x.data()]));
}

async function assertSame(got: Trained, want: Trained): Promise<void> {
  const [values, others] = [await valuesOf(got), await valuesOf(want)];
  for (const [at, value] of values.entries()) {
    await assertClose(value, others[at]!, { ...TRAINED, of: `tensor ${at}` });
  }
}

/** Trains a network without arenas, and hands out the result. */
async function plainly(
  work: () => Promise<Trained>,
  on: Device,
): Promise<Trained> {
  useDevice(await TEST_DEVICES.find(({ name }) => name === "wasm")!.open());
  const trained = await work();
  await valuesOf(trained);
  useDevice(on);
  return trained;
}

const HAS_GPU = !TEST_DEVICES.find(({ name }) => name === "webgpu")!.ignore;

/** Devices with small arenas, by name. */
const DEVICES = {
  reference: (maxBufferBytes: number) =>
    Promise.resolve(openReference({ slices: true, maxBufferBytes })),
  webgpu: async (maxBufferBytes: number) =>
    new Runtime(await openWebgpu({ maxBufferBytes })),
};

/** A test on each device with arenas. */
function arenaTest(
  name: string,
  test: (device: Runtime) => Promise<void>,
  { devices = ["reference", "webgpu"], maxBufferBytes = 64 * MIB }: {
    readonly devices?: readonly (keyof typeof DEVICES)[];
    readonly maxBufferBytes?: number;
  } = {},
): void {
  for (const kind of devices) {
    Deno.test({
      name: `${name} [${kind}]`,
      ignore: kind === "webgpu" && !HAS_GPU,
      fn: async () => {
        using device = await DEVICES[kind](maxBufferBytes);
        useDevice(device);
        using _scope = new Scope();
        await test(device);
      },
    });
  }
}

/** The lines of maps that write where they read, as updates do. */
function updatesOf({ step }: Pick<Trained, "step">): string[] {
  return step.explain(inputs(0)).split("\n")
    .filter((line) => line.includes(" map ") && line.includes("in place"));
}

Deno.test("compile() of a random training step in arenas gives its values", async () => {
  let stacks = 0;
  for (let seed = 1; seed <= COUNT; seed++) {
    using device = openReference({ slices: true });
    useDevice(device);
    using _scope = new Scope();
    const { name } = randomTraining(seed);
    const want = await train(randomTraining(seed), 12, false);
    const got = await train(randomTraining(seed), 12, true);
    await assertClose(got.losses, want.losses, { ...TRAINED, of: name });
    stacks += Number(name.includes("clip"));
  }
  assert(stacks > 0);
});

for (
  const [name, optimizerOf] of [
    ["Adam", adam],
    ["AdamW", (p: Tensor[]) => new AdamW(p, { learningRate: 0.01 })],
    ["SGD", sgd],
  ] as const
) {
  arenaTest(
    `compile() clips and steps ${name} in one kernel`,
    async (device) => {
      const run = async () => {
        const trained = network(optimizerOf);
        for (let at = 0; at < 6; at++) await trained.step(inputs(at)).data();
        return trained;
      };
      const trained = await run();
      await assertSame(trained, await plainly(run, device));
      assertEquals(updatesOf(trained).length, 1);
    },
  );
}

for (
  const [devices, bytes, width] of [
    [["reference"], MIB / 64, 250],
    [["webgpu"], MIB, 14_000],
  ] as const
) {
  arenaTest(
    "compile() keeps arenas under the limit of a buffer",
    async (device) => {
      const run = async () => {
        const trained = network(sgd, width);
        for (let at = 0; at < 3; at++) await trained.step(inputs(at)).data();
        return trained;
      };
      const trained = await run();
      await assertSame(trained, await plainly(run, device));
      const size = trained.model.parameters()
        .reduce((sum, { size }) => sum + 4 * size, 0);
      assertLess(bytes, size);
      // Two shards of the model.
      assertEquals(updatesOf(trained).length, 2);
    },
    { devices, maxBufferBytes: bytes },
  );
}

arenaTest("compile() in arenas sees values from outside", async (device) => {
  const run = async () => {
    const trained = network(adam);
    const [weight] = trained.model.parameters() as [Tensor];
    await trained.step(inputs(0)).data();
    // Who has looked keeps what it saw, though the weight is overwritten.
    const kept = weight.detach();
    const seen = [...await kept.data()];
    await trained.step(inputs(1)).data();
    assertEquals([...await kept.data()], seen);
    weight.assign(weight.mul(0.5));
    await trained.step(inputs(2)).data();
    const state = trained.optimizer.stateDict();
    trained.optimizer.loadStateDict({
      ...state,
      tensors: Object.fromEntries(
        await Promise.all(
          Object.entries(state.tensors).map(async (
            [name, value],
          ) => [name, tensor([...await value.data()], { shape: value.shape })]),
        ) as [string, Tensor][],
      ),
    });
    await trained.step(inputs(3)).data();
    return trained;
  };
  await assertSame(await run(), await plainly(run, device));
});

arenaTest("compile() in arenas copies from one to another", async (device) => {
  const run = async () => {
    manualSeed(5);
    const layers = [new Linear(6, 6), new Linear(6, 6), new Linear(6, 6)];
    const model = new Sequential(...layers);
    // Nobody has computed the averages: they show the same zeros.
    const optimizer = adam(model.parameters());
    const step = stepOf(model, optimizer);
    await step(inputs(0)).data();
    const [first, second, third] = layers.map(({ weight }) => weight);
    first!.assign(second!);
    second!.assign(third!.add(0));
    await step(inputs(1)).data();
    first!.assign(third!);
    third!.assign(second!);
    await step(inputs(2)).data();
    return { model, optimizer, step };
  };
  await assertSame(await run(), await plainly(run, device));
});

arenaTest("compile() shares arenas between shapes", async (device) => {
  const run = async () => {
    const trained = network(adam);
    for (let at = 0; at < 6; at++) {
      await trained.step(inputs(at, at % 2 === 0 ? 4 : 3)).data();
    }
    return trained;
  };
  const trained = await run();
  const buffers = () => device.memory().buffers;
  const before = buffers();
  for (let at = 0; at < 8; at++) {
    using _scope = new Scope();
    await trained.step(inputs(at, at % 2 === 0 ? 4 : 3)).data();
  }
  assertEquals(buffers(), before);
  await assertSame(await run(), await plainly(run, device));
});

arenaTest(
  "compile() of other parts of a model in arenas leaves them alone",
  async (device) => {
    const run = async () => {
      const trained = network(adam);
      const [first, second, third] = trained.model.parameters() as Tensor[];
      const some = stepOf(
        trained.model,
        new SGD([first!, second!, third!], { learningRate: 0.1 }),
        [first!, second!, third!],
      );
      // Writes one parameter while it reads another of the same arena.
      const mix = compile(() => {
        first!.assign(first!.add(third!.sum()));
        return [];
      });
      for (let at = 0; at < 3; at++) {
        await trained.step(inputs(at)).data();
        await some(inputs(at)).data();
        mix();
      }
      return trained;
    };
    await assertSame(await run(), await plainly(run, device));
  },
);

arenaTest(
  "compile() in arenas follows learning rates that part",
  async (device) => {
    const run = async () => {
      const trained = network((parameters) =>
        new Adam([
          { parameters: parameters.slice(0, 3) },
          { parameters: parameters.slice(3) },
        ], { learningRate: 0.01 })
      );
      const [, second] = trained.optimizer.groups;
      for (let at = 0; at < 12; at++) {
        second!.learningRate = at % 2 === 0 ? 0.01 : 0.03;
        await trained.step(inputs(at)).data();
      }
      return trained;
    };
    await assertSame(await run(), await plainly(run, device));
  },
);

arenaTest(
  "compile() gives arenas back with their last user",
  async (device) => {
    const outer = new Scope();
    const trained = network(adam);
    await trained.step(inputs(0)).data();
    trained.step.dispose();
    const values = await valuesOf(trained);
    assert(values.flat().every(Number.isFinite));
    outer.dispose();
    await device.finish();
    assertEquals(device.memory().buffers, 0);
  },
);

arenaTest("the tools of compile() know arenas", async (device) => {
  const trained = network(adam);
  for (let at = 0; at < 2; at++) await trained.step(inputs(at)).data();
  const before = await valuesOf(trained);
  assertEquals(await trained.step.verify(inputs(2)), undefined);
  await trained.step.profile(inputs(2));
  assertEquals(await valuesOf(trained), before);
  const { state, intermediates } = trained.step.memory(inputs(2));
  assertLess(0, state);
  assertLess(0, intermediates);
  assertEquals(device.closed, false);
});
