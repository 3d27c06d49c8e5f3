/**
 * A graph that a device runs again and again, on memory of its own.
 *
 * @module
 */

import { bufferBytes, BYTES_PER_ELEMENT, encode } from "../dtype.ts";
import type { Node } from "../graph/node.ts";
import { type HostAction, Placeholder } from "../graph/trace.ts";
import type { Signature } from "../kernel/program.ts";
import type { ReplayPlan } from "../kernel/replay_plan.ts";
import { sizeOf } from "../shape.ts";
import { type ArenaMemory, Arenas, areNeighbours, moveOut } from "./arena.ts";
import type { DeviceBuffer, Recording } from "./device.ts";
import {
  Layout,
  memoryOf,
  type Planned,
  planReplay,
  type ReplayMemory,
  type ReplaySource,
} from "./replay_layout.ts";
import { requireRoom } from "./room.ts";
import {
  type Device,
  DeviceStorage,
  freeNode,
  HostStorage,
  type PlanningOptions,
} from "./runtime.ts";

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

/** Replays planned anew because scalars were no longer equal, and then no more. */
const MOST_REPLANS = 3;

/** Runs a graph again and again. */
export class Replay {
  readonly #device: Device;
  readonly #source: ReplaySource;
  readonly #params: Uint32Array;
  /** What the host does, in order. */
  readonly #actions: readonly HostAction[];
  #planned: Planned;
  #layout: Layout;
  #buffers: DeviceBuffer[];
  #arenas: Arenas | undefined;
  #replans = 0;
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
    this.#planned = planReplay(device, source, true);
    this.#layout = new Layout(source, this.plan);
    this.#buffers = new Array(this.plan.places.length);
    const { signature, actions } = source;
    this.#params = Uint32Array.from(
      signature.params,
      ({ op, dtype }) => op.kind === "const" ? encode(op.value, dtype) : 0,
    );
    const slots = new Map(signature.params.map((node, slot) => [node, slot]));
    this.#actions = actions.flatMap((action) => {
      if ("act" in action) return [action];
      const slot = slots.get(action);
      if (slot === undefined || action.op.kind !== "const") return [];
      const { dtype, op: { read } } = action as Node & {
        readonly op: { readonly read?: () => number };
      };
      const act = () => void (this.#params[slot] = encode(read!(), dtype));
      return [{ act, undo: undefined }];
    });
  }

  /** How it runs. */
  get plan(): ReplayPlan {
    return this.#planned.plan;
  }

  /** What its plan was made with, beside what the device has. */
  get planning(): PlanningOptions {
    return { maxArena: this.#planned.maxArena };
  }

  /** What it needs. */
  get memory(): ReplayMemory {
    return memoryOf(this.#source, this.plan);
  }

  /**
   * Runs once; gives the node of each root that is no cell's new value.
   *
   * @param check Called after the kernels with what they had.
   */
  run(args: readonly Node[], check?: (at: Ran) => void): Node[] {
    const { backend } = this.#device;
    this.#prepare(args);
    // Where one has to wait for values, later runs must not change any.
    const before = check && this.#copySources(!backend.readSync);
    const taken: DeviceBuffer[] = [];
    let undo = () => {};
    try {
      this.#takeResults(taken, this.#buffers);
      undo = this.#act();
      if (!this.#isAsPlanned()) {
        for (const buffer of taken.splice(0)) backend.free(buffer);
        this.#replan();
        this.#prepare(args);
        this.#takeResults(taken, this.#buffers);
      }
      const { copies, sizes } = this.plan;
      backend.replay(this.#recording!, this.#buffers, this.#params);
      undo = () => {};
      for (const { from, to } of copies) {
        const [source, target] = [this.#buffers[from]!, this.#buffers[to]!];
        backend.copy(source, target, bufferBytes(sizes[to]!));
      }
    } catch (error) {
      undo();
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
        roots: this.plan.roots.map((number) => this.#buffers[number]!),
        free: before!.free,
      });
    }
    return nodes;
  }

  /** Does what the host does, all or nothing; gives what undoes it. */
  #act(): () => void {
    let done = 0;
    const undo = () => {
      while (done > 0) this.#actions[--done]!.undo?.();
    };
    try {
      for (const { act } of this.#actions) {
        act();
        done++;
      }
    } catch (error) {
      undo();
      throw error;
    }
    return undo;
  }

  /** Makes the kernels ready, and finds the memory of a run. */
  #prepare(args: readonly Node[]): void {
    this.#recording ??= this.#record(args);
    this.#bind(args);
  }

  #takeResults(taken: DeviceBuffer[], buffers: DeviceBuffer[]): void {
    for (const number of this.#layout.results) {
      const bytes = bufferBytes(this.plan.sizes[number]!);
      const made = this.#device.backend.allocate(bytes);
      taken.push(made);
      buffers[number] = made;
    }
  }

  /** Whether scalars are equal that the plan takes to be. */
  #isAsPlanned(): boolean {
    const words = this.#params;
    for (const [used, other] of this.plan.equal) {
      if (words[used] !== words[other]) return false;
    }
    return true;
  }

  /** Plans for the scalars as they are now. */
  #replan(): void {
    this.#release();
    this.#adopt(++this.#replans <= MOST_REPLANS);
  }

  #adopt(arenas: boolean): void {
    this.#planned = planReplay(this.#device, this.#source, arenas);
    this.#layout = new Layout(this.#source, this.plan);
    this.#buffers = new Array(this.plan.places.length);
  }

  /**
   * The sources as they are, with copies of what will be overwritten, or all.
   *
   * @param memory For the copies, by slot; else it is taken.
   */
  #copySources(
    all: boolean = false,
    memory?: ReadonlyMap<number, DeviceBuffer>,
  ): { sources: DeviceBuffer[]; free: () => void } {
    const { backend } = this.#device;
    const taken: DeviceBuffer[] = [];
    const sources = this.#source.signature.sources.map((_, slot) => {
      const present = this.#sourceBuffers[slot]!;
      if (!all && !this.#layout.overwritten.has(slot)) return present;
      let copy = memory?.get(slot);
      if (copy === undefined) {
        copy = backend.allocate(present.byteLength);
        taken.push(copy);
      }
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
    this.#recording ??= this.#record(args);
    this.#act();
    if (!this.#isAsPlanned()) this.#replan();
    const recording = this.#recording ??= this.#record(args);
    this.#bind(args, true);
    const sources = [...this.#sourceBuffers];
    const arenas = this.#arenas?.detached();
    const { sources: copies, free: freeCopies } = this.#copySources(
      false,
      arenas?.bySlot,
    );
    const taken: DeviceBuffer[] = [];
    const free = () => {
      freeCopies();
      arenas?.free();
      for (const buffer of taken.splice(0)) backend.free(buffer);
    };
    const overwritten = [...this.#layout.overwritten.keys()];
    const buffers = [...this.#buffers];
    for (const slot of overwritten) {
      for (const number of this.#layout.bySlot[slot]!) {
        buffers[number] = copies[slot]!;
      }
    }
    try {
      if (arenas) this.#placeIn(arenas, buffers);
      this.#takeResults(taken, buffers);
    } catch (error) {
      free();
      throw error;
    }
    return {
      recording,
      buffers,
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
    this.#arenas?.free();
    this.#arenas = undefined;
    this.#blocks.length = 0;
    this.#inputs.clear();
  }

  #record(args: readonly Node[]): Recording {
    const { backend } = this.#device;
    this.#requireRoom(args);
    if (this.plan.arenas.length > 0) this.#takeArenas(args);
    const { plan } = this;
    try {
      for (const size of plan.blocks) {
        this.#blocks.push(backend.allocate(bufferBytes(size)));
      }
      plan.places.forEach((place, number) => {
        if (place.kind === "block") {
          this.#buffers[number] = this.#blocks[place.block]!;
        }
      });
      if (this.#arenas) this.#placeIn(this.#arenas, this.#buffers);
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

  /** Moves state into arenas; plans without where that cannot be. */
  #takeArenas(args: readonly Node[]): void {
    const device = this.#device;
    const { sources } = this.#source.signature;
    this.#arenas = Arenas.take(
      device,
      this.plan.arenas,
      (slot) => device.storageOf(this.#sourceOf(sources[slot]!, args).node),
    );
    if (this.#arenas) return;
    this.#adopt(false);
  }

  #placeIn(arenas: ArenaMemory, buffers: DeviceBuffer[]): void {
    const { places, sizes } = this.plan;
    // What overwrites a part is that part.
    const parts = new Map<string, DeviceBuffer>();
    places.forEach((place, number) => {
      if (place.kind !== "arena") return;
      const size = sizes[number]!;
      const key = `${place.arena} ${place.offset} ${size}`;
      const part = parts.get(key) ?? arenas.at(place, size);
      parts.set(key, part);
      buffers[number] = part;
    });
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
      const isCopied = this.#layout.overwritten.has(slot) && isSeen(node);
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
        buffers: this.#layout.results.map((number) =>
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
    for (const slot of this.#layout.overwritten.keys()) {
      const buffer = this.#find(slot, args, detached);
      isNew ||= buffer !== this.#sourceBuffers[slot];
      this.#bindSlot(slot, buffer);
    }
    if (isNew) this.#separate(args);
    if (isNew) {
      this.#written = new Set(
        [...this.#layout.overwritten.keys()].map((slot) =>
          this.#sourceBuffers[slot]!
        ),
      );
    }
    for (const slot of this.#layout.onlyRead) {
      const buffer = this.#find(slot, args, detached);
      // What is overwritten may be an argument too: that keeps its values.
      const isWritten = !detached && this.#written.has(buffer);
      this.#bindSlot(slot, isWritten ? this.#copied(slot, buffer) : buffer);
    }
  }

  /** No kernel may write to the arena that it reads another source from. */
  #separate(args: readonly Node[]): void {
    const { sources } = this.#source.signature;
    const storageAt = (slot: number) =>
      this.#sourceOf(sources[slot]!, args).node.storage;
    for (const [written, read] of this.#layout.rivals) {
      const [target, other] = [storageAt(written), storageAt(read)];
      if (!(target instanceof DeviceStorage)) continue;
      if (!(other instanceof DeviceStorage)) continue;
      if (!areNeighbours(target, other)) continue;
      moveOut(target);
      this.#bindSlot(written, target.buffer);
    }
  }

  #bindSlot(slot: number, buffer: DeviceBuffer): void {
    this.#sourceBuffers[slot] = buffer;
    for (const number of this.#layout.bySlot[slot]!) {
      this.#buffers[number] = buffer;
    }
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
    const storage = device.storageOf(node);
    const cell = detached ? undefined : this.#layout.overwritten.get(slot);
    if (cell === undefined) return storage;
    // Others look at these values: they keep them.
    const keep = isSeen(node);
    const own = this.#arenas?.settle(slot, storage, keep) ??
      (keep ? copyOf(storage) : storage);
    if (own !== storage) {
      cell.replace(device.nodeFor(own, node.shape, node.dtype, node.needsGrad));
    }
    return own;
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

function copyOf({ device, buffer, byteLength }: DeviceStorage): DeviceStorage {
  const { backend } = device;
  const copy = backend.allocate(bufferBytes(byteLength / BYTES_PER_ELEMENT));
  backend.copy(buffer, copy, byteLength);
  return new DeviceStorage(device, copy, byteLength);
}
