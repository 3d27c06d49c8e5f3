/**
 * The uniform words of all dispatches of a recording, in one buffer.
 *
 * @module
 */

import type { Word } from "../wgsl/program.ts";

/** The words of one dispatch. */
export interface WordBlock {
  /** What its program expects. */
  readonly words: readonly Word[];
  /** The recording's word behind each param of the kernel. */
  readonly params: readonly number[];
}

/** Where words lie, and which of them change from replay to replay. */
export interface WordLayout {
  /** For each block, the byte at which it begins. */
  readonly offsets: Uint32Array<ArrayBuffer>;
  /** All words, those that change not set. */
  readonly words: Uint32Array<ArrayBuffer>;
  /** Places of words that change. */
  readonly targets: Uint32Array;
  /** The recording's word behind each of them. */
  readonly sources: Uint32Array;
}

/**
 * Lays blocks out. Equal blocks share their place, and those with words that
 * change come first, so that one short write brings them up to date.
 *
 * @param alignment Bytes of which each offset is a multiple.
 */
export function layOutWords(
  blocks: readonly WordBlock[],
  alignment: number,
): WordLayout {
  const offsets = new Uint32Array(blocks.length);
  const places = new Map<string, number>();
  const words: number[] = [];
  const targets: number[] = [];
  const sources: number[] = [];
  const place = ({ words: wanted, params }: WordBlock) => {
    const key = wanted.map((word) =>
      word.kind === "param" ? `p${params[word.slot]}` : `${word.bits}`
    ).join();
    const known = places.get(key);
    if (known !== undefined) return known;
    while (words.length * 4 % alignment !== 0) words.push(0);
    const start = words.length * 4;
    for (const word of wanted) {
      if (word.kind === "param") {
        targets.push(words.length);
        sources.push(params[word.slot]!);
      }
      words.push(word.kind === "param" ? 0 : word.bits);
    }
    places.set(key, start);
    return start;
  };
  const changes = (block: WordBlock) =>
    block.words.some(({ kind }) => kind === "param");
  for (const wanted of [true, false]) {
    blocks.forEach((block, at) => {
      if (block.words.length === 0 || changes(block) !== wanted) return;
      offsets[at] = place(block);
    });
  }
  return {
    offsets,
    words: Uint32Array.from(words),
    targets: Uint32Array.from(targets),
    sources: Uint32Array.from(sources),
  };
}

/** A buffer that holds laid out words and is kept up to date. */
export class UniformBuffer {
  /** The memory. */
  readonly gpu: GPUBuffer;
  readonly #queue: GPUQueue;
  readonly #layout: WordLayout;
  #isFilled = false;

  constructor(device: GPUDevice, layout: WordLayout) {
    this.#queue = device.queue;
    this.#layout = layout;
    this.gpu = device.createBuffer({
      size: layout.words.byteLength,
      usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
    });
  }

  /**
   * Writes the words that differ from those of the replay before.
   *
   * @param beforeWrite Sends off recorded work that reads the words as they
   * are: a write takes place before the next submission.
   */
  update(params: Uint32Array, beforeWrite: () => void): void {
    const { words, targets, sources } = this.#layout;
    let first = words.length;
    let last = -1;
    for (let i = 0; i < targets.length; i++) {
      const target = targets[i]!;
      const word = params[sources[i]!]!;
      if (words[target] === word) continue;
      words[target] = word;
      if (target < first) first = target;
      if (target > last) last = target;
    }
    if (!this.#isFilled) {
      first = 0;
      last = words.length - 1;
      this.#isFilled = true;
    }
    if (last < first) return;
    beforeWrite();
    const count = last - first + 1;
    this.#queue.writeBuffer(this.gpu, first * 4, words, first, count);
  }
}
