/**
 * Where in a nest of loops a value is computed: once, at the outermost place
 * at which all it depends on is known.
 *
 * @module
 */

import type { FunctionBuilder, Hole, Local, WasmType } from "./assembler.ts";

interface Scope {
  readonly known: Map<string, Local>;
  /** Before the loop that is now open inside this scope. */
  hole: Hole | undefined;
}

/**
 * The bodies of the open loops, from the function's own (depth 0) to the
 * innermost, and what is known in each.
 */
export class Scopes {
  readonly #f: FunctionBuilder;
  readonly #open: Scope[] = [{ known: new Map(), hole: undefined }];

  /** Begins in the body of the function that `f` writes. */
  constructor(f: FunctionBuilder) {
    this.#f = f;
  }

  /** Depth of the innermost scope. */
  get depth(): number {
    return this.#open.length - 1;
  }

  /** Leaves room for what inner scopes find to be computed here. */
  leaveRoom(): void {
    this.#open.at(-1)!.hole = this.#f.hole();
  }

  /** Runs `body` in a deeper scope; after {@link leaveRoom}. */
  inside(body: () => void): void {
    this.#open.push({ known: new Map(), hole: undefined });
    body();
    this.#open.pop();
  }

  /** Says that a local holds what `key` names, at this depth and below. */
  define(depth: number, key: string, local: Local): void {
    this.#open[depth]!.known.set(key, local);
  }

  /** The local that holds what `key` names, if it is known. */
  find(depth: number, key: string): Local | undefined {
    return this.#open[depth]!.known.get(key);
  }

  /**
   * The local that holds what `key` names; it is computed first if need be.
   *
   * @param depth Where: the depth of the deepest thing that it depends on.
   * @param key Names it.
   * @param type Its type.
   * @param push Writes instructions that push it.
   */
  once(depth: number, key: string, type: WasmType, push: () => void): Local {
    const present = this.find(depth, key);
    if (present) return present;
    const local = this.#f.local(type);
    this.at(depth, () => {
      push();
      this.#f.set(local);
    });
    this.define(depth, key, local);
    return local;
  }

  /** Writes instructions at a depth. */
  at(depth: number, body: () => void): void {
    const scope = this.#open[depth]!;
    if (depth === this.depth) body();
    else this.#f.fill(scope.hole!, body);
  }
}
