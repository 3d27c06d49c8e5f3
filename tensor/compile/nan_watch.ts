/**
 * Looks whether the results of runs are finite.
 *
 * @module
 */

import { firstNonFinite, firstNonFiniteSync } from "../device/inspect.ts";
import type { Ran, Replay } from "../device/replay.ts";
import { sizeOf } from "../shape.ts";

/** What `verify` would find as well. */
const ONLY_RESULT = "a result, but none where each operation runs alone";

/** Finds the first value that is not finite in a run whose results are not. */
export class NanWatch {
  readonly #replay: Replay;
  #found: string | undefined;
  #failure: unknown;

  constructor(replay: Replay) {
    this.#replay = replay;
  }

  /**
   * Looks at a run: at once where the device can be read so, else the next
   * {@link NanWatch.check} after some time tells.
   */
  look(ran: Ran): void {
    const { backend } = this.#replay.device;
    if (!backend.readSync) {
      void this.#lookLater(ran);
      return;
    }
    try {
      const finite = this.#floatRoots(ran).every(({ buffer, byteLength }) =>
        isFinite(backend.readSync!(buffer, byteLength))
      );
      if (!finite) {
        this.#found ??= firstNonFiniteSync(this.#replay, ran) ?? ONLY_RESULT;
      }
    } finally {
      ran.free();
    }
  }

  /**
   * Tells what was found.
   *
   * @throws {Error} With the name of the value.
   */
  check(): void {
    const [found, failure] = [this.#found, this.#failure];
    this.#found = undefined;
    this.#failure = undefined;
    if (failure !== undefined) throw failure;
    if (found === undefined) return;
    throw new Error(`compile: a value is not finite: ${found}`);
  }

  async #lookLater(ran: Ran): Promise<void> {
    const { backend } = this.#replay.device;
    try {
      const values = await Promise.all(
        this.#floatRoots(ran).map(({ buffer, byteLength }) =>
          backend.read(buffer, byteLength)
        ),
      );
      if (values.every(isFinite)) return;
      this.#found ??= await firstNonFinite(this.#replay, ran) ?? ONLY_RESULT;
    } catch (error) {
      this.#failure ??= error;
    } finally {
      ran.free();
    }
  }

  #floatRoots(ran: Ran) {
    return this.#replay.signature.roots.flatMap(({ dtype, shape }, root) =>
      dtype === "float32"
        ? [{ buffer: ran.roots[root]!, byteLength: 4 * sizeOf(shape) }]
        : []
    );
  }
}

/** Whether all values are finite: their exponents are not all ones. */
function isFinite(bytes: ArrayBuffer): boolean {
  return new Uint32Array(bytes).every((bits) =>
    (bits & 0x7f800000) !== 0x7f800000
  );
}
