/**
 * Scopes free the tensors made in them.
 *
 * @module
 */

import { defer, releaseTogether } from "./device/session.ts";
import { nodeOf, Tensor } from "./tensor.ts";

/** What a scope can free. */
export interface Disposable {
  /** Gives the memory back. */
  dispose(): void;
}

const open: Scope[] = [];

/**
 * Frees, at its end, the memory of all tensors made since its start, but for
 * those given to {@link Scope.keep} and the new values of variables. Without a
 * scope the garbage collector frees them, in its own time.
 *
 * Scopes nest; they follow the order of the program, so that two loops that
 * interleave at their awaits must not both use them.
 *
 * @example One scope a step keeps memory flat
 * ```ts
 * import { Scope, tensor } from "@heddle/tensor";
 * import { assertEquals } from "@std/assert";
 *
 * const total = tensor(0);
 * for (let step = 1; step <= 3; step++) {
 *   using _scope = new Scope();
 *   const batch = tensor([step, step]);
 *   total.assign(total.add(batch.sum()));
 *   await total.realize();
 * }
 * assertEquals(await total.item(), 12);
 * ```
 */
export class Scope {
  readonly #made: Disposable[] = [];
  readonly #kept: Set<Disposable> = new Set();

  /** Starts a scope. */
  constructor() {
    open.push(this);
  }

  /** Counts a tensor in. */
  add(tensor: Disposable): void {
    this.#made.push(tensor);
  }

  /** Leaves a tensor to the scope around this one, and returns it. */
  keep<T extends Disposable>(tensor: T): T {
    this.#kept.add(tensor);
    return tensor;
  }

  /** Ends the scope. */
  dispose(): void {
    const at = open.lastIndexOf(this);
    if (at < 0) return;
    open.splice(at, 1);
    const outer = open[at - 1];
    // What is kept may be made of what is not: it is computed while that is there.
    for (const kept of this.#kept) {
      if (kept instanceof Tensor) defer(nodeOf(kept));
    }
    releaseTogether(() => {
      for (const tensor of this.#made) {
        if (!this.#kept.has(tensor)) tensor.dispose();
        else outer?.add(tensor);
      }
    });
    this.#made.length = 0;
  }

  /** Ends the scope with a `using` block. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** Counts a tensor in to the innermost open scope. */
export function track(tensor: Disposable): void {
  open.at(-1)?.add(tensor);
}
