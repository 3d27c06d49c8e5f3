/**
 * Loads from the tables of index expressions.
 *
 * @module
 */

import type { FunctionBuilder, Hole, Local } from "./assembler.ts";

/** Reads words of a table at one place, each once. */
export class TableReader {
  readonly #f: FunctionBuilder;
  readonly #pointer: Local;
  readonly #offset: number;
  readonly #hole: Hole | undefined;
  readonly #words = new Map<number, Local>();
  readonly #splats = new Map<number, Local>();
  readonly #vectors = new Map<number, Local>();

  /**
   * Reads nothing yet.
   *
   * @param f Where to write code.
   * @param pointer Address of the place in the first entry.
   * @param lane Lanes behind the pointer.
   * @param hole Where the loads go; by default to where they are asked for.
   */
  constructor(f: FunctionBuilder, pointer: Local, lane: number, hole?: Hole) {
    this.#f = f;
    this.#pointer = pointer;
    this.#offset = 4 * lane;
    this.#hole = hole;
  }

  /** The word of an entry, of one lane. */
  word(entry: number, lane: number = 0): Local {
    return this.#read(this.#words, entry + 4 * lane, "i32.load");
  }

  /** The same in four lanes. */
  splat(entry: number): Local {
    return this.#read(this.#splats, entry, "v128.load32_splat");
  }

  /** The words of an entry, of four lanes. */
  vector(entry: number): Local {
    return this.#read(this.#vectors, entry, "v128.load");
  }

  #read(
    known: Map<number, Local>,
    entry: number,
    op: "i32.load" | "v128.load" | "v128.load32_splat",
  ): Local {
    const present = known.get(entry);
    if (present) return present;
    const local = this.#f.local(op === "i32.load" ? "i32" : "v128");
    const load = () => {
      this.#f.get(this.#pointer);
      this.#f.memory(op, entry + this.#offset).set(local);
    };
    if (this.#hole) this.#f.fill(this.#hole, load);
    else load();
    known.set(entry, local);
    return local;
  }
}
