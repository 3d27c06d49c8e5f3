/**
 * The default device, and the values that the next computation brings along.
 *
 * @module
 */

import type { Node } from "../graph/node.ts";
import { currentTrace } from "../graph/trace.ts";
import type { Device as PublicDevice, DeviceName } from "./device.ts";
import { noteOrigins } from "./leaks.ts";
import { Device, freeNode } from "./runtime.ts";
import { openWasm } from "./wasm.ts";
import { openWebgpu } from "./webgpu.ts";
import { findAdapter, isFallbackAdapter } from "./webgpu_adapter.ts";

/** What `openDevice` is asked for. */
export interface DeviceOptions {
  /**
   * Threads of the `wasm` device, the calling one included.
   * @default the processor's
   */
  readonly threads?: number;
  /**
   * Whether `device.leaks()` names the lines that made the tensors. It makes
   * each of them a few µs slower.
   * @default false
   */
  readonly trackLeaks?: boolean;
}

let current: Device | undefined;
let opening: Promise<Device> | undefined;
const pending = new Set<Node>();
let replaced: Node[] = [];
let retired: Node[] = [];

/**
 * Opens a device and makes it the default.
 *
 * `auto` takes the GPU if there is one that is not emulated in software, else
 * `wasm`. Without a name the environment variable `HEDDLE_DEVICE` decides, and
 * else `auto`. Tensors stay on the device that computed them.
 *
 * @param name Which device; `auto` to let the machine decide.
 * @param options Threads, and whether leaks are tracked.
 * @returns The device, open until `close()`.
 * @throws {RangeError} If the name is not one of the three, or threads is not a
 * whole number from 1.
 * @throws {Error} If `webgpu` is asked for and there is no adapter.
 *
 * @example Computing on the processor
 * ```ts
 * import { openDevice, tensor } from "@heddle/tensor";
 * import { assertEquals } from "@std/assert";
 *
 * using device = await openDevice("wasm");
 * assertEquals(await tensor([1, 2]).add(1).toArray(), [2, 3]);
 * assertEquals(device.name, "wasm");
 * ```
 */
export async function openDevice(
  name?: DeviceName | "auto",
  options: DeviceOptions = {},
): Promise<PublicDevice> {
  const { threads, trackLeaks = false } = options;
  if (threads !== undefined && !(Number.isInteger(threads) && threads >= 1)) {
    throw new RangeError(
      `openDevice: threads must be a whole number from 1: got ${threads}`,
    );
  }
  const wanted = name ?? deviceFromEnvironment() ?? "auto";
  if (trackLeaks) noteOrigins(true);
  current = await open(wanted, options);
  return current;
}

async function open(
  name: string,
  options: DeviceOptions,
): Promise<Device> {
  switch (name) {
    case "wasm":
      return new Device(await openWasm(options));
    case "webgpu":
      return new Device(await openWebgpu());
    case "auto": {
      const adapter = await findAdapter();
      // A GPU emulated in software is slower than WebAssembly.
      const real = adapter !== undefined && !isFallbackAdapter(adapter);
      return await open(real ? "webgpu" : "wasm", options);
    }
    default:
      throw new RangeError(
        `openDevice: no such device: got "${name}": use webgpu, wasm or auto`,
      );
  }
}

function deviceFromEnvironment(): string | undefined {
  try {
    return globalThis.Deno?.env.get("HEDDLE_DEVICE") || undefined;
  } catch {
    return undefined; // Not allowed to look: as if it were not set.
  }
}

/**
 * Makes an open device the default, and returns it.
 *
 * @throws {TypeError} If it is not from `openDevice`.
 */
export function useDevice(device: PublicDevice): PublicDevice {
  if (!(device instanceof Device)) {
    throw new TypeError("useDevice: not a device: pass what openDevice gave");
  }
  return current = device;
}

/** The default device, or undefined if none has been opened. */
export function currentDevice(): PublicDevice | undefined {
  return activeDevice();
}

/** The same with all that the engine needs of it. */
export function activeDevice(): Device | undefined {
  return current?.closed ? undefined : current;
}

/** The default device; the first call opens it. */
export async function ensureDevice(): Promise<Device> {
  const present = activeDevice();
  if (present !== undefined) return present;
  opening ??= open(deviceFromEnvironment() ?? "auto", {})
    .then((device) => current = device)
    .finally(() => opening = undefined);
  return await opening;
}

/** Values to compute together with whatever is computed next. */
export function defer(node: Node): void {
  // A trace knows by itself what it has to compute.
  if (currentTrace() !== undefined) return;
  if (node.storage === undefined) pending.add(node);
}

let collecting: Node[] | undefined;

/**
 * One tensor less shows a node. Without any it is not computed for its own
 * sake, and its memory is given back.
 */
export function release(node: Node): void {
  if (currentTrace() !== undefined) return;
  if (--node.handles > 0) return;
  pending.delete(node);
  if (collecting) collecting.push(node);
  else freeNode(node);
}

/**
 * Releases the tensors that `f` disposes of, after what was deferred has been
 * computed: it may need them.
 */
export function releaseTogether(f: () => void): void {
  const outer = collecting;
  const mine: Node[] = collecting = [];
  try {
    f();
  } finally {
    collecting = outer;
  }
  if (pending.size > 0 && mine.some((node) => node.storage !== undefined)) {
    const device = activeDevice();
    // Before there is a device nothing can be computed: all stays.
    if (device === undefined) return;
    computeNow(device, []);
  }
  for (const node of mine) freeNode(node);
}

/** Computes nodes and all deferred values on a device. */
export function computeNow(device: Device, nodes: readonly Node[]): void {
  const all = [...nodes, ...pending];
  // Cleared first: a graph that cannot be computed must not come back for ever.
  pending.clear();
  device.compute(all);
}

/**
 * Computes nodes, and nothing else, if a device is open: what a training step
 * starts from is then there in its first run as in all others, and all of them
 * round alike.
 */
export function computeAlone(nodes: readonly Node[]): void {
  if (currentTrace() !== undefined) return;
  const open = nodes.filter(({ storage }) => storage === undefined);
  if (open.length > 0) activeDevice()?.compute(open);
}

/** Marks a tensor's values as replaced: released at the end of the next step. */
export function retire(node: Node): void {
  if (currentTrace() !== undefined) return;
  pending.delete(node);
  replaced.push(node);
}

/**
 * Ends a training step: computes nodes and what was deferred, if a device is
 * open, and frees what was replaced in the step before this one. What this
 * step replaced stays: a result not yet read may still need it.
 */
export function endStep(nodes: readonly Node[]): void {
  if (currentTrace() !== undefined) return;
  const device = activeDevice();
  for (const node of nodes) defer(node);
  if (device === undefined) return;
  computeNow(device, []);
  for (const node of retired) release(node);
  retired = replaced;
  replaced = [];
}

/** Computes what was deferred, so that values may be overwritten. */
export function settle(device: Device): void {
  if (pending.size > 0) computeNow(device, []);
  if (retired.length > 0 || replaced.length > 0) endStep([]);
}
