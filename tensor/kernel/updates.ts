/**
 * The elementwise kernels of a plan that only replace state, an optimizer's
 * updates say, taken apart so that those that do the same can be told.
 *
 * @module
 */

import { axisIndex, type Index, indexKey } from "../view.ts";
import {
  argumentsOf,
  type LoopKernel,
  type Value,
  type ValueId,
} from "./kernel.ts";
import { normalize } from "./normalize.ts";
import type { Plan, Step } from "./plan.ts";

/** An elementwise kernel, or a part of one, that only replaces state. */
export interface Update {
  /** The step that it is a part of. */
  readonly step: number;
  readonly kernel: LoopKernel;
  readonly numbers: readonly number[];
  readonly params: readonly number[];
  /** Elements. */
  readonly size: number;
  /** By position in the kernel's buffers. */
  readonly roles: readonly Role[];
  /** Equal for updates that one kernel can run. */
  readonly key: string;
}

/** What a buffer is to an update. */
export type Role =
  /** One element, for all. */
  | { readonly kind: "scalar" }
  /** Computed before; `arena` is the buffer that it is a part of, or -1. */
  | { readonly kind: "computed"; readonly whole: number }
  /** A source that is replaced. */
  | { readonly kind: "before"; readonly slot: number }
  /** What replaces the source in the buffer `over` of the kernel. */
  | { readonly kind: "after"; readonly over: number; readonly slot: number };

/** What updates are found by. */
export interface UpdateOptions {
  /** The source that each root replaces, or undefined. */
  readonly replaces: readonly (number | undefined)[];
  /** The scalars as they are: those that are equal are taken to stay so. */
  readonly scalars: readonly number[];
}

/** Finds the updates of a plan. */
export function updatesOf(plan: Plan, options: UpdateOptions): Update[] {
  return new Updates(plan, options).find();
}

class Updates {
  readonly #plan: Plan;
  readonly #scalars: readonly number[];
  readonly #roots = new Set<number>();
  readonly #readers = new Map<number, Set<number>>();
  /** The slot of the source that a buffer replaces. */
  readonly #replaces = new Map<number, number>();
  /** The buffer that a buffer is a part of. */
  readonly #wholes = new Map<number, number>();

  constructor(plan: Plan, { replaces, scalars }: UpdateOptions) {
    this.#plan = plan;
    this.#scalars = scalars;
    plan.steps.forEach(({ kernel, buffers }, at) => {
      buffers.forEach((number, slot) => {
        if (kernel.buffers[slot]!.output) return;
        const readers = this.#readers.get(number);
        if (readers) readers.add(at);
        else this.#readers.set(number, new Set([at]));
      });
    });
    const repeated = new Set<number>();
    plan.roots.forEach((number, root) => {
      if (this.#roots.has(number)) repeated.add(number);
      this.#roots.add(number);
      const slot = replaces[root];
      if (slot !== undefined) this.#replaces.set(number, slot);
    });
    for (const number of repeated) this.#replaces.delete(number);
    plan.buffers.forEach(({ parts }, number) => {
      for (const part of parts ?? []) this.#wholes.set(part, number);
    });
  }

  find(): Update[] {
    return this.#plan.steps.flatMap((step, at) => this.#updatesIn(step, at));
  }

  /** The parts of a step, if each of them is an update. */
  #updatesIn(step: Step, at: number): Update[] {
    const { kernel } = step;
    if (kernel.kind !== "loop" || kernel.contract) return [];
    if (kernel.cols.length > 0) return [];
    const flat = normalize(kernel);
    if (flat.rows.length > 1 || !isElementwise(flat)) return [];
    const updates = componentsOf(flat).map((part) =>
      this.#asUpdate(part, step, at)
    );
    return updates.every((update) => update !== undefined) ? updates : [];
  }

  #asUpdate(
    { kernel, slots, params }: Component,
    step: Step,
    at: number,
  ): Update | undefined {
    const numbers = slots.map((slot) => step.buffers[slot]!);
    const size = kernel.rows[0]?.extent ?? 1;
    const roles = numbers.map((_, slot) => this.#roleOf(kernel, numbers, slot));
    if (!roles.every((role) => role !== undefined)) return undefined;
    const scalars = params.map((param) => step.params[param]!);
    const update = { step: at, kernel, numbers, params: scalars, size, roles };
    const values = scalars.map((scalar) => this.#scalars[scalar]!);
    return { ...update, key: keyOf(update, values) };
  }

  #roleOf(
    kernel: LoopKernel,
    numbers: readonly number[],
    at: number,
  ): Role | undefined {
    const { buffers } = this.#plan;
    const number = numbers[at]!;
    const size = kernel.rows[0]?.extent ?? 1;
    const { output, dtype } = kernel.buffers[at]!;
    const slotOf = (other: number) => {
      const slot = this.#replaces.get(other);
      // What others still read is not in the arena when they do.
      return this.#readers.has(other) ? undefined : slot;
    };
    const { source } = buffers[number]!;
    if (output) {
      const slot = slotOf(number);
      const over = slot === undefined
        ? -1
        : numbers.findIndex((other) => buffers[other]!.source === slot);
      return over < 0 || kernel.buffers[over]!.dtype !== dtype
        ? undefined
        : { kind: "after", over, slot: slot! };
    }
    const replaced = source !== undefined && !this.#roots.has(number) &&
      numbers.some((other) => slotOf(other) === source);
    if (replaced) return { kind: "before", slot: source };
    const whole = this.#wholes.get(number) ?? -1;
    const isComputed = source === undefined && !this.#roots.has(number);
    if (isComputed && (size > 1 ? sizeAt(kernel, at) === size : whole >= 0)) {
      return { kind: "computed", whole };
    }
    return sizeAt(kernel, at) === 1 ? { kind: "scalar" } : undefined;
  }
}

function sizeAt(kernel: LoopKernel, slot: number): number {
  return kernel.buffers[slot]!.size;
}

/** Whether a kernel's only positions are its own element's, and a scalar's. */
function isElementwise({ rows, values, stores, buffers }: LoopKernel): boolean {
  const [axis] = rows;
  const size = axis?.extent ?? 1;
  const own = indexKey(axis ? axisIndex(axis) : CONSTANT);
  const fits = (buffer: number, index: Index) =>
    indexKey(index) === own
      ? buffers[buffer]!.size === size
      : buffers[buffer]!.size === 1;
  return size > 0 &&
    stores.every(({ index, buffer }) =>
      indexKey(index) === own && buffers[buffer]!.size === size
    ) && values.every((value) => {
      switch (value.op) {
        case "load":
          return value.bounds.length === 0 && fits(value.buffer, value.index);
        case "index":
        case "inside":
        case "gather":
        case "threefry":
        case "reduce":
          return false;
        default:
          return true;
      }
    });
}

const CONSTANT: Index = { terms: [], constant: 0, low: 0, high: 0 };

/** A part of a kernel that shares nothing but scalars with the rest. */
interface Component {
  readonly kernel: LoopKernel;
  /** Its buffers, as slots of the whole. */
  readonly slots: readonly number[];
  /** Its scalars, as positions of the whole. */
  readonly params: readonly number[];
}

/** Takes a kernel apart: stores that load no element in common. */
function componentsOf(kernel: LoopKernel): Component[] {
  const { values, stores } = kernel;
  const elements: (readonly ValueId[])[] = values.map(() => []);
  const reached = values.map((value, id) => {
    const found = new Set<ValueId>();
    for (const arg of argumentsOf(value)) {
      for (const deeper of elements[arg]!) found.add(deeper);
    }
    const isElement = value.op === "load" && value.index.terms.length > 0;
    if (isElement) found.add(value.buffer);
    elements[id] = [...found];
    return found;
  });
  const parts: { stores: typeof stores[number][]; loads: Set<number> }[] = [];
  for (const store of stores) {
    const loads = new Set(reached[store.value]!);
    const joined = parts.filter((part) => !part.loads.isDisjointFrom(loads));
    const merged = {
      stores: [...joined.flatMap((part) => part.stores), store],
      loads: joined.reduce((all, part) => all.union(part.loads), loads),
    };
    for (const part of joined) parts.splice(parts.indexOf(part), 1);
    parts.push(merged);
  }
  // In a kernel of one element all loads look like scalars': one part.
  return kernel.rows.length === 0
    ? [extract(kernel, stores)]
    : parts.map((part) => extract(kernel, part.stores));
}

/** The kernel that makes some of the stores of another. */
function extract(kernel: LoopKernel, stores: LoopKernel["stores"]): Component {
  // Arguments first, from the stores on: in the same order in equal parts.
  const needed = new Set<ValueId>();
  const todo = stores.map(({ value }) => value).toReversed();
  for (let id = todo.at(-1); id !== undefined; id = todo.at(-1)) {
    const missing = argumentsOf(kernel.values[id]!)
      .filter((arg) => !needed.has(arg));
    if (missing.length === 0) needed.add(todo.pop()!);
    else todo.push(...missing.toReversed());
  }
  const ids = [...needed];
  const kept = ids.map((id) => kernel.values[id]!);
  const slots = new Set([
    ...kept.flatMap((value) => value.op === "load" ? [value.buffer] : []),
    ...stores.map(({ buffer }) => buffer),
  ]);
  const params = new Set(
    kept.flatMap((value) => value.op === "param" ? [value.slot] : []),
  );
  const [slotList, paramList] = [[...slots], [...params]];
  const values = kept.map((value): Value => {
    if (value.op === "load") {
      return { ...value, buffer: slotList.indexOf(value.buffer) };
    }
    if (value.op === "param") {
      return { ...value, slot: paramList.indexOf(value.slot) };
    }
    if (!("args" in value)) return value;
    const args = value.args.map((arg) => ids.indexOf(arg));
    return { ...value, args } as unknown as Value;
  });
  return {
    slots: slotList,
    params: paramList,
    kernel: {
      ...kernel,
      values,
      buffers: slotList.map((slot) => kernel.buffers[slot]!),
      params: paramList.map((param) => kernel.params[param]!),
      stores: stores.map(({ buffer, index, value }) => ({
        buffer: slotList.indexOf(buffer),
        index,
        value: ids.indexOf(value),
      })),
    },
  };
}

/** Equal for updates that differ in their state and its size alone. */
function keyOf(
  { kernel, numbers, roles }: Omit<Update, "key">,
  scalars: readonly number[],
): string {
  const slots = roles.map((role, at) => {
    const { dtype } = kernel.buffers[at]!;
    switch (role.kind) {
      case "scalar":
        return `${dtype} scalar ${numbers[at]}`;
      case "computed":
        return `${dtype} part of ${role.whole}`;
      case "before":
        return `${dtype} before`;
      default:
        return `${dtype} over ${role.over}`;
    }
  });
  const values = kernel.values.map((value) => {
    switch (value.op) {
      case "load":
        return `load ${value.buffer}`;
      case "param":
        return `${value.dtype} param ${formatScalar(scalars[value.slot]!)}`;
      default:
        return JSON.stringify(value);
    }
  });
  const stores = kernel.stores.map(({ buffer, value }) => `${buffer} ${value}`);
  return [...slots, ...values, ...stores].join("\n");
}

function formatScalar(value: number): string {
  return Object.is(value, -0) ? "-0" : `${value}`;
}
