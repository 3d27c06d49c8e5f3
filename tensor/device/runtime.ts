/**
 * Computes graphs on a device: plans them, or finds the plan of an equal graph,
 * runs the kernels and keeps the results.
 *
 * @module
 */

import {
  bufferBytes,
  BYTES_PER_ELEMENT,
  type DType,
  encode,
  type TensorData,
} from "../dtype.ts";
import { Node, type Storage } from "../graph/node.ts";
import {
  describeNodes,
  type NodeNote,
  type Plan,
  planOf,
  type PlanOptions,
} from "../kernel/plan.ts";
import { type Signature, signatureOf } from "../kernel/program.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { type Shape, sizeOf } from "../shape.ts";
import type {
  Backend,
  Device as PublicDevice,
  DeviceBuffer,
  DeviceMemory,
  DeviceName,
  Executable,
  Leak,
} from "./device.ts";
import { LeakReport, type Lost, lostIf } from "./leaks.ts";
import {
  checkedTuning,
  type Tuning,
  type TuningReport,
  withWays,
} from "./tuning.ts";

/** Values on the host that no device has yet, as 32-bit words. */
export class HostStorage implements Storage {
  readonly words: ArrayBufferView;

  constructor(words: ArrayBufferView) {
    this.words = words;
  }

  get byteLength(): number {
    return this.words.byteLength;
  }
}

/** Values on a device, shared by the nodes that show the same elements. */
export class DeviceStorage implements Storage {
  /** Where the values are. */
  readonly device: Device;
  readonly byteLength: number;
  #buffer: DeviceBuffer;
  #references = 0;

  constructor(device: Device, buffer: DeviceBuffer, byteLength: number) {
    this.device = device;
    this.#buffer = buffer;
    this.byteLength = byteLength;
  }

  /** Their memory; it may become another. */
  get buffer(): DeviceBuffer {
    return this.#buffer;
  }

  /** Has the values in other memory, where they have been copied. */
  move(buffer: DeviceBuffer): void {
    this.device.backend.free(this.#buffer);
    this.#buffer = buffer;
  }

  /** Whether no node shows it any more. */
  get isFree(): boolean {
    return this.#references === 0;
  }

  /** Whether several nodes show it. */
  get isShared(): boolean {
    return this.#references > 1;
  }

  /** One node more shows it. */
  retain(): void {
    this.#references++;
  }

  /** One less; without any the memory is given back. */
  release(): void {
    if (--this.#references === 0 && !this.device.closed) {
      this.device.backend.free(this.buffer);
    }
  }
}

// A node that was dropped without being freed gives its memory back here.
const collected = new FinalizationRegistry<[DeviceStorage, Lost]>(
  ([storage, lost]) => {
    storage.release();
    storage.device.countCollected(lost);
  },
);

/** A node whose values are given, as 32-bit words of its type. */
export function hostSource(
  words: ArrayBufferView,
  shape: Shape,
  dtype: DType,
  needsGrad: boolean = false,
): Node {
  const node = new Node({ kind: "source" }, [], shape, dtype, needsGrad);
  node.storage = new HostStorage(words);
  return node;
}

/** The values of a node that are on the host already, copied. */
export function hostValues(node: Node): TensorData | undefined {
  const { storage } = node;
  if (!(storage instanceof HostStorage)) return undefined;
  const { buffer, byteOffset, byteLength } = storage.words;
  return typedValues(
    buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer,
    node.dtype,
  );
}

/** Whether a device holds the node's values. */
export function isOnDevice(node: Node): boolean {
  return node.storage instanceof DeviceStorage;
}

/** Reads the values of a computed node. */
export async function readValues(node: Node): Promise<TensorData> {
  return typedValues(await deviceOf(node).read(node), node.dtype);
}

/** Reads the values at once where the device can, as `wasm` does. */
export function readSync(node: Node): TensorData | undefined {
  if (!isOnDevice(node)) return undefined;
  const bytes = deviceOf(node).readSync(node);
  return bytes && typedValues(bytes, node.dtype);
}

function deviceOf(node: Node): Device {
  if (node.storage instanceof DeviceStorage) return node.storage.device;
  throw new Error("read: the node has not been computed");
}

function typedValues(bytes: ArrayBuffer, dtype: DType): TensorData {
  switch (dtype) {
    case "float32":
      return new Float32Array(bytes);
    case "int32":
      return new Int32Array(bytes);
    case "uint32":
      return new Uint32Array(bytes);
    case "bool":
      return Uint8Array.from(new Uint32Array(bytes));
    default:
      return dtype satisfies never;
  }
}

/** Gives a node's memory back; computing from it is an error from now on. */
export function freeNode(node: Node): void {
  const { storage } = node;
  if (storage === undefined) return;
  if (storage instanceof DeviceStorage) {
    collected.unregister(node);
    storage.release();
  }
  node.storage = undefined;
  node.freed = true;
}

interface PreparedPlan extends Plan {
  readonly executables: readonly Executable[];
}

/** Plans kept by a device; the ones not used for longest go first. */
const MAX_PLANS = 256;

/** How a device plans, where not as it should: to compare. */
export type PlanningOptions = Pick<
  PlanOptions,
  "fuse" | "longReduction" | "maxArena" | "maxReduction"
>;

/** A GPU or the processor, with the tensors that were computed on it. */
export class Device implements PublicDevice {
  /** What runs the kernels. */
  readonly backend: Backend;
  /** Whether {@link Device.close} has been called. */
  closed = false;
  readonly #planning: PlanningOptions;
  readonly #plans = new Map<string, PreparedPlan>();
  readonly #leaks = new LeakReport();
  #tuning: Tuning = {};

  /** Wraps what runs the kernels. */
  constructor(backend: Backend, planning: PlanningOptions = {}) {
    this.backend = backend;
    this.#planning = planning;
  }

  /** Which kind: `webgpu` or `wasm`. */
  get name(): DeviceName {
    return this.backend.name;
  }

  /** The hardware, as its driver names it. */
  get adapter(): string {
    return this.backend.adapter;
  }

  /** Resolves with the reason if the device is lost; never rejects. */
  get lost(): Promise<string> {
    return this.backend.lost;
  }

  /** The fastest ways to run kernels, as far as they were found. */
  get tuning(): Tuning {
    return this.#tuning;
  }

  /** Sets them, for what is planned from now on. */
  set tuning(tuning: Tuning) {
    this.#tuning = checkedTuning(tuning);
    const { backend } = this;
    if (!backend.tune) return;
    backend.ways = this.#tuning[this.adapter] ?? {};
    // They hold what was made ready before.
    this.#plans.clear();
  }

  /** Finds the fastest ways to run kernels. */
  async tune(kernels: readonly Kernel[]): Promise<TuningReport> {
    const { adapter, backend } = this;
    if (!backend.tune) {
      const reason = `${this.name} has one way to run each kernel`;
      return { adapter, kernels: [], reason };
    }
    const tuned = await backend.tune(kernels);
    if (tuned.length === 0) {
      return { adapter, kernels: [], reason: "no kernel has several ways" };
    }
    const ways = Object.fromEntries(tuned.map(({ key, way }) => [key, way]));
    this.tuning = withWays(this.#tuning, adapter, ways);
    return { adapter, kernels: tuned };
  }

  /** Memory in use. */
  memory(): DeviceMemory {
    return { ...this.backend.memory(), collected: this.#leaks.count };
  }

  /** What the garbage collector found. */
  leaks(): Leak[] {
    return this.#leaks.list();
  }

  /** Counts a tensor that the garbage collector found. */
  countCollected(lost: Lost): void {
    this.#leaks.add(lost);
  }

  /** Its name, the hardware and the memory in use. */
  toString(): string {
    const { buffers, bytes } = this.memory();
    const use = this.closed ? "closed" : `${buffers} buffers, ${bytes} bytes`;
    return `Device(${this.name}, ${this.adapter}, ${use})`;
  }

  /** What `console.log` shows. */
  [Symbol.for("Deno.customInspect")](): string {
    return this.toString();
  }

  /** What `console.log` shows on Node.js. */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return this.toString();
  }

  /** Frees everything and ends the device's threads; its tensors are gone. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.#plans.clear();
    this.backend.close();
  }

  /** Ends the device with a `using` block. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** Resolves when fewer than three runs of compiled functions are under way. */
  ready(): Promise<void> {
    return this.backend.ready();
  }

  /** Resolves when all work is done. */
  finish(): Promise<void> {
    return this.backend.finish();
  }

  /** The kernels that a graph runs as, without running them. */
  plan(nodes: readonly Node[]): Plan {
    return this.#prepare(signatureOf(nodes));
  }

  /** Plans a graph for this device; nothing is made ready or kept. */
  planOf(signature: Signature, planning: PlanningOptions = {}): Plan {
    return planOf(signature, { ...this.#planOptions, ...planning });
  }

  /** The nodes of a graph as text, as plans of these options number them. */
  describeNodes(
    signature: Signature,
    planning: PlanningOptions = {},
  ): NodeNote[] {
    return describeNodes(signature, { ...this.#planOptions, ...planning });
  }

  get #planOptions(): PlanOptions {
    return { ...this.backend.limits, ...this.#planning };
  }

  /** Computes nodes that have no values yet, in one go. */
  compute(nodes: readonly Node[]): void {
    if (this.closed) {
      throw new Error(
        `compute: the ${this.name} device is closed: open another`,
      );
    }
    const wanted = [...new Set(nodes)];
    for (const node of wanted) {
      if (node.storage instanceof HostStorage) this.#upload(node);
    }
    const roots = wanted.filter((node) => node.storage === undefined);
    if (roots.length === 0) return;
    const signature = signatureOf(roots);
    const plan = this.#prepare(signature);
    const storages = this.#run(plan, signature);
    roots.forEach((root, at) => {
      this.#adopt(root, storages[plan.roots[at]!]!);
      // Only gradients look back; without them the past can go.
      if (!root.inputs.some((input) => input.needsGrad)) root.inputs = [];
    });
    this.backend.flush();
  }

  /** The values of a computed node, as raw bytes. */
  read(node: Node): Promise<ArrayBuffer> {
    const { buffer } = node.storage as DeviceStorage;
    return this.backend.read(buffer, sizeOf(node.shape) * BYTES_PER_ELEMENT);
  }

  /** The same at once, where the device can. */
  readSync(node: Node): ArrayBuffer | undefined {
    const { buffer } = node.storage as DeviceStorage;
    const bytes = sizeOf(node.shape) * BYTES_PER_ELEMENT;
    return this.backend.readSync?.(buffer, bytes);
  }

  /** Computes a node if need be and gives its memory here. */
  storageOf(node: Node): DeviceStorage {
    if (node.storage === undefined) this.compute([node]);
    return this.#sourceStorage(node);
  }

  /** A node that shows a storage. */
  nodeFor(
    storage: DeviceStorage,
    shape: Shape,
    dtype: DType,
    needsGrad: boolean = false,
  ): Node {
    const node = new Node({ kind: "source" }, [], shape, dtype, needsGrad);
    this.#adopt(node, storage);
    return node;
  }

  #adopt(node: Node, storage: DeviceStorage): void {
    storage.retain();
    node.storage = storage;
    collected.register(node, [storage, lostIf(node)], node);
  }

  #upload(node: Node): void {
    const { words } = node.storage as HostStorage;
    const buffer = this.backend.allocate(Math.max(words.byteLength, 4));
    this.backend.write(buffer, words);
    this.#adopt(node, new DeviceStorage(this, buffer, words.byteLength));
  }

  #prepare(signature: Signature): PreparedPlan {
    const { key } = signature;
    let plan = this.#plans.get(key);
    if (plan !== undefined) {
      // Moves to the end: the front of the map is the least recently used.
      this.#plans.delete(key);
    } else {
      const made = this.planOf(signature);
      const executables = made.steps.map((step) =>
        this.backend.prepare(step.kernel)
      );
      plan = { ...made, executables };
      if (this.#plans.size >= MAX_PLANS) {
        this.#plans.delete(this.#plans.keys().next().value!);
      }
    }
    this.#plans.set(key, plan);
    return plan;
  }

  #run(plan: PreparedPlan, signature: Signature): DeviceStorage[] {
    const { backend } = this;
    const storages = plan.buffers.map(({ source }) =>
      source === undefined
        ? undefined
        : this.#sourceStorage(signature.sources[source]!)
    );
    const taken = new Set<DeviceBuffer>();
    const buffers = storages.map((storage) => storage?.buffer);
    const dying: number[][] = plan.steps.map(() => []);
    plan.buffers.forEach(({ lastStep, source }, number) => {
      if (lastStep !== undefined && source === undefined) {
        dying[lastStep]!.push(number);
      }
    });
    try {
      plan.steps.forEach((step, at) => {
        const bound = step.buffers.map((number) => {
          const present = buffers[number];
          if (present !== undefined) return present;
          const { size } = plan.buffers[number]!;
          const made = backend.allocate(bufferBytes(size));
          taken.add(made);
          buffers[number] = made;
          return made;
        });
        const params = encodeParams(step.params, signature.params);
        backend.run(plan.executables[at]!, bound, params);
        for (const number of dying[at]!) {
          backend.free(buffers[number]!);
          taken.delete(buffers[number]!);
        }
      });
    } catch (error) {
      for (const buffer of taken) backend.free(buffer);
      throw error;
    }
    for (const number of plan.roots) {
      const bytes = plan.buffers[number]!.size * BYTES_PER_ELEMENT;
      storages[number] ??= new DeviceStorage(this, buffers[number]!, bytes);
    }
    return storages as DeviceStorage[];
  }

  #sourceStorage(node: Node): DeviceStorage {
    if (node.storage instanceof HostStorage) this.#upload(node);
    const storage = node.storage as DeviceStorage;
    if (storage.device.closed) {
      throw new Error(
        `compute: an input was on a ${storage.device.name} device that has ` +
          "been closed: its values are gone: assign new ones, from a " +
          "checkpoint say",
      );
    }
    if (storage.device !== this) {
      throw new Error(
        `compute: an input is on another device (${storage.device.name}): ` +
          "read it with data() and make a tensor of that here",
      );
    }
    return storage;
  }
}

function encodeParams(
  slots: readonly number[],
  params: readonly Node[],
): Uint32Array {
  const words = new Uint32Array(slots.length);
  slots.forEach((slot, at) => {
    const node = params[slot]!;
    if (node.op.kind === "const") words[at] = encode(node.op.value, node.dtype);
  });
  return words;
}
