import { type Drawn, Job } from "./_job.ts";
import type { Packed } from "./_messages.ts";
import type { RemoteReference } from "./remote.ts";

/** One call of a function. */
export interface Call {
  readonly args: readonly unknown[];
  readonly index: number;
  readonly name: string | undefined;
  resolve(value: unknown): void;
  reject(reason: unknown): void;
}

/** All single calls of one function: cheap ones that wait travel together. */
export class CallsJob extends Job {
  /** By position, in the order in which they came. */
  readonly #calls: Map<number, Call> = new Map();
  #next = 0;
  #end = 0;

  constructor(f: RemoteReference) {
    super(f, { spread: true, chunkSize: undefined, mayRunHere: false });
  }

  /** @returns Its position. */
  add(call: Call): number {
    this.#calls.set(this.#end, call);
    return this.#end++;
  }

  /** Forgets a call that is no longer wanted. */
  drop(position: number): void {
    this.#calls.delete(position);
    this.#skip();
  }

  /** To the next call that is still wanted. */
  #skip(): void {
    while (this.#next < this.#end && !this.#calls.has(this.#next)) this.#next++;
  }

  get open(): boolean {
    return this.#calls.size > 0;
  }

  protected get fresh(): number {
    return this.#end - this.#next;
  }

  protected draw(max: number): Drawn {
    const start = this.#next;
    const items: (readonly unknown[])[] = [];
    for (; items.length < max; this.#next++) {
      const call = this.#calls.get(this.#next);
      if (call === undefined) break;
      items.push(call.args);
    }
    this.#skip();
    return { start, items, from: 0, to: items.length };
  }

  results(start: number, values: Packed): void {
    for (let i = 0; i < values.length; i++) {
      const call = this.#calls.get(start + i);
      this.#calls.delete(start + i);
      call?.resolve(values[i]);
    }
  }

  failed(position: number, error: Error): void {
    const call = this.#calls.get(position);
    this.#calls.delete(position);
    call?.reject(error);
  }

  abandon(reason: unknown): void {
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    this.#next = this.#end;
    for (const { reject } of calls) reject(reason);
  }

  wants(position: number): boolean {
    return this.#calls.has(position);
  }

  override nameOf(position: number): string {
    return this.#calls.get(position)?.name ?? super.nameOf(position);
  }

  override indexOf(position: number): number {
    return this.#calls.get(position)?.index ?? 0;
  }
}
