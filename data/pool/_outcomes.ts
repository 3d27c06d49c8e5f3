import type { Costs } from "./_cost.ts";
import type { Crewman } from "./_crewman.ts";
import type { HostEnd } from "./_host.ts";
import { type Chunk, type Job, lengthOf, part } from "./_job.ts";
import { fromWire, summary } from "./_wire_error.ts";
import { hasMovedParts } from "./moved.ts";
import { TaskError } from "./task_error.ts";
import { WorkerDiedError } from "./worker_died_error.ts";

/** An item is run by so many workers that die of it. */
const MAX_DEATHS = 2;

/** What a whole pool did. */
export interface Totals {
  items: number;
  itemsInCaller: number;
  callerMs: number;
  failed: number;
  retried: number;
  deaths: number;
}

/** Decides what becomes of items that did not give a result. */
export class Outcomes {
  readonly totals: Totals = {
    items: 0,
    itemsInCaller: 0,
    callerMs: 0,
    failed: 0,
    retried: 0,
    deaths: 0,
  };
  readonly #costs: Costs;
  /** How often loading a module ended a worker. */
  readonly #loadDeaths: Map<string, number> = new Map();

  constructor(costs: Costs) {
    this.#costs = costs;
  }

  /** An item threw, here or in a worker. */
  threw(job: Job, position: number, thrown: unknown): void {
    const index = job.indexOf(position);
    const message = `${job.nameOf(position)}: ${summary(thrown)}`;
    this.#fail(job, position, new TaskError(message, index, thrown));
  }

  #fail(job: Job, position: number, error: Error): void {
    this.totals.items++;
    this.totals.failed++;
    job.failed(position, error);
  }

  /** Shares out what a worker that ended leaves behind. */
  leftBy(worker: Crewman, end: HostEnd): void {
    const { dying, dismissed } = worker;
    if (!dismissed || dying) this.totals.deaths++;
    const at = worker.sent[0] && worker.endedAt(worker.sent[0]);
    const [current, ...queued] = worker.empty();
    for (const { chunk } of queued.reverse()) chunk.job.putBack(chunk);
    if (!current) return;
    const { chunk, reported } = current;
    const { job } = chunk;
    if (at === undefined) return job.putBack(part(chunk, reported));
    if (dying?.importing !== undefined) {
      return this.#diedLoading(chunk, dying.importing, dying);
    }
    job.putBack(part(chunk, at + 1));
    if (at < lengthOf(chunk)) {
      const culprit = part(chunk, at, at + 1);
      if (dismissed && !dying) job.putBack(culprit); // if it is still wanted
      else {
        const cause = dying?.error && fromWire(dying.error);
        this.died(culprit, dying ?? end, cause);
      }
    }
    // These were done, but their results went with the worker.
    this.totals.retried += Math.min(at, lengthOf(chunk)) - reported;
    job.putBack(part(chunk, reported, at));
  }

  /** An item ended its worker: it is tried again, or given up. */
  died(chunk: Chunk, { how, exitCode }: HostEnd, cause: unknown): void {
    const { job, start } = chunk;
    this.#costs.of(job).onlyInWorkers = true;
    const attempts = chunk.deaths + 1;
    const gone = hasMovedParts(chunk.items, chunk.from, job.options.spread);
    if (attempts < MAX_DEATHS && !gone) {
      if (!job.wants(start)) return;
      this.totals.retried++;
      return job.putBack({ ...chunk, deaths: attempts });
    }
    const index = job.indexOf(start);
    const why = gone
      ? "it had been moved there and is lost"
      : "as at the first try";
    const message = `${job.nameOf(start)}: its worker ended by ${how}: ${why}`;
    const death = { index, attempts, exitCode, cause };
    this.#fail(job, start, new WorkerDiedError(message, death));
  }

  #diedLoading(
    chunk: Chunk,
    moduleUrl: string,
    { how, exitCode }: HostEnd,
  ): void {
    const { job, start } = chunk;
    const attempts = (this.#loadDeaths.get(moduleUrl) ?? 0) + 1;
    this.#loadDeaths.set(moduleUrl, attempts);
    if (attempts < MAX_DEATHS) return job.putBack(chunk);
    const message =
      `${job.f.exportName}: loading ${moduleUrl} ends the worker by ${how}`;
    const index = job.indexOf(start);
    job.abandon(new WorkerDiedError(message, { index, attempts, exitCode }));
  }
}
