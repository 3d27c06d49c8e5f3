import type { Job } from "./_job.ts";
import { type Loop, makeLoop } from "./_run_here.ts";
import type { RemoteReference } from "./remote.ts";

/** How long a chunk should run: long beside a message, short beside a wait. */
const CHUNK_MS = 10;
/** What a message to a worker and back costs. */
const ROUND_TRIP_MS = 0.3;
/** The least that it costs an item, to begin with: packed, sent, unpacked. */
const WAY_MS = 2e-4;
/** The calling thread has other things to do than to wait for one item. */
const MAX_HERE_MS = 1;
/** Clocks and messages say little about fewer items. */
const FEW = 16;
/** One measurement may fall into a pause of the machine; not so many in a row. */
const ENOUGH = 3;
/** How much larger a chunk may be than the one before: estimates are wrong. */
const GROWTH = 16;

/** What the items of a function cost, as measured. */
class Cost {
  /** To run one in a worker, and in the calling thread. */
  readonly #worker: Estimate = new Estimate(1);
  readonly #caller: Estimate = new Estimate(ENOUGH);
  /** Of the calling thread, to send one and take its result. */
  readonly #ship: Estimate = new Estimate(ENOUGH);
  /** From sending one to having its result, but for running it. */
  readonly #way: Estimate = new Estimate(ENOUGH);
  /** It gives promises, or ended the thread: never in the caller. */
  onlyInWorkers = false;
  /** Run it in the calling thread: with an item, with one spread. */
  readonly #loops: [Loop?, Loop?] = [];

  /** Runs it in the calling thread. */
  loop({ options: { spread } }: Job): Loop {
    return this.#loops[Number(spread)] ??= makeLoop(spread);
  }

  /** A worker ran `items` in `ms`. */
  ran(items: number, ms: number): void {
    this.#worker.add(items, ms);
    // What was slow here once may have been chance; this is the only news.
    if (items >= FEW) this.#caller.drift(this.#worker);
  }

  /** The caller ran `items` in `ms`. */
  ranHere(items: number, ms: number): void {
    if (items >= FEW) this.#caller.add(items, ms);
  }

  /**
   * Sending `items` and taking their results took the caller `ms`, and the
   * whole way, run excepted, `wayMs`, which is unknown for a chunk that had to
   * wait for another one.
   */
  shipped(items: number, ms: number, wayMs: number | undefined): void {
    if (items < FEW) return;
    this.#ship.add(items, ms);
    if (wayMs !== undefined) {
      this.#way.add(items, Math.max(0, wayMs - ROUND_TRIP_MS));
    }
  }

  /** The number of items that the next chunk should have. */
  chunkSize(job: Job, workers: number): number {
    if (job.options.chunkSize !== undefined) return job.options.chunkSize;
    const run = this.#worker.ms;
    if (run === undefined) return 1;
    // Never so few that sending is not timed again: it may have been chance.
    const sent = Math.max(FEW, CHUNK_MS / (this.#ship.sure ?? 1e-6));
    return Math.max(
      1,
      Math.floor(
        Math.min(
          CHUNK_MS / Math.max(run, 1e-6),
          sent,
          job.waiting / (2 * workers),
          Math.max(job.largest, 1) * GROWTH,
        ),
      ),
    );
  }

  /** Whether a worker may hold a second chunk while it runs one. */
  isShort(items: number): boolean {
    const run = this.#worker.ms;
    return run !== undefined && run * items < CHUNK_MS / 2;
  }

  /** Whether the waiting items are sooner done in the calling thread. */
  isFasterHere({ expected, options, f }: Job, workers: number): boolean {
    const run = this.#worker.ms;
    if (
      !options.mayRunHere || this.onlyInWorkers || run === undefined ||
      !isCallable(f)
    ) return false;
    // Not before it is sure: it would never run here again.
    const here = this.#caller.sure ?? Math.min(run, this.#caller.ms ?? run);
    if (here > MAX_HERE_MS) return false;
    const there = Math.max(
      (run + (this.#way.sure ?? WAY_MS)) / workers,
      this.#ship.sure ?? 0,
    );
    return expected * here <= ROUND_TRIP_MS + expected * there;
  }
}

/** The costs of all functions of a pool. */
export class Costs {
  readonly #costs: Map<string, Cost> = new Map();

  /** Those of the function of a job. */
  of({ f }: Job): Cost {
    const key = `${f.moduleUrl} ${f.exportName}`;
    let cost = this.#costs.get(key);
    if (!cost) this.#costs.set(key, cost = new Cost());
    return cost;
  }
}

/** A time an item: recent items count more, and pauses of the machine little. */
class Estimate {
  /** The best guess so far. */
  ms: number | undefined;
  readonly #enough: number;
  #times = 0;
  #items = 0;

  /** @param enough Measurements that make sure; of the first ones, the least. */
  constructor(enough: number) {
    this.#enough = enough;
  }

  /** The estimate, once it is one. */
  get sure(): number | undefined {
    return this.#times < this.#enough ? undefined : this.ms;
  }

  add(items: number, ms: number): void {
    if (items === 0) return;
    const before = this.#items / 2;
    this.#items = items + before;
    const now = ms / items;
    if (this.#times++ < this.#enough) {
      this.ms = Math.min(now, this.ms ?? now);
    } else {
      const was = this.ms ?? now;
      const share = items / this.#items;
      this.ms = was + share * (Math.min(now, 4 * was + 1e-6) - was);
    }
  }

  /** A little nearer to another one. */
  drift(to: Estimate): void {
    if (this.ms !== undefined && to.ms !== undefined) {
      this.ms += (to.ms - this.ms) / 16;
    }
  }
}

/** The function itself, if it is loaded in this thread. */
export function isCallable(
  f: RemoteReference,
): f is RemoteReference & ((...args: unknown[]) => unknown) {
  return typeof f === "function";
}
