import { Accuracy, AverageMeter, Linear, SGD } from "@heddle/nn";
import { endStep, ones, Scope, tensor } from "@heddle/tensor";
import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { deviceTest } from "../devices.ts";

deviceTest(
  "AverageMeter gives the weighted mean of tensors and numbers",
  async () => {
    const meter = new AverageMeter();
    assertEquals(await meter.value(), NaN);
    meter.add(tensor(2), 3);
    meter.add(tensor([[5]]));
    meter.add(9, 2);
    meter.add(tensor(4, { dtype: "int32" }), 0);
    assertEquals(meter.weight, 6);
    assertEquals(await meter.value(), (2 * 3 + 5 + 9 * 2) / 6);
    meter.reset();
    assertEquals(await meter.value(), NaN);
    meter.add(tensor(1));
    assertEquals(await meter.value(), 1);
  },
);

deviceTest(
  "AverageMeter takes losses before and after the step, inside scopes",
  async (device) => {
    const layer = new Linear(2, 1);
    const optimizer = new SGD(layer.parameters(), { learningRate: 0 });
    const [before, after, derived] = [1, 2, 3].map(() => new AverageMeter());
    const x = ones([4, 2]);
    const buffers: number[] = [];
    for (let step = 0; step < 6; step++) {
      using _scope = new Scope();
      const output = layer.forward(x.mul(step));
      const loss = output.sum();
      loss.backward();
      before!.add(loss);
      optimizer.step();
      after!.add(loss);
      derived!.add(output.mean().mul(4));
      buffers.push(device.memory().buffers);
    }
    const values = await Promise.all(
      [before, after, derived].map((meter) => meter!.value()),
    );
    assertAlmostEquals(values[1]!, values[0]!, 1e-5);
    assertAlmostEquals(values[2]!, values[0]!, 1e-5);
    assertEquals(buffers.slice(4), [buffers[3], buffers[3]]);
  },
);

deviceTest(
  "AverageMeter leaves memory flat where endStep() ends each round",
  async (device) => {
    const meter = new AverageMeter();
    const buffers: number[] = [];
    for (let round = 0; round < 8; round++) {
      using _scope = new Scope();
      meter.add(tensor([round]).sum());
      endStep();
      buffers.push(device.memory().buffers);
    }
    assertEquals(new Set(buffers.slice(3)).size, 1);
    assertEquals(await meter.value(), 3.5);
  },
);

// A driver may simplify what keeps the rounding errors.
const EXACT = { devices: ["reference", "wasm"] } as const;

deviceTest("AverageMeter loses no small values to a large sum", async () => {
  const meter = new AverageMeter();
  meter.add(tensor(2 ** 24));
  for (let step = 0; step < 100; step++) meter.add(tensor(1));
  // Plain float32 sums would stay at 2^24.
  assertEquals(await meter.value() * 101, 2 ** 24 + 100);
}, EXACT);

deviceTest(
  "AverageMeter goes on where it is restored to, to the bit",
  async () => {
    const [one, other] = [new AverageMeter(), new AverageMeter()];
    for (let step = 1; step < 9; step++) one.add(tensor(1 / step), step / 3);
    one.add(1 / 7);
    other.restore(JSON.parse(JSON.stringify(await one.state())));
    for (const meter of [one, other]) meter.add(tensor(0.1));
    assertEquals(await other.state(), await one.state());
    assertEquals(await other.value(), await one.value());
  },
);

Deno.test("AverageMeter refuses several elements and negative weights", () => {
  const meter = new AverageMeter();
  assertThrows(
    () => meter.add(tensor([1, 2])),
    RangeError,
    "AverageMeter.add: not a single element: got shape [2]: take its mean",
  );
  assertThrows(
    () => meter.add(1, -1),
    RangeError,
    "AverageMeter.add: weight must be 0 or more: got -1",
  );
  assertEquals(meter.weight, 0);
});

deviceTest(
  "Accuracy counts what is right over batches of any size",
  async () => {
    const accuracy = new Accuracy();
    accuracy.addLogits(
      tensor([[[1, 0, 2], [3, 0, 0]]]),
      tensor([[2, 1]], { dtype: "int32" }),
    );
    accuracy.addPredictions(
      tensor([true, false, true]),
      tensor([true, true, true]),
    );
    assertEquals(accuracy.weight, 5);
    assertEquals(await accuracy.value(), 3 / 5);
    assertThrows(
      () => accuracy.addLogits(ones([3, 2]), ones([2])),
      RangeError,
      "logits must have one axis more than targets: got [3, 2] and [2]",
    );
    assertThrows(
      () => accuracy.addPredictions(ones([3, 1]), ones([3])),
      RangeError,
      "Accuracy: predictions and targets differ in shape: got [3, 1] and [3]",
    );
  },
);
