/**
 * Tensors that nobody freed: how many of which shape, and who made them.
 *
 * @module
 */

import { BYTES_PER_ELEMENT, type DType } from "../dtype.ts";
import type { Node } from "../graph/node.ts";
import { formatShape, type Shape, sizeOf } from "../shape.ts";
import type { Leak } from "./device.ts";

/** What is known of a tensor once it is gone. */
export interface Lost {
  readonly shape: Shape;
  readonly dtype: DType;
  readonly madeAt: string | undefined;
}

/** Where the files of this module are. */
const OWN_FILES = new URL("..", import.meta.url).href;

const origins = new WeakMap<Node, string>();
let noting = false;

/** Whether {@link noteOrigin} looks from now on: a stack costs a few µs. */
export function noteOrigins(note: boolean): void {
  noting = note;
}

/** Notes the line outside of this module that a tensor is made by. */
export function noteOrigin(node: Node): void {
  if (!noting || origins.has(node)) return;
  const line = callerOf(new Error().stack ?? "");
  if (line !== undefined) origins.set(node, line);
}

function callerOf(stack: string): string | undefined {
  const places = stack.split("\n").slice(1)
    .map((frame) => /\(?([^\s()]+:\d+:\d+)\)?$/.exec(frame)?.[1]);
  return places.find((place) =>
    place !== undefined && !place.startsWith(OWN_FILES)
  );
}

/** What to say of a node should it be lost. */
export function lostIf(node: Node): Lost {
  const { shape, dtype } = node;
  return { shape, dtype, madeAt: origins.get(node) };
}

/** Counts lost tensors that are alike. */
export class LeakReport {
  readonly #found = new Map<string, { lost: Lost; count: number }>();
  #count = 0;

  /** How many there are in all. */
  get count(): number {
    return this.#count;
  }

  /** Counts one. */
  add(lost: Lost): void {
    this.#count++;
    const key = `${lost.dtype}${formatShape(lost.shape)}${lost.madeAt}`;
    const alike = this.#found.get(key);
    if (alike === undefined) this.#found.set(key, { lost, count: 1 });
    else alike.count++;
  }

  /** All, the most bytes first. */
  list(): Leak[] {
    return [...this.#found.values()]
      .map(({ lost: { shape, dtype, madeAt }, count }) => ({
        shape,
        dtype,
        count,
        bytes: count * sizeOf(shape) * BYTES_PER_ELEMENT,
        ...madeAt === undefined ? {} : { madeAt },
      }))
      .sort((a, b) => b.bytes - a.bytes);
  }
}
