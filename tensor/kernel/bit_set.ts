/**
 * Sets of small whole numbers, cheap to unite.
 *
 * @module
 */

/** A set of whole numbers from 0, one bit each. */
export class BitSet {
  #words = new Uint32Array(1);

  /** Whether the number is in it. */
  has(number: number): boolean {
    const word = this.#words[number >>> 5] ?? 0;
    return (word >>> (number & 31) & 1) === 1;
  }

  /** Puts a number in. */
  add(number: number): void {
    this.#reserve((number >>> 5) + 1);
    this.#words[number >>> 5]! |= 1 << (number & 31);
  }

  /** Puts all numbers of another set in. */
  addAll(other: BitSet): void {
    const words = other.#words;
    this.#reserve(words.length);
    for (let at = 0; at < words.length; at++) {
      this.#words[at]! |= words[at]!;
    }
  }

  /** How many numbers are in it that are not in another set. */
  sizeWithout(other: BitSet): number {
    let size = 0;
    for (let at = 0; at < this.#words.length; at++) {
      let word = this.#words[at]! & ~(other.#words[at] ?? 0);
      for (; word !== 0; word &= word - 1) size++;
    }
    return size;
  }

  /** The least number from `from` on that is not in it. */
  nextAbsent(from: number): number {
    const words = this.#words;
    let at = from >>> 5;
    let absent = ~(words[at] ?? 0) & (-1 << (from & 31));
    while (absent === 0) absent = ~(words[++at] ?? 0);
    return 32 * at + 31 - Math.clz32(absent & -absent);
  }

  #reserve(length: number): void {
    if (length <= this.#words.length) return;
    const longer = new Uint32Array(Math.max(length, 2 * this.#words.length));
    longer.set(this.#words);
    this.#words = longer;
  }
}
