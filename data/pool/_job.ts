import type { Packed } from "./_messages.ts";
import { hasMovedParts } from "./moved.ts";
import type { RemoteReference } from "./remote.ts";

/** Items that go to one worker together. */
export interface Chunk {
  readonly job: Job;
  /** Position of the first item in the job. */
  readonly start: number;
  /** Holds them from `from` on, before `to`. */
  readonly items: Packed;
  readonly from: number;
  readonly to: number;
  /** How many workers died of its only item. */
  readonly deaths: number;
}

/** Items that no worker had yet. */
export type Drawn = Pick<Chunk, "start" | "items" | "from" | "to">;

/** How a call of a pool distributes its items. */
export interface JobOptions {
  /** Items are lists of arguments. */
  readonly spread: boolean;
  /** Fixed number of items in a chunk. */
  readonly chunkSize: number | undefined;
  /** Cheap items may run in the calling thread. */
  readonly mayRunHere: boolean;
}

/** Items of one function, and where their results go. */
export abstract class Job {
  readonly f: RemoteReference;
  readonly options: JobOptions;
  /** Its items run in the calling thread for now. */
  here = false;
  /** The largest chunk so far; sizes grow step by step. */
  largest = 0;
  /** Chunks to be run again, before new items. */
  readonly #again: Chunk[] = [];
  #againItems = 0;

  constructor(f: RemoteReference, options: JobOptions) {
    this.f = f;
    this.options = options;
  }

  /** Not everything that was asked for has been given. */
  abstract readonly open: boolean;
  /** Number of new items that can be drawn. */
  protected abstract readonly fresh: number;
  /** Draws the next 1 to `max` of at least `max` fresh items. */
  protected abstract draw(max: number): Drawn;
  /** Takes the results of items from `start` on. */
  abstract results(start: number, values: Packed): void;
  /** Takes the error of one item. */
  abstract failed(position: number, error: Error): void;
  /** Ends it: everything that is open fails with `reason`. */
  abstract abandon(reason: unknown): void;
  /** Whether the result of an item is still wanted. */
  abstract wants(position: number): boolean;

  /** Where results may be written by position, before {@linkcode written}. */
  get target(): unknown[] | undefined {
    return undefined;
  }

  /** Takes note of results in {@linkcode target}. */
  written(_count: number): void {}

  /** The number that a user gives the item. */
  indexOf(position: number): number {
    return position;
  }

  /** What errors call the item. */
  nameOf(position: number): string {
    return `${this.f.exportName}: item ${this.indexOf(position)}`;
  }

  /** Number of items that can be taken. */
  get waiting(): number {
    return this.open ? this.#againItems + this.fresh : 0;
  }

  /** How many items are to be run together, as far as that is known. */
  get expected(): number {
    return this.waiting;
  }

  /** The next items, at most `max`. What moves goes alone. */
  take(max: number): Chunk {
    let chunk = this.#again.pop();
    if (chunk) this.#againItems -= lengthOf(chunk);
    else {
      const drawn = this.draw(Math.min(max, this.fresh));
      chunk = { job: this, deaths: 0, ...drawn };
    }
    const size = this.#goTogether(chunk, max);
    this.putBack(part(chunk, size));
    return part(chunk, 0, size);
  }

  /** How many of the first items may be in one message. */
  #goTogether({ items, from, to }: Chunk, max: number): number {
    const { spread } = this.options;
    const end = Math.min(to, from + max);
    for (let at = from; at < end; at++) {
      if (hasMovedParts(items, at, spread)) return Math.max(at - from, 1);
    }
    return end - from;
  }

  /** To be taken before everything else, as far as it is wanted. */
  putBack(chunk: Chunk): void {
    for (let end = lengthOf(chunk); end > 0;) {
      let from = end;
      while (from > 0 && this.wants(chunk.start + from - 1)) from--;
      if (from < end) {
        this.#again.push(part(chunk, from, end));
        this.#againItems += end - from;
      }
      end = from - 1;
    }
  }
}

/** Number of items. */
export function lengthOf({ from, to }: Chunk): number {
  return to - from;
}

/** The items from the place `from` in a chunk on, before its place `to`. */
export function part(chunk: Chunk, from: number, to = lengthOf(chunk)): Chunk {
  return {
    ...chunk,
    start: chunk.start + from,
    from: chunk.from + from,
    to: chunk.from + Math.max(from, to),
  };
}
