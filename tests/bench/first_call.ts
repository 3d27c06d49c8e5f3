/**
 * How long the first call of a compiled training step takes, from the call to
 * its loss: trace, plan, code, driver, one run. Each measurement is a process
 * of its own; the driver's cache of compiled shaders is a folder that is empty
 * (cold) or has seen the step before (warm). Prints medians of five.
 *
 * `deno run -A tests/bench/first_call.ts`
 */

import { tensor } from "@heddle/tensor";
import { type DeviceName, openHeddle } from "./_peers.ts";
import { median, RESULTS, write } from "./_results.ts";
import { say } from "./_say.ts";
import { siameseInputs } from "./_siamese.ts";
import { heddleStep } from "./_siamese_heddle.ts";

const RUNS = 5;

/** Most milliseconds; that of a cold cache is the driver's affair. */
const WITHIN: Readonly<Record<string, number>> = {
  "wasm": 300,
  "webgpu, warm cache": 1000,
};

/** Milliseconds from the call. */
interface FirstCall {
  /** Until it returns: all that the host does. */
  readonly returned: number;
  /** Until the loss is there. */
  readonly loss: number;
}

/** The first call of this process. */
async function firstCall(
  device: DeviceName,
  batch: number,
): Promise<FirstCall> {
  if (await openHeddle(device) === undefined) Deno.exit(1);
  const inputs = await Promise.all(
    siameseInputs(batch).map(({ shape, values }) =>
      tensor(values, { shape }).realize()
    ),
  );
  const step = await heddleStep(inputs, { dropout: true });
  const start = performance.now();
  const loss = step();
  const returned = performance.now() - start;
  await loss.item();
  return { returned, loss: performance.now() - start };
}

/** The same in a new process, with a driver's cache in a folder. */
async function inProcess(
  device: DeviceName,
  batch: number,
  cache: string,
): Promise<FirstCall | undefined> {
  const { success, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", import.meta.url, device, `${batch}`],
    env: { MESA_SHADER_CACHE_DIR: cache, [RESULTS]: "" },
    stderr: "null",
  }).output();
  if (!success) return undefined;
  return JSON.parse(new TextDecoder().decode(stdout)) as FirstCall;
}

async function measure(device: DeviceName, batch: number): Promise<void> {
  // Only a GPU's driver has a cache.
  const kinds = device === "wasm" ? [""] : [", cold cache", ", warm cache"];
  for (const kind of kinds) {
    const shared = await Deno.makeTempDir();
    const calls: FirstCall[] = [];
    if (kind !== ", cold cache") await inProcess(device, batch, shared);
    for (let run = 0; run < RUNS; run++) {
      const cold = kind === ", cold cache";
      const cache = cold ? await Deno.makeTempDir() : shared;
      const call = await inProcess(device, batch, cache);
      if (call !== undefined) calls.push(call);
      if (cold) await Deno.remove(cache, { recursive: true });
    }
    await Deno.remove(shared, { recursive: true });
    const name = `first call batch ${batch} ${device}${kind}`;
    if (calls.length === 0) {
      say(`${name}: left out: no such device`);
      continue;
    }
    say(`${name}: ${describe(calls)}`);
    const medians = { heddle: median(calls.map(({ loss }) => loss)) };
    const within = WITHIN[`${device}${kind}`];
    write([{ group: name, medians, ...within !== undefined && { within } }]);
  }
}

function describe(calls: readonly FirstCall[]): string {
  const [returned, loss] = [
    calls.map(({ returned }) => returned),
    calls.map(({ loss }) => loss),
  ];
  const range = `${Math.min(...loss).toFixed()} to ${
    Math.max(...loss).toFixed()
  }`;
  return `${median(loss).toFixed()} ms to the loss (${range}), ` +
    `${median(returned).toFixed()} ms of them before it returns`;
}

const [device, batch] = Deno.args;
if (device !== undefined) {
  const call = await firstCall(device as DeviceName, Number(batch));
  await Deno.stdout.write(new TextEncoder().encode(JSON.stringify(call)));
  Deno.exit();
}
for (const name of ["wasm", "webgpu"] as const) {
  for (const batch of [1, 64]) await measure(name, batch);
}
