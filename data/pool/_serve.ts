/**
 * The side of the worker: runs chunks one after the other.
 *
 * @module
 */

import { BEAT, BEAT_MS, BEGUN, CHUNK, isCut, POSITION } from "./_board.ts";
import { trapExit } from "./_exit_trap.ts";
import {
  type AnyFunction,
  findFunction,
  knownFunction,
} from "./_find_function.ts";
import type {
  ChunkDone,
  ChunkMessage,
  FromWorker,
  StartMessage,
  ToWorker,
} from "./_messages.ts";
import { movedParts } from "./moved.ts";
import { pack } from "./_pack.ts";
import { revive } from "./shared/_revive.ts";
import { notSendable } from "./_not_sendable.ts";
import { bare, toWire, type WireError } from "./_wire_error.ts";
import { enterWorker } from "./_worker_scope.ts";

/** Sends a message to the pool; throws if it cannot be cloned. */
export type Send = (message: FromWorker, transfer: Transferable[]) => void;

/** How long results may wait for those of the same chunk. */
const FLUSH_MS = 20;

/**
 * Makes this thread a worker.
 *
 * @param board The words that it shares with those who watch it.
 * @returns Takes what the pool sends.
 */
export function serve(
  send: Send,
  board: Int32Array,
): (message: ToWorker) => void {
  const worker = new ChunkRunner(send, board);
  return (message) => worker.receive(message);
}

class ChunkRunner {
  readonly #send: Send;
  readonly #scope = enterWorker();
  readonly #board: Int32Array;
  #sendEach = false;
  /** Messages run one after the other. */
  #turn: Promise<void> = Promise.resolve();
  /** The chunk that runs and its results that were not sent yet. */
  #chunk: ChunkMessage | undefined;
  #values: unknown[] = [];
  #dying = false;

  constructor(send: Send, board: Int32Array) {
    this.#send = send;
    this.#board = board;
    setInterval(() => Atomics.add(board, BEAT, 1), BEAT_MS);
    trapExit((how, exitCode) => this.#die(how, exitCode));
    addEventListener("error", (event) => {
      event.preventDefault();
      this.#fail("an uncaught error", event.error);
    });
    addEventListener("unhandledrejection", (event) => {
      event.preventDefault();
      this.#fail("an unhandled rejection", event.reason);
    });
  }

  receive(message: ToWorker): void {
    this.#turn = this.#turn.then(() =>
      message.type === "start" ? this.#start(message) : this.#run(message)
    ).catch((error) => this.#fail("a failure of its own", error));
  }

  async #start({ initializer, sendEach }: StartMessage): Promise<void> {
    this.#sendEach = sendEach;
    if (initializer) {
      const { moduleUrl, exportName, args } = initializer;
      try {
        await (await this.#find(moduleUrl, exportName))(
          ...revive(args),
        );
      } catch (error) {
        this.#report(
          error,
          (error) => ({ type: "unusable", id: undefined, error }),
        );
        return;
      }
    }
    this.#send({ type: "ready" }, []);
  }

  #find(moduleUrl: string, exportName: string): Promise<AnyFunction> {
    this.#scope.importing = moduleUrl;
    return findFunction(moduleUrl, exportName).finally(() =>
      this.#scope.importing = undefined
    );
  }

  async #run(chunk: ChunkMessage): Promise<void> {
    const board = this.#board;
    if (this.#dying) return;
    this.#chunk = chunk;
    // The position of the last chunk must not count for this one.
    Atomics.store(board, POSITION, 0);
    Atomics.store(board, BEGUN, chunk.id);
    Atomics.store(board, CHUNK, chunk.id);
    const { id, moduleUrl, exportName, items } = chunk;
    try {
      const f = knownFunction(moduleUrl, exportName) ??
        await this.#find(moduleUrl, exportName);
      const done = await this.#runItems(chunk, f);
      // An emptied typed array of items would say 0.
      if (items.length > 0) this.#flush(done);
    } catch (error) {
      this.#report(error, (error) => ({ type: "unusable", id, error }));
    }
    this.#chunk = undefined;
    Atomics.store(board, CHUNK, 0);
  }

  async #runItems(
    { id, spread, items, silent }: ChunkMessage,
    f: AnyFunction,
  ): Promise<ChunkDone> {
    const board = this.#board;
    const started = performance.now();
    let flushed = started;
    // The clock costs as much as a tiny item: look at it ever more rarely.
    let stride = 1;
    let look = 1;
    let asynchronous = false;
    for (let at = 0; at < items.length; at++) {
      Atomics.store(board, POSITION, at);
      if (isCut(board, id)) break;
      try {
        const item = revive(items[at]);
        let result = spread ? f(...item as unknown[]) : f(item);
        if (isPromise(result)) {
          asynchronous = true;
          result = await result;
        }
        this.#values.push(silent ? undefined : result);
      } catch (error) {
        this.#flush();
        this.#report(error, (error) => ({ type: "error", id, error }));
      }
      if (this.#sendEach) this.#flush();
      else if (at === look) {
        const now = performance.now();
        if (now - flushed > FLUSH_MS) {
          this.#flush();
          flushed = now;
          stride = 1;
        } else stride *= 2;
        look = at + stride;
      }
    }
    return { busyMs: performance.now() - started, asynchronous };
  }

  /** Sends the results that are there. */
  #flush(done?: ChunkDone): void {
    const chunk = this.#chunk;
    const values = this.#values;
    if (!chunk || (values.length === 0 && !done)) return;
    this.#values = [];
    const { id } = chunk;
    const last = done && { done };
    try {
      const parcel = pack(values, 0, values.length, false);
      this.#send(
        { type: "results", id, values: parcel.values, ...last },
        parcel.transfer,
      );
    } catch {
      // One of them cannot be sent: each on its own shows which.
      for (const value of values) this.#sendOne(id, value);
      this.#send({ type: "results", id, values: [], ...last }, []);
    }
  }

  #sendOne(id: number, value: unknown): void {
    try {
      const { values, transfer } = pack([value], 0, 1, false);
      this.#send({ type: "results", id, values }, transfer);
    } catch (cause) {
      this.#report(
        notSendable(
          "the result",
          value,
          cause,
          structuredClone,
          movedParts([value], 0, 1, false),
        ),
        (error) => ({ type: "error", id, error }),
      );
    }
  }

  /** Sends a message about what was thrown, of which not all may go. */
  #report(thrown: unknown, message: (error: WireError) => FromWorker): void {
    const wire = toWire(thrown);
    try {
      this.#send(message(wire), []);
    } catch {
      this.#send(message(bare(wire)), []);
    }
  }

  #fail(how: string, error: unknown): void {
    this.#die(how, 1, { error });
    close();
  }

  /** Says what is there and that this is the end. */
  #die(how: string, exitCode: number, thrown?: { error: unknown }): void {
    if (this.#dying) return;
    this.#dying = true;
    this.#flush();
    const word = {
      type: "dying",
      how,
      exitCode,
      importing: this.#scope.importing,
      id: this.#chunk?.id,
    } as const;
    if (thrown) this.#report(thrown.error, (error) => ({ ...word, error }));
    else this.#send(word, []);
  }
}

function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null &&
    typeof (value as { then?: unknown }).then === "function";
}
