/**
 * Tables of index expressions over one group of axes, so that an element's
 * place is a sum of two words: one of its row, one of its column.
 *
 * @module
 */

import { type Axis, type Index, indexKey, isDivision } from "../view.ts";
import type {
  Callable,
  FunctionBuilder,
  Local,
  ModuleBuilder,
} from "./assembler.ts";

/** Axes that are run through as one, the last fastest. */
export interface Side {
  /** Outermost first. */
  readonly axes: readonly Axis[];
  /** Number of positions, called lanes here. */
  readonly extent: number;
}

/** The axes as a side; those of extent 1 do not count. */
export function sideOf(axes: readonly Axis[]): Side {
  return {
    axes: axes.filter(({ extent }) => extent !== 1),
    extent: axes.reduce((product, { extent }) => product * extent, 1),
  };
}

interface Entry {
  readonly index: Index;
  readonly scale: number;
  readonly buffer: number | undefined;
}

/**
 * For each lane of a run of lanes, some words: `scale * index`, plus the
 * address of a buffer. Words of one entry are neighbours. Lanes past the last
 * repeat it.
 */
export class LaneTable {
  /** What the lanes run over. */
  readonly side: Side;
  /** Lanes that there is room for. */
  readonly capacity: number;
  readonly #entries: Entry[] = [];
  readonly #keys = new Map<string, number>();

  /** An empty table. */
  constructor(side: Side, capacity: number) {
    this.side = side;
    this.capacity = capacity;
  }

  /** Bytes between a word and the same of the next entry. */
  get entryBytes(): number {
    return 4 * this.capacity;
  }

  /** Bytes of the whole. */
  get bytes(): number {
    return this.#entries.length * this.entryBytes;
  }

  /** Makes room for an expression; equal ones share it. Returns its offset. */
  add(index: Index, scale: number, buffer: number | undefined): number {
    const key = `${scale} ${buffer} ${indexKey(index)}`;
    let position = this.#keys.get(key);
    if (position === undefined) {
      position = this.#entries.push({ index, scale, buffer }) - 1;
      this.#keys.set(key, position);
    }
    return position * this.entryBytes;
  }

  /**
   * Adds the function `(frame, table, first, count, batch)` that writes the
   * words of lanes `first` to `first + count` at `table`, for the batch of that
   * number. `count` is at least 1.
   */
  emitFill(module: ModuleBuilder, batch: Side): Callable {
    const params = ["i32", "i32", "i32", "i32", "i32"] as const;
    return module.function(undefined, params, [], (f) => {
      const [frame, table, first, count, batchNumber] = f.params as [
        Local,
        Local,
        Local,
        Local,
        Local,
      ];
      if (this.#entries.length === 0) return;
      const digits = new Map<Axis, Local>();
      emitDigits(f, batch, batchNumber, digits);
      emitDigits(f, this.side, first, digits);
      const own = new Set(this.side.axes);
      const bases = this.#entries.map(({ index, scale, buffer }) => {
        const base = f.local("i32");
        const rest = index.terms.filter((term) => !dependsOn(term.atom, own));
        emitTerms(f, { ...index, terms: rest }, scale, digits);
        if (buffer !== undefined) {
          f.get(frame).memory("i32.load", 4 * buffer).op("i32.add");
        }
        f.set(base);
        return base;
      });
      const left = f.local("i32");
      f.i32(this.side.extent - 1).get(first).op("i32.sub").set(left);
      f.loop((again) => {
        this.#entries.forEach(({ index, scale }, position) => {
          const terms = index.terms.filter((term) => dependsOn(term.atom, own));
          f.get(table);
          emitTerms(f, { terms, constant: 0 }, scale, digits);
          f.get(bases[position]!).op("i32.add");
          f.memory("i32.store", position * this.entryBytes);
        });
        f.get(table).i32(4).op("i32.add").set(table);
        f.get(left).i32(0).op("i32.gt_s").if(() => {
          f.get(left).i32(1).op("i32.sub").set(left);
          emitIncrement(f, this.side.axes, digits);
        });
        f.get(count).i32(1).op("i32.sub").tee(count).brIf(again);
      });
    });
  }
}

/** Whether an atom changes with one of the axes. */
export function dependsOn(
  atom: Index["terms"][number]["atom"],
  axes: ReadonlySet<Axis>,
): boolean {
  return isDivision(atom)
    ? atom.of.terms.some((term) => dependsOn(term.atom, axes))
    : axes.has(atom);
}

/** Splits a position into that of each axis, in new locals. */
function emitDigits(
  f: FunctionBuilder,
  side: Side,
  position: Local,
  digits: Map<Axis, Local>,
): void {
  const rest = f.local("i32");
  f.get(position).set(rest);
  side.axes.toReversed().forEach((axis, i) => {
    const digit = f.local("i32");
    digits.set(axis, digit);
    if (i === side.axes.length - 1) {
      f.get(rest).set(digit);
      return;
    }
    f.get(rest).i32(axis.extent).op("i32.rem_u").set(digit);
    f.get(rest).i32(axis.extent).op("i32.div_u").set(rest);
  });
}

function emitIncrement(
  f: FunctionBuilder,
  axes: readonly Axis[],
  digits: ReadonlyMap<Axis, Local>,
): void {
  const axis = axes.at(-1);
  if (!axis) return;
  const digit = digits.get(axis)!;
  f.get(digit).i32(1).op("i32.add").tee(digit);
  if (axes.length === 1) {
    f.op("drop");
    return;
  }
  f.i32(axis.extent).op("i32.eq").if(() => {
    f.i32(0).set(digit);
    emitIncrement(f, axes.slice(0, -1), digits);
  });
}

/** Pushes `scale * index`, the axes being in locals. */
function emitTerms(
  f: FunctionBuilder,
  { terms, constant }: Pick<Index, "terms" | "constant">,
  scale: number,
  digits: ReadonlyMap<Axis, Local>,
): void {
  f.i32(scale * constant);
  for (const { atom, coefficient } of terms) {
    if (isDivision(atom)) {
      emitTerms(f, atom.of, 1, digits);
      emitFloorDivision(f, atom.kind, atom.by);
    } else {
      f.get(digits.get(atom)!);
    }
    const factor = scale * coefficient;
    if (factor !== 1) f.i32(factor).op("i32.mul");
    f.op("i32.add");
  }
}

/** Pops an i32, pushes its floor quotient or its remainder, which is >= 0. */
export function emitFloorDivision(
  f: FunctionBuilder,
  kind: "quotient" | "remainder",
  by: number,
): void {
  const value = f.local("i32");
  if (Number.isInteger(Math.log2(by))) {
    if (kind === "quotient") f.i32(Math.log2(by)).op("i32.shr_s");
    else f.i32(by - 1).op("i32.and");
    return;
  }
  f.set(value);
  if (kind === "quotient") {
    // Towards zero, less 1 where a negative dividend leaves a remainder.
    f.get(value).i32(by).op("i32.div_s");
    f.get(value).i32(by).op("i32.rem_s").i32(0).op("i32.lt_s").op("i32.sub");
    return;
  }
  f.get(value).i32(by).op("i32.rem_s").tee(value);
  f.get(value).i32(31).op("i32.shr_s").i32(by).op("i32.and").op("i32.add");
}
