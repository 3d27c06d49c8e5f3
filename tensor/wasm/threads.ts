/**
 * Threads over one shared memory: each does its share of a list of stages.
 *
 * A blocked thread gets no messages, so what is to be done and the code travel
 * through shared memory: an announcement that all threads look at, and a
 * mailbox for modules and lists of stages.
 *
 * A run is announced once for all of its stages. Each chunk of a stage has a
 * ticket, and tickets are numbered through all runs. A thread takes the next
 * one by exchanging the counter's value, if all chunks of the stages before
 * are done. So a stage is over when its chunks are, whoever did them: a thread
 * that sleeps holds no ticket and is not waited for, and one that wakes too
 * late finds a counter that does not match. Neighbouring stages that are too
 * small to share are done by the calling thread, under one ticket.
 *
 * @module
 */

import {
  type Group,
  type Program,
  Sequence,
  type Stage,
  type Step,
} from "./sequence.ts";
import { macrotask, startWorker, type Thread } from "./start_worker.ts";
import { COMMAND, CONTROL, STAGE_WORDS } from "./threads_worker.ts";

export type { Program, Stage, Step } from "./sequence.ts";
export { Sequence } from "./sequence.ts";

/** How a pool is made. */
export interface ThreadPoolOptions {
  /**
   * Threads that share the work, the calling one included.
   *
   * @default navigator.hardwareConcurrency
   */
  readonly threads?: number;
  /**
   * Milliseconds of work that could have been shared before threads start: a
   * short run is over before they are up.
   *
   * @default 20
   */
  readonly startAfterMs?: number;
  /** Told once, with the reason, if there will be no more threads than these. */
  readonly onFewerThreads?: (reason: string, threads: number) => void;
}

const MAILBOX_BYTES = 1 << 18;
// A pause is 10 to 50 ns: the calling thread looks for some tens of µs.
const SPINS_WITH_PAUSE = 1000;
const SPINS_WITHOUT = 10000;
/** The others look longer: between two runs the caller has work of its own. */
const PATIENCE = 4;

/**
 * Threads that start when there is work for them; until then, and where there
 * can be none, everything runs on the calling thread with the same results.
 */
export class ThreadPool {
  readonly #memory: WebAssembly.Memory;
  readonly #threads: number;
  readonly #startAfterMs: number;
  readonly #onFewerThreads: ThreadPoolOptions["onFewerThreads"];
  readonly #control: Int32Array;
  readonly #mailbox: Uint8Array;
  readonly #spins: number;
  readonly #workers: Thread[] = [];
  /** How many workers have each program and sequence: `1 .. count`. */
  readonly #held = new Map<number, number>();
  #canWait = true;
  #nextId = 1;
  #turn = 0;
  #base = 0;
  #sharableMs = 0;
  #up = 0;
  #starting: Promise<void> | undefined;
  #failure: string | undefined;
  #closed = false;

  /**
   * Starts nothing yet.
   *
   * @param memory What the programs import as `env.memory`.
   * @param options How many threads, and when.
   */
  constructor(memory: WebAssembly.Memory, options: ThreadPoolOptions = {}) {
    const wanted = options.threads ?? globalThis.navigator?.hardwareConcurrency;
    const threads = Math.max(1, Math.floor(wanted ?? 1));
    this.#memory = memory;
    this.#startAfterMs = options.startAfterMs ?? 20;
    this.#onFewerThreads = options.onFewerThreads;
    this.#spins = "pause" in Atomics ? SPINS_WITH_PAUSE : SPINS_WITHOUT;
    const shared = typeof SharedArrayBuffer === "function" &&
      memory.buffer instanceof SharedArrayBuffer;
    this.#threads = shared ? threads : 1;
    if (this.#threads === 1) {
      this.#control = new Int32Array(0);
      this.#mailbox = new Uint8Array(0);
      if (threads > 1) {
        this.#stopStarting(
          "memory cannot be shared between threads: isolate the page by its " +
            "Cross-Origin-Opener-Policy and Cross-Origin-Embedder-Policy",
        );
      }
      return;
    }
    const { words } = CONTROL;
    const block = new SharedArrayBuffer(4 * words + MAILBOX_BYTES);
    this.#control = new Int32Array(block, 0, words);
    this.#mailbox = new Uint8Array(block, 4 * words);
    try {
      // Returns at once where it is allowed: the word is not 1.
      Atomics.wait(this.#control, 0, 1, 0);
    } catch {
      this.#canWait = false;
    }
  }

  /** Threads that share the work once all are up, the calling one included. */
  get threads(): number {
    return this.#threads;
  }

  /** Threads that share the work now, the calling one included. */
  get active(): number {
    return 1 + this.#up;
  }

  /**
   * Compiles a module for the calling thread; the others get it when needed.
   *
   * @param library The program whose functions it imports, by their names.
   */
  load(bytes: Uint8Array<ArrayBuffer>, library?: Program): Program {
    this.#checkOpen();
    const module = new WebAssembly.Module(bytes);
    const { exports } = new WebAssembly.Instance(module, {
      env: {
        ...Object.fromEntries(library?.stages ?? []),
        memory: this.#memory,
        thread: () => 0,
      },
      Math: Math as unknown as WebAssembly.ModuleImports,
    });
    const stages = new Map<string, Stage>();
    const order = new Map<string, number>();
    WebAssembly.Module.exports(module).forEach(({ name }, position) => {
      stages.set(name, exports[name] as Stage);
      order.set(name, position);
    });
    const id = this.#nextId++;
    this.#held.set(id, 0);
    return { id, stages, order, bytes, library };
  }

  /** Makes stages of programs of this pool ready to run, any number of times. */
  sequence(steps: readonly Step[]): Sequence {
    this.#checkOpen();
    const id = this.#nextId++;
    this.#held.set(id, 0);
    return new Sequence(id, steps, this.#threads);
  }

  /** Forgets a program or a sequence on all threads. */
  unload({ id }: Program | Sequence): void {
    this.#checkOpen();
    const workers = this.#held.get(id);
    this.#held.delete(id);
    if (workers) this.#command(COMMAND.unload, id, 1, workers);
  }

  /**
   * Runs all stages of a sequence, and returns when they are done.
   *
   * @param sequence From {@link ThreadPool.sequence} of this pool.
   * @param frame Address that the frames of its steps are counted from.
   * @throws {Error} If a function traps on any thread; the stages behind are
   * then left out.
   */
  run(sequence: Sequence, frame: number): void {
    this.#checkOpen();
    if (!sequence.shared) {
      this.#alone(sequence, frame, 0, sequence.steps.length);
      return;
    }
    if (this.#up + 1 < this.#threads && this.#failure === undefined) {
      this.#considerStart();
    }
    if (this.#up > 0) this.#share(sequence, frame);
    else this.#measure(sequence, frame);
  }

  /** Starts all threads now; resolves when they are up. */
  async start(): Promise<void> {
    this.#checkOpen();
    while (this.#up + 1 < this.#threads && this.#failure === undefined) {
      await this.#startOne();
    }
  }

  /** Ends all threads. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#up > 0) {
      this.#announce(COMMAND.close, 0, 1, this.#up);
      this.#wake();
    }
    for (const worker of this.#workers) worker.terminate();
    this.#workers.length = 0;
    this.#held.clear();
    this.#up = 0;
  }

  /** Does steps `[from, to)` on this thread. */
  #alone(
    { steps, calls }: Sequence,
    frame: number,
    from: number,
    to: number,
  ): void {
    for (let i = from; i < to; i++) {
      const step = steps[i]!;
      calls[i]!(frame + step.frame, 0, step.items);
    }
  }

  /** Does all steps on this thread, and counts how long what is shared takes. */
  #measure(sequence: Sequence, frame: number): void {
    for (const { from, to, chunk } of sequence.groups) {
      const began = chunk > 0 ? performance.now() : 0;
      this.#alone(sequence, frame, from, to);
      if (chunk > 0) this.#sharableMs += performance.now() - began;
    }
  }

  #share(sequence: Sequence, frame: number): void {
    if (this.#held.get(sequence.id)! < this.#up) this.#send(sequence);
    const control = this.#control;
    const { groups, tickets } = sequence;
    const base = this.#base;
    const behind = (base + tickets) | 0;
    this.#base = behind;
    this.#announce(COMMAND.run, sequence.id, 1, this.#up, frame, tickets);
    try {
      for (let at = 0; at < groups.length; at++) {
        const { from, to, chunk, end } = groups[at]!;
        if (chunk === 0) {
          this.#alone(sequence, frame, from, to);
          Atomics.store(control, CONTROL.ticket, (base + end) | 0);
          Atomics.store(control, CONTROL.done, (base + end) | 0);
          continue;
        }
        this.#wake();
        this.#takeTickets(sequence, groups[at]!, frame, base);
        this.#await(CONTROL.done, (base + end) | 0);
        if (Atomics.load(control, CONTROL.failed) !== 0) break;
      }
    } catch (error) {
      // Nobody takes the rest; the workers finish what they have.
      const left = behind - Atomics.exchange(control, CONTROL.ticket, behind);
      Atomics.add(control, CONTROL.done, left);
      this.#await(CONTROL.done, behind);
      Atomics.store(control, CONTROL.failed, 0);
      throw error;
    }
    this.#await(CONTROL.done, behind);
    this.#rethrow();
  }

  /** Does chunks of a stage until none is left. */
  #takeTickets(
    { steps, calls }: Sequence,
    { from, chunk, first, end }: Group,
    frame: number,
    base: number,
  ): void {
    const control = this.#control;
    const { ticket, done } = CONTROL;
    const call = calls[from]!;
    const { frame: offset, items } = steps[from]!;
    let count = 0;
    try {
      for (;;) {
        const next = Atomics.load(control, ticket);
        const taken = (next - base) | 0;
        if (taken >= end) return;
        const got = Atomics.compareExchange(control, ticket, next, next + 1);
        if (got !== next) continue;
        count++;
        const start = (taken - first) * chunk;
        call(frame + offset, start, Math.min(items, start + chunk));
      }
    } finally {
      Atomics.add(control, done, count);
    }
  }

  /** Gives a sequence, and the programs that it shares, to the workers. */
  #send(sequence: Sequence): void {
    for (const { from, chunk } of sequence.groups) {
      if (chunk === 0) continue;
      const { program } = sequence.steps[from]!;
      if (program.library) this.#sendProgram(program.library);
      this.#sendProgram(program);
    }
    const bytes = new Uint8Array(sequence.words().buffer);
    this.#mail(COMMAND.loadSequence, sequence.id, bytes);
  }

  #sendProgram({ id, bytes, library }: Program): void {
    if (this.#held.get(id) === this.#up) return;
    this.#control[CONTROL.library] = library?.id ?? 0;
    this.#mail(COMMAND.loadProgram, id, bytes);
  }

  /** Gives bytes to the workers that lack them, a mailbox at a time. */
  #mail(command: number, id: number, bytes: Uint8Array): void {
    const held = this.#held.get(id)!;
    if (held === this.#up) return;
    const control = this.#control;
    for (let offset = 0; offset < bytes.length; offset += MAILBOX_BYTES) {
      const part = bytes.subarray(offset, offset + MAILBOX_BYTES);
      this.#mailbox.set(part);
      control[CONTROL.totalBytes] = bytes.length;
      control[CONTROL.partOffset] = offset;
      control[CONTROL.partBytes] = part.length;
      this.#command(command, id, held + 1, this.#up);
    }
    this.#held.set(id, this.#up);
  }

  /** Has workers `first .. last` do something, and waits for them. */
  #command(command: number, id: number, first: number, last: number): void {
    Atomics.store(this.#control, CONTROL.obeyed, 0);
    this.#announce(command, id, first, last);
    this.#wake();
    this.#await(CONTROL.obeyed, last - first + 1);
    this.#rethrow();
  }

  #announce(
    command: number,
    id: number,
    first: number,
    last: number,
    frame = 0,
    tickets = 0,
  ): void {
    const control = this.#control;
    Atomics.store(control, CONTROL.turn, this.#turn + 1);
    Atomics.store(control, CONTROL.command, command);
    Atomics.store(control, CONTROL.id, id);
    Atomics.store(control, CONTROL.first, first);
    Atomics.store(control, CONTROL.last, last);
    Atomics.store(control, CONTROL.frame, frame);
    Atomics.store(control, CONTROL.base, (this.#base - tickets) | 0);
    Atomics.store(control, CONTROL.tickets, tickets);
    this.#turn = (this.#turn + 2) | 0;
    Atomics.store(control, CONTROL.turn, this.#turn);
  }

  /** Wakes the workers that sleep. */
  #wake(): void {
    const control = this.#control;
    if (Atomics.load(control, CONTROL.asleep) === 0) return;
    Atomics.add(control, CONTROL.wake, 1);
    Atomics.notify(control, CONTROL.wake);
  }

  /** Waits until a word has come up to a number. */
  #await(word: number, number: number): void {
    const control = this.#control;
    for (let i = 0; ((Atomics.load(control, word) - number) | 0) < 0; i++) {
      if (i < this.#spins || !this.#canWait) {
        pause();
        continue;
      }
      Atomics.store(control, CONTROL.callerSleeps, 1);
      const wake = Atomics.load(control, CONTROL.callerWake);
      if (((Atomics.load(control, word) - number) | 0) < 0) {
        Atomics.wait(control, CONTROL.callerWake, wake);
      }
      Atomics.store(control, CONTROL.callerSleeps, 0);
    }
  }

  /** Throws what a worker has reported. */
  #rethrow(): void {
    const control = this.#control;
    const failed = Atomics.exchange(control, CONTROL.failed, 0);
    if (failed === 0) return;
    const message = new TextDecoder().decode(
      this.#mailbox.slice(0, control[CONTROL.messageBytes]),
    );
    throw new Error(`wasm: thread ${failed - 1} failed: ${message}`);
  }

  #considerStart(): void {
    if (this.#sharableMs < this.#startAfterMs && this.#up === 0) return;
    // Not here: making a worker takes some ten ms, which a caller that is
    // about to return to its event loop should not wait for.
    if (!this.#starting) queueMicrotask(() => void this.#startOne());
  }

  #startOne(): Promise<void> {
    this.#starting ??= this.#open().finally(() => this.#starting = undefined);
    return this.#starting;
  }

  async #open(): Promise<void> {
    if (this.#closed || this.#up + 1 >= this.#threads) return;
    const thread = this.#up + 1;
    try {
      const worker = startWorker({
        control: this.#control.buffer as SharedArrayBuffer,
        mailboxOffset: this.#mailbox.byteOffset,
        memory: this.#memory,
        thread,
        spins: PATIENCE * this.#spins,
        words: CONTROL,
        commands: COMMAND,
        stageWords: STAGE_WORDS,
      }, (reason) => this.#stopStarting(reason));
      this.#workers.push(worker);
      while (Atomics.load(this.#control, CONTROL.up) < thread) {
        await macrotask();
        if (this.#closed || this.#failure !== undefined) return;
      }
      this.#up = thread;
    } catch (error) {
      this.#stopStarting(`a worker did not start: ${error}`);
    }
  }

  #stopStarting(reason: string): void {
    if (this.#failure !== undefined) return;
    this.#failure = reason;
    this.#onFewerThreads?.(reason, this.active);
  }

  #checkOpen(): void {
    if (this.#closed) throw new Error("wasm: the thread pool is closed");
  }
}

const pause: () => void = (Atomics as { pause?: () => void }).pause ??
  (() => {});
