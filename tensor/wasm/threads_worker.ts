/**
 * What a thread of the pool does: it waits for its turn, runs its share and
 * reports. The calling thread and the others talk through one shared block.
 *
 * @module
 */

/** Words of the control block; each group has its own cache line of 16 words. */
export const CONTROL = {
  /** Which of {@link COMMAND} is to be done. */
  command: 0,
  /** Which program, and which of its functions. */
  program: 1,
  stage: 2,
  /** What the function is given. */
  frame: 3,
  items: 4,
  /** Items that one turn takes. */
  chunk: 5,
  /** Bytes of a module: all of them, where this part begins, its length. */
  totalBytes: 6,
  partOffset: 7,
  partBytes: 8,
  /** First item that nobody has taken. */
  next: 16,
  /** Threads that are not done yet. */
  pending: 32,
  /** Whether the calling thread sleeps on `pending`. */
  callerSleeps: 33,
  /** 1 + the number of the thread that failed; its message is in the mailbox. */
  failed: 48,
  messageBytes: 49,
  /** Where thread 1 has its line: offer, whether it sleeps, whether it is up. */
  lines: 64,
  lineWords: 16,
} as const;

/**
 * An offer is a multiple of 4; the thread adds 1 when it takes it, the calling
 * thread 2 when it takes it back, because the work is done before the thread is
 * awake.
 */
export const OFFER = { step: 4, taken: 1, withdrawn: 2 } as const;

/** What the calling thread can ask for. */
export const COMMAND = { run: 1, load: 2, unload: 3, close: 4 } as const;

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
}

type StageFunction = (frame: number, start: number, end: number) => void;

/**
 * Serves commands until it is told to close. Its text is the code of the
 * workers, so it uses nothing from outside.
 */
export function serve(start: WorkerStart): void {
  const { memory, thread, spins, words, commands } = start;
  const control = new Int32Array(start.control);
  const mailbox = new Uint8Array(start.control, start.mailboxOffset);
  const programs = new Map<number, StageFunction[]>();
  const line = words.lines + (thread - 1) * words.lineWords;
  const pause = (Atomics as { pause?: () => void }).pause ?? (() => {});
  let bytes = new Uint8Array(0);
  let seen = 0;

  const awaitChange = (): number => {
    for (let i = 0; i < spins; i++) {
      const offer = Atomics.load(control, line);
      if (offer !== seen) return offer;
      pause();
    }
    Atomics.store(control, line + 1, 1);
    let offer = Atomics.load(control, line);
    while (offer === seen) {
      Atomics.wait(control, line, seen);
      offer = Atomics.load(control, line);
    }
    Atomics.store(control, line + 1, 0);
    return offer;
  };
  const awaitTurn = () => {
    for (;;) {
      seen = awaitChange();
      if ((seen & 3) !== 0) continue;
      const taken = seen + 1;
      if (Atomics.compareExchange(control, line, seen, taken) === seen) {
        seen = taken;
        return;
      }
    }
  };
  const load = () => {
    const total = control[words.totalBytes]!;
    const offset = control[words.partOffset]!;
    const part = mailbox.subarray(0, control[words.partBytes]);
    if (offset === 0) bytes = new Uint8Array(total);
    bytes.set(part, offset);
    if (offset + part.length < total) return;
    const module = new WebAssembly.Module(bytes);
    const instance = new WebAssembly.Instance(module, {
      env: { memory, thread: () => thread },
    });
    const stages = WebAssembly.Module.exports(module)
      .map(({ name }) => instance.exports[name] as StageFunction);
    programs.set(control[words.program]!, stages);
  };
  const run = () => {
    const stages = programs.get(control[words.program]!)!;
    const stage = stages[control[words.stage]!]!;
    const frame = control[words.frame]!;
    const items = control[words.items]!;
    const chunk = control[words.chunk]!;
    for (;;) {
      const from = Atomics.add(control, words.next, chunk);
      if (from >= items) return;
      stage(frame, from, Math.min(items, from + chunk));
    }
  };

  Atomics.store(control, line + 2, 1);
  for (;;) {
    awaitTurn();
    const command = control[words.command];
    if (command === commands.close) return;
    try {
      if (command === commands.run) run();
      else if (command === commands.load) load();
      else programs.delete(control[words.program]!);
    } catch (error) {
      const first = Atomics.compareExchange(
        control,
        words.failed,
        0,
        1 + thread,
      );
      if (first === 0) {
        // A copy: encodeInto() may not write to shared memory in browsers.
        const message = new TextEncoder().encode(`${error}`).slice(0, 1024);
        mailbox.set(message);
        Atomics.store(control, words.messageBytes, message.length);
      }
    }
    const left = Atomics.sub(control, words.pending, 1) - 1;
    if (left === 0 && Atomics.load(control, words.callerSleeps) === 1) {
      Atomics.notify(control, words.pending);
    }
  }
}
