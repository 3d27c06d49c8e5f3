import type { ReplayMemory } from "../device/replay.ts";
import { activeDevice, settle } from "../device/session.ts";
import type { Device } from "../device/runtime.ts";
import { isGradEnabled } from "../graph/node.ts";
import { currentTrace } from "../graph/trace.ts";
import { warn } from "../warnings.ts";
import { Entry, traceOf, type TreeFunction } from "./traced.ts";
import { type Structure, structureOf, type TensorTree } from "./tree.ts";

export type { TensorTree } from "./tree.ts";
export type { ReplayMemory } from "../device/replay.ts";

/** How a function is compiled. */
export interface CompileOptions {
  /**
   * Traces that are kept: one for each combination of shapes, types and modes.
   * What has not been used for longest goes first.
   * @default 8
   */
  readonly maxTraces?: number;
  /**
   * Names the function in messages.
   * @default its own name
   */
  readonly name?: string;
}

/** A compiled function. */
export interface Compiled<Args extends readonly unknown[], Result> {
  /**
   * Runs the function.
   *
   * @returns New tensors, which later runs leave alone.
   */
  (...args: Args): Result;
  /**
   * Traces without running, and tells what a run needs in bytes.
   *
   * @throws {Error} If no device is open.
   */
  memory(...args: Args): ReplayMemory;
  /** Gives back the memory of all traces; the next call traces again. */
  dispose(): void;
  /** How often the function has been traced. */
  readonly traces: number;
}

/** From this trace of one function on it is told that it is traced often. */
const MANY_TRACES = 4;

/**
 * Traces a function once, and from then on replays its kernels over fixed
 * memory: a whole training step with its loss, gradients and updates is one
 * list of kernels that costs the host next to nothing.
 *
 * `f` takes tensors, or lists and records of them, and returns such. In it may
 * be `backward()`, `optimizer.step()` and whatever else computes with tensors.
 * The first call with new shapes or types traces it; so does a change of what
 * it depends on otherwise: whether a module trains, whether a gradient is
 * there. JavaScript values that it reads are as they were at the trace, but for
 * those of `hostScalar`, `onEachRun` and what is made of them: learning rates,
 * steps, the keys of a `Generator`.
 *
 * Tensors that it closes over are read anew in each run, and what it assigns
 * to them is theirs after each. Without an open device it runs uncompiled.
 *
 * @param f Must not read values: branch with `where`, return what is to be
 * read.
 * @param options How many traces are kept, and the name.
 * @returns The function, to be called in the same way.
 *
 * @example A training step
 * ```ts
 * import { compile, openDevice, tensor } from "@heddle/tensor";
 * import { assertEquals } from "@std/assert";
 *
 * using _device = await openDevice("wasm");
 * const weight = tensor([1, 1], { requiresGrad: true });
 * const step = compile((x) => {
 *   const loss = weight.mul(x).sum();
 *   loss.backward();
 *   weight.assign(weight.sub(weight.grad!));
 *   weight.grad = null;
 *   return loss;
 * });
 * assertEquals(await step(tensor([1, 2])).item(), 3);
 * assertEquals(await step(tensor([1, 2])).item(), -2);
 * assertEquals(await weight.toArray(), [-1, -3]);
 * ```
 */
export function compile<Args extends TensorTree[], Result extends TensorTree>(
  f: (...args: Args) => Result,
  options: CompileOptions = {},
): Compiled<Args, Result> {
  if (typeof f !== "function") {
    throw new TypeError(`compile: not a function: got ${typeof f}`);
  }
  const cache = new Cache(f as TreeFunction, options);
  const compiled = (...args: Args): Result => {
    const device = activeDevice();
    // In another trace it is a part of that; without a device all is lazy.
    if (currentTrace() !== undefined || device === undefined) return f(...args);
    const structure = structureOf(args, "the arguments");
    settle(device);
    const entry = cache.entryFor(device, structure);
    return entry.run(structure.tensors) as Result;
  };
  return Object.defineProperties(compiled, {
    name: { value: cache.name },
    traces: { get: () => cache.traces },
    memory: {
      value: (...args: Args) =>
        cache.entryFor(openedDevice("memory"), structureOf(args, "arguments"))
          .replay.memory,
    },
    dispose: { value: () => cache.clear() },
  }) as Compiled<Args, Result>;
}

function openedDevice(operation: string): Device {
  const device = activeDevice();
  if (device) return device;
  throw new Error(
    `compile: ${operation}: no device is open: await openDevice() first`,
  );
}

/** The traces of one function. */
class Cache {
  readonly name: string;
  traces = 0;
  readonly #f: TreeFunction;
  readonly #maxTraces: number;
  /** The one used last is at the end. */
  #entries: { readonly key: string; readonly entry: Entry }[] = [];
  #shapes = new Set<string>();

  constructor(f: TreeFunction, { maxTraces = 8, name }: CompileOptions) {
    if (!Number.isInteger(maxTraces) || maxTraces < 1) {
      throw new RangeError(
        `compile: maxTraces must be a whole number from 1: got ${maxTraces}`,
      );
    }
    this.#f = f;
    this.#maxTraces = maxTraces;
    this.name = name ?? (f.name || "compiled");
  }

  entryFor(device: Device, args: Structure): Entry {
    const key = `${isGradEnabled()}${args.key}`;
    const entries = this.#entries;
    for (let at = entries.length - 1; at >= 0; at--) {
      const known = entries[at]!;
      if (known.key !== key || known.entry.device !== device) continue;
      if (!known.entry.traced.holds()) continue;
      if (at !== entries.length - 1) {
        entries.splice(at, 1);
        entries.push(known);
      }
      return known.entry;
    }
    return this.#trace(device, key, args);
  }

  clear(): void {
    for (const { entry } of this.#entries) entry.replay.dispose();
    this.#entries = [];
  }

  #trace(device: Device, key: string, args: Structure): Entry {
    const entry = new Entry(device, traceOf(this.#f, args));
    this.traces++;
    this.#shapes.add(key);
    if (this.#shapes.size === MANY_TRACES) {
      warn(
        `compile: ${this.name} has been traced for ${MANY_TRACES} shapes, and ` +
          "each costs a trace: pad batches to one shape, or drop the last one",
      );
    }
    this.#entries = this.#entries.filter(({ entry }) => !entry.device.closed);
    if (this.#entries.length >= this.#maxTraces) {
      this.#entries.shift()!.entry.replay.dispose();
    }
    this.#entries.push({ key, entry });
    return entry;
  }
}
