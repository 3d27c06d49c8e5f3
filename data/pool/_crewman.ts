import {
  BEAT,
  BEGUN,
  CHUNK,
  ENDS,
  makeBoard,
  OVER,
  POSITION,
  SILENCE_MS,
} from "./_board.ts";
import type { Host, HostEnd, StartHost } from "./_host.ts";
import { type Chunk, lengthOf, part } from "./_job.ts";
import type { DyingMessage, FromWorker, WireCall } from "./_messages.ts";
import { pack } from "./_pack.ts";
import { hasMovedParts } from "./moved.ts";

/** A chunk on its way through a worker. */
export interface Sent {
  readonly id: number;
  /** Without what was taken back. */
  chunk: Chunk;
  /** The word of the board that says where it ends. */
  readonly end: number;
  readonly sentAt: number;
  /** Nothing stood before it. */
  readonly first: boolean;
  /** Items whose outcome is here. */
  reported: number;
  /** Of the calling thread, spent on it. */
  shipMs: number;
  /** When it takes too long to stop. */
  timer: ReturnType<typeof setTimeout> | undefined;
}

/** How a worker of a crew is started. */
export interface CrewmanOptions {
  readonly startHost: StartHost;
  /** It sees memory of this process. */
  readonly shared: boolean;
  readonly initializer: WireCall | undefined;
  readonly maxTasksPerWorker: number;
}

/** How long a function that is no longer wanted may go on. */
const GRACE_MS = 100;

let lastId = 0;

/** One worker and what it was sent. */
export class Crewman {
  /** Chunks in their order; the first one runs. */
  readonly sent: Sent[] = [];
  /** It may be sent chunks. */
  ready = false;
  /** Ended by the crew: nobody died. */
  dismissed = false;
  /** Its last word. */
  dying: DyingMessage | undefined;
  /** Items that it may still be sent. */
  quota: number;
  readonly #host: Host;
  readonly #board: Int32Array | undefined;
  /** Which of {@linkcode ENDS} the last chunk has. */
  #turn: 0 | 1 = 0;
  #beat = 0;
  #beatAt = performance.now();

  constructor(
    { startHost, shared, initializer, maxTasksPerWorker }: CrewmanOptions,
    onMessage: (message: FromWorker) => void,
  ) {
    this.quota = maxTasksPerWorker;
    const board = this.#board = shared ? makeBoard() : undefined;
    this.#host = startHost(onMessage);
    this.#host.post(
      { type: "start", initializer, board, sendEach: !shared },
      [],
    );
  }

  /** See {@linkcode Host.ended}. */
  get ended(): Promise<HostEnd> {
    return this.#host.ended;
  }

  /** Whether it can be sent something. */
  get isOpen(): boolean {
    return this.ready && !this.dismissed && !this.dying && this.quota > 0;
  }

  /**
   * Sends a chunk.
   *
   * @throws {Error} If one of its items cannot be sent.
   */
  send(chunk: Chunk): void {
    const { f, options: { spread } } = chunk.job;
    const sentAt = performance.now();
    const id = ++lastId;
    const end = ENDS[this.#turn = this.#turn === 0 ? 1 : 0];
    const { values, transfer } = pack(
      chunk.items,
      chunk.from,
      chunk.to,
      spread,
    );
    if (this.#board) Atomics.store(this.#board, end, lengthOf(chunk));
    this.#host.post({
      type: "chunk",
      id,
      end,
      moduleUrl: f.moduleUrl,
      exportName: f.exportName,
      spread,
      items: values,
    }, transfer);
    this.quota -= lengthOf(chunk);
    this.sent.push({
      id,
      chunk,
      end,
      sentAt,
      first: this.sent.length === 0,
      reported: 0,
      shipMs: performance.now() - sentAt,
      timer: undefined,
    });
  }

  /** The first chunk is done. */
  shift(): void {
    clearTimeout(this.sent.shift()?.timer);
    if (this.sent.length === 0 && this.quota <= 0) this.dismiss();
  }

  /** Takes away all chunks. */
  empty(): Sent[] {
    for (const { timer } of this.sent) clearTimeout(timer);
    return this.sent.splice(0);
  }

  /** Nobody wants the rest of a chunk. */
  cancel({ end }: Sent): void {
    if (this.#board) Atomics.store(this.#board, end, 0);
  }

  /**
   * Takes back the items of a chunk that were not begun, if there are any, and
   * can be: what moved is gone.
   */
  takeBack(sent: Sent): Chunk | undefined {
    const { id, end, chunk } = sent;
    const board = this.#board;
    if (
      !board || hasMovedParts(chunk.items, chunk.from, chunk.job.options.spread)
    ) return undefined;
    // First the end, then the position: the worker looks the other way round,
    // so that one of them sees the other.
    Atomics.store(board, end, 0);
    const begun = Atomics.load(board, BEGUN);
    if (begun > id) return undefined; // it is done
    const from = begun < id ? 0 : Atomics.load(board, POSITION) + 1;
    if (from >= lengthOf(chunk)) return undefined;
    sent.chunk = part(chunk, 0, from);
    this.quota += lengthOf(chunk) - from;
    return part(chunk, from);
  }

  /** Ends the worker if it stays at an item that nobody wants any more. */
  insist(sent: Sent): void {
    sent.timer ??= setTimeout(() => {
      sent.timer = undefined;
      const { job, start } = sent.chunk;
      const runs = this.sent[0] === sent;
      if (runs && !job.wants(start + this.positionIn(sent))) this.dismiss();
      else this.insist(sent);
    }, GRACE_MS);
  }

  /** Which item of its first chunk it runs, as far as can be seen from here. */
  positionIn({ id, reported }: Sent): number {
    return this.#board?.[CHUNK] === id
      ? Math.max(reported, this.#board[POSITION]!)
      : reported;
  }

  /**
   * At which item of its first chunk it ended, or undefined if it had not begun
   * with it.
   */
  endedAt(sent: Sent): number | undefined {
    if (this.dying) {
      return this.dying.id === sent.id ? sent.reported : undefined;
    }
    if (this.#board && this.#board[CHUNK] !== sent.id) return undefined;
    return this.positionIn(sent);
  }

  /** Ends it. */
  dismiss(): void {
    this.dismissed = true;
    this.#terminate();
  }

  #terminate(): void {
    // A thread in a long loop must not go on to the next item afterwards.
    if (this.#board) {
      Atomics.store(this.#board, OVER, 1);
      for (const end of ENDS) Atomics.store(this.#board, end, 0);
    }
    this.#host.terminate();
  }

  /**
   * Ends it if its beat has stopped. One that runs something may be in a long
   * loop; if such a one is gone, its host tells.
   */
  checkBeat(now: number): void {
    const board = this.#board;
    if (!board || this.dismissed) return;
    const beat = Atomics.load(board, BEAT);
    if (beat !== this.#beat || !this.ready) {
      this.#beat = beat;
      this.#beatAt = now;
    }
    const isSilent = now - this.#beatAt > SILENCE_MS;
    if (isSilent && Atomics.load(board, CHUNK) === 0) this.#terminate();
  }
}
