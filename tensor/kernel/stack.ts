/**
 * Updates that do the same to different state become one kernel over all of it:
 * an optimizer's step is one kernel, not one for each parameter. For that the
 * state, and what is computed for it alone, lies end to end in arenas.
 *
 * @module
 */

import { type Axis, axisIndex, type Index } from "../view.ts";
import {
  append,
  type Arena,
  arenaExtent,
  intoShards,
  type OpenArena,
} from "./arena.ts";
import type { BufferSlot, LoopKernel } from "./kernel.ts";
import type { Plan, PlanBuffer, Step } from "./plan.ts";
import { type Update, type UpdateOptions, updatesOf } from "./updates.ts";

/** Where a buffer lies in an arena. */
export interface InArena {
  /** Position in {@link Stacked.arenas}. */
  readonly arena: number;
  /** Its first element there. */
  readonly offset: number;
}

/** A plan with stacked updates. */
export interface Stacked {
  /** Its steps, and its buffers with those of stacked updates behind. */
  readonly plan: Plan;
  /** What lies end to end. */
  readonly arenas: readonly Arena[];
  /** The buffers that lie in arenas, but for sources. */
  readonly within: ReadonlyMap<number, InArena>;
  /** For a buffer that several others are parts of, those. */
  readonly parts: ReadonlyMap<number, readonly number[]>;
  /** The buffer that each written arena overwrites. */
  readonly over: ReadonlyMap<number, number>;
  /** Results that are written as parts of an arena, with the source's slot. */
  readonly replaced: ReadonlyMap<number, number>;
  /** Scalars that are taken to be equal: of each pair the first is used. */
  readonly equal: readonly (readonly [used: number, other: number])[];
}

/** How updates are stacked. */
export interface StackOptions extends UpdateOptions {
  /** Most elements of an arena. */
  readonly maxArena: number;
}

/**
 * Stacks updates.
 *
 * @returns The plan with stacks, or undefined if a kernel would read and write
 * one arena: then nothing of it can lie end to end.
 */
export function stackUpdates(
  plan: Plan,
  options: StackOptions,
): Stacked | undefined {
  const stacker = new Stacker(plan);
  const updates = updatesOf(plan, options);
  stacker.add(stacksOf(updates, options.maxArena));
  const stacked = stacker.finish();
  return hasConflict(stacked) ? undefined : stacked;
}

/** Updates that can run as one kernel each, and those that are left alone. */
function stacksOf(updates: readonly Update[], most: number): Update[][] {
  const byKey = new Map<string, Update[]>();
  const taken = new Set<number>();
  for (const [at, update] of updates.entries()) {
    const computed = update.numbers.filter((_, slot) =>
      update.roles[slot]!.kind === "computed"
    );
    // A value has one place.
    const isTaken = computed.some((number) => taken.has(number));
    for (const number of computed) taken.add(number);
    const key = isTaken ? `${at}` : update.key;
    const alike = byKey.get(key);
    if (alike) alike.push(update);
    else byKey.set(key, [update]);
  }
  return [...byKey.values()]
    .flatMap((alike) => intoShards(alike, ({ size }) => size, most));
}

/** Whether a kernel reads and writes one arena, apart from what it replaces. */
function hasConflict({ plan, arenas, within, over }: Stacked): boolean {
  const slots = new Map(
    arenas.flatMap(({ values }, arena) =>
      values.map(({ slot }) => [slot, arena] as const)
    ),
  );
  const arenaOf = (number: number) => {
    const { source } = plan.buffers[number]!;
    return source === undefined ? within.get(number)?.arena : slots.get(source);
  };
  return plan.steps.some(({ kernel, buffers }) =>
    buffers.some((written, slot) => {
      const arena = arenaOf(written);
      if (!kernel.buffers[slot]!.output || arena === undefined) return false;
      return buffers.some((read, other) =>
        !kernel.buffers[other]!.output && over.get(written) !== read &&
        arenaOf(read) === arena
      );
    })
  );
}

/** Builds a plan with stacks. */
class Stacker {
  readonly #plan: Plan;
  readonly #buffers: PlanBuffer[];
  readonly #arenas: OpenArena[] = [];
  readonly #within = new Map<number, InArena>();
  readonly #parts = new Map<number, readonly number[]>();
  readonly #over = new Map<number, number>();
  readonly #replaced = new Map<number, number>();
  readonly #equal: (readonly [number, number])[] = [];
  /** The arena behind each buffer that others are parts of. */
  readonly #wholes = new Map<number, number>();
  /** What runs in the place of steps. */
  readonly #instead = new Map<number, Step[]>();

  constructor(plan: Plan) {
    this.#plan = plan;
    this.#buffers = [...plan.buffers];
  }

  /** Makes kernels of the updates of steps that are stacked at least in part. */
  add(stacks: readonly (readonly Update[])[]): void {
    const stacked = new Set(
      stacks.filter(({ length }) => length > 1).flat().map(({ step }) => step),
    );
    for (const step of stacked) this.#instead.set(step, []);
    for (const stack of stacks) {
      const last = Math.max(...stack.map(({ step }) => step));
      if (stack.length > 1) this.#instead.get(last)!.push(this.#stack(stack));
      else if (stacked.has(last)) {
        this.#instead.get(last)!.push(stepOf(stack[0]!));
      }
    }
  }

  finish(): Stacked {
    for (const [number, { parts }] of this.#plan.buffers.entries()) {
      if (parts === undefined) continue;
      const arena = this.#arenaOf(number);
      this.#within.set(number, { arena, offset: 0 });
      this.#parts.set(number, parts);
      this.#lay(arena, parts.filter((part) => !this.#within.has(part)));
    }
    return {
      plan: {
        ...this.#plan,
        buffers: this.#buffers,
        steps: this.#plan.steps.flatMap((step, at) =>
          this.#instead.get(at) ?? [step]
        ),
      },
      arenas: this.#arenas,
      within: this.#within,
      parts: this.#parts,
      over: this.#over,
      replaced: this.#replaced,
      equal: this.#equal,
    };
  }

  #stack(stack: readonly Update[]): Step {
    const [first] = stack as [Update];
    const size = stack.reduce((sum, { size }) => sum + arenaExtent(size), 0);
    const slotAt = (update: Update, at: number) =>
      (update.roles[at] as { readonly slot: number }).slot;
    const bound = first.roles.map((role, at): number => {
      const parts = stack.map(({ numbers }) => numbers[at]!);
      switch (role.kind) {
        case "scalar":
          return first.numbers[at]!;
        case "computed": {
          const arena = role.whole < 0
            ? this.#newArena()
            : this.#arenaOf(role.whole);
          const offset = this.#lay(arena, parts);
          return this.#newBuffer(first, at, size, { arena, offset }, parts);
        }
        case "before": {
          const arena = this.#newArena();
          for (const update of stack) {
            append(this.#arenas[arena]!, update.size, slotAt(update, at));
          }
          return this.#newBuffer(first, at, size, { arena, offset: 0 }, parts);
        }
        case "after":
          for (const update of stack) {
            this.#replaced.set(update.numbers[at]!, slotAt(update, at));
          }
          return -1;
        default:
          return role satisfies never;
      }
    });
    for (const { params } of stack.slice(1)) {
      first.params.forEach((used, at) => this.#equal.push([used, params[at]!]));
    }
    first.roles.forEach((role, at) => {
      if (role.kind !== "after") return;
      const before = bound[role.over]!;
      const place = this.#within.get(before)!;
      bound[at] = this.#newBuffer(first, at, size, place);
      this.#over.set(bound[at]!, before);
    });
    return { ...stepOf(first), kernel: widened(first, size), buffers: bound };
  }

  #newBuffer(
    { kernel }: Update,
    at: number,
    size: number,
    place: InArena,
    parts?: readonly number[],
  ): number {
    const { dtype } = kernel.buffers[at]!;
    const rest = { source: undefined, lastStep: undefined, node: -1 };
    const number = this.#buffers.push({ dtype, size, ...rest }) - 1;
    this.#within.set(number, place);
    if (parts) this.#parts.set(number, parts);
    return number;
  }

  #newArena(): number {
    return this.#arenas.push({ size: 0, values: [] }) - 1;
  }

  #arenaOf(whole: number): number {
    const arena = this.#wholes.get(whole) ?? this.#newArena();
    this.#wholes.set(whole, arena);
    return arena;
  }

  /** Puts computed values behind what an arena holds; gives where. */
  #lay(arena: number, parts: readonly number[]): number {
    const open = this.#arenas[arena]!;
    const start = open.size;
    for (const part of parts) {
      const offset = append(open, this.#buffers[part]!.size);
      this.#within.set(part, { arena, offset });
    }
    return start;
  }
}

function stepOf({ kernel, numbers, params }: Update): Step {
  return { kernel, buffers: numbers, params };
}

/** The kernel of an update over so many elements. */
function widened({ kernel, roles }: Update, size: number): LoopKernel {
  const axis: Axis = { id: 0, extent: size };
  const place = (slot: number, index: Index) =>
    roles[slot]!.kind === "scalar" ? index : axisIndex(axis);
  return {
    ...kernel,
    name: `${kernel.name.slice(0, kernel.name.indexOf("["))}[${size}]`,
    rows: [axis],
    values: kernel.values.map((value) =>
      value.op === "load"
        ? { ...value, index: place(value.buffer, value.index) }
        : value
    ),
    stores: kernel.stores.map((store) => ({
      ...store,
      index: place(store.buffer, store.index),
    })),
    buffers: kernel.buffers.map((slot, at): BufferSlot =>
      roles[at]!.kind === "scalar" ? slot : { ...slot, size }
    ),
  };
}
