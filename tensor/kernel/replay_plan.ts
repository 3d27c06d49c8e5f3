/**
 * A plan that runs again and again: what it computes on the way lies in a few
 * blocks of memory that it owns, and values that it replaces are overwritten
 * where they lie.
 *
 * @module
 */

import type { Arena } from "./arena.ts";
import type { BufferSlot, Kernel } from "./kernel.ts";
import { Occupancy } from "./occupancy.ts";
import { canOverwrite } from "./overwrite.ts";
import type { Plan, Step } from "./plan.ts";
import { type Stacked, stackUpdates } from "./stack.ts";

/** Where the values of a numbered buffer are. */
export type Place =
  /** The source of a slot; also what replaces it, where that is possible. */
  | { readonly kind: "source"; readonly slot: number }
  /** A block that the plan owns. */
  | { readonly kind: "block"; readonly block: number }
  /** From an element of an arena. */
  | {
    readonly kind: "arena";
    readonly arena: number;
    readonly offset: number;
  }
  /** Memory of a result, new in each run. */
  | { readonly kind: "result" };

/** A root whose buffer other roots have too: it gets a copy. */
export interface Copy {
  /** The buffer that holds the values. */
  readonly from: number;
  /** The result's. */
  readonly to: number;
}

/** How a program runs again and again. */
export interface ReplayPlan {
  /** In order. */
  readonly steps: readonly Step[];
  /** Elements of each buffer. */
  readonly sizes: readonly number[];
  /** Where each buffer lies. */
  readonly places: readonly Place[];
  /** Elements of the blocks that the plan owns. */
  readonly blocks: readonly number[];
  /**
   * Memory in which values lie end to end: state, which is then elsewhere for
   * all who look, or what is computed for its sake.
   */
  readonly arenas: readonly Arena[];
  /** What is copied after the steps. */
  readonly copies: readonly Copy[];
  /** The buffer of each root: a result, or the source that it replaces. */
  readonly roots: readonly number[];
  /** The node of the canonical program in each buffer; -1 for none. */
  readonly nodes: readonly number[];
  /** Scalars that must be equal in each run, for it to be right. */
  readonly equal: readonly (readonly [number, number])[];
}

/** What a plan is made for. */
export interface ReplayOptions {
  /** The source that a root replaces, or undefined for a result. */
  readonly replaces: readonly (number | undefined)[];
  /**
   * Whether results may be written where inputs lie.
   * @default true
   */
  readonly inPlace?: boolean;
  /**
   * Most elements of an arena; 0 where there are none.
   * @default 0
   */
  readonly maxArena?: number;
  /**
   * The scalars as they are; needed for arenas.
   * @default []
   */
  readonly scalars?: readonly number[];
}

/**
 * Finds an order, overwrites what can be, and shares memory.
 *
 * @returns The plan, or undefined if it cannot be had with arenas.
 */
export function replayPlanOf(
  plan: Plan,
  options: ReplayOptions,
): ReplayPlan | undefined {
  const { replaces, maxArena = 0, scalars = [] } = options;
  const stacked = maxArena > 0
    ? stackUpdates(plan, { replaces, maxArena, scalars })
    : withoutStacks(plan);
  return stacked && new Planner(stacked, options).run();
}

function withoutStacks(plan: Plan): Stacked {
  const none = new Map();
  return {
    plan,
    arenas: [],
    within: none,
    parts: none,
    over: none,
    replaced: none,
    equal: [],
  };
}

class Planner {
  readonly #stacked: Stacked;
  readonly #plan: Plan;
  readonly #options: ReplayOptions;
  readonly #sizes: number[];
  /** Steps that must come before each step. */
  readonly #before: Set<number>[];
  readonly #writer = new Map<number, number>();
  readonly #readers = new Map<number, Set<number>>();
  /** The first buffer of each source. */
  readonly #bySource = new Map<number, number>();
  readonly #roots: ReadonlySet<number>;
  /** The buffer whose memory a buffer takes over. */
  readonly #over = new Map<number, number>();
  /** The buffers that take over a buffer's memory. */
  readonly #heirs = new Map<number, Set<number>>();

  constructor(stacked: Stacked, options: ReplayOptions) {
    const { plan, parts, over } = stacked;
    this.#stacked = stacked;
    this.#plan = plan;
    this.#options = options;
    this.#roots = new Set(plan.roots);
    this.#sizes = plan.buffers.map(({ size }) => size);
    for (const [by, old] of over) this.#takeOver(by, old);
    plan.buffers.forEach(({ source }, number) => {
      if (source === undefined || this.#bySource.has(source)) return;
      this.#bySource.set(source, number);
    });
    this.#before = plan.steps.map(() => new Set());
    plan.steps.forEach((step, at) => {
      step.buffers.forEach((number, slot) => {
        if (step.kernel.buffers[slot]!.output) this.#writer.set(number, at);
        else this.#readersOf(number).add(at);
      });
    });
    for (const [number, readers] of this.#readers) {
      for (const part of parts.get(number) ?? [number]) {
        const writer = this.#writer.get(part);
        if (writer === undefined) continue;
        for (const reader of readers) this.#before[reader]!.add(writer);
      }
    }
    for (const [number, before] of over) {
      const writer = this.#writer.get(number)!;
      for (const part of parts.get(before)!) {
        for (const reader of this.#readersOf(part)) {
          this.#before[writer]!.add(reader);
        }
      }
    }
  }

  run(): ReplayPlan {
    const { buffers } = this.#plan;
    const { within, replaced, arenas } = this.#stacked;
    const places = buffers.map(({ source }, number): Place | undefined => {
      const slot = source ?? replaced.get(number);
      if (slot !== undefined) return { kind: "source", slot };
      const place = within.get(number);
      return place && { kind: "arena", ...place };
    });
    const copies: Copy[] = [];
    const taken = new Set<number>();
    const roots = this.#plan.roots.map((number, root) => {
      const slot = this.#options.replaces[root];
      if (replaced.has(number)) return number;
      if (places[number] === undefined && !taken.has(number)) {
        taken.add(number);
        if (slot !== undefined && this.#replaces(number, slot)) {
          places[number] = { kind: "source", slot };
        } else places[number] = { kind: "result" };
        return number;
      }
      const to = this.#sizes.push(this.#sizes[number]!) - 1;
      places[to] = { kind: "result" };
      copies.push({ from: number, to });
      return to;
    });
    const order = this.#order();
    const blocks = this.#share(order, places);
    return {
      steps: order.map((at) => this.#stepAt(at)),
      sizes: this.#sizes,
      places: places as Place[],
      blocks,
      arenas,
      copies,
      roots,
      equal: this.#stacked.equal,
      nodes: this.#sizes.map((_, number) => buffers[number]?.node ?? -1),
    };
  }

  #readersOf(number: number): Set<number> {
    return setAt(this.#readers, number);
  }

  #takeOver(by: number, old: number): void {
    this.#over.set(by, old);
    setAt(this.#heirs, old).add(by);
  }

  /** Lets a buffer take over a source's memory, if nobody reads that later. */
  #replaces(number: number, slot: number): boolean {
    if (this.#options.inPlace === false) return false;
    const old = this.#bySource.get(slot);
    const writer = this.#writer.get(number)!;
    if (old === undefined) return true;
    // What is a result itself is still read after the last step.
    if (this.#roots.has(old)) return false;
    const readers = this.#readersOf(old);
    if (readers.has(writer) && !this.#mayOverwrite(writer, old, number)) {
      return false;
    }
    for (const reader of readers) {
      if (reader !== writer && this.#precedes(writer, reader)) return false;
    }
    for (const reader of readers) {
      if (reader !== writer) this.#before[writer]!.add(reader);
    }
    if (readers.has(writer)) this.#takeOver(number, old);
    return true;
  }

  #mayOverwrite(at: number, old: number, fresh: number): boolean {
    const { kernel, buffers } = this.#plan.steps[at]!;
    return canOverwrite(kernel, buffers.indexOf(old), buffers.indexOf(fresh));
  }

  /** Whether a step has to come before another. */
  #precedes(first: number, then: number): boolean {
    const seen = new Set<number>();
    const todo = [then];
    for (let at = todo.pop(); at !== undefined; at = todo.pop()) {
      if (at === first) return true;
      if (seen.has(at)) continue;
      seen.add(at);
      todo.push(...this.#before[at]!);
    }
    return false;
  }

  /**
   * Each result as soon as it can be, each other step as late as it can be:
   * what checkpoints compute again waits for the gradient that it is for.
   */
  #order(): number[] {
    const order: number[] = [];
    const placed = new Set<number>();
    const place = (first: number) => {
      const todo = [first];
      while (todo.length > 0) {
        const at = todo.at(-1)!;
        const missing = [...this.#before[at]!].filter((b) => !placed.has(b));
        if (missing.length > 0 && !placed.has(at)) {
          // The last on top: a gradient before what is computed again for it.
          todo.push(...missing.sort((a, b) => a - b));
          continue;
        }
        todo.pop();
        if (placed.has(at)) continue;
        placed.add(at);
        order.push(at);
      }
    };
    const { steps } = this.#plan;
    steps.forEach(({ buffers }, at) => {
      const writes = (number: number) => this.#writer.get(number) === at;
      if (buffers.some((n) => this.#roots.has(n) && writes(n))) place(at);
    });
    steps.forEach((_, at) => place(at));
    return order;
  }

  /** Gives what is left blocks: those whose times do not overlap share one. */
  #share(order: readonly number[], places: (Place | undefined)[]): number[] {
    const position = new Map(order.map((at, position) => [at, position]));
    const lives = this.#plan.buffers.flatMap((_, number) => {
      if (places[number] !== undefined) return [];
      const writer = this.#writer.get(number);
      if (writer === undefined) return [];
      const start = position.get(writer)!;
      let end = start;
      for (const reader of this.#readersOf(number)) {
        end = Math.max(end, position.get(reader)!);
      }
      return [{ number, start, end, size: this.#sizes[number]! }];
    });
    // The largest first: the small ones find room in their blocks.
    lives.sort((a, b) => b.size - a.size || a.start - b.start);
    const blocks: Block[] = [];
    const rooms = new Occupancy(2 * order.length + 2);
    for (const life of lives) {
      // A buffer may follow another in the very step that reads that and
      // writes this: so each step is two times.
      const first = 2 * life.start + 1;
      const last = this.#options.inPlace === false
        ? 2 * life.end + 1
        : Math.max(2 * life.end, first);
      const taken = rooms.taken(first, last);
      let at = taken.nextAbsent(0);
      while (at < blocks.length && !this.#joins(order, life, blocks[at]!)) {
        at = taken.nextAbsent(at + 1);
      }
      const block = blocks[at] ??= {
        size: life.size,
        starting: new Map(),
        ending: new Map(),
      };
      const [before, after] = neighboursOf(life, block);
      if (before) this.#takeOver(life.number, before.number);
      if (after) this.#takeOver(after.number, life.number);
      block.starting.set(life.start, life);
      if (life.start < life.end) block.ending.set(life.end, life);
      rooms.take(at, first, last);
      places[life.number] = { kind: "block", block: at };
    }
    return blocks.map(({ size }) => size);
  }

  /** Whether those that a buffer would share a step with in a block allow it. */
  #joins(order: readonly number[], life: Life, block: Block): boolean {
    const [before, after] = neighboursOf(life, block);
    return (!before || this.#mayFollow(order, before, life)) &&
      (!after || this.#mayFollow(order, life, after));
  }

  /** Whether a buffer may take over the memory of one that its step reads. */
  #mayFollow(order: readonly number[], old: Life, fresh: Life): boolean {
    const at = order[fresh.start]!;
    const { buffers } = this.#plan.steps[at]!;
    // Each memory is overwritten by one buffer, and by one at a time.
    if (this.#over.has(fresh.number)) return false;
    for (const heir of this.#heirs.get(old.number) ?? []) {
      if (buffers.includes(heir)) return false;
    }
    return this.#mayOverwrite(at, old.number, fresh.number);
  }

  #stepAt(at: number): Step {
    const step = this.#plan.steps[at]!;
    const { kernel, buffers } = step;
    if (!buffers.some((number) => this.#over.has(number))) return step;
    const slots = kernel.buffers.map((slot, position): BufferSlot => {
      const old = this.#over.get(buffers[position]!);
      const overwrites = slot.output && old !== undefined
        ? buffers.indexOf(old)
        : -1;
      return overwrites < 0 ? slot : { ...slot, overwrites };
    });
    return { ...step, kernel: { ...kernel, buffers: slots } as Kernel };
  }
}

/** The steps, as positions in the order, that a buffer is needed in. */
interface Life {
  readonly number: number;
  readonly start: number;
  readonly end: number;
  readonly size: number;
}

/** Memory for buffers that are needed one after the other. */
interface Block {
  readonly size: number;
  /** Its buffers by the step that writes them. */
  readonly starting: Map<number, Life>;
  /** Those that others read, by the last step that does. */
  readonly ending: Map<number, Life>;
}

/** The buffers that would share a step with one in a block. */
function neighboursOf(
  { start, end }: Life,
  { starting, ending }: Block,
): [before: Life | undefined, after: Life | undefined] {
  return [ending.get(start), starting.get(end)];
}

function setAt<K, V>(sets: Map<K, Set<V>>, key: K): Set<V> {
  let set = sets.get(key);
  if (!set) sets.set(key, set = new Set());
  return set;
}
