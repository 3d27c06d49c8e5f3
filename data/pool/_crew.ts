/**
 * The workers of a pool and the work that waits for them.
 *
 * @module
 */

import { setImmediate } from "node:timers";
import {
  BEAT,
  CANCEL,
  CHUNK,
  EVERYTHING,
  makeBoard,
  POSITION,
  SILENCE_MS,
} from "./_board.ts";
import { Cost, isCallable } from "./_cost.ts";
import type { Host, HostEnd, StartHost } from "./_host.ts";
import { type Chunk, type Job, lengthOf, part } from "./_job.ts";
import type {
  DyingMessage,
  FromWorker,
  ResultsMessage,
  WireCall,
} from "./_messages.ts";
import { pack } from "./_pack.ts";
import { hasMovedParts } from "./moved.ts";
import { makeLoop, runHere } from "./_run_here.ts";
import { revive } from "./shared/_revive.ts";
import { fromWire, notSendable, summary, toWire } from "./_wire_error.ts";
import type { PoolStatistics } from "./statistics.ts";
import { TaskError } from "./task_error.ts";
import { WorkerDiedError } from "./worker_died_error.ts";

/** How a crew is made; see the options of a pool. */
export interface CrewOptions {
  readonly workers: number;
  readonly startHost: StartHost;
  /** Workers see memory of this process. */
  readonly shared: boolean;
  readonly initializer: WireCall | undefined;
  readonly maxTasksPerWorker: number;
  readonly idleMs: number;
}

/** Workers that cannot even start are given up after so many. */
const MAX_FAILED_STARTS = 3;
/** An item is run by so many workers that die of it. */
const MAX_DEATHS = 2;
/** How long a function that is no longer wanted may go on. */
const GRACE_MS = 100;
/** How long the calling thread works before others get a turn. */
const SLICE_MS = 8;
/** A chunk that runs longer is shared with workers that have nothing to do. */
const STEAL_MS = 50;

/** A chunk on its way through a worker. */
interface Sent {
  readonly id: number;
  readonly chunk: Chunk;
  readonly sentAt: number;
  /** Nothing stood before it. */
  readonly first: boolean;
  readonly stopped: Promise<void>;
  readonly onStopped: () => void;
  /** Items whose outcome is here. */
  reported: number;
  /** Of the calling thread, spent on it. */
  shipMs: number;
  /** The rest goes to others, or nowhere. */
  cancelled: boolean;
}

/** One worker at a time. */
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

interface Crewman {
  readonly host: Host;
  readonly board: Int32Array | undefined;
  ready: boolean;
  /** Ended by the crew; nobody died. */
  dismissed: boolean;
  /** Items that it may still be sent. */
  quota: number;
  /** The first one runs. */
  readonly sent: Sent[];
  dying: DyingMessage | undefined;
  beat: number;
  beatAt: number;
}

export class Crew {
  readonly #options: CrewOptions;
  readonly #places: readonly Place[];
  /** Jobs with something to do, each in turn. */
  readonly #jobs: Set<Job> = new Set();
  readonly #costs: Map<string, Cost> = new Map();
  readonly #loadDeaths: Map<string, number> = new Map();
  readonly #parallel: number;
  readonly #totals = {
    items: 0,
    itemsInCaller: 0,
    callerMs: 0,
    failed: 0,
    retried: 0,
    deaths: 0,
  };
  #nextId = 1;
  #failedStarts = 0;
  #idleSince = performance.now();
  #watch: ReturnType<typeof setInterval> | undefined;
  #closing = false;
  /** Why nothing can run any more. */
  #broken: { readonly reason: unknown } | undefined;
  readonly #ended: PromiseWithResolvers<void> = Promise.withResolvers();

  constructor(options: CrewOptions) {
    this.#options = options;
    const { workers } = options;
    this.#parallel = Math.min(workers, navigator.hardwareConcurrency);
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
    const workers = this.#places.map(({ statistics }) => ({ ...statistics }));
    return {
      ...this.#totals,
      items: this.#totals.items + this.#totals.itemsInCaller,
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

  /**
   * Gives up what a job still has in workers: between two items at once, in
   * the middle of one, with `kill`, after {@linkcode GRACE_MS}.
   *
   * @param position Only that item.
   */
  stop(job: Job, kill: boolean, position?: number): void {
    for (const { worker } of this.#places) {
      if (!worker) continue;
      const { board } = worker;
      for (const sent of worker.sent) {
        if (sent.chunk.job !== job) continue;
        const at = (position ?? sent.chunk.start) - sent.chunk.start;
        if (at < 0 || at >= lengthOf(sent.chunk)) continue;
        sent.cancelled = true;
        this.#tellCancelled(worker);
        if (!kill) continue;
        const timer = setTimeout(() => {
          const current = board ? board[POSITION] : sent.reported;
          const runs = worker.sent[0] === sent &&
            (position === undefined || current === at);
          if (runs) this.#dismiss(worker);
        }, GRACE_MS);
        sent.stopped.then(() => clearTimeout(timer));
      }
    }
    this.#pump();
  }

  /** Lets a worker know that the rest of its chunk goes elsewhere. */
  #tellCancelled({ board, sent: [current] }: Crewman): void {
    if (board && current?.cancelled) Atomics.store(board, CANCEL, current.id);
  }

  // Distribution.

  #pump(): void {
    for (const job of this.#jobs) {
      if (!job.open) this.#jobs.delete(job);
      else if (!job.here && this.#isFasterHere(job)) this.#runHere(job);
    }
    if (this.#closing && this.#jobs.size === 0) this.#dismissAll();
    if (this.#hasWork()) this.#fillPlaces();
    for (;;) {
      const next = this.#nextJob();
      if (!next) break;
      const { job, place, worker, size } = next;
      // To the end of the line: each job gets its turn.
      this.#jobs.delete(job);
      this.#jobs.add(job);
      this.#sendChunk(place, worker, job.take(size));
    }
    this.#steal();
    if (this.#isBusy()) this.#idleSince = performance.now();
    this.#checkEnd();
  }

  #hasWork(): boolean {
    for (const job of this.#jobs) {
      if (!job.here && job.waiting > 0) return true;
    }
    return false;
  }

  #isBusy(): boolean {
    return this.#jobs.size > 0 ||
      this.#places.some(({ worker }) => worker && worker.sent.length > 0);
  }

  #nextJob():
    | { job: Job; place: Place; worker: Crewman; size: number }
    | undefined {
    for (const depth of [0, 1]) {
      for (const place of this.#places) {
        const { worker } = place;
        if (
          !worker?.ready || worker.dismissed || worker.dying ||
          worker.quota <= 0 || worker.sent.length !== depth
        ) continue;
        for (const job of this.#jobs) {
          if (job.here || job.waiting === 0) continue;
          const cost = this.#costOf(job);
          const size = Math.min(
            cost.chunkSize(job, this.#options.workers),
            worker.quota,
          );
          // A second chunk hides the way of messages, if both are short.
          if (
            depth === 0 || cost.isShort(size) && worker.sent.every(
                ({ chunk }) => this.#costOf(chunk.job).isShort(lengthOf(chunk)),
              )
          ) return { job, place, worker, size };
        }
      }
    }
  }

  #costOf({ f }: Job): Cost {
    const key = `${f.moduleUrl} ${f.exportName}`;
    let cost = this.#costs.get(key);
    if (!cost) this.#costs.set(key, cost = new Cost());
    return cost;
  }

  #sendChunk(place: Place, worker: Crewman, chunk: Chunk): void {
    const { job } = chunk;
    const { f, options: { spread } } = job;
    const { promise: stopped, resolve: onStopped } = Promise.withResolvers<
      void
    >();
    const started = performance.now();
    const sent: Sent = {
      id: this.#nextId++,
      chunk,
      sentAt: started,
      first: worker.sent.length === 0,
      stopped,
      onStopped,
      reported: 0,
      shipMs: 0,
      cancelled: false,
    };
    try {
      const { values, transfer } = pack(
        chunk.items,
        chunk.from,
        chunk.to,
        spread,
      );
      worker.host.post({
        type: "chunk",
        id: sent.id,
        moduleUrl: f.moduleUrl,
        exportName: f.exportName,
        spread,
        items: values,
      }, transfer);
    } catch (cause) {
      return this.#notSent(chunk, cause);
    }
    job.largest = Math.max(job.largest, lengthOf(chunk));
    worker.sent.push(sent);
    worker.quota -= lengthOf(chunk);
    place.statistics.chunks++;
    sent.shipMs = performance.now() - started;
  }

  /** Finds the item that cannot be sent by sending each on its own. */
  #notSent(chunk: Chunk, cause: unknown): void {
    const length = lengthOf(chunk);
    if (length > 1) {
      for (let at = length - 1; at >= 0; at--) {
        chunk.job.putBack(part(chunk, at, at + 1));
      }
      return;
    }
    const error = notSendable("the argument", cause);
    this.#fail(chunk.job, chunk.start, error);
  }

  #fail(job: Job, position: number, thrown: unknown): void {
    this.#totals.items++;
    this.#totals.failed++;
    const index = job.indexOf(position);
    job.failed(
      position,
      new TaskError(
        `${job.f.exportName}: item ${index}: ${summary(thrown)}`,
        index,
        thrown,
      ),
    );
    this.#dropIfDone(job);
  }

  /** A job that failed early leaves items in workers. */
  #dropIfDone(job: Job): void {
    if (!job.open && this.#jobs.delete(job)) this.stop(job, false);
  }

  /** Lets idle workers have the rest of a chunk that takes long. */
  #steal(): void {
    const idle = this.#places.some(({ worker }) =>
      worker?.ready && !worker.dismissed && worker.sent.length === 0
    );
    if (!idle) return;
    const now = performance.now();
    for (const { worker } of this.#places) {
      const sent = worker?.sent[0];
      const board = worker?.board;
      if (
        !worker || !sent || !board || sent.cancelled ||
        now - sent.sentAt < STEAL_MS ||
        sent.chunk.job.options.chunkSize !== undefined
      ) continue;
      if (lengthOf(sent.chunk) - board[POSITION]! < 2) continue;
      sent.cancelled = true;
      this.#tellCancelled(worker);
    }
  }

  // Items in the calling thread.

  #isFasterHere(job: Job): boolean {
    return this.#options.shared && !this.#options.initializer &&
      job.waiting > 0 && this.#costOf(job).isFasterHere(job, this.#parallel);
  }

  async #runHere(job: Job): Promise<void> {
    job.here = true;
    let size = 16;
    while (job.waiting > 0 && this.#isFasterHere(job)) {
      const until = performance.now() + SLICE_MS;
      for (let now = 0; now < until && job.waiting > 0;) {
        const before = performance.now();
        const waits = this.#chunkHere(job, job.take(size));
        if (waits) await waits;
        now = performance.now();
        if (now - before < SLICE_MS / 4) size *= 2;
        else if (now - before > SLICE_MS / 2) size = Math.ceil(size / 2);
        if (!this.#isFasterHere(job)) break;
      }
      if (job.waiting > 0) await new Promise<void>((r) => setImmediate(r));
    }
    job.here = false;
    this.#pump();
  }

  /** Runs a chunk; a promise if its function gave one. */
  #chunkHere(job: Job, chunk: Chunk): Promise<void> | undefined {
    const { f } = job;
    if (!isCallable(f)) return;
    const cost = this.#costOf(job);
    cost.loop ??= makeLoop(job.options.spread);
    const { count, ms, then } = runHere(cost.loop, f, chunk);
    cost.ranHere(count, ms);
    this.#totals.callerMs += ms;
    this.#totals.itemsInCaller += count;
    if (!then) return;
    const position = chunk.start + count;
    const rest = part(chunk, count + 1);
    if (then.kind === "exit") {
      job.putBack(rest);
      const death = { how: `${then.how} in the caller`, exitCode: 0 };
      this.#died(part(chunk, count, count + 1), death, undefined);
    } else if (then.kind === "threw") {
      job.putBack(rest);
      this.#fail(job, position, fromWire(toWire(then.error)));
    } else {
      cost.onlyInWorkers = true;
      job.putBack(rest);
      return Promise.resolve(then.promise).then(
        (value) => {
          this.#totals.itemsInCaller++;
          job.results(position, [revive(structuredClone(value))]);
        },
      ).catch((error) => this.#fail(job, position, fromWire(toWire(error))));
    }
  }

  // Workers.

  #fillPlaces(): void {
    if (this.#broken || (this.#closing && this.#jobs.size === 0)) return;
    for (const place of this.#places) place.worker ??= this.#start(place);
    // Unlike the workers it does not keep the process.
    this.#watch ??= setInterval(() => this.#look(), 250);
    Deno.unrefTimer(Number(this.#watch));
  }

  #start(place: Place): Crewman {
    const { startHost, initializer, maxTasksPerWorker, shared } = this.#options;
    place.started++;
    const board = shared ? makeBoard() : undefined;
    const host = startHost((message) =>
      this.#onMessage(place, worker, message)
    );
    const worker: Crewman = {
      host,
      board,
      ready: false,
      dismissed: false,
      quota: maxTasksPerWorker,
      sent: [],
      dying: undefined,
      beat: 0,
      beatAt: performance.now(),
    };
    host.post({ type: "start", initializer, board, sendEach: !board }, []);
    host.ended.then((end) => this.#onEnd(place, worker, end));
    return worker;
  }

  #dismiss(worker: Crewman): void {
    worker.dismissed = true;
    const { board, host } = worker;
    if (board) Atomics.store(board, CANCEL, EVERYTHING);
    host.terminate();
  }

  #dismissAll(): void {
    for (const { worker } of this.#places) if (worker) this.#dismiss(worker);
  }

  #onMessage(place: Place, worker: Crewman, message: FromWorker): void {
    if (worker.dying) return; // what comes after its last word does not count
    if (message.type === "ready") {
      worker.ready = true;
      this.#failedStarts = 0;
    } else if (message.type === "dying") {
      worker.dying = message;
    } else if (message.type === "unusable" && message.id === undefined) {
      const cause = fromWire(message.error);
      this.#break(
        new Error(`Pool: the initializer failed: ${summary(cause)}`, { cause }),
      );
    } else {
      const sent = worker.sent[0];
      if (!sent || sent.id !== message.id) return;
      const { job } = sent.chunk;
      if (message.type === "results") {
        this.#onResults(place, worker, sent, message);
      } else if (message.type === "error") {
        place.statistics.items++;
        this.#fail(
          job,
          sent.chunk.start + sent.reported++,
          fromWire(message.error),
        );
      } else {
        this.#shift(worker);
        job.abandon(fromWire(message.error));
        this.#dropIfDone(job);
      }
    }
    this.#pump();
  }

  #shift(worker: Crewman): void {
    worker.sent.shift()?.onStopped();
    this.#tellCancelled(worker);
    if (worker.sent.length === 0 && worker.quota <= 0) this.#dismiss(worker);
  }

  #onResults(
    place: Place,
    worker: Crewman,
    sent: Sent,
    { values, done }: ResultsMessage,
  ): void {
    const { job, start } = sent.chunk;
    const began = performance.now();
    job.results(start + sent.reported, revive(values));
    sent.shipMs += performance.now() - began;
    sent.reported += values.length;
    place.statistics.items += values.length;
    this.#totals.items += values.length;
    if (!done) return;
    place.statistics.busyMs += done.busyMs;
    const cost = this.#costOf(job);
    cost.ran(sent.reported, done.busyMs);
    const wayMs = sent.first
      ? performance.now() - sent.sentAt - done.busyMs
      : undefined;
    cost.shipped(sent.reported, sent.shipMs, wayMs);
    if (done.asynchronous) cost.onlyInWorkers = true;
    this.#shift(worker);
    if (sent.reported < lengthOf(sent.chunk)) {
      job.putBack(part(sent.chunk, sent.reported));
    }
  }

  #onEnd(place: Place, worker: Crewman, end: HostEnd): void {
    place.worker = undefined;
    const { dying, dismissed, ready, board } = worker;
    const [current, ...queued] = worker.sent.splice(0);
    current?.onStopped();
    for (const sent of queued.reverse()) {
      sent.onStopped();
      sent.chunk.job.putBack(sent.chunk);
    }
    if (!dismissed || dying) {
      place.statistics.deaths++;
      this.#totals.deaths++;
    }
    if (current) {
      const death = dying ?? end;
      const begun = dying
        ? dying.id === current.id
        : board
        ? board[CHUNK] === current.id
        : true;
      const at = !begun
        ? undefined
        : !dying && board
        ? Math.max(current.reported, board[POSITION]!)
        : current.reported;
      if (dying?.importing !== undefined && begun) {
        this.#diedLoading(current.chunk, dying.importing, death);
      } else this.#afterEnd(current, at, death, dying, dismissed);
    }
    if (!ready && !dismissed && ++this.#failedStarts >= MAX_FAILED_STARTS) {
      const { how } = dying ?? end;
      this.#break(
        new Error(
          `Pool: ${MAX_FAILED_STARTS} workers ended before they could work: ${how}`,
          dying?.error && { cause: fromWire(dying.error) },
        ),
      );
    }
    this.#pump();
  }

  /** Shares out what a worker leaves behind that was at an item. */
  #afterEnd(
    { chunk, reported }: Sent,
    at: number | undefined,
    death: HostEnd,
    dying: DyingMessage | undefined,
    dismissed: boolean,
  ): void {
    const { job } = chunk;
    if (at === undefined) {
      return job.putBack(part(chunk, reported));
    }
    job.putBack(part(chunk, at + 1));
    if (at < lengthOf(chunk)) {
      const culprit = part(chunk, at, at + 1);
      if (dismissed && !dying) {
        if (job.wants(culprit.start)) job.putBack(culprit);
      } else this.#died(culprit, death, dying);
    }
    // Done, but their results went with the worker.
    this.#totals.retried += Math.min(at, lengthOf(chunk)) - reported;
    job.putBack(part(chunk, reported, at));
  }

  /** Tries an item again, or gives it up. */
  #died(
    chunk: Chunk,
    { how, exitCode }: HostEnd,
    dying: DyingMessage | undefined,
  ): void {
    const { job, start } = chunk;
    this.#costOf(job).onlyInWorkers = true;
    const deaths = chunk.deaths + 1;
    const gone = hasMovedParts(chunk.items, chunk.from, job.options.spread);
    if (deaths < MAX_DEATHS && !gone) {
      if (!job.wants(start)) return;
      this.#totals.retried++;
      return job.putBack({ ...chunk, deaths });
    }
    this.#totals.items++;
    this.#totals.failed++;
    const index = job.indexOf(start);
    const why = gone
      ? "it had been moved there and is lost"
      : `as at the first try`;
    job.failed(
      start,
      new WorkerDiedError(
        `${job.f.exportName}: item ${index}: its worker ended by ${how}: ${why}`,
        {
          index,
          attempts: deaths,
          exitCode,
          cause: dying?.error && fromWire(dying.error),
        },
      ),
    );
    this.#dropIfDone(job);
  }

  #diedLoading(
    chunk: Chunk,
    moduleUrl: string,
    { how, exitCode }: HostEnd,
  ): void {
    const deaths = (this.#loadDeaths.get(moduleUrl) ?? 0) + 1;
    this.#loadDeaths.set(moduleUrl, deaths);
    if (deaths < MAX_DEATHS) return chunk.job.putBack(chunk);
    const { job, start } = chunk;
    const index = job.indexOf(start);
    job.abandon(
      new WorkerDiedError(
        `${job.f.exportName}: loading ${moduleUrl} ends the worker by ${how}`,
        { index, attempts: deaths, exitCode },
      ),
    );
    this.#dropIfDone(job);
  }

  /** Every quarter of a second. */
  #look(): void {
    const now = performance.now();
    for (const { worker } of this.#places) {
      if (!worker?.board) continue;
      const { board } = worker;
      const beat = Atomics.load(board, BEAT);
      if (beat !== worker.beat || !worker.ready) {
        worker.beat = beat;
        worker.beatAt = now;
      }
      // One that runs something may be in a long loop: its port tells.
      if (
        now - worker.beatAt > SILENCE_MS && Atomics.load(board, CHUNK) === 0 &&
        !worker.dismissed
      ) {
        Atomics.store(board, CANCEL, EVERYTHING);
        worker.host.terminate();
      }
    }
    this.#pump();
    if (now - this.#idleSince > this.#options.idleMs && !this.#isBusy()) {
      this.#dismissAll();
      clearInterval(this.#watch);
      this.#watch = undefined;
    }
  }

  #checkEnd(): void {
    if (
      !this.#closing || this.#jobs.size > 0 ||
      this.#places.some(({ worker }) => worker)
    ) return;
    clearInterval(this.#watch);
    this.#ended.resolve();
  }
}
