/**
 * The instructions that check where elements lie.
 *
 * @module
 */

import type { Bound } from "../view.ts";
import type { FunctionBuilder, Local } from "./assembler.ts";
import type { IndexCode } from "./index_code.ts";
import type { Lanes } from "./lanes.ts";
import type { Scopes } from "./scopes.ts";

/** A place chosen by a value: `stride * at`, where `0 <= at < extent`. */
export interface Chosen {
  /** The value: a vector if it varies. */
  readonly local: Local;
  /** Depth at which it is known. */
  readonly depth: number;
  /** Whether it differs between lanes. */
  readonly varying: boolean;
  /** Equal for equal values. */
  readonly key: string;
  /** Elements from one to the next. */
  readonly stride: number;
  /** How many there are. */
  readonly extent: number;
}

/** What is there only where some conditions hold. */
export interface Guarded {
  /** All must hold. */
  readonly bounds: readonly Bound[];
  /** Must be in range. */
  readonly chosen?: Chosen | undefined;
}

/** Writes the checks of one function. */
export class BoundsCode {
  readonly #f: FunctionBuilder;
  readonly #scopes: Scopes;
  readonly #indices: IndexCode;

  /** For one function. */
  constructor(f: FunctionBuilder, scopes: Scopes, indices: IndexCode) {
    this.#f = f;
    this.#scopes = scopes;
    this.#indices = indices;
  }

  /** All ones in the lanes where the bounds that differ between lanes hold. */
  mask(source: Guarded, lanes: Lanes): Local | undefined {
    const indices = this.#indices;
    const checks = source.bounds
      .filter((bound) => indices.varies(bound.index))
      .map((bound) => indices.vectorBound(bound, lanes));
    const { chosen } = source;
    if (chosen?.varying) {
      const { local, depth, key, extent } = chosen;
      checks.push(indices.checkVectorRange(local, depth, key, 0, extent));
    }
    return this.#all(checks, "v128");
  }

  /** An i32 that is not 0 where the bounds that are equal in all lanes hold. */
  condition(source: Guarded): Local | undefined {
    const indices = this.#indices;
    const checks = source.bounds
      .filter((bound) => !indices.varies(bound.index))
      .map((bound) => indices.uniformBound(bound));
    const { chosen } = source;
    if (chosen && !chosen.varying) {
      const { local, depth, key, extent } = chosen;
      checks.push(indices.checkRange(local, depth, key, 0, extent));
    }
    return this.#all(checks, "i32");
  }

  #all(
    checks: readonly { local: Local; depth: number; key: string }[],
    type: "i32" | "v128",
  ): Local | undefined {
    const [first, ...rest] = [...checks].sort((a, b) => a.depth - b.depth);
    let all = first;
    for (const next of rest) {
      const before = all!;
      const key = `${before.key}&${next.key}`;
      const { depth } = next;
      const local = this.#scopes.once(depth, key, type, () => {
        this.#f.get(before.local).get(next.local);
        this.#f.op(type === "i32" ? "i32.and" : "v128.and");
      });
      all = { local, depth, key };
    }
    return all?.local;
  }

  /** Bounds as a value: an i32, or a mask for each lane. */
  inside(bounds: readonly Bound[], lanes: Lanes | undefined): void {
    const f = this.#f;
    const source: Guarded = { bounds };
    const condition = this.condition(source);
    const mask = lanes ? this.mask(source, lanes) : undefined;
    if (!lanes) {
      if (condition) f.get(condition);
      else f.i32(1);
      return;
    }
    if (mask) f.get(mask);
    else f.i32x4(-1);
    if (condition) {
      f.get(condition).op("i32x4.splat").op("i32x4.neg").op("v128.and");
    }
  }
}
