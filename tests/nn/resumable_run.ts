/**
 * Trains a small network, in a process of its own that a test may kill:
 * `deno run -A resumable_run.ts DEVICE FILE [STEP]`. It goes on where the file
 * says, writes it every few steps, says so, and ends after three epochs, or
 * waits after a step for its end.
 */

import { columns, DataLoader, hostArray, toTensor } from "@heddle/data";
import {
  AdamW,
  AverageMeter,
  BatchNorm2d,
  clipGradNorm,
  Conv2d,
  defaultGenerator,
  Dropout,
  Flatten,
  Linear,
  loadCheckpoint,
  manualSeed,
  ReLU,
  saveCheckpoint,
  Sequential,
  WarmupCosineLR,
} from "@heddle/nn";
import { type DeviceName, normal, openDevice, Scope } from "@heddle/tensor";
import { seeded } from "../seeded.ts";
import { fileStore } from "./file_store.ts";

const [device, path, last] = Deno.args as [DeviceName, string, string?];
const EPOCHS = 3;
const ITEMS = 22;

using _device = await openDevice(device, { threads: 2 });
manualSeed(5);
const model = new Sequential(
  new Conv2d(1, 3, 3),
  new BatchNorm2d(3),
  new ReLU(),
  new Dropout(0.3),
  new Flatten(),
  new Linear(12, 5),
  new Dropout(0.1),
  new Linear(5, 1),
);
const [first, ...others] = model.children();
const optimizer = new AdamW([
  { parameters: first!.parameters(), learningRate: 0.02 },
  { parameters: others.flatMap((layer) => layer.parameters()) },
], { amsgrad: true });
const schedule = new WarmupCosineLR(optimizer, {
  warmupSteps: 3,
  totalSteps: 33,
});
const random = seeded(3);
const data = columns({
  images: hostArray(
    Float32Array.from(random.values([ITEMS * 16]).data),
    [ITEMS, 1, 4, 4],
  ),
  targets: Float32Array.from(random.values([ITEMS]).data),
});
const loader = new DataLoader(data, { batchSize: 2, shuffle: true, seed: 9 });
const meter = new AverageMeter();
const store = fileStore(path);
const parts = { model, optimizer, schedule, loader, meter };
let step = 0;
const saved = await loadCheckpoint(store, parts) as
  | { step: number }
  | undefined;
if (saved) step = saved.step;
say(`from ${step}`);
while (loader.epoch < EPOCHS) {
  for await (const batch of loader) {
    {
      using _scope = new Scope();
      const images = toTensor(batch.images);
      const noise = normal(defaultGenerator().next(), images.shape);
      const output = model.forward(images.add(noise.mul(0.1))).flatten();
      const loss = output.sub(toTensor(batch.targets)).square().mean();
      loss.backward();
      meter.add(loss);
      clipGradNorm(model.parameters(), 1);
      optimizer.step();
    }
    schedule.step();
    step++;
    // Also at the end of an epoch, before the loader has turned to the next.
    if (step % 4 === 0 || step === 22) {
      await saveCheckpoint(store, parts, { step, best: Infinity });
      say(`saved ${step}`);
    }
    if (step === Number(last)) {
      await new Promise((resolve) => setTimeout(resolve, 60_000));
    }
  }
  meter.reset();
}
await saveCheckpoint(store, parts, { step, best: -Infinity });
say("done");

function say(text: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${text}\n`));
}
