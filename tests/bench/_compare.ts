/**
 * A group of benches: the same work on the same values, in every library that
 * can do it. Each result is compared with a reference before it is timed.
 *
 * @module
 */

import { AssertionError } from "@std/assert";
import type { Device, Tensor } from "@heddle/tensor";
import { seeded, type Spread } from "../seeded.ts";
import { record, setGoals } from "./_medians.ts";
import {
  type DeviceName,
  type Input,
  type Jax,
  type JaxArray,
  type Library,
  messageOf,
  openHeddle,
  openJax,
  openTf,
  type Tf,
  type TfTensor,
} from "./_peers.ts";
import { openPyTorch, type TorchWork } from "./_pytorch.ts";
import type { Goals } from "./_results.ts";
import { say } from "./_say.ts";

/** What a result should be. */
export interface Expected {
  /** Number of elements. */
  readonly size: number;
  /** The element at a position, row by row, in float64. */
  at(position: number): number;
  /**
   * Relative to the expected number.
   * @default 1e-5
   */
  readonly rtol?: number;
  /**
   * Beside that.
   * @default 1e-5
   */
  readonly atol?: number;
}

/**
 * Makes the function that is timed from tensors that are on the device. It may
 * take one that is only compared, such as one without dropout.
 */
export type Prepare<T, M, I extends readonly Input[]> = (
  inputs: { readonly [K in keyof I]: T },
  module: M,
  purpose: "check" | "time",
) => Work<T> | Promise<Work<T>>;

/** Does the work and returns its results. */
export type Work<T> = () => readonly T[];

/** Work, and who does it. */
export interface Comparison<I extends readonly Input[]> extends Goals {
  /** Names the work and its sizes; the group is called this and the device. */
  readonly name: string;
  /** Where it runs. */
  readonly device: DeviceName;
  /** What all start from. */
  readonly inputs: I;
  /** What the first results should be. */
  readonly expected: readonly Expected[];
  readonly heddle: Prepare<Tensor, Device, I>;
  /** The same without `compile`, to be told what compiling gives. */
  readonly eager?: Prepare<Tensor, Device, I>;
  readonly jax?: Prepare<JaxArray, Jax, I>;
  readonly tfjs?: Prepare<TfTensor, Tf, I>;
  /** What PyTorch does, on `wasm` alone: it has no other device here. */
  readonly pytorch?: (purpose: "check" | "time") => TorchWork;
}

/** The work in one library, checked. */
export interface Entry {
  readonly library: string;
  /** Runs before each timed run. */
  readonly activate: () => Promise<void>;
  /** Runs once; may give the milliseconds that it measured by itself. */
  readonly run: () => Promise<number | void>;
}

/** Milliseconds that the runs of one entry take together. */
const BUDGET = 1000;

/** Elements of a result that are compared. */
const SAMPLES = 1500;

/** Float32 values that all libraries start from. */
export interface FloatInput extends Input {
  readonly values: Float32Array;
}

/** Seeded numbers for a shape, of `[-1, 1)` if nothing else is said. */
export function input(
  shape: readonly number[],
  seed: number,
  spread: Spread = {},
): FloatInput {
  const { low = -1, high = 1 } = spread;
  const numbers = seeded(seed);
  const size = shape.reduce((product, extent) => product * extent, 1);
  const values = new Float32Array(size)
    .map(() => low + numbers.next() * (high - low));
  return { shape, values };
}

/** Weight, bias, weight, … of the usual size; matrices have the inputs first. */
export function initial(shapes: readonly (readonly number[])[]): FloatInput[] {
  return shapes.map((shape, at) => {
    const weight = shapes[at - at % 2]!;
    const fanIn = weight.length === 4
      ? weight.slice(1).reduce((a, b) => a * b)
      : weight[0]!;
    const bound = 1 / Math.sqrt(fanIn);
    return input(shape, at, { low: -bound, high: bound });
  });
}

/** Checks the work in every library and registers its benches. */
export async function compare<const I extends readonly Input[]>(
  work: Comparison<I>,
): Promise<void> {
  const group = `${work.name} ${work.device}`;
  const heddle = await openHeddle(work.device);
  if (heddle === undefined) return;
  setGoals(group, work);
  await register(group, await entry(work, heddle, work.heddle));
  if (work.eager !== undefined) {
    const eager = { ...heddle, name: "heddle eager" };
    await register(group, await entry(work, eager, work.eager));
  }
  await peer(group, "jax-js", work.jax, async (prepare) => {
    const jax = await openJax(work.device);
    return jax && await entry(work, jax, prepare);
  });
  await peer(group, "tfjs", work.tfjs, async (prepare) => {
    const tf = await openTf(work.device);
    return tf && await entry(work, tf, prepare);
  });
  if (work.device !== "wasm") return;
  await peer(group, "pytorch", work.pytorch, (about) => torch(work, about));
}

/** A peer that cannot do the work is left out with a line, never a failure. */
async function peer<P>(
  group: string,
  name: string,
  prepare: P | undefined,
  make: (prepare: P) => Promise<Entry | undefined>,
): Promise<void> {
  if (prepare === undefined) return;
  try {
    const made = await make(prepare);
    if (made !== undefined) await register(group, made);
  } catch (error) {
    say(`${group}: ${name} is left out: ${messageOf(error)}`);
  }
}

async function entry<T, M, I extends readonly Input[]>(
  work: Comparison<I>,
  library: Library<T, M>,
  prepare: Prepare<T, M, I>,
): Promise<Entry> {
  await library.activate();
  const { module } = library;
  const inputs = await Promise.all(work.inputs.map(library.put)) as {
    readonly [K in keyof I]: T;
  };
  const results = await library.read(await prepare(inputs, module, "check"));
  assertExpected(results, work.expected);
  const timed = await prepare(inputs, module, "time");
  return {
    library: library.name,
    activate: library.activate,
    run: () => library.run(timed),
  };
}

async function torch(
  work: Pick<Comparison<readonly Input[]>, "inputs" | "expected">,
  about: (purpose: "check" | "time") => TorchWork,
): Promise<Entry | undefined> {
  const pytorch = await openPyTorch();
  if (pytorch === undefined) return undefined;
  const checked = await pytorch.prepare(about("check"), work.inputs);
  assertExpected(await pytorch.read(checked), work.expected);
  const timed = await pytorch.prepare(about("time"), work.inputs);
  return {
    library: "pytorch",
    activate: () => Promise.resolve(),
    run: () => pytorch.run(timed),
  };
}

/** Compares a sample of the elements, spread over all of them, and the last. */
function assertExpected(
  results: readonly ArrayLike<number>[],
  expected: readonly Expected[],
): void {
  expected.forEach((want, result) => {
    const got = results[result]!;
    if (got.length !== want.size) {
      throw new AssertionError(
        `result ${result} has ${got.length} elements instead of ${want.size}`,
      );
    }
    const { size, rtol = 1e-5, atol = 1e-5 } = want;
    // A step without a factor of 2, 3 or 5 visits every place of a tile.
    let step = Math.max(1, Math.floor(size / SAMPLES));
    while (step > 1 && (step % 2 === 0 || step % 3 === 0 || step % 5 === 0)) {
      step++;
    }
    for (let at = size - 1; at >= 0; at -= step) {
      const number = want.at(at);
      if (!(Math.abs(got[at]! - number) <= atol + rtol * Math.abs(number))) {
        throw new AssertionError(
          `result ${result} has ${got[at]} instead of ${number} at ${at}`,
        );
      }
    }
  });
}

/** Registers the bench of one library. */
export async function register(group: string, made: Entry): Promise<void> {
  const { library, activate, run } = made;
  const timed = async (): Promise<number> => {
    const start = performance.now();
    const measured = await run();
    return measured ?? performance.now() - start;
  };
  await activate();
  // The first runs may compile; the slow ones are not repeated to find out.
  let milliseconds = Infinity;
  const start = performance.now();
  for (let i = 0; i < 5 && performance.now() - start < BUDGET; i++) {
    milliseconds = Math.min(milliseconds, await timed());
  }
  const n = Math.min(500, Math.max(1, Math.floor(BUDGET / milliseconds)));
  const warmup = milliseconds < BUDGET / 10 ? Math.ceil(n / 5) : 0;
  const add = record(group, library, warmup);
  Deno.bench({
    name: library,
    group,
    baseline: library === "heddle",
    n,
    warmup,
    fn: async (bench) => {
      await activate();
      bench.start();
      const start = performance.now();
      const measured = await run();
      const end = performance.now();
      bench.end();
      add(measured ?? end - start);
    },
  });
}
