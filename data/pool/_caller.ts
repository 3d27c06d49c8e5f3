import { setImmediate } from "node:timers";
import { type Costs, isCallable } from "./_cost.ts";
import { type Chunk, type Job, part } from "./_job.ts";
import type { Outcomes } from "./_outcomes.ts";
import { runHere } from "./_run_here.ts";
import { fromWire, toWire } from "./_wire_error.ts";
import { revive } from "./shared/_revive.ts";

/** How long the calling thread works before others get a turn. */
const SLICE_MS = 8;

/** Runs items in the calling thread as long as that is faster. */
export class Caller {
  readonly #costs: Costs;
  readonly #outcomes: Outcomes;
  /** How many items run at the same time in workers. */
  readonly #workers: number;

  constructor(costs: Costs, outcomes: Outcomes, workers: number) {
    this.#costs = costs;
    this.#outcomes = outcomes;
    this.#workers = workers;
  }

  /** Whether the waiting items of a job are sooner done here. */
  isFaster(job: Job): boolean {
    return job.waiting > 0 &&
      this.#costs.of(job).isFasterHere(job, this.#workers);
  }

  /** Runs items of a job until there are none, or workers are faster. */
  async run(job: Job): Promise<void> {
    job.here = true;
    let size = 16;
    while (this.isFaster(job)) {
      const until = performance.now() + SLICE_MS;
      for (let now = 0; now < until && this.isFaster(job);) {
        const before = performance.now();
        const promise = this.#runChunk(job.take(size));
        if (promise) await promise;
        now = performance.now();
        if (now - before < SLICE_MS / 4) size *= 2;
        else if (now - before > SLICE_MS / 2) size = Math.ceil(size / 2);
      }
      if (job.waiting > 0) await new Promise<void>((r) => setImmediate(r));
    }
    job.here = false;
  }

  /** A promise if the function gave one. */
  #runChunk(chunk: Chunk): Promise<void> | undefined {
    const { job } = chunk;
    if (!isCallable(job.f)) return;
    const { totals } = this.#outcomes;
    const cost = this.#costs.of(job);
    const { count, ms, then } = runHere(cost.loop(job), job.f, chunk);
    cost.ranHere(count, ms);
    totals.callerMs += ms;
    totals.itemsInCaller += count;
    if (!then) return;
    job.putBack(part(chunk, count + 1));
    const position = chunk.start + count;
    const threw = (error: unknown) =>
      this.#outcomes.threw(job, position, fromWire(toWire(error)));
    if (then.kind === "threw") threw(then.error);
    else if (then.kind === "exit") {
      const death = { how: `${then.how} in the caller`, exitCode: 0 };
      this.#outcomes.died(part(chunk, count, count + 1), death, undefined);
    } else {
      cost.onlyInWorkers = true;
      return Promise.resolve(then.promise).then((value) => {
        job.results(position, [revive(structuredClone(value))]);
        totals.itemsInCaller++;
      }).catch(threw);
    }
  }
}
