/**
 * What stays the same while one function computes values for four lanes at a
 * time: where they lie is a sum of two words, one from the table of the axes
 * that the lanes run over (the vector side), one from that of the axes at which
 * all four stand still (the scalar side).
 *
 * @module
 */

import {
  argumentsOf,
  indicesOf,
  type LoopKernel,
  type ValueId,
} from "../kernel/kernel.ts";
import {
  axesOf,
  type Axis,
  type Division,
  type Index,
  isDivision,
  type Term,
} from "../view.ts";
import type { FunctionBuilder, Local } from "./assembler.ts";
import { contiguousShare } from "./contiguity.ts";
import type { Helpers } from "./helpers.ts";
import { dependsOn, type LaneTable } from "./lane_table.ts";

/** One of the two tables. */
export type SideName = "vector" | "scalar";

/** How a {@link QuadContext} is made. */
export interface QuadOptions {
  /** Where to write code. */
  readonly f: FunctionBuilder;
  /** Whose values. */
  readonly kernel: LoopKernel;
  /** Functions of the module. */
  readonly helpers: Helpers;
  /** Address of the frame. */
  readonly frame: Local;
  /** What the four lanes run over. */
  readonly vector: LaneTable;
  /** What they share. */
  readonly scalar: LaneTable;
  /** The side whose table also holds what belongs to neither. */
  readonly home: SideName;
  /** The side that changes in the innermost loop. */
  readonly inner: SideName;
}

/** An index split by what its parts depend on. */
export interface Sum {
  /** Its entry in the table of the vector side. */
  readonly vector: number | undefined;
  /** Its entry in the table of the scalar side. */
  readonly scalar: number | undefined;
  /** Whether it is the same in all four lanes. */
  readonly uniform: boolean;
  /** Divisions of sums that depend on both sides. */
  readonly mixed: readonly {
    /** Quotient or remainder. */
    readonly division: Division;
    /** What the result is multiplied by. */
    readonly factor: number;
    /** The dividend. */
    readonly of: Sum;
  }[];
}

/** Knows the tables, and what depends on which. */
export class QuadContext implements QuadOptions {
  readonly f: FunctionBuilder;
  readonly kernel: LoopKernel;
  readonly helpers: Helpers;
  readonly frame: Local;
  readonly vector: LaneTable;
  readonly scalar: LaneTable;
  readonly home: SideName;
  readonly inner: SideName;
  readonly #axes: Record<SideName, ReadonlySet<Axis>>;
  readonly #changing: readonly boolean[];
  readonly #sums = new Map<Index, Map<string, Sum>>();

  /** Looks at the kernel. */
  constructor(options: QuadOptions) {
    this.f = options.f;
    this.kernel = options.kernel;
    this.helpers = options.helpers;
    this.frame = options.frame;
    this.vector = options.vector;
    this.scalar = options.scalar;
    this.home = options.home;
    this.inner = options.inner;
    this.#axes = {
      vector: new Set(this.vector.side.axes),
      scalar: new Set(this.scalar.side.axes),
    };
    this.#changing = changingValues(this.kernel, this.#axes[this.inner]);
  }

  /** Whether a value changes in the innermost loop. */
  changes(id: ValueId): boolean {
    return this.#changing[id]!;
  }

  /** Whether four lanes can be neighbours in memory. */
  canBeContiguous(index: Index): boolean {
    const { vector, scalar } = this.#axes;
    return contiguousShare(index, this.vector.side) > 0 &&
      index.terms.every(({ atom }) =>
        !dependsOn(atom, vector) || !dependsOn(atom, scalar)
      );
  }

  /**
   * Finds or makes the entries of `scale * (index + shift)`, plus the address
   * of a buffer.
   */
  split(
    index: Index,
    scale: number,
    buffer?: number,
    shift: number = 0,
  ): Sum {
    const known = this.#sums.get(index) ?? new Map<string, Sum>();
    this.#sums.set(index, known);
    const key = `${scale} ${buffer} ${shift}`;
    let sum = known.get(key);
    if (!sum) {
      sum = this.#split(index, scale, buffer, shift);
      known.set(key, sum);
    }
    return sum;
  }

  #split(
    index: Index,
    scale: number,
    buffer: number | undefined,
    shift: number,
  ): Sum {
    const { vector, scalar } = this.#axes;
    const parts: Record<SideName, Term[]> = { vector: [], scalar: [] };
    const rest: Term[] = [];
    const mixed: Sum["mixed"][number][] = [];
    for (const term of index.terms) {
      const { atom, coefficient } = term;
      const byVector = dependsOn(atom, vector);
      const byScalar = dependsOn(atom, scalar);
      if (byVector && byScalar && isDivision(atom)) {
        const of = this.split(atom.of, 1);
        mixed.push({ division: atom, factor: scale * coefficient, of });
      } else if (byVector) parts.vector.push(term);
      else if (byScalar) parts.scalar.push(term);
      else rest.push(term);
    }
    const holder = this.#holder(parts);
    const entry = (side: SideName) => {
      const held = side === holder;
      if (parts[side].length === 0 && !held) return undefined;
      const part = {
        ...index,
        terms: held ? [...parts[side], ...rest] : parts[side],
        constant: held ? index.constant + shift : 0,
      };
      return this[side].add(part, scale, held ? buffer : undefined);
    };
    const uniform = parts.vector.length === 0 && mixed.length === 0;
    return { vector: entry("vector"), scalar: entry("scalar"), uniform, mixed };
  }

  /** The side that holds what belongs to neither. */
  #holder(parts: Readonly<Record<SideName, readonly Term[]>>): SideName {
    if (parts[this.home].length > 0) return this.home;
    const other = this.home === "vector" ? "scalar" : "vector";
    if (parts[other].length > 0) return other;
    // Read before the loop.
    return this.inner === "vector" ? "scalar" : "vector";
  }
}

function changingValues(
  kernel: LoopKernel,
  axes: ReadonlySet<Axis>,
): boolean[] {
  const changing: boolean[] = [];
  kernel.values.forEach((value, id) => {
    changing[id] = id === kernel.contract?.product ||
      argumentsOf(value).some((arg) => changing[arg]) ||
      indicesOf(value).some((index) =>
        [...axesOf(index)].some((axis) => axes.has(axis))
      );
  });
  return changing;
}
