import {
  compile,
  type Device,
  realize,
  Scope,
  sort,
  type Tensor,
  tensor,
  type TensorData,
  useDevice,
} from "@heddle/tensor";
import { assertEquals } from "@std/assert";
import { assertClose, EXACT } from "../../assert_close.ts";
import { deviceTest } from "../../devices.ts";
import { openReference } from "../reference_backend.ts";
import { randomStep, seen, type StepOptions } from "./random_step.ts";

/** How many functions; more of them find more. */
const COUNT = Number(Deno.env.get("HEDDLE_TEST_GRAPHS") ?? 40);
const RUNS = 3;

/** What each run of a function shows, and at the end what it had returned. */
async function runsOf(
  options: StepOptions,
  isCompiled: boolean,
): Promise<TensorData[]> {
  using _scope = new Scope();
  const { state, argument, step } = randomStep(options);
  const compiled = compile(step);
  const all: TensorData[] = [];
  const returned: Tensor[] = [];
  for (let run = 0; run < RUNS; run++) {
    const results = (isCompiled ? compiled : step)(argument(run));
    returned.push(...results);
    const shown = seen(results, state);
    await realize(...shown);
    for (const one of shown) all.push(await one.data());
  }
  for (const one of returned) all.push(await one.data());
  compiled.dispose();
  return all;
}

async function check(options: StepOptions, isExact: boolean): Promise<void> {
  const want = await runsOf(options, false);
  const got = await runsOf(options, true);
  assertEquals(got.length, want.length);
  for (const [at, values] of want.entries()) {
    await assertClose(got[at]!, values, {
      ...isExact ? EXACT : { rtol: 1e-3, atol: 1e-3 },
      of: `seed ${options.seed}, value ${at}`,
    });
  }
}

/** Where a compiled function returns more, kernels are others, and round so. */
function checkOn({ adapter }: Device, options: StepOptions): Promise<void> {
  return check(options, options.whole || adapter === "reference");
}

for (const whole of [true, false]) {
  const numbers = whole ? "whole numbers" : "fractions";
  deviceTest(
    `compile() of random steps on ${numbers} gives what they give`,
    async (device) => {
      const count = device.adapter === "reference" ? COUNT : COUNT / 2;
      for (let seed = 1; seed <= count; seed++) {
        await checkOn(device, { seed, whole });
      }
    },
    { devices: ["reference", "wasm"] },
  );
}

deviceTest("compile() of random steps runs on a GPU", async () => {
  for (let seed = 1; seed <= COUNT / 20; seed++) {
    await check({ seed, whole: true }, true);
  }
}, { devices: ["webgpu"] });

Deno.test("compile() of random steps runs with few buffers a kernel", async () => {
  using device = openReference({ maxBuffers: 8 });
  useDevice(device);
  for (let seed = 1001; seed <= 1000 + COUNT; seed++) {
    await check({ seed, whole: seed % 2 === 0 }, true);
  }
});

deviceTest("compile() sorts what is assigned and sorted again", async () => {
  // The assigned value is a sort of its own, of the same numbers.
  const x = tensor([3, 1, 2]);
  const step = compile(() => {
    const before = sort(x).values;
    x.assign(x.mul(1));
    const { values, indices } = sort(x);
    return [before.add(1), values, indices];
  });
  for (let run = 0; run < 2; run++) {
    const [a, b, c] = step();
    assertEquals(await a!.toArray(), [2, 3, 4]);
    assertEquals(await b!.toArray(), [1, 2, 3]);
    assertEquals(await c!.toArray(), [1, 2, 0]);
  }
});
