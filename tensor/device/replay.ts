/**
 * A graph that a device runs again and again, on memory of its own.
 *
 * @module
 */

import { bufferBytes, BYTES_PER_ELEMENT, encode } from "../dtype.ts";
import type { Node } from "../graph/node.ts";
import { type Cell, Placeholder } from "../graph/trace.ts";
import type { Signature } from "../kernel/program.ts";
import { type ReplayPlan, replayPlanOf } from "../kernel/replay_plan.ts";
import { sizeOf } from "../shape.ts";
import type { DeviceBuffer, Recording } from "./device.ts";
import { requireRoom } from "./room.ts";
import {
  type Device,
  DeviceStorage,
  freeNode,
  HostStorage,
} from "./runtime.ts";

/** What a graph is made into a replay of. */
export interface ReplaySource {
  /** Names the function in messages. */
  readonly name: string;
  /** The graph; its roots are results and new values of cells. */
  readonly signature: Signature;
  /** The cell that each root is the new value of, or undefined for a result. */
  readonly cells: readonly (Cell | undefined)[];
  /** What the host does before each run. */
  readonly actions: readonly (Node | (() => void))[];
}

/** Bytes that a replay needs. */
export interface ReplayMemory {
  /** Arguments. */
  readonly inputs: number;
  /** Tensors that the function reads or replaces: parameters and the like. */
  readonly state: number;
  /** What is computed on the way, in memory that is used again and again. */
  readonly intermediates: number;
  /** What a run returns, and new values that could not be put in place. */
  readonly results: number;
  /** All together. */
  readonly peak: number;
}

/** A replay's memory, apart from all tensors. */
export interface Detached {
  /** The kernels. */
  readonly recording: Recording;
  /** The buffer of each number of the plan. */
  readonly buffers: readonly DeviceBuffer[];
  /** The scalars of a step. */
  readonly params: Uint32Array;
  /** The sources as they are, by slot. */
  readonly sources: readonly DeviceBuffer[];
  /** Copies the sources anew. */
  restore(): void;
  /** Gives the memory back. */
  free(): void;
}

/** What a run had, and gave. */
export interface Ran extends Pick<Detached, "sources" | "params" | "free"> {
  /** The buffer of each root. */
  readonly roots: readonly DeviceBuffer[];
}

/** Plans a graph for a device. */
export function planReplay(device: Device, source: ReplaySource): ReplayPlan {
  const { signature, cells } = source;
  const slots = new Map<unknown, number>();
  signature.sources.forEach(({ storage }, slot) => slots.set(storage, slot));
  const replaces = cells.map((cell) =>
    cell?.kind === "tensor" ? slots.get(cell.before!.storage) : undefined
  );
  return replayPlanOf(device.planOf(signature), { replaces });
}

/** The bytes of a plan. */
export function memoryOf(
  { signature }: ReplaySource,
  plan: ReplayPlan,
): ReplayMemory {
  let [inputs, state, intermediates, results] = [0, 0, 0, 0];
  for (const { storage, shape } of signature.sources) {
    const size = bufferBytes(sizeOf(shape));
    const isArgument = storage instanceof Placeholder &&
      typeof storage.origin === "number";
    if (isArgument) inputs += size;
    else state += size;
  }
  for (const size of plan.blocks) intermediates += bufferBytes(size);
  plan.places.forEach(({ kind }, number) => {
    if (kind === "result") results += bufferBytes(plan.sizes[number]!);
  });
  const peak = inputs + state + intermediates + results;
  return { inputs, state, intermediates, results, peak };
}

/** Runs a graph again and again. */
export class Replay {
  /** How it runs. */
  readonly plan: ReplayPlan;
  /** What it needs. */
  readonly memory: ReplayMemory;
  readonly #device: Device;
  readonly #source: ReplaySource;
  readonly #params: Uint32Array;
  /** What the host does, in order. */
  readonly #actions: readonly (() => void)[];
  /** Which sources are overwritten, by the cell that they belong to. */
  readonly #overwritten = new Map<number, Cell>();
  readonly #buffers: DeviceBuffer[];
  /** Buffers that are results, by number. */
  readonly #results: readonly number[];
  /** Buffers of each source, by slot. */
  readonly #bySlot: readonly (readonly number[])[];
  /** The other slots. */
  readonly #onlyRead: readonly number[];
  /** The memory that is overwritten. */
  #written: ReadonlySet<DeviceBuffer> = new Set();
  /** Memory for arguments that come from the host, or are copied, by slot. */
  readonly #inputs = new Map<number, DeviceBuffer>();
  readonly #sourceBuffers: DeviceBuffer[] = [];
  readonly #blocks: DeviceBuffer[] = [];
  #recording: Recording | undefined;

  /** Plans; memory is taken by the first run. */
  constructor(device: Device, source: ReplaySource) {
    this.#device = device;
    this.#source = source;
    this.plan = planReplay(device, source);
    this.memory = memoryOf(source, this.plan);
    const { signature, cells, actions } = source;
    const { places, roots } = this.plan;
    this.#buffers = new Array(places.length);
    this.#results = places.flatMap(({ kind }, number) =>
      kind === "result" ? [number] : []
    );
    this.#bySlot = signature.sources.map((_, slot) =>
      places.flatMap((place, number) =>
        place.kind === "source" && place.slot === slot ? [number] : []
      )
    );
    roots.forEach((number, root) => {
      const place = places[number]!;
      const cell = cells[root];
      if (cell && place.kind === "source") {
        this.#overwritten.set(place.slot, cell);
      }
    });
    this.#onlyRead = signature.sources.flatMap((_, slot) =>
      this.#overwritten.has(slot) ? [] : [slot]
    );
    this.#params = Uint32Array.from(
      signature.params,
      ({ op, dtype }) => op.kind === "const" ? encode(op.value, dtype) : 0,
    );
    const slots = new Map(signature.params.map((node, slot) => [node, slot]));
    this.#actions = actions.flatMap((action) => {
      if (typeof action === "function") return [action];
      const slot = slots.get(action);
      if (slot === undefined || action.op.kind !== "const") return [];
      const { dtype, op: { read } } = action as Node & {
        readonly op: { readonly read?: () => number };
      };
      return [() => void (this.#params[slot] = encode(read!(), dtype))];
    });
  }

  /**
   * Runs once; gives the node of each root that is no cell's new value.
   *
   * @param check Called after the kernels with what they had.
   */
  run(args: readonly Node[], check?: (at: Ran) => void): Node[] {
    const device = this.#device;
    const { backend } = device;
    const { plan } = this;
    const recording = this.#recording ??= this.#record(args);
    this.#bind(args);
    // Where one has to wait for values, later runs must not change any.
    const before = check && this.#copySources(!backend.readSync);
    const taken: DeviceBuffer[] = [];
    try {
      for (const number of this.#results) {
        const made = backend.allocate(bufferBytes(plan.sizes[number]!));
        taken.push(made);
        this.#buffers[number] = made;
      }
      for (const action of this.#actions) action();
      backend.replay(recording, this.#buffers, this.#params);
      for (const { from, to } of plan.copies) {
        const [source, target] = [this.#buffers[from]!, this.#buffers[to]!];
        backend.copy(source, target, bufferBytes(plan.sizes[to]!));
      }
    } catch (error) {
      before?.free();
      for (const buffer of taken) backend.free(buffer);
      throw error;
    }
    backend.flush();
    const nodes = this.#deliver();
    if (check) {
      check({
        sources: before!.sources,
        params: this.#params.slice(),
        roots: plan.roots.map((number) => this.#buffers[number]!),
        free: before!.free,
      });
    }
    return nodes;
  }

  /** The sources as they are, with copies of what will be overwritten, or all. */
  #copySources(
    all: boolean = false,
  ): { sources: DeviceBuffer[]; free: () => void } {
    const { backend } = this.#device;
    const taken: DeviceBuffer[] = [];
    const sources = this.#source.signature.sources.map((_, slot) => {
      const present = this.#sourceBuffers[slot]!;
      if (!all && !this.#overwritten.has(slot)) return present;
      const copy = backend.allocate(present.byteLength);
      taken.push(copy);
      backend.copy(present, copy, present.byteLength);
      return copy;
    });
    const free = () => {
      for (const buffer of taken.splice(0)) backend.free(buffer);
    };
    return { sources, free };
  }

  /**
   * Memory for runs that leave all tensors as they are: what would be
   * overwritten is copied. The host counts a step.
   */
  detach(args: readonly Node[]): Detached {
    const { backend } = this.#device;
    const recording = this.#recording ??= this.#record(args);
    this.#bind(args, true);
    const sources = [...this.#sourceBuffers];
    const { sources: copies, free: freeCopies } = this.#copySources();
    const taken: DeviceBuffer[] = [];
    const free = () => {
      freeCopies();
      for (const buffer of taken.splice(0)) backend.free(buffer);
    };
    const overwritten = [...this.#overwritten.keys()];
    for (const slot of overwritten) {
      for (const number of this.#bySlot[slot]!) {
        this.#buffers[number] = copies[slot]!;
      }
    }
    try {
      for (const number of this.#results) {
        const made = backend.allocate(bufferBytes(this.plan.sizes[number]!));
        taken.push(made);
        this.#buffers[number] = made;
      }
    } catch (error) {
      free();
      throw error;
    }
    for (const action of this.#actions) action();
    return {
      recording,
      buffers: [...this.#buffers],
      params: this.#params,
      sources,
      restore: () => {
        for (const slot of overwritten) {
          const [from, to] = [sources[slot]!, copies[slot]!];
          backend.copy(from, to, from.byteLength);
        }
      },
      free,
    };
  }

  /** The graph that it runs. */
  get signature(): Signature {
    return this.#source.signature;
  }

  /** Where it runs. */
  get device(): Device {
    return this.#device;
  }

  /** The next run makes the kernels ready anew, in the ways then chosen. */
  refresh(): void {
    this.#release();
  }

  /** Gives the memory back; it cannot run any more. */
  dispose(): void {
    this.#release();
    for (const source of this.#source.signature.sources) {
      // Made while the function was traced: nobody else has it.
      if (!(source.storage instanceof Placeholder)) freeNode(source);
    }
  }

  /** Gives back what runs have taken. */
  #release(): void {
    const { backend, closed } = this.#device;
    if (closed) return;
    if (this.#recording) backend.discard(this.#recording);
    this.#recording = undefined;
    for (const buffer of this.#blocks) backend.free(buffer);
    for (const buffer of this.#inputs.values()) backend.free(buffer);
    this.#blocks.length = 0;
    this.#inputs.clear();
  }

  #record(args: readonly Node[]): Recording {
    const { backend } = this.#device;
    const { plan } = this;
    this.#requireRoom(args);
    try {
      for (const size of plan.blocks) {
        this.#blocks.push(backend.allocate(bufferBytes(size)));
      }
      plan.places.forEach((place, number) => {
        if (place.kind === "block") {
          this.#buffers[number] = this.#blocks[place.block]!;
        }
      });
      return backend.record(
        plan.steps.map(({ kernel, buffers, params }) => ({
          executable: backend.prepare(kernel),
          buffers,
          params,
        })),
      );
    } catch (error) {
      this.#release();
      throw error;
    }
  }

  /**
   * Refuses what cannot fit before anything is taken.
   *
   * @throws {RangeError} If the device has too little memory left.
   */
  #requireRoom(args: readonly Node[]): void {
    const inputs: number[] = [];
    const state: number[] = [];
    this.#source.signature.sources.forEach((source, slot) => {
      const { node, isArgument } = this.#sourceOf(source, args);
      const isThere = node.storage instanceof DeviceStorage;
      const isCopied = this.#overwritten.has(slot) && isSeen(node);
      if (isThere && !isCopied) return;
      (isArgument ? inputs : state).push(bufferBytes(sizeOf(node.shape)));
    });
    const { plan } = this;
    requireRoom(this.#device.backend, `compile: ${this.#source.name}`, [
      { what: "inputs", buffers: inputs },
      { what: "parameters and other state", buffers: state },
      { what: "intermediates", buffers: plan.blocks.map(bufferBytes) },
      {
        what: "results",
        buffers: this.#results.map((number) =>
          bufferBytes(plan.sizes[number]!)
        ),
      },
    ]);
  }

  /** The node that has the values of a source in a run. */
  #sourceOf(
    source: Node,
    args: readonly Node[],
  ): { node: Node; isArgument: boolean } {
    const { storage } = source;
    if (!(storage instanceof Placeholder)) {
      return { node: source, isArgument: false };
    }
    const { origin } = storage;
    return typeof origin === "number"
      ? { node: args[origin]!, isArgument: true }
      : { node: origin(), isArgument: false };
  }

  /**
   * Finds the memory of all sources in this run. What would be overwritten is
   * made this graph's own, but for a detached run.
   */
  #bind(args: readonly Node[], detached: boolean = false): void {
    let isNew = false;
    for (const slot of this.#overwritten.keys()) {
      const buffer = this.#find(slot, args, detached);
      isNew ||= buffer !== this.#sourceBuffers[slot];
      this.#bindSlot(slot, buffer);
    }
    if (isNew) {
      this.#written = new Set(
        [...this.#overwritten.keys()].map((slot) => this.#sourceBuffers[slot]!),
      );
    }
    for (const slot of this.#onlyRead) {
      const buffer = this.#find(slot, args, detached);
      // What is overwritten may be an argument too: that keeps its values.
      const isWritten = !detached && this.#written.has(buffer);
      this.#bindSlot(slot, isWritten ? this.#copied(slot, buffer) : buffer);
    }
  }

  #bindSlot(slot: number, buffer: DeviceBuffer): void {
    this.#sourceBuffers[slot] = buffer;
    for (const number of this.#bySlot[slot]!) this.#buffers[number] = buffer;
  }

  #find(
    slot: number,
    args: readonly Node[],
    detached: boolean,
  ): DeviceBuffer {
    const source = this.#source.signature.sources[slot]!;
    const { node, isArgument } = this.#sourceOf(source, args);
    return (isArgument ? this.#upload(slot, node) : undefined) ??
      this.#storage(slot, node, detached).buffer;
  }

  /** Values of the host go to one place; they are not kept for other uses. */
  #upload(slot: number, node: Node): DeviceBuffer | undefined {
    if (!(node.storage instanceof HostStorage)) return undefined;
    const { words } = node.storage;
    const buffer = this.#inputOf(slot, words.byteLength);
    this.#device.backend.write(buffer, words);
    return buffer;
  }

  #copied(slot: number, from: DeviceBuffer): DeviceBuffer {
    const { byteLength } = from;
    const buffer = this.#inputOf(slot, byteLength);
    this.#device.backend.copy(from, buffer, byteLength);
    return buffer;
  }

  #inputOf(slot: number, byteLength: number): DeviceBuffer {
    let buffer = this.#inputs.get(slot);
    if (!buffer) {
      const least = Math.max(byteLength, BYTES_PER_ELEMENT);
      buffer = this.#device.backend.allocate(least);
      this.#inputs.set(slot, buffer);
    }
    return buffer;
  }

  #storage(slot: number, node: Node, detached: boolean): DeviceStorage {
    const device = this.#device;
    let storage = device.storageOf(node);
    const cell = detached ? undefined : this.#overwritten.get(slot);
    if (cell && isSeen(node)) {
      // Others look at these values: they keep them.
      const { backend } = device;
      const { byteLength } = storage;
      const own = new DeviceStorage(
        device,
        backend.allocate(bufferBytes(byteLength / BYTES_PER_ELEMENT)),
        byteLength,
      );
      backend.copy(storage.buffer, own.buffer, byteLength);
      storage = own;
      cell.replace(device.nodeFor(own, node.shape, node.dtype, node.needsGrad));
    }
    return storage;
  }

  #deliver(): Node[] {
    const device = this.#device;
    const { signature, cells } = this.#source;
    const { places, roots, sizes } = this.plan;
    const nodes: Node[] = [];
    roots.forEach((number, root) => {
      const cell = cells[root];
      if (places[number]!.kind === "source") return;
      const { shape, dtype } = signature.roots[root]!;
      const bytes = sizes[number]! * BYTES_PER_ELEMENT;
      const made = new DeviceStorage(device, this.#buffers[number]!, bytes);
      const needsGrad = cell?.kind === "tensor" && cell.before!.needsGrad;
      const node = device.nodeFor(made, shape, dtype, needsGrad);
      if (cell) cell.replace(node);
      else nodes.push(node);
    });
    return nodes;
  }
}

/** Whether others look at the values of a node. */
function isSeen({ storage, used, handles }: Node): boolean {
  return used || handles > 1 ||
    storage instanceof DeviceStorage && storage.isShared;
}
