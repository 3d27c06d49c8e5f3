/**
 * The random keys that a function draws, to draw the same when it runs again.
 *
 * @module
 */

/** Keys in the order in which a function draws them. */
export class KeyTape<Key> {
  readonly #keys: Key[] = [];
  #at = 0;
  #isReplaying = false;
  /** The tape of the function around this one. */
  #outer: KeyTape<Key> | undefined;

  static #current: KeyTape<unknown> | undefined;

  /** Runs a function: the first time its keys are noted, then given again. */
  run<T>(f: () => T): T {
    this.#outer = KeyTape.#current as KeyTape<Key> | undefined;
    this.#at = 0;
    KeyTape.#current = this;
    try {
      return f();
    } finally {
      KeyTape.#current = this.#outer;
      this.#isReplaying = true;
    }
  }

  /** The next key of the functions under way, or a fresh one. */
  static next<Key>(fresh: () => Key): Key {
    const tape = KeyTape.#current as KeyTape<Key> | undefined;
    return tape ? tape.#next(fresh) : fresh();
  }

  #next(fresh: () => Key): Key {
    if (this.#isReplaying && this.#at < this.#keys.length) {
      return this.#keys[this.#at++]!;
    }
    const key = this.#outer ? this.#outer.#next(fresh) : fresh();
    this.#at = this.#keys.push(key);
    return key;
  }
}
