/**
 * What is written to stderr meanwhile, instead of writing it: worker processes
 * that run out of memory say a lot.
 *
 * @module
 */

/** Takes the place of stderr until it is disposed of. */
export class CaptureStderr implements Disposable {
  /** What was written. */
  text = "";
  readonly #writeSync = Deno.stderr.writeSync;
  readonly #decoder = new TextDecoder();

  constructor() {
    Deno.stderr.writeSync = (bytes) => {
      this.text += this.#decoder.decode(bytes, { stream: true });
      return bytes.length;
    };
  }

  [Symbol.dispose](): void {
    Deno.stderr.writeSync = this.#writeSync;
  }
}
