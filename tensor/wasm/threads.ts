/**
 * Threads over one shared memory: each runs its share of a function's items.
 *
 * A blocked thread gets no messages, so commands and code travel through
 * shared memory: an offer for each thread, the command beside it, and a
 * mailbox for the bytes of modules. A fork and join costs about 1 µs while the
 * threads still spin. A thread that sleeps is not waited for: what it does not
 * take, the others do.
 *
 * @module
 */

import {
  COMMAND,
  CONTROL,
  OFFER,
  serve,
  type WorkerStart,
} from "./threads_worker.ts";

/** A function of a program: does the items `[start, end)`. */
export type Stage = (frame: number, start: number, end: number) => void;

/** A module that {@link ThreadPool.load} has made ready. */
export interface Program {
  /** Names it to the threads. */
  readonly id: number;
  /** Its functions, on the calling thread. */
  readonly stages: ReadonlyMap<string, Stage>;
}

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
  /** Told once, with the reason, if all work stays on the calling thread. */
  readonly onSingleThread?: (reason: string) => void;
}

interface Loaded extends Program {
  readonly bytes: Uint8Array;
  readonly order: ReadonlyMap<string, number>;
  /** Workers `1 .. workers` have it. */
  workers: number;
}

interface Thread {
  terminate(): unknown;
}

const MAILBOX_BYTES = 1 << 18;
const MAX_ITEMS = 0x3fffffff;
// A pause is 10 to 40 ns, so that a thread looks for some tens of µs.
const SPINS_WITH_PAUSE = 1000;
const SPINS_WITHOUT = 10000;
/** Turns a thread takes at least, so that a slow one does not hold the rest. */
const TURNS = 4;

/**
 * Threads that start when there is work for them; until then, and where there
 * can be none, everything runs on the calling thread with the same results.
 */
export class ThreadPool {
  readonly #memory: WebAssembly.Memory;
  readonly #threads: number;
  readonly #startAfterMs: number;
  readonly #onSingleThread: ((reason: string) => void) | undefined;
  readonly #control: Int32Array;
  readonly #mailbox: Uint8Array;
  readonly #spins: number;
  readonly #workers: Thread[] = [];
  readonly #programs = new Map<number, Loaded>();
  /** What each worker was offered last. */
  readonly #offers: Int32Array;
  #canWait = true;
  #nextId = 1;
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
    this.#memory = memory;
    this.#startAfterMs = options.startAfterMs ?? 20;
    this.#onSingleThread = options.onSingleThread;
    this.#spins = "pause" in Atomics ? SPINS_WITH_PAUSE : SPINS_WITHOUT;
    const shared = typeof SharedArrayBuffer === "function" &&
      memory.buffer instanceof SharedArrayBuffer;
    this.#threads = shared ? Math.max(1, Math.floor(wanted ?? 1)) : 1;
    this.#offers = new Int32Array(this.#threads);
    if (this.#threads === 1) {
      this.#control = new Int32Array(0);
      this.#mailbox = new Uint8Array(0);
      if (!shared) this.#stayAlone("memory cannot be shared between threads");
      return;
    }
    const words = CONTROL.lines + (this.#threads - 1) * CONTROL.lineWords;
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

  /** Compiles a module for the calling thread; the others get it when needed. */
  load(bytes: Uint8Array<ArrayBuffer>): Program {
    this.#checkOpen();
    const module = new WebAssembly.Module(bytes);
    const { exports } = new WebAssembly.Instance(module, {
      env: { memory: this.#memory, thread: () => 0 },
    });
    const stages = new Map<string, Stage>();
    const order = new Map<string, number>();
    WebAssembly.Module.exports(module).forEach(({ name }, position) => {
      stages.set(name, exports[name] as Stage);
      order.set(name, position);
    });
    const program: Loaded = {
      id: this.#nextId++,
      stages,
      bytes,
      order,
      workers: 0,
    };
    this.#programs.set(program.id, program);
    return program;
  }

  /** Forgets a program on all threads. */
  unload(program: Program): void {
    this.#checkOpen();
    const loaded = this.#programs.get(program.id);
    if (!loaded) return;
    this.#programs.delete(program.id);
    if (loaded.workers === 0) return;
    this.#control[CONTROL.program] = program.id;
    this.#command(COMMAND.unload, 1, loaded.workers);
    this.#join();
  }

  /**
   * Does all items of a stage and returns when they are done.
   *
   * @param program From {@link ThreadPool.load} of this pool.
   * @param stage Name of an exported function.
   * @param frame Passed on to it.
   * @param items How many; a thread gets runs of neighbours.
   * @param grain Runs are multiples of this, except for the last.
   * @throws {Error} If the function traps on any thread.
   */
  run(
    program: Program,
    stage: string,
    frame: number,
    items: number,
    grain: number,
  ): void {
    this.#checkOpen();
    const main = program.stages.get(stage)!;
    if (items <= grain || this.#threads === 1 || items > MAX_ITEMS) {
      if (items > 0) main(frame, 0, items);
      return;
    }
    if (this.#up + 1 < this.#threads && this.#failure === undefined) {
      this.#considerStart();
    }
    if (this.#up === 0) {
      const began = performance.now();
      main(frame, 0, items);
      this.#sharableMs += performance.now() - began;
      return;
    }
    this.#share(program as Loaded, main, stage, frame, items, grain);
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
    this.#programs.clear();
    if (this.#up > 0) this.#command(COMMAND.close, 1, this.#up);
    for (const worker of this.#workers) worker.terminate();
    this.#workers.length = 0;
    this.#up = 0;
  }

  #share(
    program: Loaded,
    main: Stage,
    stage: string,
    frame: number,
    items: number,
    grain: number,
  ): void {
    if (program.workers < this.#up) this.#send(program);
    const units = Math.ceil(items / grain);
    const threads = Math.min(this.#up + 1, units);
    const chunk = grain * Math.max(1, Math.floor(units / (threads * TURNS)));
    const control = this.#control;
    control[CONTROL.program] = program.id;
    control[CONTROL.stage] = program.order.get(stage)!;
    control[CONTROL.frame] = frame;
    control[CONTROL.items] = items;
    control[CONTROL.chunk] = chunk;
    control[CONTROL.next] = 0;
    this.#command(COMMAND.run, 1, threads - 1);
    try {
      for (;;) {
        const from = Atomics.add(control, CONTROL.next, chunk);
        if (from >= items) break;
        main(frame, from, Math.min(items, from + chunk));
      }
    } finally {
      this.#withdraw(threads - 1);
      this.#join();
    }
  }

  /** Does not wait for workers that have not begun: nothing is left for them. */
  #withdraw(last: number): void {
    const control = this.#control;
    for (let thread = 1; thread <= last; thread++) {
      const line = lineOf(thread);
      const offer = this.#offers[thread]!;
      const withdrawn = offer + OFFER.withdrawn;
      if (
        Atomics.compareExchange(control, line, offer, withdrawn) === offer
      ) Atomics.sub(control, CONTROL.pending, 1);
    }
  }

  /** Gives a program to the workers that lack it, a mailbox at a time. */
  #send(program: Loaded): void {
    const { bytes } = program;
    const control = this.#control;
    for (let offset = 0; offset < bytes.length; offset += MAILBOX_BYTES) {
      const part = bytes.subarray(offset, offset + MAILBOX_BYTES);
      this.#mailbox.set(part);
      control[CONTROL.program] = program.id;
      control[CONTROL.totalBytes] = bytes.length;
      control[CONTROL.partOffset] = offset;
      control[CONTROL.partBytes] = part.length;
      this.#command(COMMAND.load, program.workers + 1, this.#up);
      this.#join();
    }
    program.workers = this.#up;
  }

  /** Hands the command in the control block to workers `first .. last`. */
  #command(command: number, first: number, last: number): void {
    const control = this.#control;
    control[CONTROL.command] = command;
    Atomics.store(control, CONTROL.pending, last - first + 1);
    for (let thread = first; thread <= last; thread++) {
      const line = lineOf(thread);
      const offer = this.#offers[thread]! + OFFER.step;
      this.#offers[thread] = offer;
      Atomics.store(control, line, this.#offers[thread]!);
      if (Atomics.load(control, line + 1) === 1) Atomics.notify(control, line);
    }
  }

  #join(): void {
    const control = this.#control;
    const pending = CONTROL.pending;
    for (let i = 0; Atomics.load(control, pending) > 0; i++) {
      if (i < this.#spins || !this.#canWait) {
        pause();
        continue;
      }
      Atomics.store(control, CONTROL.callerSleeps, 1);
      const left = Atomics.load(control, pending);
      if (left > 0) Atomics.wait(control, pending, left);
      Atomics.store(control, CONTROL.callerSleeps, 0);
    }
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
    const line = lineOf(thread);
    try {
      const control = this.#control.buffer as SharedArrayBuffer;
      const worker = createWorker({
        control,
        mailboxOffset: this.#mailbox.byteOffset,
        memory: this.#memory,
        thread,
        spins: this.#spins,
        words: CONTROL,
        commands: COMMAND,
      }, (reason) => this.#stayAlone(reason));
      this.#workers.push(worker);
      while (Atomics.load(this.#control, line + 2) === 0) {
        await macrotask();
        if (this.#closed || this.#failure !== undefined) return;
      }
      this.#up = thread;
    } catch (error) {
      this.#stayAlone(`a worker did not start: ${error}`);
    }
  }

  #stayAlone(reason: string): void {
    if (this.#failure !== undefined) return;
    this.#failure = reason;
    this.#onSingleThread?.(reason);
  }

  #checkOpen(): void {
    if (this.#closed) throw new Error("wasm: the thread pool is closed");
  }
}

function lineOf(thread: number): number {
  return CONTROL.lines + (thread - 1) * CONTROL.lineWords;
}

const pause: () => void = (Atomics as { pause?: () => void }).pause ??
  (() => {});

/** Resolves after the event loop has had a turn, without a timer. */
function macrotask(): Promise<void> {
  const { port1, port2 } = new MessageChannel();
  return new Promise((resolve) => {
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(0);
  });
}

interface NodeWorker extends Thread {
  unref(): void;
  on(event: "error", listener: (error: unknown) => void): void;
}

interface WorkerThreads {
  readonly Worker: new (
    code: string,
    options: { eval: true; workerData: WorkerStart },
  ) => NodeWorker;
}

/**
 * A worker of Deno or Node that does not keep the process alive, or one of a
 * browser. Its code is text: no file is read.
 */
function createWorker(
  start: WorkerStart,
  onError: (reason: string) => void,
): Thread {
  const { process } = globalThis as {
    process?: { getBuiltinModule?: (name: string) => unknown };
  };
  const node = process?.getBuiltinModule?.("node:worker_threads") as
    | WorkerThreads
    | undefined;
  if (node) {
    const code = `(${serve})(require("node:worker_threads").workerData);`;
    const worker = new node.Worker(code, { eval: true, workerData: start });
    worker.on("error", (error) => onError(`a worker failed: ${error}`));
    worker.unref();
    return worker;
  }
  const code = `onmessage = ({ data }) => { (${serve})(data); close(); };`;
  const url = URL.createObjectURL(
    new Blob([code], { type: "text/javascript" }),
  );
  const worker = new Worker(url);
  worker.onerror = (event) => onError(`a worker failed: ${event.message}`);
  worker.postMessage(start);
  URL.revokeObjectURL(url);
  return worker;
}
