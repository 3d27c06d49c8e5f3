/**
 * The instructions of index expressions: each part of a sum is computed at the
 * depth at which it is known, on one element or on four neighbours along the
 * vector axis.
 *
 * @module
 */

import {
  type Atom,
  atomKey,
  axesOf,
  type Axis,
  type Bound,
  type Division,
  type Index,
  isDivision,
} from "../view.ts";
import type { FunctionBuilder, Local } from "./assembler.ts";
import { emitDivision, emitVectorDivision } from "./division_code.ts";
import type { Lanes } from "./lanes.ts";
import type { Scopes } from "./scopes.ts";

/** A part of a sum of 32-bit integers. */
export interface Addend {
  /** Depth at which it is known. */
  readonly depth: number;
  /** Equal for equal addends. */
  readonly key: string;
  /** Writes instructions that push it. */
  readonly push: () => void;
}

/** An index taken apart by how it runs along the vector axis. */
export interface Parts {
  /** What is the same in all lanes, scaled, without the constant. */
  readonly uniform: readonly Addend[];
  /** Least value of that, not scaled. */
  readonly low: number;
  /** The constant, scaled. */
  readonly constant: number;
  /** Step from one lane to the next, not scaled. */
  readonly stride: number;
  /** Quotients and remainders that differ between lanes, not scaled. */
  readonly divisions: readonly {
    readonly atom: Division;
    readonly coefficient: number;
  }[];
}

/** Writes index expressions of one function. */
export class IndexCode {
  readonly #f: FunctionBuilder;
  readonly #scopes: Scopes;
  readonly #depthOf: ReadonlyMap<Axis, number>;
  readonly #vector: Axis | undefined;
  /** Where each loop is now. */
  readonly positions: Map<Axis, Local> = new Map();

  /** For the loops whose axes `depthOf` lists. */
  constructor(
    f: FunctionBuilder,
    scopes: Scopes,
    depthOf: ReadonlyMap<Axis, number>,
    vector: Axis | undefined,
  ) {
    this.#f = f;
    this.#scopes = scopes;
    this.#depthOf = depthOf;
    this.#vector = vector;
  }

  /** Depth at which all axes of an index are known. */
  depthOfIndex(index: Index): number {
    return Math.max(
      0,
      ...[...axesOf(index)].map((axis) => this.#depthOf.get(axis)!),
    );
  }

  /** Whether an index differs between the lanes of a vector. */
  varies(index: Index): boolean {
    return this.#vector !== undefined && axesOf(index).has(this.#vector);
  }

  /**
   * Takes an index apart.
   *
   * @param index What.
   * @param scale Factor for the addends: 4 for byte addresses.
   */
  parts(index: Index, scale: number): Parts {
    const uniform: Addend[] = [];
    const divisions: { atom: Division; coefficient: number }[] = [];
    let low = 0;
    let stride = 0;
    for (const { atom, coefficient } of index.terms) {
      if (atom === this.#vector) stride = coefficient;
      else if (isDivision(atom) && this.varies(atom.of)) {
        divisions.push({ atom, coefficient });
      } else {
        low += coefficient *
          (coefficient > 0 ? leastOf(atom) : greatestOf(atom));
        uniform.push(this.#term(atom, coefficient * scale));
      }
    }
    const constant = index.constant * scale;
    return { uniform, low, constant, stride, divisions };
  }

  /** A constant as a part of a sum. */
  constant(value: number): Addend[] {
    if (value === 0) return [];
    const push = () => this.#f.i32(value);
    return [{ depth: 0, key: `${value | 0}`, push }];
  }

  /** All addends of an index that is the same in all lanes. */
  addends(index: Index, scale: number): Addend[] {
    const { uniform, constant } = this.parts(index, scale);
    return [...uniform, ...this.constant(constant)];
  }

  /** Where the loop of the vector axis is, times `factor`. */
  loopAddend(lanes: Lanes, factor: number): Addend[] {
    const { base } = lanes;
    if (!base || factor === 0) return [];
    return [{
      depth: this.#depthOf.get(this.#vector!)!,
      key: `${factor}*v`,
      push: () => {
        this.#f.get(base);
        this.#multiply(factor);
      },
    }];
  }

  /** A local with a sum; parts known further out are added further out. */
  sum(
    addends: readonly Addend[],
  ): { local: Local; depth: number; key: string } {
    const sorted = [...addends].sort((a, b) => a.depth - b.depth);
    let key = "sum";
    let depth = 0;
    let local: Local | undefined;
    for (let from = 0; from < sorted.length;) {
      depth = sorted[from]!.depth;
      const level: Addend[] = [];
      while (sorted[from]?.depth === depth) level.push(sorted[from++]!);
      key += level.map((addend) => `+${addend.key}`).join("");
      const outer = local;
      local = this.#scopes.once(depth, key, "i32", () => {
        if (outer) this.#f.get(outer);
        level.forEach((addend, position) => {
          addend.push();
          if (outer || position > 0) this.#f.op("i32.add");
        });
      });
    }
    local ??= this.#scopes.once(0, key, "i32", () => this.#f.i32(0));
    return { local, depth, key };
  }

  /** A local with the value of an index that is the same in all lanes. */
  uniform(index: Index): Local {
    return this.sum(this.addends(index, 1)).local;
  }

  /**
   * A local with `scale * index + extra` for each lane.
   *
   * @param index What.
   * @param scale Factor.
   * @param lanes Which elements.
   * @param extra Added to all lanes.
   */
  vector(
    index: Index,
    scale: number,
    lanes: Lanes,
    extra: readonly Addend[] = [],
  ): { local: Local; depth: number; key: string } {
    const f = this.#f;
    const { uniform, constant, stride, divisions } = this.parts(index, scale);
    const step = stride * scale;
    const start = this.sum([
      ...extra,
      ...uniform,
      ...this.loopAddend(lanes, step),
    ]);
    const quotients = divisions.map(({ atom, coefficient }) => ({
      ...this.#division(atom, lanes),
      coefficient: coefficient * scale,
    }));
    const depth = Math.max(
      start.depth,
      this.#depthOf.get(this.#vector!)!,
      ...quotients.map((quotient) => quotient.depth),
    );
    const key = `${start.key}+${constant}+${step}${lanes.key}${
      quotients.map((one) => `+${one.coefficient}*${one.key}`).join("")
    }`;
    const local = this.#scopes.once(depth, key, "v128", () => {
      f.get(start.local).op("i32x4.splat");
      if (stride !== 0 || constant !== 0) {
        const at = (lane: number) => constant + (lanes.offset + lane) * step;
        f.get(f.constant(at(0), at(1), at(2), at(3))).op("i32x4.add");
      }
      for (const quotient of quotients) {
        f.get(quotient.local);
        if (quotient.coefficient !== 1) {
          f.i32x4(quotient.coefficient).op("i32x4.mul");
        }
        f.op("i32x4.add");
      }
    });
    return { local, depth, key };
  }

  /** An i32 that is not 0 where a bound that is the same in all lanes holds. */
  uniformBound(bound: Bound): { local: Local; depth: number; key: string } {
    const { local, depth, key } = this.sum(this.addends(bound.index, 1));
    return this.checkRange(local, depth, key, bound.low, bound.high);
  }

  /** An i32 that is not 0 where `low <= value < high`. */
  checkRange(
    value: Local,
    depth: number,
    key: string,
    low: number,
    high: number,
  ): { local: Local; depth: number; key: string } {
    const f = this.#f;
    const name = `${low}<=${key}<${high}`;
    const local = this.#scopes.once(depth, name, "i32", () => {
      f.get(value);
      if (low !== 0) f.i32(low).op("i32.sub");
      f.i32(high - low).op("i32.lt_u");
    });
    return { local, depth, key: name };
  }

  /** All ones in the lanes where a bound holds. */
  vectorBound(
    bound: Bound,
    lanes: Lanes,
  ): { local: Local; depth: number; key: string } {
    const { local, depth, key } = this.vector(bound.index, 1, lanes);
    return this.checkVectorRange(local, depth, key, bound.low, bound.high);
  }

  /** All ones in the lanes where `low <= value < high`. */
  checkVectorRange(
    value: Local,
    depth: number,
    key: string,
    low: number,
    high: number,
  ): { local: Local; depth: number; key: string } {
    const f = this.#f;
    const name = `${low}<=${key}<${high}`;
    const local = this.#scopes.once(depth, name, "v128", () => {
      f.get(value);
      if (low !== 0) f.i32x4(low).op("i32x4.sub");
      f.i32x4(high - low).op("i32x4.lt_u");
    });
    return { local, depth, key: name };
  }

  #multiply(factor: number): void {
    if (factor === 1) return;
    const shift = Math.log2(factor);
    if (Number.isInteger(shift)) this.#f.i32(shift).op("i32.shl");
    else this.#f.i32(factor).op("i32.mul");
  }

  #term(atom: Atom, factor: number): Addend {
    if (!isDivision(atom)) {
      return {
        depth: this.#depthOf.get(atom)!,
        key: `${factor}*i${atom.id}`,
        push: () => {
          this.#f.get(this.positions.get(atom)!);
          this.#multiply(factor);
        },
      };
    }
    return {
      depth: this.depthOfIndex(atom.of),
      key: `${factor}*${atomKey(atom)}`,
      push: () => {
        this.#f.get(this.#uniformDivision(atom));
        this.#multiply(factor);
      },
    };
  }

  #uniformDivision(atom: Division): Local {
    const f = this.#f;
    const of = this.sum(this.addends(atom.of, 1));
    return this.#scopes.once(of.depth, atomKey(atom), "i32", () => {
      f.get(of.local);
      emitDivision(f, atom);
    });
  }

  #division(
    atom: Division,
    lanes: Lanes,
  ): { local: Local; depth: number; key: string } {
    const f = this.#f;
    const of = this.vector(atom.of, 1, lanes);
    const key = `${atomKey(atom)}${lanes.key}`;
    const local = this.#scopes.once(of.depth, key, "v128", () => {
      f.get(of.local);
      emitVectorDivision(f, atom);
    });
    return { local, depth: of.depth, key };
  }
}

function leastOf(atom: Atom): number {
  if (!isDivision(atom)) return 0;
  return atom.kind === "remainder" ? 0 : Math.floor(atom.of.low / atom.by);
}

function greatestOf(atom: Atom): number {
  if (!isDivision(atom)) return atom.extent - 1;
  if (atom.kind === "remainder") return atom.by - 1;
  return Math.floor(atom.of.high / atom.by);
}
