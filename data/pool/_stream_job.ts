import { type Drawn, Job, type JobOptions } from "./_job.ts";
import type { Packed } from "./_messages.ts";
import type { RemoteReference } from "./remote.ts";

type Source = Iterator<unknown> | AsyncIterator<unknown>;

type Outcome = { readonly value: unknown } | { readonly error: unknown };

interface Waiter {
  resolve(result: IteratorResult<unknown, undefined>): void;
  reject(reason: unknown): void;
}

const DONE = { done: true, value: undefined } as const;

/** How far a stream goes on. */
export interface StreamOptions extends JobOptions {
  /** Items drawn beyond those that were asked for. */
  readonly ahead: number;
  /** Results in the order of the items, else as they come. */
  readonly ordered: boolean;
}

/** A map whose items are drawn while its results are taken. */
export class StreamJob extends Job
  implements AsyncIterableIterator<unknown, undefined> {
  readonly #source: Source;
  readonly #ahead: number;
  readonly #ordered: boolean;
  /** Called when items came, and when nothing is open any more. */
  readonly #onChange: () => void;
  /** Drawn from the source, not yet taken by a worker. */
  readonly #drawn: unknown[] = [];
  /** Outcomes that nobody asked for yet, by position or in order of arrival. */
  readonly #outcomes: Map<number, Outcome> = new Map();
  readonly #waiters: Map<number, Waiter> = new Map();
  /** Results asked for, items drawn, outcomes known, places for them. */
  #asked = 0;
  #total = 0;
  #known = 0;
  #arrived = 0;
  #filling = false;
  /** The source has no more, or is no longer read. */
  #ended = false;
  #closed = false;
  /** What the source threw, after its last item. */
  #sourceError: { readonly error: unknown } | undefined;

  constructor(
    f: RemoteReference,
    source: Source,
    options: StreamOptions,
    onChange: () => void,
  ) {
    super(f, options);
    this.#source = source;
    this.#ahead = options.ahead;
    this.#ordered = options.ordered;
    this.#onChange = onChange;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<unknown, undefined>> {
    const place = this.#asked++;
    const outcome = this.#outcomes.get(place);
    // Half of them at once: items that come together travel together.
    const low = this.#total - this.#asked <= this.#ahead / 2;
    if (low && !this.#filling && !this.#ended) this.#fill();
    if (outcome && "value" in outcome) {
      this.#outcomes.delete(place);
      return Promise.resolve({ done: false, value: outcome.value });
    }
    return new Promise((resolve, reject) => {
      this.#waiters.set(place, { resolve, reject });
      this.#give();
    });
  }

  return(): Promise<IteratorResult<unknown, undefined>> {
    const wasEnded = this.#ended;
    this.#close();
    if (!wasEnded) this.#leaveSource();
    return Promise.resolve(DONE);
  }

  /** Draws items as far ahead as may be. */
  async #fill(): Promise<void> {
    this.#filling = true;
    try {
      while (!this.#ended && this.#total < this.#asked + this.#ahead) {
        const drawn = this.#source.next();
        const { done, value } = "then" in drawn ? await drawn : drawn;
        if (this.#closed) return;
        if (done) {
          this.#ended = true;
          break;
        }
        this.#drawn.push(value);
        this.#total++;
        if ("then" in drawn) this.#onChange();
      }
    } catch (error) {
      this.#ended = true;
      this.#sourceError = { error };
    } finally {
      this.#filling = false;
    }
    this.#give();
    this.#onChange();
  }

  #leaveSource(): void {
    // Its failure to end has nobody to go to.
    try {
      const left = this.#source.return?.();
      if (left && "then" in left) left.then(undefined, () => {});
    } catch { /* as above */ }
  }

  /** @param last What whoever asks next hears, once. */
  #close(last?: { error: unknown }): void {
    this.#ended = true;
    this.#closed = true;
    this.#drawn.length = 0;
    this.#outcomes.clear();
    this.#sourceError = last;
    this.#known = this.#total;
    this.#give();
    this.#onChange();
  }

  #add(position: number, outcome: Outcome): void {
    this.#outcomes.set(this.#ordered ? position : this.#arrived++, outcome);
    this.#known++;
  }

  /** Hands out what is there, and at the end that there is no more. */
  #give(): void {
    for (const [place, waiter] of this.#waiters) {
      const outcome = this.#outcomes.get(place);
      if (outcome) {
        this.#outcomes.delete(place);
        if ("error" in outcome) waiter.reject(outcome.error);
        else waiter.resolve({ done: false, value: outcome.value });
      } else if (this.#ended && (this.#closed || place >= this.#total)) {
        const last = this.#sourceError;
        if (last && this.#known < this.#total) return; // the items come first
        this.#sourceError = undefined;
        if (last) waiter.reject(last.error);
        else waiter.resolve(DONE);
      } else return; // whoever asked later waits longer
      this.#waiters.delete(place);
    }
  }

  get open(): boolean {
    return !this.#closed && (!this.#ended || this.#known < this.#total);
  }

  protected get fresh(): number {
    return this.#drawn.length;
  }

  override get expected(): number {
    return Math.max(this.#ahead, this.waiting);
  }

  protected draw(max: number): Drawn {
    const start = this.#total - this.#drawn.length;
    const items = this.#drawn.splice(0, max);
    return { start, items, from: 0, to: items.length };
  }

  results(start: number, values: Packed): void {
    if (this.#closed) return;
    for (let i = 0; i < values.length; i++) {
      this.#add(start + i, { value: values[i] });
    }
    this.#give();
  }

  failed(position: number, error: Error): void {
    if (this.#closed) return;
    this.#add(position, { error });
    this.#give();
  }

  abandon(reason: unknown): void {
    if (this.#closed) return;
    if (!this.#ended) this.#leaveSource();
    this.#close({ error: reason });
  }

  wants(): boolean {
    return !this.#closed;
  }
}
