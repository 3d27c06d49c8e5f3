/** What {@linkcode Held} gives back to. */
interface Source {
  release(acquisition: number): void;
}

/**
 * That something is held: `using` releases it at the end of the block.
 */
export class Held implements Disposable {
  #source: Source | undefined;
  readonly #acquisition: number;

  /** Made by what is acquired. */
  constructor(source: Source, acquisition: number) {
    this.#source = source;
    this.#acquisition = acquisition;
  }

  /**
   * Releases it before the block ends.
   *
   * @throws {Error} If it was released before, here or by the lock itself.
   */
  release(): void {
    const source = this.#source;
    if (source === undefined) {
      throw new Error("Held.release: it was released before: release once");
    }
    this.#source = undefined;
    source.release(this.#acquisition);
  }

  /** Releases it, if `release()` has not. */
  [Symbol.dispose](): void {
    if (this.#source !== undefined) this.release();
  }
}
