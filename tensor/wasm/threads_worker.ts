/**
 * What a thread of the pool does: it waits for something to do, takes its
 * share and reports. The calling thread and the others talk through one shared
 * block.
 *
 * @module
 */

/** Words of the control block; each group has its own cache line of 16 words. */
export const CONTROL = {
  /**
   * Counts what the calling thread has announced, by twos: odd while the words
   * behind it are being written.
   */
  turn: 0,
  /** Which of {@link COMMAND} is to be done. */
  command: 1,
  /** Which program or sequence. */
  id: 2,
  /** Address that the frames of a sequence are counted from. */
  frame: 3,
  /** The first ticket of this run, and how many there are. */
  base: 4,
  tickets: 5,
  /** The workers that are meant; others may not be ready for it. */
  first: 6,
  last: 7,
  /** Bytes to be loaded: all of them, where this part begins, its length. */
  totalBytes: 8,
  partOffset: 9,
  partBytes: 10,
  /** The program whose functions it imports, or 0. */
  library: 11,
  /** The next ticket: one for each chunk of each stage, in their order. */
  ticket: 16,
  /** Chunks that are done, counted like tickets. */
  done: 17,
  /** Workers that have obeyed the command. */
  obeyed: 32,
  /** Whether the calling thread sleeps, and the word that it sleeps on. */
  callerSleeps: 33,
  callerWake: 34,
  /** 1 + the number of the thread that failed; its message is in the mailbox. */
  failed: 48,
  messageBytes: 49,
  /** Workers that sleep, and the word that they sleep on. */
  asleep: 64,
  wake: 65,
  /** The last worker that is up. */
  up: 80,
  /** How many words there are. */
  words: 96,
} as const;

/** What the calling thread can ask for. */
export const COMMAND = {
  run: 1,
  loadProgram: 2,
  loadSequence: 3,
  unload: 4,
  close: 5,
} as const;

/**
 * A stage as the workers get it, in words: its program, the position of its
 * function among the exports, the frame, the items, how many of them a ticket
 * stands for, the first ticket, and the one behind the last.
 */
export const STAGE_WORDS = 7;

/** What a thread is started with. */
export interface WorkerStart {
  /** The control block, with the mailbox behind it. */
  readonly control: SharedArrayBuffer;
  /** Byte at which the mailbox begins. */
  readonly mailboxOffset: number;
  /** The memory that programs work on. */
  readonly memory: WebAssembly.Memory;
  /** 1 for the first thread after the calling one. */
  readonly thread: number;
  /** How often it looks before it sleeps. */
  readonly spins: number;
  /** {@link CONTROL}: the text of the function does not have it. */
  readonly words: typeof CONTROL;
  /** {@link COMMAND}, likewise. */
  readonly commands: typeof COMMAND;
  /** {@link STAGE_WORDS}, likewise. */
  readonly stageWords: number;
}

type StageFunction = (frame: number, start: number, end: number) => void;

interface SharedStage {
  readonly call: StageFunction;
  readonly frame: number;
  readonly items: number;
  readonly chunk: number;
  readonly first: number;
  readonly end: number;
}

/**
 * Serves commands until it is told to close. Its text is the code of the
 * workers, so it uses nothing from outside.
 */
export function serve(start: WorkerStart): void {
  const { memory, thread, spins, words, commands, stageWords } = start;
  const control = new Int32Array(start.control);
  const mailbox = new Uint8Array(start.control, start.mailboxOffset);
  const programs = new Map<
    number,
    { exports: WebAssembly.Exports; stages: StageFunction[] }
  >();
  const sequences = new Map<number, SharedStage[]>();
  const pause = (Atomics as { pause?: () => void }).pause ?? (() => {});
  const { turn, ticket, done } = words;
  let bytes = new Uint8Array(0);
  let seen = 0;

  /** Sleeps if nothing has changed and until the calling thread opens a stage. */
  const sleep = (nowTicket: number, nowDone: number) => {
    Atomics.add(control, words.asleep, 1);
    const wake = Atomics.load(control, words.wake);
    const same = Atomics.load(control, turn) === seen &&
      Atomics.load(control, ticket) === nowTicket &&
      Atomics.load(control, done) === nowDone;
    if (same) Atomics.wait(control, words.wake, wake);
    Atomics.sub(control, words.asleep, 1);
  };
  const wakeCaller = () => {
    if (Atomics.load(control, words.callerSleeps) === 0) return;
    Atomics.add(control, words.callerWake, 1);
    Atomics.notify(control, words.callerWake);
  };
  const wakeWorkers = () => {
    if (Atomics.load(control, words.asleep) === 0) return;
    Atomics.add(control, words.wake, 1);
    Atomics.notify(control, words.wake);
  };
  const report = (error: unknown) => {
    const mine = 1 + thread;
    if (Atomics.compareExchange(control, words.failed, 0, mine) !== 0) return;
    // A copy: encodeInto() may not write to shared memory in browsers.
    const message = new TextEncoder().encode(`${error}`).slice(0, 1024);
    mailbox.set(message);
    Atomics.store(control, words.messageBytes, message.length);
  };

  /** Takes tickets of a run until none is left for workers. */
  const work = (
    stages: SharedStage[],
    frame: number,
    base: number,
    tickets: number,
  ) => {
    const last = stages.length - 1;
    const { end } = stages[last]!;
    let at = 0;
    let idle = 0;
    for (;;) {
      const next = Atomics.load(control, ticket);
      const taken = (next - base) | 0;
      if (taken < 0 || taken >= end) return;
      while (taken >= stages[at]!.end) at++;
      const stage = stages[at]!;
      const finished = Atomics.load(control, done);
      if (taken < stage.first || ((finished - base) | 0) < stage.first) {
        // Others are still busy with what comes before.
        if (++idle <= spins) pause();
        else sleep(next, finished);
        continue;
      }
      idle = 0;
      let count = 0;
      try {
        let now = next;
        let mine = taken;
        while (mine < stage.end) {
          // A ticket that can be had is one of this run: none comes again.
          if (Atomics.compareExchange(control, ticket, now, now + 1) === now) {
            count++;
            const from = (mine - stage.first) * stage.chunk;
            const to = Math.min(stage.items, from + stage.chunk);
            stage.call(frame + stage.frame, from, to);
          }
          now = Atomics.load(control, ticket);
          mine = (now - base) | 0;
        }
      } catch (error) {
        report(error);
        // The rest is taken by nobody.
        const behind = (base + tickets) | 0;
        count += (behind - Atomics.exchange(control, ticket, behind)) | 0;
      }
      if (count === 0) continue;
      const before = Atomics.add(control, done, count);
      const behind = (before + count - base) | 0;
      if (behind !== stage.end && behind !== tickets) continue;
      wakeCaller();
      if (at < last && stages[at + 1]!.first === behind) wakeWorkers();
    }
  };

  const load = (): boolean => {
    const total = control[words.totalBytes]!;
    const offset = control[words.partOffset]!;
    const part = mailbox.subarray(0, control[words.partBytes]);
    if (offset === 0) bytes = new Uint8Array(total);
    bytes.set(part, offset);
    return offset + part.length === total;
  };
  const loadProgram = (id: number) => {
    if (!load()) return;
    const module = new WebAssembly.Module(bytes);
    const library = programs.get(control[words.library]!)?.exports;
    const { exports } = new WebAssembly.Instance(module, {
      env: { ...library, memory, thread: () => thread },
      Math: Math as unknown as WebAssembly.ModuleImports,
    });
    const stages = WebAssembly.Module.exports(module)
      .map(({ name }) => exports[name] as StageFunction);
    programs.set(id, { exports, stages });
  };
  const loadSequence = (id: number) => {
    if (!load()) return;
    const list = new Int32Array(bytes.buffer);
    const stages: SharedStage[] = [];
    for (let i = 0; i < list.length; i += stageWords) {
      stages.push({
        call: programs.get(list[i]!)!.stages[list[i + 1]!]!,
        frame: list[i + 2]!,
        items: list[i + 3]!,
        chunk: list[i + 4]!,
        first: list[i + 5]!,
        end: list[i + 6]!,
      });
    }
    sequences.set(id, stages);
  };
  const obey = (command: number, id: number) => {
    try {
      if (command === commands.loadProgram) loadProgram(id);
      else if (command === commands.loadSequence) loadSequence(id);
      else {
        programs.delete(id);
        sequences.delete(id);
      }
    } catch (error) {
      report(error);
    }
    Atomics.add(control, words.obeyed, 1);
    wakeCaller();
  };

  seen = Atomics.load(control, turn);
  Atomics.store(control, words.up, thread);
  for (let idle = 0;;) {
    const now = Atomics.load(control, turn);
    if (now === seen || (now & 1) !== 0) {
      if (++idle <= spins) pause();
      else {
        sleep(
          Atomics.load(control, ticket),
          Atomics.load(control, done),
        );
      }
      continue;
    }
    idle = 0;
    const command = Atomics.load(control, words.command);
    const id = Atomics.load(control, words.id);
    const frame = Atomics.load(control, words.frame);
    const base = Atomics.load(control, words.base);
    const tickets = Atomics.load(control, words.tickets);
    const first = Atomics.load(control, words.first);
    const last = Atomics.load(control, words.last);
    // The calling thread waits for no one, so that it may be further already.
    if (Atomics.load(control, turn) !== now) continue;
    seen = now;
    if (command === commands.close) return;
    if (thread < first || thread > last) continue;
    if (command !== commands.run) obey(command, id);
    else work(sequences.get(id)!, frame, base, tickets);
  }
}
