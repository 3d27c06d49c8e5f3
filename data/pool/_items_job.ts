import { type Drawn, Job, type JobOptions } from "./_job.ts";
import type { Packed } from "./_messages.ts";
import { ownCode } from "./_own_code.ts";
import type { RemoteReference } from "./remote.ts";

/** Arrays of results, made and written by code of a function's own. */
interface Results {
  make(length: number): unknown[];
  write(values: Packed, to: unknown[], start: number): void;
}

const known = new Map<string, Results>();

/**
 * Those of one function: where an array once held objects, the engine makes
 * each one for objects, in which numbers take three times as long.
 */
function resultsOf(
  { moduleUrl, exportName }: RemoteReference,
  onError: OnItemError,
): Results {
  const key = `${moduleUrl} ${exportName} ${onError}`;
  let results = known.get(key);
  if (!results) {
    known.set(
      key,
      results = {
        make: ownCode(["length"], "return new Array(length)"),
        write: ownCode(
          ["values", "to", "start"],
          "for (let i = 0; i < values.length; i++) to[start + i] = values[i]",
        ),
      },
    );
  }
  return results;
}

/** How a map goes on after an item failed. */
export type OnItemError = "reject" | "settle";

/** A map that begins when all of its items are there. */
export class ItemsJob extends Job {
  readonly done: Promise<unknown[]>;
  #items: Packed = [];
  readonly #onError: OnItemError;
  readonly #results: Results;
  #values: unknown[] = [];
  #next = 0;
  /** Without end until the items are there. */
  #left = Infinity;
  #resolve: (values: unknown[]) => void;
  #reject: (reason: unknown) => void;

  constructor(
    f: RemoteReference,
    onError: OnItemError,
    options: JobOptions,
  ) {
    super(f, options);
    this.#onError = onError;
    this.#results = resultsOf(f, onError);
    const { promise, resolve, reject } = Promise.withResolvers<unknown[]>();
    this.done = promise;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /** Gives it its items. */
  begin(items: Packed): void {
    if (!this.open) return;
    this.#items = items;
    this.#left = items.length;
    this.#values = this.#results.make(items.length);
    if (items.length === 0) this.#resolve(this.#values);
  }

  get open(): boolean {
    return this.#left > 0;
  }

  protected get fresh(): number {
    return this.#items.length - this.#next;
  }

  protected draw(max: number): Drawn {
    const from = this.#next;
    this.#next += max;
    return { start: from, items: this.#items, from, to: this.#next };
  }

  override get target(): unknown[] | undefined {
    return this.#onError === "reject" ? this.#values : undefined;
  }

  override written(count: number): void {
    if (this.open) this.#count(count);
  }

  results(start: number, values: Packed): void {
    if (!this.open) return;
    const { length } = values;
    const outcomes = this.#onError === "reject"
      ? values
      : Array.from(values, (value) => ({ status: "fulfilled", value }));
    this.#results.write(outcomes, this.#values, start);
    this.#count(length);
  }

  failed(position: number, error: Error): void {
    if (!this.open) return;
    if (this.#onError === "reject") return this.abandon(error);
    this.#values[position] = { status: "rejected", reason: error };
    this.#count(1);
  }

  #count(items: number): void {
    this.#left -= items;
    if (this.#left === 0) this.#resolve(this.#values);
  }

  abandon(reason: unknown): void {
    this.#left = 0;
    this.#reject(reason);
  }

  wants(): boolean {
    return this.open;
  }
}
