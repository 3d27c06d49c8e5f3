import {
  Dropout,
  Linear,
  manualSeed,
  readCheckpoint,
  writeCheckpoint,
} from "@heddle/nn";
import { compile, ones, Scope, tensor, useDevice } from "@heddle/tensor";
import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { assertClose } from "../assert_close.ts";
import { deviceTest, TEST_DEVICES } from "../devices.ts";
import { randomTraining, train, valuesOf } from "./random_training.ts";

/** How many networks; more of them find more. */
const COUNT = Number(Deno.env.get("HEDDLE_TEST_GRAPHS") ?? 8);
const STEPS = 50;
/** Rounding that training amplifies. */
const TRAINED = { rtol: 1e-3, atol: 1e-4 };

deviceTest(
  "compile() of a random training step gives the bits of the step",
  async () => {
    for (let seed = 1; seed <= COUNT; seed++) {
      using _scope = new Scope();
      const eager = randomTraining(seed);
      const want = await train(eager, STEPS, false);
      const got = await train(randomTraining(seed), STEPS, true);
      assertEquals(got, want, eager.name);
    }
  },
  { devices: ["wasm"] },
);

deviceTest(
  "compile() of a random training step gives them on the host",
  async () => {
    for (let seed = 11; seed <= 10 + COUNT / 8; seed++) {
      using _scope = new Scope();
      const eager = randomTraining(seed);
      const want = await train(eager, STEPS, false);
      const got = await train(randomTraining(seed), STEPS, true);
      assertEquals(got, want, eager.name);
    }
  },
  { devices: ["reference"] },
);

deviceTest(
  "compile() of a random training step agrees with wasm",
  async (gpu) => {
    const wasm = await TEST_DEVICES.find(({ name }) => name === "wasm")!.open();
    for (const seed of [4, 9]) {
      using _scope = new Scope();
      const { name } = randomTraining(seed);
      const want = await train(randomTraining(seed), STEPS, false);
      useDevice(wasm);
      const other = await train(randomTraining(seed), STEPS, true);
      useDevice(gpu);
      const got = await train(randomTraining(seed), STEPS, true);
      const of = { ...TRAINED, of: name };
      await assertClose(got.losses, want.losses, of);
      await assertClose(got.losses, other.losses, of);
      // Masks and rates are counted on the host: equal everywhere.
      for (const part of ["generators", "steps", "schedule", "learningRates"]) {
        assertEquals(got.values[part], other.values[part], `${name} ${part}`);
      }
    }
  },
  { devices: ["webgpu"] },
);

deviceTest(
  "compile() drops others in each run, and the same for a seed",
  async (device) => {
    const masks = async (compiles: boolean): Promise<number[][]> => {
      manualSeed(3);
      const dropout = new Dropout(0.5);
      const f = (x: ReturnType<typeof ones>) => dropout.forward(x);
      const run = compiles ? compile(f) : f;
      const seen: number[][] = [];
      for (let at = 0; at < 4; at++) {
        seen.push([...await run(ones([64])).data()]);
      }
      return seen;
    };
    const drawn = await masks(true);
    assertEquals(drawn, await masks(false));
    assertEquals(new Set(drawn.map((mask) => mask.join())).size, 4);
    useDevice(await TEST_DEVICES[0]!.open());
    assertEquals(drawn, await masks(true));
    useDevice(device);
  },
);

deviceTest(
  "readCheckpoint() goes on in the middle of compiled training",
  async () => {
    const seed = 19;
    const whole = await train(randomTraining(seed), 12, true);
    const first = randomTraining(seed);
    const { losses } = await train(first, 5, true);
    const { model, optimizer, schedule, meter } = first;
    const bytes = await writeCheckpoint({ model, optimizer, schedule, meter });
    const second = randomTraining(seed);
    // In the middle of compiled training as well: what it has is replaced.
    const step = compile(second.step);
    for (let at = 0; at < 2; at++) {
      using _scope = new Scope();
      step(second.batch(at + 50));
      second.after();
    }
    const parts = {
      model: second.model,
      optimizer: second.optimizer,
      schedule: second.schedule,
      meter: second.meter,
    };
    await readCheckpoint(bytes, parts);
    for (let at = 5; at < 12; at++) {
      using _scope = new Scope();
      const { loss } = step(second.batch(at));
      losses.push(await loss.item());
      second.after();
    }
    assertEquals(losses, whole.losses);
    assertEquals(await valuesOf(second), whole.values);
  },
);

deviceTest(
  "compile() of an evaluation step sees what has been trained",
  async () => {
    manualSeed(2);
    const model = new Linear(3, 1);
    const x = tensor([[1, 2, 3]]);
    const evaluate = compile((x) => model.forward(x));
    const before = await evaluate(x).item();
    assertEquals(before, await model.forward(x).item());
    const train = compile((x) => {
      const loss = model.forward(x).square().mean();
      loss.backward();
      for (const parameter of model.parameters()) {
        parameter.assign(parameter.sub(parameter.grad!.mul(0.01)));
        parameter.grad = null;
      }
      return loss;
    });
    await train(x).item();
    const after = await evaluate(x).item();
    assertNotEquals(after, before);
    assertEquals(after, await model.forward(x).item());
    model.loadStateDict({ weight: tensor([[1, 1, 1]]), bias: tensor([5]) });
    assertEquals(await evaluate(x).item(), 11);
    model.bias!.assign(tensor([6]));
    assertEquals(await evaluate(x).item(), 12);
    assertEquals(await train(x).item(), 144);
    assert(Math.abs(await evaluate(x).item()) < 12);
    assertEquals([evaluate.traces, train.traces], [1, 1]);
  },
);

deviceTest("compile() traces train and eval mode once each", async () => {
  manualSeed(4);
  const dropout = new Dropout(0.5);
  const f = compile((x) => dropout.forward(x));
  for (let round = 0; round < 3; round++) {
    assertEquals(new Set(await f(ones([64])).data()), new Set([0, 2]));
    dropout.eval();
    assertEquals(new Set(await f(ones([64])).data()), new Set([1]));
    dropout.train();
  }
  assertEquals(f.traces, 2);
});
