import type { ReplayMemory } from "../device/replay_layout.ts";
import { activeDevice, settle } from "../device/session.ts";
import type { Device } from "../device/runtime.ts";
import type { TuningReport } from "../device/tuning.ts";
import { isGradEnabled, type Node } from "../graph/node.ts";
import { currentTrace, requireNoTrace } from "../graph/trace.ts";
import {
  type Difference,
  profileReplay,
  reportsOf,
  type Tolerance,
  verifyReplay,
} from "../device/inspect.ts";
import { nodeOf, type Tensor } from "../tensor.ts";
import { explainReports, Profile } from "./report.ts";
import { warn } from "../warnings.ts";
import { Entry, traceOf, type TreeFunction } from "./traced.ts";
import { type Structure, structureOf, type TensorTree } from "./tree.ts";

export type { TensorTree } from "./tree.ts";
export type { ReplayMemory } from "../device/replay_layout.ts";
export type {
  Difference,
  KernelProfile,
  KernelReport,
  Tolerance,
} from "../device/inspect.ts";
export { Profile } from "./report.ts";
export type {
  TriedWay,
  TunedKernel,
  Tuning,
  TuningReport,
} from "../device/tuning.ts";

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
  /**
   * Whether each run is followed by a look at its results. If one is NaN or
   * infinite, an error names the first value of the graph that is: from the
   * call itself on `wasm`, from a later call on `webgpu`. It is slow: to find
   * a fault.
   * @default false
   */
  readonly nanWatch?: boolean;
  /**
   * How far `verify` lets values lie apart. Where a gradient is 0 but for its
   * rounding, as that of the bias of attention's keys, Adam goes by up to the
   * learning rate in a direction that rounding chose: `atol` has to be that.
   */
  readonly tolerance?: Tolerance;
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
  /**
   * The kernels of a run as text: what each computes, operations and bytes.
   *
   * @throws {Error} If no device is open.
   */
  explain(...args: Args): string;
  /**
   * Times each kernel of a run, alone and on copies: tensors stay as they are,
   * but what the host counts goes on by one. The floor of a kernel is the time
   * that its operations or its bytes take at the rates of this device's own
   * matrix product and addition.
   *
   * @throws {Error} If no device is open.
   */
  profile(...args: Args): Promise<Profile>;
  /**
   * Runs the kernels one by one, and the graph operation by operation, and
   * compares all values that are there in both. Tensors stay as they are, but
   * what the host counts goes on by one.
   *
   * @returns The first value that differs by more than the tolerance, or
   * undefined if none does.
   * @throws {Error} If no device is open.
   */
  verify(...args: Args): Promise<Difference | undefined>;
  /**
   * Times the ways to run each kernel of a run that has several, on memory of
   * its own, and takes the fastest from then on: here, and in whatever is
   * planned later. `device.tuning` holds them, to be stored and set again. A
   * device with one way for each kernel, as `wasm`, says so in the report. Sums
   * may be added up in another order afterwards.
   *
   * @throws {Error} If no device is open.
   */
  tune(...args: Args): Promise<TuningReport>;
  /** Gives back the memory of all traces; the next call traces again. */
  dispose(): void;
  /** How often the function has been traced. */
  readonly traces: number;
  /** How it was compiled, for who makes it part of a larger function. */
  readonly options: CompileOptions;
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
 * to them is theirs after each. Change them with `assign`: that a variable of
 * JavaScript names another tensor now is not noticed. Without an open device
 * it runs uncompiled.
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
export function compile<Args extends Tensor[], Result extends TensorTree>(
  f: (...args: Args) => Result,
  options?: CompileOptions,
): Compiled<Args, Result>;
/** The same, of a function that takes lists or records of tensors. */
export function compile<Args extends TensorTree[], Result extends TensorTree>(
  f: (...args: Args) => Result,
  options?: CompileOptions,
): Compiled<Args, Result>;
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
    const structure = argumentsOf(args);
    settle(device);
    const entry = cache.entryFor(device, structure);
    return entry.run(structure.tensors) as Result;
  };
  return Object.defineProperties(compiled, {
    name: { value: cache.name },
    traces: { get: () => cache.traces },
    memory: {
      value: (...args: Args) =>
        cache.opened("memory", args).entry.replay.memory,
    },
    explain: {
      value: (...args: Args) =>
        explainReports(
          cache.name,
          reportsOf(cache.opened("explain", args).entry.replay),
        ),
    },
    profile: {
      value: async (...args: Args) => {
        const { entry: { replay }, nodes } = cache.opened("profile", args);
        return new Profile(cache.name, await profileReplay(replay, nodes));
      },
    },
    verify: {
      value: async (...args: Args) => {
        const { entry: { replay }, nodes } = cache.opened("verify", args);
        return await verifyReplay(replay, nodes, options.tolerance ?? {});
      },
    },
    tune: {
      value: async (...args: Args) => {
        const { device, replay } = cache.opened("tune", args).entry;
        const kernels = replay.plan.steps.map(({ kernel }) => kernel);
        const report = await device.tune(kernels);
        replay.refresh();
        return report;
      },
    },
    dispose: { value: () => cache.clear() },
    options: { value: options },
  }) as Compiled<Args, Result>;
}

/**
 * Takes arguments apart.
 *
 * @throws {TypeError} If one is no tensor, or would lose its gradient.
 */
function argumentsOf(args: unknown): Structure {
  const structure = structureOf(args, "the arguments");
  if (isGradEnabled() && structure.tensors.some((x) => x.requiresGrad)) {
    throw new TypeError(
      "compile: an argument is a variable, or was made from variables: " +
        "gradients would not reach them: use variables in the function " +
        "without passing them, or pass stopGradient(x)",
    );
  }
  return structure;
}

/** The traces of one function. */
class Cache {
  readonly name: string;
  traces = 0;
  readonly #f: TreeFunction;
  readonly #maxTraces: number;
  readonly #nanWatch: boolean;
  /** The one used last is at the end. */
  #entries: { readonly key: string; readonly entry: Entry }[] = [];
  #shapes: Set<string> | undefined = new Set();

  constructor(f: TreeFunction, options: CompileOptions) {
    const { maxTraces = 8, name, nanWatch = false } = options;
    if (!Number.isInteger(maxTraces) || maxTraces < 1) {
      throw new RangeError(
        `compile: maxTraces must be a whole number from 1: got ${maxTraces}`,
      );
    }
    this.#f = f;
    this.#maxTraces = maxTraces;
    this.#nanWatch = nanWatch;
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

  /** The entry for arguments, traced if need be. */
  opened(operation: string, args: unknown): { entry: Entry; nodes: Node[] } {
    requireNoTrace(operation);
    const device = activeDevice();
    if (device === undefined) {
      throw new Error(
        `compile: ${operation}: no device is open: await openDevice() first`,
      );
    }
    settle(device);
    const structure = argumentsOf(args);
    const entry = this.entryFor(device, structure);
    return { entry, nodes: structure.tensors.map(nodeOf) };
  }

  clear(): void {
    for (const { entry } of this.#entries) entry.replay.dispose();
    this.#entries = [];
  }

  #trace(device: Device, key: string, args: Structure): Entry {
    const traced = traceOf(this.name, this.#f, args);
    const entry = new Entry(device, traced, this.#nanWatch);
    this.traces++;
    this.#shapes?.add(key);
    if (this.#shapes?.size === MANY_TRACES) {
      this.#shapes = undefined; // Told once.
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
