/**
 * What is noted while a function is traced: which values outside of it it
 * reads and replaces, and what the host has to do in each run.
 *
 * @module
 */

import type { DType } from "../dtype.ts";
import { type Shape, sizeOf } from "../shape.ts";
import { Node, type Storage } from "./node.ts";

/**
 * The node that has the values of a run: that of an argument by its number, or
 * of what the function names outside of itself.
 */
export type Origin = number | (() => Node);

/** Stands for values that each run brings along. */
export class Placeholder implements Storage {
  readonly byteLength: number;
  /** Where they come from. */
  readonly origin: Origin;

  constructor(byteLength: number, origin: Origin) {
    this.byteLength = byteLength;
    this.origin = origin;
  }
}

/** A node whose values each run brings along. */
export function placeholder(
  shape: Shape,
  dtype: DType,
  needsGrad: boolean,
  origin: Origin,
): Node {
  const node = new Node({ kind: "source" }, [], shape, dtype, needsGrad);
  node.storage = new Placeholder(4 * sizeOf(shape), origin);
  return node;
}

/** A place outside of the function that holds a value: a tensor, a gradient. */
export interface Cell {
  /** Which of the two, for messages and plans. */
  readonly kind: "tensor" | "gradient";
  /** What it showed when the function first looked, or null for nothing. */
  readonly before: Node | null;
  /** What it shows now. */
  present(): Node | null;
  /** Undoes what the function did to it. */
  restore(): void;
  /** Shows computed values from now on, or nothing. */
  replace(node: Node | null): void;
}

/** What the host does before each run. */
export interface HostAction {
  /** Does it. */
  readonly act: () => void;
  /** Undoes it, if what the host does after it throws. */
  readonly undo: (() => void) | undefined;
}

/** What must be as it was when the function was traced. */
interface Guard {
  readonly read: () => unknown;
  readonly value: unknown;
}

/** Collects the notes of one trace. */
export class Trace {
  /** What the function looked at outside of itself. */
  readonly cells: Cell[] = [];
  /**
   * What the host does before each run, in order: what to do, and scalars to
   * read.
   */
  readonly actions: (Node | HostAction)[] = [];
  readonly #guards: Guard[] = [];
  readonly #overlay = new Map<object, unknown>();

  /** Whether all that the function relied on is as it was. */
  get holds(): boolean {
    for (const { read, value } of this.#guards) {
      if (!Object.is(read(), value)) return false;
    }
    return true;
  }

  /** Relies on a value of the host. */
  guard<T>(read: () => T): T {
    const value = read();
    this.#guards.push({ read, value });
    return value;
  }

  /** What the function has set a value of the host to. */
  overlay(key: object): { readonly value: unknown } | undefined {
    return this.#overlay.has(key)
      ? { value: this.#overlay.get(key) }
      : undefined;
  }

  /** Sets a value of the host, as far as the function can see. */
  setOverlay(key: object, value: unknown): void {
    this.#overlay.set(key, value);
  }
}

let current: Trace | undefined;

/** The trace under way, if any. */
export function currentTrace(): Trace | undefined {
  return current;
}

/** Traces a function; afterwards everything outside is as before. */
export function runTrace<T>(
  trace: Trace,
  f: () => T,
): { result: T; replaced: (Node | null)[] } {
  current = trace;
  try {
    const result = f();
    return { result, replaced: trace.cells.map((cell) => cell.present()) };
  } finally {
    current = undefined;
    for (const cell of trace.cells) cell.restore();
  }
}

/**
 * Refuses what needs a value while there is none.
 *
 * @throws {Error} Inside of a trace.
 */
export function requireNoTrace(operation: string): void {
  if (current === undefined) return;
  throw new Error(
    `${operation}: a compiled function asks for a value while it is traced: ` +
      "its tensors have none yet: return the tensor and read it outside, and " +
      "choose between values with where()",
  );
}
