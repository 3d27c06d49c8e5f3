import {
  Adam,
  AverageMeter,
  BatchNorm2d,
  Conv2d,
  Dropout,
  Flatten,
  Linear,
  manualSeed,
  ReLU,
  Sequential,
  Tanh,
} from "@heddle/nn";
import { Scope, tensor } from "@heddle/tensor";
import { assert, assertEquals, assertLess } from "@std/assert";
import { deviceTest } from "../devices.ts";
import { seeded } from "../seeded.ts";

deviceTest("Adam learns the parity of two bits", async () => {
  manualSeed(0);
  const net = new Sequential(new Linear(2, 8), new Tanh(), new Linear(8, 1));
  const optimizer = new Adam(net.parameters(), { learningRate: 0.1 });
  const bits = tensor([[0, 0], [0, 1], [1, 0], [1, 1]]);
  const parity = tensor([[0], [1], [1], [0]]);
  for (let step = 0; step < 150; step++) {
    using _scope = new Scope();
    net.forward(bits).sub(parity).square().mean().backward();
    optimizer.step();
  }
  const error = net.forward(bits).sub(parity).abs().max();
  assertLess(await error.item(), 0.05);
});

deviceTest("step() in a scope leaves memory flat", async (device) => {
  manualSeed(1);
  const net = new Sequential(
    new Conv2d(1, 2, 3),
    new BatchNorm2d(2),
    new ReLU(),
    new Flatten(),
    new Dropout(0.2),
    new Linear(8, 1),
  );
  const optimizer = new Adam(net.parameters());
  const meter = new AverageMeter();
  const images = seeded(1).values([3, 1, 4, 4]);
  const counts: number[] = [];
  const bytes: number[] = [];
  // Each step on the reference device is thousands of loops in JavaScript.
  const steps = device.adapter === "reference" ? 40 : 300;
  for (let step = 0; step < steps; step++) {
    using _scope = new Scope();
    const loss = net.forward(images.tensor()).sub(1).square().mean();
    loss.backward();
    optimizer.step();
    meter.add(loss);
    if (step % 10 === 9) {
      counts.push(device.memory().buffers);
      bytes.push(device.memory().bytes);
    }
  }
  assertEquals(new Set(counts.slice(1)).size, 1, `${counts}`);
  assertEquals(new Set(bytes.slice(1)).size, 1, `${bytes}`);
  const parameters = net.parameters().length + net.buffers().length;
  // Values now and before, two averages each, meter, loss, batch and gradients.
  assertLess(counts.at(-1)!, 10 * parameters);
  assert(Number.isFinite(await meter.value()));
});
