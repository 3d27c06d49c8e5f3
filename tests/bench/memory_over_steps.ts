/**
 * Trains a small network for many steps and prints buffers and resident memory
 * on the way: both must stay flat. The step is compiled unless `eager` is
 * asked for.
 *
 * `deno run -A tests/bench/memory_over_steps.ts wasm 10000 eager`
 */
import { crossEntropy } from "@heddle/losses";
import { Adam, Dropout, Linear, ReLU, Sequential } from "@heddle/nn";
import {
  compile,
  type DeviceName,
  openDevice,
  Scope,
  type Tensor,
  tensor,
} from "@heddle/tensor";

const [name = "wasm", count = "10000", way = "compiled"] = Deno.args;
const steps = Number(count);
using device = await openDevice(name as DeviceName);
const model = new Sequential(
  new Linear(16, 32),
  new ReLU(),
  new Dropout(0.2),
  new Linear(32, 4),
);
const optimizer = new Adam(model.parameters());

function train(inputs: Tensor, targets: Tensor): Tensor {
  const loss = crossEntropy(model.forward(inputs), targets);
  loss.backward();
  optimizer.step();
  return loss;
}
const step = way === "compiled" ? compile(train) : train;

function print(text: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${text}\n`));
}

let last = performance.now();
function report(done: number, since: number): void {
  const { buffers, bytes } = device.memory();
  const resident = (Deno.memoryUsage().rss / 2 ** 20).toFixed(1);
  const now = performance.now();
  const pace = since === 0 ? "" : ((now - last) / since).toFixed(2);
  last = now;
  const columns = [done, buffers, bytes, resident, pace];
  print(columns.map((column) => `${column}`.padEnd(10)).join("").trimEnd());
}

print(`${device.name}: ${device.adapter}, ${way}`);
print("step      buffers   bytes     MiB       ms/step");
const every = Math.max(1, Math.floor(steps / 10));
report(0, 0);
for (let at = 1; at <= steps; at++) {
  using _scope = new Scope();
  const inputs = Float32Array.from(
    { length: 8 * 16 },
    (_, i) => Math.sin(i * at),
  );
  const targets = Int32Array.from({ length: 8 }, (_, i) => (i + at) % 4);
  const loss = step(tensor(inputs, { shape: [8, 16] }), tensor(targets));
  if (at % every === 0) {
    await loss.item();
    report(at, every);
  }
}
