/**
 * The workers of a pool and the work that waits for them.
 *
 * @module
 */

import { Caller } from "./_caller.ts";
import { Costs } from "./_cost.ts";
import { Crewman, type CrewmanOptions, type Sent } from "./_crewman.ts";
import type { HostEnd } from "./_host.ts";
import { type Chunk, type Job, lengthOf, part } from "./_job.ts";
import type { FromWorker, ResultsMessage } from "./_messages.ts";
import { Outcomes } from "./_outcomes.ts";
import { toFrame } from "./_frames.ts";
import { argumentsNotSendable, notSendable } from "./_not_sendable.ts";
import { fromWire, summary } from "./_wire_error.ts";
import { movedParts } from "./moved.ts";
import { revive } from "./shared/_revive.ts";
import type { PoolStatistics } from "./statistics.ts";

/** How a crew is made; see the options of a pool. */
export interface CrewOptions extends CrewmanOptions {
  readonly workers: number;
  readonly idleMs: number;
}

/** Workers that cannot even start are given up after so many. */
const MAX_FAILED_STARTS = 3;
/** A chunk that runs longer is shared with workers that have nothing to do. */
const STEAL_MS = 50;
/** How often to look at what sends no message. */
const LOOK_MS = 250;

/** Where one worker stands at a time. */
interface Place {
  readonly statistics: {
    items: number;
    chunks: number;
    busyMs: number;
    deaths: number;
  };
  /** Number of workers that stood here. */
  started: number;
  worker: Crewman | undefined;
}

export class Crew {
  readonly #options: CrewOptions;
  readonly #places: readonly Place[];
  /** Jobs with something to do, each in turn. */
  readonly #jobs: Set<Job> = new Set();
  readonly #costs: Costs = new Costs();
  readonly #outcomes: Outcomes = new Outcomes(this.#costs);
  /** Runs cheap items; initializers ran only in workers. */
  readonly #caller: Caller | undefined;
  #failedStarts = 0;
  #idleSince = performance.now();
  #watch: ReturnType<typeof setInterval> | undefined;
  #closing = false;
  /** Why nothing can run any more. */
  #broken: { readonly reason: unknown } | undefined;
  readonly #ended: PromiseWithResolvers<void> = Promise.withResolvers();

  constructor(options: CrewOptions) {
    this.#options = options;
    const { workers, shared, initializer } = options;
    if (shared && !initializer) {
      this.#caller = new Caller(
        this.#costs,
        this.#outcomes,
        Math.min(workers, navigator.hardwareConcurrency),
      );
    }
    this.#places = Array.from({ length: workers }, () => ({
      statistics: { items: 0, chunks: 0, busyMs: 0, deaths: 0 },
      started: 0,
      worker: undefined,
    }));
    this.#fillPlaces();
  }

  /** Nothing more may be added. */
  get closing(): boolean {
    return this.#closing;
  }

  /** Resolves when the last worker ended. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  get statistics(): PoolStatistics {
    const { totals } = this.#outcomes;
    const workers = this.#places.map(({ statistics }) => ({ ...statistics }));
    return {
      ...totals,
      items: totals.items + totals.itemsInCaller,
      chunks: workers.reduce((sum, { chunks }) => sum + chunks, 0),
      restarts: this.#places.reduce(
        (sum, { started }) => sum + Math.max(started - 1, 0),
        0,
      ),
      workers,
    };
  }

  /** Runs the items of a job, or those that came to it. */
  wake(job: Job): void {
    if (this.#broken) return job.abandon(this.#broken.reason);
    if (job.open) this.#jobs.add(job);
    this.#pump();
  }

  /**
   * Gives up what a job still has in workers: between two items at once, in
   * the middle of one, with `kill`, after a moment.
   *
   * @param position Only that item.
   */
  stop(job: Job, kill: boolean, position?: number): void {
    for (const { worker } of this.#places) {
      for (const sent of worker?.sent ?? []) {
        const { chunk } = sent;
        if (chunk.job !== job) continue;
        const at = (position ?? chunk.start) - chunk.start;
        if (at < 0 || at >= lengthOf(chunk)) continue;
        worker?.cut(sent);
        if (kill) worker?.insist(sent);
      }
    }
    this.#pump();
  }

  /** Ends the workers once everything that was asked for is done. */
  close(): void {
    this.#closing = true;
    this.#pump();
  }

  /** Ends everything now; what is open fails with `reason`. */
  terminate(reason: unknown): void {
    this.#closing = true;
    this.#break(reason);
  }

  #break(reason: unknown): void {
    this.#broken ??= { reason };
    for (const job of this.#jobs) job.abandon(reason);
    this.#jobs.clear();
    this.#dismissAll();
    this.#checkEnd();
  }

  #checkEnd(): void {
    if (
      !this.#closing || this.#jobs.size > 0 ||
      this.#places.some(({ worker }) => worker)
    ) return;
    this.#broken ??= {
      reason: new Error("Pool: closed, and all workers ended"),
    };
    clearInterval(this.#watch);
    this.#ended.resolve();
  }

  // Distribution.

  #pump(): void {
    for (const job of this.#jobs) {
      if (!job.open) {
        // One that failed early leaves items in workers.
        this.#jobs.delete(job);
        this.stop(job, false);
      } else if (!job.here && this.#caller?.isFaster(job)) {
        this.#caller.run(job).then(() => this.#pump());
      }
    }
    if (this.#closing && this.#jobs.size === 0) this.#dismissAll();
    if (this.#hasWork()) this.#fillPlaces();
    for (let next; (next = this.#nextJob());) {
      const { job, place, worker, size } = next;
      // To the end of the line: each job gets its turn.
      this.#jobs.delete(job);
      this.#jobs.add(job);
      this.#send(place, worker, job.take(size));
    }
    this.#takeBack();
    this.#checkEnd();
  }

  #hasWork(): boolean {
    for (const job of this.#jobs) {
      if (!job.here && job.waiting > 0) return true;
    }
    return false;
  }

  #nextJob():
    | { job: Job; place: Place; worker: Crewman; size: number }
    | undefined {
    for (const depth of [0, 1]) {
      for (const place of this.#places) {
        const { worker } = place;
        if (!worker?.isOpen || worker.sent.length !== depth) continue;
        for (const job of this.#jobs) {
          if (job.here || job.waiting === 0) continue;
          const cost = this.#costs.of(job);
          const size = Math.min(
            cost.chunkSize(job, this.#options.workers),
            worker.quota,
          );
          // A second chunk hides the way of messages, if both are short.
          const isShort = ({ chunk }: Sent) =>
            this.#costs.of(chunk.job).isShort(lengthOf(chunk));
          if (
            depth === 0 || cost.isShort(size) && worker.sent.every(isShort)
          ) return { job, place, worker, size };
        }
      }
    }
  }

  #send(place: Place, worker: Crewman, chunk: Chunk): void {
    const { job } = chunk;
    try {
      worker.send(chunk);
    } catch (cause) {
      const length = lengthOf(chunk);
      if (length === 1) {
        const { items, from, to } = chunk;
        const { spread } = job.options;
        const value = items[from];
        const clone = this.#options.shared ? structuredClone : toFrame;
        const moving = movedParts(items, from, to, spread);
        const error = spread
          ? argumentsNotSendable(value as unknown[], cause, clone, moving)
          : notSendable("the argument", value, cause, clone, moving);
        return this.#outcomes.threw(job, chunk.start, error);
      }
      // Each on its own shows which one it is.
      for (let at = length - 1; at >= 0; at--) {
        job.putBack(part(chunk, at, at + 1));
      }
      return;
    }
    job.largest = Math.max(job.largest, lengthOf(chunk));
    place.statistics.chunks++;
  }

  /**
   * Takes back for idle workers what waits behind an item that takes long, in
   * its chunk and in the next one.
   */
  #takeBack(): void {
    const idle = this.#places.some(({ worker }) =>
      worker?.isOpen && worker.sent.length === 0
    );
    if (!idle) return;
    const now = performance.now();
    for (const { worker } of this.#places) {
      if (!worker || worker.dismissed) continue;
      const [current] = worker.sent;
      if (!current || now - current.sentAt <= STEAL_MS) continue;
      for (const sent of worker.sent) {
        const { chunkSize } = sent.chunk.job.options;
        if (sent === current && chunkSize !== undefined) continue;
        if (Crewman.keepsItems(sent)) worker.cut(sent);
      }
    }
  }

  // Workers.

  #fillPlaces(): void {
    if (this.#broken) return;
    this.#idleSince = performance.now();
    for (const place of this.#places) place.worker ??= this.#start(place);
    this.#watch ??= setInterval(() => this.#look(), LOOK_MS);
  }

  #start(place: Place): Crewman {
    place.started++;
    const worker = new Crewman(
      this.#options,
      (message) => this.#onMessage(place, worker, message),
    );
    worker.ended.then((end) => this.#onEnd(place, worker, end));
    return worker;
  }

  #dismissAll(): void {
    for (const { worker } of this.#places) worker?.dismiss();
  }

  #onMessage(place: Place, worker: Crewman, message: FromWorker): void {
    if (worker.dying) return; // what comes after its last word does not count
    if (message.type === "ready") {
      worker.ready = true;
      this.#failedStarts = 0;
    } else if (message.type === "dying") {
      worker.dying = message;
    } else if (message.type === "cut") {
      const chunk = worker.wasCut(message);
      chunk?.job.putBack(chunk);
    } else if (message.type === "unusable" && message.id === undefined) {
      const cause = fromWire(message.error);
      this.#break(
        new Error(`Pool: the initializer failed: ${summary(cause)}`, { cause }),
      );
    } else {
      const [sent] = worker.sent;
      if (sent?.id !== message.id || !sent) return;
      const { job, start } = sent.chunk;
      if (message.type === "results") {
        this.#onResults(place, worker, sent, message);
      } else if (message.type === "error") {
        place.statistics.items++;
        const thrown = fromWire(message.error);
        this.#outcomes.threw(job, start + sent.reported++, thrown);
      } else {
        worker.shift();
        job.abandon(fromWire(message.error));
      }
    }
    this.#pump();
  }

  #onResults(
    { statistics }: Place,
    worker: Crewman,
    sent: Sent,
    { values, done }: ResultsMessage,
  ): void {
    const { job, start } = sent.chunk;
    const began = performance.now();
    job.results(start + sent.reported, revive(values));
    const now = performance.now();
    sent.shipMs += now - began;
    sent.reported += values.length;
    statistics.items += values.length;
    this.#outcomes.totals.items += values.length;
    if (!done) return;
    statistics.busyMs += done.busyMs;
    const cost = this.#costs.of(job);
    cost.ran(sent.reported, done.busyMs);
    const wayMs = sent.first ? now - sent.sentAt - done.busyMs : undefined;
    cost.shipped(sent.reported, sent.shipMs, wayMs);
    if (done.asynchronous) cost.onlyInWorkers = true;
    worker.shift();
    job.putBack(part(sent.chunk, sent.reported)); // if it was cancelled
  }

  #onEnd(place: Place, worker: Crewman, end: HostEnd): void {
    place.worker = undefined;
    const { ready, dismissed, dying } = worker;
    if (!dismissed || dying) place.statistics.deaths++;
    this.#outcomes.leftBy(worker, end);
    if (!ready && !dismissed && ++this.#failedStarts >= MAX_FAILED_STARTS) {
      const cause = dying?.error && fromWire(dying.error);
      const { how } = dying ?? end;
      this.#break(
        new Error(
          `Pool: ${MAX_FAILED_STARTS} workers ended before they could work: ${how}`,
          cause === undefined ? {} : { cause },
        ),
      );
    }
    this.#pump();
  }

  #look(): void {
    const now = performance.now();
    for (const { worker } of this.#places) worker?.checkBeat(now);
    this.#pump();
    const busy = this.#hasWork() ||
      this.#places.some(({ worker }) => worker && worker.sent.length > 0);
    if (busy) this.#idleSince = now;
    else if (now - this.#idleSince > this.#options.idleMs) {
      this.#dismissAll();
      clearInterval(this.#watch);
      this.#watch = undefined;
    }
  }
}
