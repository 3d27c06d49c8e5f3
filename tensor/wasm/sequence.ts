/**
 * Lists of stages that run one after the other, and how threads share them.
 *
 * @module
 */

import { STAGE_WORDS } from "./threads_worker.ts";

/** A function of a program: does the items `[start, end)`. */
export type Stage = (frame: number, start: number, end: number) => void;

/** A module that a pool has made ready. */
export interface Program {
  /** Names it to the threads. */
  readonly id: number;
  /** Its functions, on the calling thread. */
  readonly stages: ReadonlyMap<string, Stage>;
  /** The position of each among the exports. */
  readonly order: ReadonlyMap<string, number>;
  /** Its binary form. */
  readonly bytes: Uint8Array;
  /** The program whose functions it imports. */
  readonly library: Program | undefined;
}

/** One stage of a sequence. */
export interface Step {
  /** Whose function. */
  readonly program: Program;
  /** Name of the function. */
  readonly stage: string;
  /** What it is given, counted from the address that a run is given. */
  readonly frame: number;
  /** How many items; a thread gets runs of neighbours. */
  readonly items: number;
  /** Runs are multiples of this, except for the last. */
  readonly grain: number;
}

/** Steps that run together: one that threads share, or several of one thread. */
export interface Group {
  /** Its steps are `[from, to)`. */
  readonly from: number;
  readonly to: number;
  /** Items that one ticket stands for, or 0 if the calling thread does all. */
  readonly chunk: number;
  /** Its tickets are `[first, end)`. */
  readonly first: number;
  readonly end: number;
}

/** Chunks a thread gets at least, so that a slow one does not hold the rest. */
const TURNS = 4;
/** So that the end of a chunk is a signed number. */
const MAX_ITEMS = 0x3fffffff;

/** Steps made ready; they stay as they are. */
export class Sequence {
  /** Names it to the threads. */
  readonly id: number;
  /** What it was made from. */
  readonly steps: readonly Step[];
  /** The function of each step. */
  readonly calls: readonly Stage[];
  /** In order. */
  readonly groups: readonly Group[];
  /** Tickets of all groups. */
  readonly tickets: number;
  /** Whether there is anything to share. */
  readonly shared: boolean;

  /**
   * Decides who does what.
   *
   * @param id One that no other sequence or program of the pool has.
   * @param steps Those without items are left out.
   * @param threads That share the work.
   */
  constructor(id: number, steps: readonly Step[], threads: number) {
    this.id = id;
    this.steps = steps.filter(({ items }) => items > 0);
    this.calls = this.steps.map(({ program, stage }) =>
      program.stages.get(stage)!
    );
    this.groups = groupsOf(this.steps, threads);
    this.tickets = this.groups.at(-1)?.end ?? 0;
    this.shared = this.groups.some(({ chunk }) => chunk > 0);
  }

  /** What the workers have to know, {@link STAGE_WORDS} a shared stage. */
  words(): Int32Array {
    const shared = this.groups.filter(({ chunk }) => chunk > 0);
    const words = new Int32Array(STAGE_WORDS * shared.length);
    shared.forEach(({ from, chunk, first, end }, at) => {
      const { program, stage, frame, items } = this.steps[from]!;
      const position = program.order.get(stage)!;
      words.set(
        [program.id, position, frame, items, chunk, first, end],
        STAGE_WORDS * at,
      );
    });
    return words;
  }
}

function groupsOf(steps: readonly Step[], threads: number): Group[] {
  const groups: Group[] = [];
  let first = 0;
  for (let from = 0; from < steps.length;) {
    const chunk = chunkOf(steps[from]!, threads);
    let to = from + 1;
    if (chunk === 0) {
      while (to < steps.length && chunkOf(steps[to]!, threads) === 0) to++;
    }
    const count = chunk > 0 ? Math.ceil(steps[from]!.items / chunk) : 1;
    groups.push({ from, to, chunk, first, end: first + count });
    first += count;
    from = to;
  }
  return groups;
}

/** Items of a ticket; 0 where there is too little to share. */
function chunkOf({ items, grain }: Step, threads: number): number {
  if (items <= grain || threads === 1 || items > MAX_ITEMS) return 0;
  const units = Math.ceil(items / grain);
  const sharing = Math.min(threads, units);
  return grain * Math.max(1, Math.floor(units / (sharing * TURNS)));
}
