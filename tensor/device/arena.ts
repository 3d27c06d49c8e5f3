/**
 * The memory of values that lie end to end: state that stacked updates replace,
 * and what is computed for its sake.
 *
 * @module
 */

import { BYTES_PER_ELEMENT } from "../dtype.ts";
import type { Arena } from "../kernel/arena.ts";
import type { Place } from "../kernel/replay_plan.ts";
import type { DeviceBuffer } from "./device.ts";
import { type Device, DeviceStorage } from "./runtime.ts";

/** Room in an arena, and who has it. */
interface Room {
  /** Its first element. */
  readonly offset: number;
  /** Number of elements. */
  readonly size: number;
  /** Whose values lie there; it may be gone. */
  tenant: WeakRef<DeviceStorage> | undefined;
}

/** Which arena a storage lies in. */
const homes = new WeakMap<DeviceStorage, { arena: StateArena; at: number }>();

/** One buffer for the state of several tensors; functions may share it. */
class StateArena {
  readonly #device: Device;
  readonly #buffer: DeviceBuffer;
  readonly #rooms: readonly Room[];
  #users = 1;

  private constructor(device: Device, plan: Arena) {
    this.#device = device;
    this.#buffer = takeArena(device, plan);
    this.#rooms = plan.values.map(({ offset, size }) => ({
      offset,
      size,
      tenant: undefined,
    }));
  }

  /**
   * The arena in which storages lie as planned, or a new one that they move to.
   *
   * @returns Nothing if some lie in an arena otherwise: they stay there.
   * @throws {RangeError} If there is no room for it.
   */
  static of(
    device: Device,
    plan: Arena,
    storages: readonly DeviceStorage[],
  ): StateArena | undefined {
    const present = storages.map((storage) => homes.get(storage))
      .map((home) => home && home.arena.#users > 0 ? home : undefined);
    const first = present[0]?.arena;
    const isThere = first !== undefined &&
      first.#rooms.length === plan.values.length &&
      present.every((home, at) => {
        const room = first.#rooms[at]!;
        const { offset, size } = plan.values[at]!;
        return home?.arena === first && home.at === at &&
          room.offset === offset && room.size === size;
      });
    if (isThere) {
      first.#users++;
      return first;
    }
    if (present.some((home) => home !== undefined)) return undefined;
    const made = new StateArena(device, plan);
    storages.forEach((storage, at) => {
      // What several show, zeros say, has no one place.
      if (!storage.isShared) made.#admit(storage, at);
    });
    return made;
  }

  /** The buffer of all of it. */
  get buffer(): DeviceBuffer {
    return this.#buffer;
  }

  /** Whether a storage lies at a place of this arena. */
  holds(storage: DeviceStorage, at: number): boolean {
    const home = homes.get(storage);
    return home?.arena === this && home.at === at;
  }

  /** Copies values to a place; who had it keeps them elsewhere. */
  take(at: number, from: DeviceStorage): DeviceStorage {
    const { backend } = this.#device;
    const tenant = this.#rooms[at]!.tenant?.deref();
    if (tenant !== undefined && !tenant.isFree && this.holds(tenant, at)) {
      moveOut(tenant);
    }
    const storage = new DeviceStorage(
      this.#device,
      this.#slice(at),
      from.byteLength,
    );
    backend.copy(from.buffer, storage.buffer, from.byteLength);
    this.#note(storage, at);
    return storage;
  }

  /** One function less uses it; its values stay with their tensors. */
  release(): void {
    if (--this.#users === 0) this.#device.backend.free(this.#buffer);
  }

  #slice(at: number): DeviceBuffer {
    const { offset, size } = this.#rooms[at]!;
    return sliceOf(this.#device, this.#buffer, offset, size);
  }

  /** Moves values in. */
  #admit(storage: DeviceStorage, at: number): void {
    const buffer = this.#slice(at);
    this.#device.backend.copy(storage.buffer, buffer, storage.byteLength);
    storage.move(buffer);
    this.#note(storage, at);
  }

  #note(storage: DeviceStorage, at: number): void {
    this.#rooms[at]!.tenant = new WeakRef(storage);
    homes.set(storage, { arena: this, at });
  }
}

/** Moves a storage to memory of its own, if it lies in an arena. */
export function moveOut(storage: DeviceStorage): void {
  if (!homes.delete(storage)) return;
  const { backend } = storage.device;
  const buffer = backend.allocate(Math.max(storage.byteLength, 4));
  backend.copy(storage.buffer, buffer, storage.byteLength);
  storage.move(buffer);
}

/** Whether two storages lie in one arena. */
export function areNeighbours(a: DeviceStorage, b: DeviceStorage): boolean {
  const home = homes.get(a);
  return home !== undefined && homes.get(b)?.arena === home.arena;
}

/** Takes memory for an arena, with 0 where no value lies. */
export function takeArena(
  { backend }: Device,
  { size, values }: Arena,
): DeviceBuffer {
  const buffer = backend.allocate(size * BYTES_PER_ELEMENT);
  const clear = (from: number, to: number) => {
    if (from === to) return;
    const bytes = (to - from) * BYTES_PER_ELEMENT;
    const gap = backend.slice!(buffer, from * BYTES_PER_ELEMENT, bytes);
    backend.write(gap, new Uint8Array(bytes));
    backend.free(gap);
  };
  let end = 0;
  for (const value of values) {
    clear(end, value.offset);
    end = value.offset + value.size;
  }
  clear(end, size);
  return buffer;
}

/** The arenas of a plan, as memory. */
export interface ArenaMemory {
  /** The buffer at a place in an arena, of so many elements. */
  at(place: Place & { readonly kind: "arena" }, size: number): DeviceBuffer;
  /** Gives the memory back. */
  free(): void;
}

/** The arenas of a plan that state lies in. */
export class Arenas implements ArenaMemory {
  readonly #device: Device;
  readonly #plans: readonly Arena[];
  readonly #state: readonly (StateArena | undefined)[];
  readonly #buffers: readonly DeviceBuffer[];
  readonly #parts: DeviceBuffer[] = [];
  readonly #homes = new Map<number, { arena: StateArena; at: number }>();

  private constructor(
    device: Device,
    plans: readonly Arena[],
    state: readonly (StateArena | undefined)[],
  ) {
    this.#device = device;
    this.#plans = plans;
    this.#state = state;
    this.#buffers = plans.map((plan, at) =>
      state[at]?.buffer ?? takeArena(device, plan)
    );
    plans.forEach(({ values }, number) =>
      values.forEach(({ slot }, at) => {
        const arena = state[number];
        if (slot !== undefined) this.#homes.set(slot, { arena: arena!, at });
      })
    );
  }

  /**
   * Moves state into arenas, if it is not there.
   *
   * @param storageOf The storage of a source, by slot.
   * @returns Nothing if it lies in arenas otherwise, or there is no room: then
   * it stays where it is.
   */
  static take(
    device: Device,
    plans: readonly Arena[],
    storageOf: (slot: number) => DeviceStorage,
  ): Arenas | undefined {
    const state: (StateArena | undefined)[] = [];
    try {
      for (const plan of plans) {
        const slots = plan.values.flatMap(({ slot }) => slot ?? []);
        const arena = slots.length > 0
          ? StateArena.of(device, plan, slots.map(storageOf))
          : undefined;
        if (slots.length > 0 && !arena) break;
        state.push(arena);
      }
      if (state.length === plans.length) {
        return new Arenas(device, plans, state);
      }
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
    }
    for (const arena of state) arena?.release();
    return undefined;
  }

  at(
    { arena, offset }: Place & { readonly kind: "arena" },
    size: number,
  ): DeviceBuffer {
    const part = sliceOf(this.#device, this.#buffers[arena]!, offset, size);
    this.#parts.push(part);
    return part;
  }

  /**
   * The storage of a source that is replaced, at its place.
   *
   * @param keep Whether others look at the present one.
   * @returns The present one, or one with its values; undefined if the source
   * lies in no arena.
   */
  settle(
    slot: number,
    storage: DeviceStorage,
    keep: boolean,
  ): DeviceStorage | undefined {
    const home = this.#homes.get(slot);
    if (home === undefined) return undefined;
    const { arena, at } = home;
    return arena.holds(storage, at) && !keep
      ? storage
      : arena.take(at, storage);
  }

  /** Other memory for state, and the same for what is computed. */
  detached(): ArenaMemory & {
    /** The memory for a source, by slot, if it lies in an arena. */
    readonly bySlot: ReadonlyMap<number, DeviceBuffer>;
  } {
    const device = this.#device;
    const copies = this.#state.map((arena, at) =>
      arena && takeArena(device, this.#plans[at]!)
    );
    const parts: DeviceBuffer[] = [];
    const at: ArenaMemory["at"] = ({ arena, offset }, size) => {
      const whole = copies[arena] ?? this.#buffers[arena]!;
      const part = sliceOf(device, whole, offset, size);
      parts.push(part);
      return part;
    };
    const bySlot = new Map(
      this.#plans.flatMap(({ values }, arena) =>
        values.flatMap(({ slot, offset, size }) =>
          slot === undefined
            ? []
            : [[slot, at({ kind: "arena", arena, offset }, size)] as const]
        )
      ),
    );
    const free = () => {
      for (const buffer of [...parts.splice(0), ...copies.splice(0)]) {
        if (buffer) device.backend.free(buffer);
      }
    };
    return { at, bySlot, free };
  }

  free(): void {
    const { backend } = this.#device;
    for (const part of this.#parts.splice(0)) backend.free(part);
    this.#buffers.forEach((buffer, at) => {
      const arena = this.#state[at];
      if (arena) arena.release();
      else backend.free(buffer);
    });
  }
}

/** Some elements of a buffer. */
export function sliceOf(
  { backend }: Device,
  buffer: DeviceBuffer,
  offset: number,
  size: number,
): DeviceBuffer {
  return backend.slice!(
    buffer,
    offset * BYTES_PER_ELEMENT,
    size * BYTES_PER_ELEMENT,
  );
}
