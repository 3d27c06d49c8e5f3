/**
 * Waiting for a GPU to be done.
 *
 * @module
 */

/** Promises left alone at a time; see {@link Idle.wait}. */
const MOST_LEFT = 16;

/** Waits for all work that was sent off, without its promise if need be. */
export class Idle {
  readonly #queue: GPUQueue;
  #left = 0;

  constructor(queue: GPUQueue) {
    this.#queue = queue;
  }

  /**
   * Resolves when all work that was sent off is done, or with a lost device.
   *
   * In Deno the call of `onSubmittedWorkDone` itself returns only then, and its
   * promise resolves 10 ms later, so nobody waits for that. Should a promise
   * ever not follow its call closely, those left alone add up and are waited
   * for.
   */
  async wait(): Promise<void> {
    this.#left++;
    const done = this.#queue.onSubmittedWorkDone()
      .then(() => {}, () => {}).finally(() => this.#left--);
    const waitsInCall = "Deno" in globalThis;
    if (!waitsInCall || this.#left > MOST_LEFT) await done;
  }
}
