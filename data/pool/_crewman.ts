import { BEAT, CHUNK, cutAll, POSITION, SILENCE_MS } from "./_board.ts";
import type { Host, HostEnd, StartHost } from "./_host.ts";
import { type Chunk, lengthOf, part } from "./_job.ts";
import type {
  CutMessage,
  DyingMessage,
  FromWorker,
  WireCall,
} from "./_messages.ts";
import { pack } from "./_pack.ts";
import { hasMovedParts } from "./moved.ts";

/** A chunk on its way through a worker. */
export interface Sent {
  readonly id: number;
  /** Without what was taken back. */
  chunk: Chunk;
  readonly sentAt: number;
  /** Nothing stood before it. */
  readonly first: boolean;
  /** Items whose outcome is here. */
  reported: number;
  /** Its worker was told to begin no more of it. */
  isCut: boolean;
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
  /** The id of the last chunk. */
  #lastId = 0;
  #beat = 0;
  #beatAt = performance.now();

  constructor(
    { startHost, shared, initializer, maxTasksPerWorker }: CrewmanOptions,
    onMessage: (message: FromWorker) => void,
  ) {
    this.quota = maxTasksPerWorker;
    this.#host = startHost(onMessage);
    this.#board = this.#host.board;
    this.#host.post({ type: "start", initializer, sendEach: !shared }, []);
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
    const id = this.#lastId + 1;
    const { values, transfer } = pack(
      chunk.items,
      chunk.from,
      chunk.to,
      spread,
    );
    this.#host.post({
      type: "chunk",
      id,
      moduleUrl: f.moduleUrl,
      exportName: f.exportName,
      spread,
      items: values,
    }, transfer);
    this.#lastId = id;
    this.quota -= lengthOf(chunk);
    this.sent.push({
      id,
      chunk,
      sentAt,
      first: this.sent.length === 0,
      reported: 0,
      isCut: false,
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

  /** Begins no more items of a chunk; {@linkcode wasCut} hears of the rest. */
  cut(sent: Sent): void {
    if (sent.isCut) return;
    sent.isCut = true;
    this.#host.cut(sent.id);
  }

  /** The items of a chunk that were not begun, if there are any. */
  wasCut({ id, from }: CutMessage): Chunk | undefined {
    const sent = this.sent.find((sent) => sent.id === id);
    if (!sent || from >= lengthOf(sent.chunk)) return undefined;
    const { chunk } = sent;
    sent.chunk = part(chunk, 0, from);
    this.quota += lengthOf(chunk) - from;
    return part(chunk, from);
  }

  /** Whether items can be taken back: what moved is gone. */
  static keepsItems({ chunk }: Sent): boolean {
    return !hasMovedParts(chunk.items, chunk.from, chunk.job.options.spread);
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
    if (this.#board) cutAll(this.#board);
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
