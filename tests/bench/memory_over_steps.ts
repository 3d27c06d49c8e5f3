/**
 * Trains a small network for many steps and prints buffers and resident memory
 * on the way: both must stay flat.
 *
 * `deno run -A tests/bench/memory_over_steps.ts wasm 10000`
 */
import { crossEntropy } from "@heddle/losses";
import { Adam, Dropout, Linear, ReLU, Sequential } from "@heddle/nn";
import { type DeviceName, openDevice, Scope, tensor } from "@heddle/tensor";

const [name = "wasm", count = "10000"] = Deno.args;
using device = await openDevice(name as DeviceName);
const steps = Number(count);
const model = new Sequential(
  new Linear(16, 32),
  new ReLU(),
  new Dropout(0.2),
  new Linear(32, 4),
);
const optimizer = new Adam(model.parameters());
const print = (text: string) =>
  Deno.stdout.writeSync(new TextEncoder().encode(`${text}\n`));
print(`${device.name}: ${device.adapter}`);
print("step    buffers  bytes     resident MiB  ms/step");
let last = performance.now();
for (let step = 1; step <= steps; step++) {
  using _scope = new Scope();
  const inputs = Float32Array.from(
    { length: 8 * 16 },
    (_, i) => Math.sin(i * step),
  );
  const targets = Int32Array.from({ length: 8 }, (_, i) => (i + step) % 4);
  const loss = crossEntropy(
    model.forward(tensor(inputs, { shape: [8, 16] })),
    tensor(targets),
  );
  loss.backward();
  optimizer.step();
  if (step % (steps / 10) === 0) {
    await loss.item();
    const { buffers, bytes } = device.memory();
    const resident = (Deno.memoryUsage().rss / 2 ** 20).toFixed(1);
    const pace = (performance.now() - last) / (steps / 10);
    last = performance.now();
    print(
      `${`${step}`.padEnd(7)} ${`${buffers}`.padEnd(8)} ${
        `${bytes}`.padEnd(9)
      } ${resident.padEnd(13)} ${pace.toFixed(2)}`,
    );
  }
}
