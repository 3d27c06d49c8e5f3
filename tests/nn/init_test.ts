import {
  calculateGain,
  Conv2d,
  defaultGenerator,
  Dropout,
  Embedding,
  fans,
  kaimingNormal,
  kaimingUniform,
  Linear,
  manualSeed,
  xavierNormal,
  xavierUniform,
} from "@heddle/nn";
import { Generator, type Tensor } from "@heddle/tensor";
import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertNotEquals,
  assertThrows,
} from "@std/assert";
import { assertSame } from "../assert_close.ts";
import { deviceTest } from "../devices.ts";

/** Of `n` values the mean and deviation are known to about `1 / √n`. */
async function checkSpread(
  x: Tensor,
  kind: "uniform" | "normal",
  deviation: number,
): Promise<void> {
  const data = Array.from(await x.data());
  const mean = data.reduce((a, b) => a + b, 0) / data.length;
  const square = data.reduce((a, b) => a + b * b, 0) / data.length;
  const slack = 5 / Math.sqrt(data.length);
  assertAlmostEquals(mean, 0, slack * deviation, "mean");
  assertAlmostEquals(
    Math.sqrt(square),
    deviation,
    slack * deviation,
    "deviation",
  );
  const greatest = data.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
  const bound = Math.sqrt(3) * deviation;
  if (kind === "uniform") {
    assert(greatest <= bound * 1.000001 && greatest > 0.98 * bound);
  } else assert(greatest > 1.5 * bound);
}

const WASM = { devices: ["wasm"] } as const;

deviceTest("Linear and Conv2d begin uniform over ±1/√fanIn", async () => {
  const linear = new Linear(50, 80);
  await checkSpread(linear.weight, "uniform", 1 / Math.sqrt(3 * 50));
  const wide = new Linear(4, 3000);
  await checkSpread(wide.bias!, "uniform", 1 / Math.sqrt(3 * 4));
  const conv = new Conv2d(8, 40, [3, 5], { groups: 2 });
  await checkSpread(conv.weight, "uniform", 1 / Math.sqrt(3 * 4 * 15));
}, WASM);

deviceTest("Embedding begins normal, its padding at 0", async () => {
  const { weight } = new Embedding(200, 20, { paddingIndex: -1 });
  await checkSpread(weight.slice([0, 199]), "normal", 1);
  await assertSame(weight.slice(199), new Array(20).fill(0));
}, WASM);

deviceTest("kaiming and xavier scale by fans and gain", async () => {
  const shape = [60, 20, 2, 3];
  assertEquals(fans(shape), { fanIn: 120, fanOut: 360 });
  await checkSpread(kaimingUniform(shape), "uniform", Math.sqrt(2 / 120));
  await checkSpread(
    kaimingNormal(shape, { mode: "fanOut", nonlinearity: "linear" }),
    "normal",
    Math.sqrt(1 / 360),
  );
  await checkSpread(
    kaimingUniform(shape, { slope: Math.sqrt(5) }),
    "uniform",
    Math.sqrt(1 / 3 / 120),
  );
  await checkSpread(
    xavierUniform(shape, { gain: 2 }),
    "uniform",
    2 * Math.sqrt(2 / 480),
  );
  await checkSpread(xavierNormal(shape), "normal", Math.sqrt(2 / 480));
  assertThrows(() => kaimingNormal([3]), RangeError, "at least two axes");
}, WASM);

Deno.test("calculateGain() gives PyTorch's gains", () => {
  assertEquals(calculateGain("linear"), 1);
  assertEquals(calculateGain("sigmoid"), 1);
  assertEquals(calculateGain("tanh"), 5 / 3);
  assertEquals(calculateGain("relu"), Math.SQRT2);
  assertEquals(calculateGain("leakyRelu"), Math.sqrt(2 / 1.0001));
  assertAlmostEquals(calculateGain("leakyRelu", 1), 1);
  assertEquals(calculateGain("selu"), 0.75);
});

deviceTest("manualSeed() decides all weights and what is dropped", async () => {
  const draw = async (seed: number) => {
    manualSeed(seed);
    const layer = new Linear(3, 2);
    const dropout = new Dropout(0.5);
    const output = dropout.forward(layer.weight);
    return [...await layer.weight.data(), ...await output.data()];
  };
  const first = await draw(1);
  assertEquals(await draw(1), first);
  assertNotEquals(await draw(2), first);
});

deviceTest(
  "generator options leave the default generator alone",
  async () => {
    const before = defaultGenerator().state();
    const make = () => new Linear(2, 2, { generator: new Generator(5) });
    await assertSame(
      make().weight,
      await make().weight.toArray() as number[][],
    );
    new Conv2d(1, 1, 1, { generator: new Generator(5) });
    new Embedding(1, 1, { generator: new Generator(5) });
    new Dropout(0.5, { generator: new Generator(5) });
    assertEquals(defaultGenerator().state(), before);
  },
);

Deno.test("manualSeed() refuses what is no seed", () => {
  assertThrows(() => manualSeed(-1), RangeError, "from 0 to 2^53 - 1: got -1");
});
