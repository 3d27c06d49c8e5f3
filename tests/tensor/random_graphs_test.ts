import { realize, Scope, useDevice } from "@heddle/tensor";
import { assertClose, EXACT } from "../assert_close.ts";
import { deviceTest } from "../devices.ts";
import { Values } from "../values.ts";
import { evaluate } from "./evaluate_graph.ts";
import { type GraphOptions, randomGraph } from "./random_graph.ts";
import { openReference } from "./reference_backend.ts";

/** How many graphs; more of them find more. */
const COUNT = Number(Deno.env.get("HEDDLE_TEST_GRAPHS") ?? 60);
/** A GPU compiles each kernel anew. */
const COUNT_ON_GPU = Math.ceil(COUNT / 10);

/** Above this, float32 sums of whole numbers round. */
const EXACT_BELOW = 2 ** 23;

function optionsOf(seed: number, whole: boolean): GraphOptions {
  return { seed, whole, gradients: seed % 2 === 0, length: 4 + seed % 12 };
}

/** Runs a graph on the default device and compares with its plain evaluation. */
async function checkGraph(options: GraphOptions): Promise<void> {
  using _scope = new Scope();
  const results = randomGraph(options);
  const expected = evaluate(results);
  await realize(...results);
  for (const [at, want] of expected.entries()) {
    const exact = options.whole &&
      want.data.every((value) => Math.abs(value) < EXACT_BELOW);
    await assertClose(results[at]!, want, {
      // Each of some ten operations may round or amplify.
      ...exact ? EXACT : { rtol: 1e-3, atol: 1e-3 },
      of: `seed ${options.seed}, result ${at}`,
    });
  }
}

for (const whole of [true, false]) {
  const numbers = whole ? "whole numbers" : "fractions";
  deviceTest(
    `randomGraph() of ${numbers} runs as its operations say`,
    async (device) => {
      const count = device.name === "webgpu" ? COUNT_ON_GPU : COUNT;
      for (let seed = 1; seed <= count; seed++) {
        await checkGraph(optionsOf(seed, whole));
      }
    },
  );
}

Deno.test("randomGraph() gives the same bits fused and unfused", async () => {
  for (let seed = 1001; seed <= 1000 + COUNT; seed++) {
    const all: Values[][] = [];
    for (const fuse of [true, false]) {
      using _scope = new Scope();
      using _device = useDevice(openReference({ fuse }));
      const results = randomGraph(optionsOf(seed, false));
      await realize(...results);
      all.push(
        await Promise.all(
          results.map(async (x) => new Values(x.shape, await x.data())),
        ),
      );
    }
    const [fused, unfused] = all as [Values[], Values[]];
    for (const [at, values] of fused.entries()) {
      const of = `seed ${seed}, result ${at}`;
      await assertClose(values, unfused[at]!, { ...EXACT, of });
    }
  }
});

Deno.test("randomGraph() runs with the fewest buffers a kernel", async () => {
  using _device = useDevice(openReference({ maxBuffers: 6 }));
  for (let seed = 2001; seed <= 2000 + COUNT; seed++) {
    await checkGraph(optionsOf(seed, true));
  }
});

Deno.test("randomGraph() runs with every reduction split that can be", async () => {
  // A reduction of 8 elements counts as long, and 1000 rows as few.
  const long = { longReduction: 8, minRows: 1000 };
  for (const options of [long, { ...long, maxBuffers: 6 }]) {
    using device = openReference(options);
    useDevice(device);
    for (let seed = 3001; seed <= 3000 + COUNT; seed++) {
      await checkGraph(optionsOf(seed, seed % 4 > 0));
    }
  }
});

Deno.test("randomGraph() reads no factor of a product out of range", async () => {
  // The sum of a moved product: a bound that speaks of the summed axes alone
  // must hold both factors back, not only the first.
  using device = openReference({ longReduction: 8, minRows: 1000 });
  useDevice(device);
  await checkGraph({ seed: 3186, whole: true, gradients: true, length: 5 });
});
