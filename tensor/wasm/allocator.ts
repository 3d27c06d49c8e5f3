/**
 * Gives out parts of one linear memory.
 *
 * @module
 */

/** A run of bytes, given out or free. */
export interface Block {
  /** First byte: a multiple of 64. */
  readonly address: number;
  /** Bytes: a multiple of 64. */
  size: number;
  /** Whether it is given out. */
  used: boolean;
  /** The neighbour at lower addresses. */
  before: Block | undefined;
  /** The neighbour at higher addresses. */
  after: Block | undefined;
  /** The next in the list of free blocks of its class. */
  newer: Block | undefined;
  /** The one before. */
  older: Block | undefined;
}

/** A cache line: no two blocks share one, so no two threads write to one. */
const UNIT = 64;

/** Free blocks of the wanted class that are looked at: some may be too small. */
const LOOKS = 8;

/** Sizes between two powers of two are sorted into this many classes. */
const CLASSES_PER_DOUBLING = 8;

/**
 * Two-level segregated fit: a free block is found by its size in constant time,
 * neighbours that are free become one, so long runs do not splinter.
 *
 * Masmano et al. 2004, "TLSF: a new dynamic memory allocator for real-time
 * systems".
 */
export class Allocator {
  readonly #grow: (least: number) => number;
  /** The newest free block of each class: it is the likeliest to be cached. */
  readonly #newest: (Block | undefined)[] = [];
  #last: Block | undefined;
  readonly #start: number;
  #end: number;
  #used = 0;

  /**
   * Manages the bytes from `start` on.
   *
   * @param start First byte, a multiple of 64.
   * @param grow Makes at least so many more bytes usable behind the end; gives
   * how many, a multiple of 64, or 0 if there are no more.
   */
  constructor(start: number, grow: (least: number) => number) {
    this.#grow = grow;
    this.#start = start;
    this.#end = start;
  }

  /** Bytes given out, rounded up to whole cache lines. */
  get used(): number {
    return this.#used;
  }

  /** Bytes that wait to be given out. */
  get free(): number {
    return this.#end - this.#start - this.#used;
  }

  /** A block of at least so many bytes, or undefined if there is none. */
  allocate(bytes: number): Block | undefined {
    const size = Math.max(1, Math.ceil(bytes / UNIT)) * UNIT;
    const block = this.#take(size) ?? this.#extend(size);
    if (!block) return undefined;
    if (block.size > size) this.#split(block, size);
    block.used = true;
    this.#used += block.size;
    return block;
  }

  /** Takes a block back. */
  release(block: Block): void {
    if (!block.used) return;
    this.#used -= block.size;
    block.used = false;
    let whole = block;
    const { before, after } = block;
    if (after && !after.used) {
      this.#remove(after);
      this.#join(whole, after);
    }
    if (before && !before.used) {
      this.#remove(before);
      this.#join(before, whole);
      whole = before;
    }
    this.#insert(whole);
  }

  #take(size: number): Block | undefined {
    const own = classOf(size);
    let block = this.#newest[own];
    for (let look = 0; block && look < LOOKS; look++) {
      if (block.size >= size) {
        this.#remove(block);
        return block;
      }
      block = block.older;
    }
    for (let at = own + 1; at < this.#newest.length; at++) {
      const larger = this.#newest[at];
      if (!larger) continue;
      this.#remove(larger);
      return larger;
    }
    return undefined;
  }

  #extend(size: number): Block | undefined {
    const last = this.#last;
    const open = last && !last.used ? last : undefined;
    const added = this.#grow(size - (open?.size ?? 0));
    if (added === 0) return undefined;
    const address = this.#end;
    this.#end += added;
    if (open) {
      this.#remove(open);
      open.size += added;
      return open;
    }
    const block = newBlock(address, added, last, undefined);
    if (last) last.after = block;
    this.#last = block;
    return block;
  }

  #split(block: Block, size: number): void {
    const rest = newBlock(
      block.address + size,
      block.size - size,
      block,
      block.after,
    );
    if (rest.after) rest.after.before = rest;
    else this.#last = rest;
    block.after = rest;
    block.size = size;
    this.#insert(rest);
  }

  #join(block: Block, next: Block): void {
    block.size += next.size;
    block.after = next.after;
    if (next.after) next.after.before = block;
    else this.#last = block;
  }

  #insert(block: Block): void {
    const at = classOf(block.size);
    const older = this.#newest[at];
    block.older = older;
    if (older) older.newer = block;
    this.#newest[at] = block;
  }

  #remove(block: Block): void {
    const { newer, older } = block;
    if (newer) newer.older = older;
    else this.#newest[classOf(block.size)] = older;
    if (older) older.newer = newer;
    block.newer = undefined;
    block.older = undefined;
  }
}

/** Blocks of a class are smaller than all of the next one. */
function classOf(size: number): number {
  const units = size / UNIT;
  if (units < CLASSES_PER_DOUBLING) return units;
  const doublings = 31 - Math.clz32(units);
  const part = Math.floor(units / 2 ** doublings * CLASSES_PER_DOUBLING) -
    CLASSES_PER_DOUBLING;
  return (doublings - 2) * CLASSES_PER_DOUBLING + part;
}

function newBlock(
  address: number,
  size: number,
  before: Block | undefined,
  after: Block | undefined,
): Block {
  return {
    address,
    size,
    used: false,
    before,
    after,
    newer: undefined,
    older: undefined,
  };
}
