/**
 * What is compiled for types of arguments, and not for too many of them.
 *
 * @module
 */

import type { ArgumentType } from "./signature.ts";

/** Beyond so many, arguments that are whole numbers are of the widest type. */
const MOST_SIGNATURES = 8;

/** What is compiled, by types. */
export class ByTypes<T extends { readonly types: readonly ArgumentType[] }> {
  readonly all: T[] = [];
  readonly #widest: "f64" | "i32";

  /**
   * Begins without any.
   *
   * @param widest What whole numbers become when there are many.
   */
  constructor(widest: "f64" | "i32" = "f64") {
    this.#widest = widest;
  }

  /** What there is for these types, or is made of them or of wider ones. */
  find(
    wanted: readonly ArgumentType[],
    make: (types: readonly ArgumentType[]) => T | undefined,
  ): T | undefined {
    let types = wanted;
    let found = this.#of(types);
    if (!found && this.all.length >= MOST_SIGNATURES) {
      types = types.map((type) =>
        ["u15", "u31", "i32"].includes(type) ? this.#widest : type
      );
      found = this.#of(types);
    }
    if (found) return found;
    const made = make(types);
    if (made) this.all.push(made);
    return made;
  }

  #of(types: readonly ArgumentType[]): T | undefined {
    return this.all.find((made) =>
      made.types.length === types.length &&
      made.types.every((type, at) => type === types[at])
    );
  }
}
