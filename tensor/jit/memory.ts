/**
 * The memory that compiled functions work on, and its threads.
 *
 * @module
 */

import { detectTarget } from "../device/wasm.ts";
import { Allocator, type Block } from "../wasm/allocator.ts";
import { MAX_PAGES } from "../wasm/generate.ts";
import { ThreadPool } from "../wasm/threads.ts";
import { warn } from "../warnings.ts";
import { describe } from "./signature.ts";

const PAGE_BYTES = 65536;
/** Grows by at least so much. */
const LEAST_GROWTH = 64 * PAGE_BYTES;

/** Memory, what is given out of it, and views of it. */
export class JitMemory {
  readonly memory: WebAssembly.Memory;
  readonly shared: boolean;
  /** As many as there may be; they are made anew when the memory grows. */
  bytes!: Uint8Array;
  numbers!: Float64Array;
  words!: Int32Array;
  readonly #allocator: Allocator;
  readonly #buffers = new WeakSet<ArrayBufferLike>();
  #pool: ThreadPool | undefined;
  #threads: number | undefined;
  #last: Promise<unknown> | undefined;

  constructor(shared: boolean) {
    this.shared = shared;
    this.memory = new WebAssembly.Memory({
      initial: 1,
      maximum: MAX_PAGES,
      shared: this.shared,
    });
    this.#look();
    // The first page has what failures are noted in.
    this.#allocator = new Allocator(PAGE_BYTES, (least) => this.#grow(least));
  }

  /** Takes bytes. */
  take(bytes: number): Block {
    const block = this.#allocator.allocate(Math.max(8, bytes));
    if (block) return block;
    throw new RangeError(
      `jit: not enough memory: ${bytes} bytes asked for, ` +
        `${this.#allocator.used} in use: pass smaller arrays`,
    );
  }

  /** Gives them back. */
  release(block: Block): void {
    this.#allocator.release(block);
  }

  /** Whether an array lies in this memory. */
  holds(buffer: ArrayBufferLike): boolean {
    return this.#buffers.has(buffer);
  }

  /** Threads that share this memory; they start when they are asked to. */
  get pool(): ThreadPool {
    return this.#pool ??= new ThreadPool(this.memory, {
      ...this.#threads === undefined ? {} : { threads: this.#threads },
      onFewerThreads: (reason, count) =>
        warn(`jit: ${count} thread${count === 1 ? "" : "s"}: ${reason}`),
    });
  }

  /** Ends the threads; the next that are needed are so many. */
  setThreads(count: number): void {
    this.#threads = count;
    const pool = this.#pool;
    this.#pool = undefined;
    // A range that waits for its threads to start is done first.
    void this.inTurn(() => Promise.resolve(pool?.close()));
  }

  /**
   * Does something that waits for threads after what was begun before it: both
   * may use the same arrays and generators. At once if nothing is under way.
   */
  async inTurn<T>(body: () => Promise<T>): Promise<T> {
    const mine = this.#last ? this.#last.then(body) : body();
    const last = this.#last = mine.catch(() => {}); // its caller hears of it
    try {
      return await mine;
    } finally {
      if (this.#last === last) this.#last = undefined;
    }
  }

  #grow(least: number): number {
    const pages = this.memory.buffer.byteLength / PAGE_BYTES;
    for (const bytes of [Math.max(least, LEAST_GROWTH), least]) {
      const more = Math.ceil(bytes / PAGE_BYTES);
      if (pages + more >= MAX_PAGES) continue;
      try {
        this.memory.grow(more);
      } catch {
        continue;
      }
      this.#look();
      return more * PAGE_BYTES;
    }
    return 0;
  }

  #look(): void {
    const { buffer } = this.memory;
    // Arrays made before a growth are of another object, and stay valid where
    // memory is shared.
    if (this.shared) this.#buffers.add(buffer);
    this.bytes = new Uint8Array(buffer);
    this.numbers = new Float64Array(buffer);
    this.words = new Int32Array(buffer);
  }
}

let opened: JitMemory | undefined;
let alone: JitMemory | undefined;

/** The memory that threads share; the first call makes it. */
export function jitMemory(): JitMemory {
  return opened ??= new JitMemory(detectTarget().sharedMemory);
}

/**
 * A memory for calls whose arrays are copied: what is not shared is checked for
 * its size more quickly, which makes loops over arrays 1.2 times as fast.
 */
export function copyMemory(): JitMemory {
  return alone ??= new JitMemory(false);
}

/** No processor has more; each thread takes some megabytes. */
const MOST_THREADS = 1024;

/**
 * Sets how many threads share the work of `map`, `sum`, `min`, `max` and `each`
 * of compiled functions, the calling one included. Threads of before end, after
 * what is under way; new ones start when there is enough to do. Results do not
 * depend on it.
 *
 * @param count A whole number from 1 to 1024; as many as the processor has until
 * then.
 * @throws {RangeError} If it is not one.
 */
export function setJitThreads(count: number): void {
  if (!Number.isInteger(count) || count < 1 || count > MOST_THREADS) {
    throw new RangeError(
      `setJitThreads: the count must be a whole number from 1 to ` +
        `${MOST_THREADS}: got ${describe(count)}`,
    );
  }
  jitMemory().setThreads(count);
}
