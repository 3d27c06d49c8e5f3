/**
 * Which indices are known to be in range at a place of a function, because an
 * access before it has checked the same.
 *
 * @module
 */

import {
  type ArrayVariable,
  type Expression,
  isApply,
  type Variable,
} from "./ir.ts";

/** Checks that hold where code is being emitted. */
export class Checked {
  #known = new Set<string>();
  /** Counts assignments: what was known of another value does not match. */
  readonly #versions = new Map<Variable, number>();

  /** A variable gets another value. */
  assign(variable: Variable): void {
    this.#versions.set(variable, (this.#versions.get(variable) ?? 0) + 1);
  }

  /** What is checked inside may not have been when the end is reached. */
  inside(body: () => void): void {
    const before = new Set(this.#known);
    body();
    this.#known = before;
  }

  /** Whether an index was checked before. */
  has(array: ArrayVariable, index: Expression): boolean {
    const key = this.#key(index);
    return key !== undefined && this.#known.has(`${array.id}[${key}]`);
  }

  /** Whether an index was checked before; from now on it is. */
  add(array: ArrayVariable, index: Expression): boolean {
    const key = this.#key(index);
    if (key === undefined) return false;
    const both = `${array.id}[${key}]`;
    if (this.#known.has(both)) return true;
    this.#known.add(both);
    return false;
  }

  #key(x: Expression): string | undefined {
    switch (x.op) {
      case "constant":
        return `${x.constant}`;
      case "get": {
        const version = this.#versions.get(x.variable) ?? 0;
        return `v${x.variable.id}.${version}`;
      }
      case "length":
        return `l${x.array.id}`;
      case "load": // an element may have changed
        return undefined;
    }
    if (!isApply(x)) return x satisfies never;
    const args = x.args.map((arg) => this.#key(arg));
    return args.includes(undefined) ? undefined : `${x.op}(${args})`;
  }
}
