/**
 * What a kernel costs the host: the time that a call takes, without the time
 * that the device goes on working. Cumulative sums of four numbers in a chain
 * are kernels of their own, compiled and not.
 */

import { assertAlmostEquals } from "@std/assert";
import { compile, ones, realizeSync, Scope, type Tensor } from "@heddle/tensor";
import { record, setGoals } from "./_medians.ts";
import { DEVICES, openHeddle } from "./_peers.ts";
import { say } from "./_say.ts";

const WIDTH = 4;
const RUNS = 60;
const WARMUP = 20;

/** For each kernel. */
const MOST_MICROSECONDS = { wasm: 1, webgpu: 5 };

function chain(x: Tensor, kernels: number): Tensor {
  for (let at = 0; at < kernels; at++) x = x.cumsum();
  return x;
}

/** The last of four ones that were summed up so often: C(kernels + 3, 3). */
function lastOf(kernels: number): number {
  return (kernels + 1) * (kernels + 2) * (kernels + 3) / 6;
}

const lines: (() => void)[] = [];
globalThis.addEventListener("unload", () => lines.forEach((line) => line()));

for (const name of DEVICES) {
  const library = await openHeddle(name);
  if (library === undefined) continue;
  const device = library.module;
  for (const kernels of [64, 500]) {
    // The short chain shows what a call costs beside its kernels.
    const group = kernels === 500
      ? `replay overhead ${name}`
      : `replay overhead ${kernels} kernels ${name}`;
    if (kernels === 500) {
      setGoals(group, { within: MOST_MICROSECONDS[name] * kernels / 1e3 });
    }
    await library.activate();
    const x = await ones([WIDTH]).realize();
    const step = compile((x: Tensor) => chain(x, kernels));
    const works: Record<string, () => Tensor> = {
      heddle: () => step(x),
      "heddle eager": () => {
        const y = chain(x, kernels);
        realizeSync(y);
        return y;
      },
    };
    for (const [entry, work] of Object.entries(works)) {
      const result = await work().data();
      const want = lastOf(kernels);
      assertAlmostEquals(result[WIDTH - 1]!, want, 1e-5 * want);
      const add = record(group, entry, WARMUP);
      const times: number[] = [];
      Deno.bench({
        name: entry,
        group,
        baseline: entry === "heddle",
        n: RUNS,
        warmup: WARMUP,
        fn: async (bench) => {
          await library.activate();
          using _scope = new Scope();
          bench.start();
          const start = performance.now();
          work();
          const end = performance.now();
          bench.end();
          add(end - start);
          times.push(end - start);
          await device.finish();
        },
      });
      lines.push(() => {
        const timed = times.slice(WARMUP).sort((a, b) => a - b);
        const median = timed[timed.length >> 1] ?? NaN;
        const each = (1e3 * median / kernels).toPrecision(3);
        say(`median ${group}: ${entry} ${each} µs a kernel`);
      });
    }
  }
}
