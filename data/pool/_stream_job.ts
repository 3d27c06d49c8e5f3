import { type Drawn, Job, type JobOptions } from "./_job.ts";
import type { Packed } from "./_messages.ts";
import { showCaller } from "./_show_caller.ts";
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
  /** The items are known to have an end. */
  readonly finite: boolean;
  /** Results in the order of the items, else as they come. */
  readonly ordered: boolean;
  /** Called when items came, and when the rest is not wanted any more. */
  readonly onChange: () => void;
  /** Called when nothing is open any more. */
  readonly onEnd: () => void;
}

/** A map whose items are drawn while its results are taken. */
export class StreamJob extends Job
  implements AsyncIterableIterator<unknown, undefined> {
  readonly #source: Source;
  readonly #finite: boolean;
  readonly #ahead: number;
  readonly #ordered: boolean;
  readonly #onChange: () => void;
  readonly #onEnd: () => void;
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
  /** All items are drawn, whether results are asked for or not. */
  #drawsAll = false;
  /** When a result was asked for or given, the last time. */
  #readAt = 0;
  /** The source has no more, or is no longer read. */
  #ended = false;
  #closed = false;
  /** What the source threw, after its last item. */
  #sourceError: { readonly error: unknown } | undefined;

  constructor(f: RemoteReference, source: Source, options: StreamOptions) {
    super(f, options);
    this.#source = source;
    this.#ahead = options.ahead;
    this.#finite = options.finite;
    this.#ordered = options.ordered;
    this.#onChange = options.onChange;
    this.#onEnd = options.onEnd;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<unknown, undefined>> {
    const place = this.#asked++;
    this.#readAt = performance.now();
    const outcome = this.#outcomes.get(place);
    // Half of them at once: items that come together travel together.
    const low = this.#total - this.#asked <= this.#ahead / 2;
    if (low && !this.#filling && !this.#ended) this.#fill();
    if (outcome && "value" in outcome) {
      this.#outcomes.delete(place);
      return Promise.resolve({ done: false, value: outcome.value });
    }
    return this.#wait(place);
  }

  /** The result at a place, with whoever asked in the stack of its error. */
  async #wait(place: number): Promise<IteratorResult<unknown, undefined>> {
    try {
      return await new Promise((resolve, reject) => {
        this.#waiters.set(place, { resolve, reject });
        this.#give();
      });
    } catch (error) {
      showCaller(error, this.#wait);
      throw error;
    } finally {
      this.#readAt = performance.now();
    }
  }

  return(): Promise<IteratorResult<unknown, undefined>> {
    const wasEnded = this.#ended;
    this.#close();
    if (!wasEnded) this.#leaveSource();
    return Promise.resolve(DONE);
  }

  /** How many results nobody took yet. */
  get untaken(): number {
    return this.#outcomes.size;
  }

  /** Whether there may be no end to the items. */
  get mayBeEndless(): boolean {
    return !this.#finite && !this.#ended;
  }

  /**
   * Whether nobody reads it: it goes no further by itself, and no result was
   * asked for or given in `ms`. Of a collection that was never asked, at once.
   * Begins what nobody began: it may be short.
   *
   * @param start The time does not count before.
   */
  isAside(ms: number, start: number): boolean {
    if (this.#asked === 0) {
      if (this.#finite) return true;
      if (this.#total === 0 && !this.#filling && !this.#ended) this.#fill();
    }
    return !this.#ended && !this.#filling && this.#waiters.size === 0 &&
      this.#known === this.#total &&
      performance.now() - Math.max(this.#readAt, start) >= ms;
  }

  /** Draws all items of a collection, whether results are asked for or not. */
  drawAll(): void {
    this.#drawsAll = true;
    if (!this.#filling && !this.#ended) this.#fill();
  }

  /** Draws items as far ahead as may be. */
  async #fill(): Promise<void> {
    this.#filling = true;
    try {
      while (
        !this.#ended &&
        (this.#drawsAll || this.#total < this.#asked + this.#ahead)
      ) {
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
        if (last && this.#known < this.#total) break; // the items come first
        this.#sourceError = undefined;
        if (last) waiter.reject(last.error);
        else waiter.resolve(DONE);
      } else break; // whoever asked later waits longer
      this.#waiters.delete(place);
    }
    if (!this.open) this.#onEnd();
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
