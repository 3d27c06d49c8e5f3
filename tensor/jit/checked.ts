/**
 * What accesses before a place of a function have found: which indices are in
 * range, and which elements have been loaded.
 *
 * @module
 */

import type { Local } from "../wasm/assembler.ts";
import {
  type ArrayVariable,
  type Expression,
  isApply,
  type Variable,
} from "./ir.ts";

/** What is known where code is being emitted. */
export class Checked {
  #known = new Set<string>();
  #loaded = new Map<string, Local>();
  /** Counts assignments: what was known of another value does not match. */
  readonly #versions = new Map<Variable, number>();
  /** Counts stores: any of them may change any element, as arrays overlap. */
  #stores = 0;

  /** A variable gets another value. */
  assign(variable: Variable): void {
    this.#versions.set(variable, (this.#versions.get(variable) ?? 0) + 1);
  }

  /** Elements may get other values. */
  store(): void {
    this.#stores++;
  }

  /** What is found inside may not have been when the end is reached. */
  inside(body: () => void): void {
    const known = new Set(this.#known);
    const loaded = new Map(this.#loaded);
    body();
    this.#known = known;
    this.#loaded = loaded;
  }

  /** Whether an index was checked before. */
  has(array: ArrayVariable, index: Expression): boolean {
    return this.#known.has(this.#element(array, index));
  }

  /** Whether an index was checked before; from now on it is. */
  add(array: ArrayVariable, index: Expression): boolean {
    const key = this.#element(array, index);
    if (this.#known.has(key)) return true;
    this.#known.add(key);
    return false;
  }

  /** An element that was loaded before and has not changed. */
  loaded(array: ArrayVariable, index: Expression): Local | undefined {
    return this.#loaded.get(this.#content(array, index));
  }

  /** An element is in a local now. */
  keep(array: ArrayVariable, index: Expression, local: Local): void {
    this.#loaded.set(this.#content(array, index), local);
  }

  #content(array: ArrayVariable, index: Expression): string {
    return `${this.#element(array, index)}.${this.#stores}`;
  }

  #element(array: ArrayVariable, index: Expression): string {
    return `a${array.id}[${this.#key(index)}]`;
  }

  #key(x: Expression): string {
    switch (x.op) {
      case "constant":
        return `${x.constant}`;
      case "get": {
        const version = this.#versions.get(x.variable) ?? 0;
        return `v${x.variable.id}.${version}`;
      }
      case "length":
        return `l${x.array.id}`;
      case "load":
        return this.#content(x.array, x.index);
    }
    if (!isApply(x)) return x satisfies never;
    return `${x.op}(${x.args.map((arg) => this.#key(arg))})`;
  }
}
