/**
 * Memory that programs need while they run, shared by those that run one after
 * the other.
 *
 * @module
 */

import type { Program, Temporary } from "../wgsl/program.ts";
import type { BufferPool, WebgpuBuffer } from "./webgpu_buffers.ts";
import type { Bindable } from "./webgpu_recorder.ts";
import type { TextureBlock, TexturePool } from "./webgpu_textures.ts";

/** Memory that was taken together. */
export interface Loan {
  /** In the order asked for. */
  readonly memory: readonly Bindable[];
  /** Ends the loan; work queued later runs later, so reuse is safe. */
  giveBack(): void;
}

/** Takes temporaries from the pools of buffers and textures. */
export class TemporaryPool {
  readonly #buffers: BufferPool;
  readonly #textures: TexturePool;

  constructor(buffers: BufferPool, textures: TexturePool) {
    this.#buffers = buffers;
    this.#textures = textures;
  }

  /** @throws {RangeError} If there is not enough memory for all of them. */
  take(temporaries: readonly Temporary[]): Loan {
    const buffers: WebgpuBuffer[] = [];
    const textures: TextureBlock[] = [];
    const memory: Bindable[] = [];
    const giveBack = () => {
      for (const buffer of buffers) this.#buffers.free(buffer);
      for (const texture of textures) this.#textures.free(texture);
    };
    try {
      for (const temporary of temporaries) {
        if (temporary.kind === "buffer") {
          const buffer = this.#buffers.allocate(temporary.byteLength);
          buffers.push(buffer);
          memory.push(buffer.block);
        } else {
          const texture = this.#textures.allocate(temporary.texels);
          textures.push(texture);
          memory.push(texture);
        }
      }
    } catch (error) {
      giveBack();
      throw error;
    }
    return { memory, giveBack };
  }
}

/** What is taken, and which of it serves each program. */
export interface TemporaryPlan {
  /** What to take. */
  readonly taken: readonly Temporary[];
  /** For each program, the place in `taken` of each of its temporaries. */
  readonly places: readonly (readonly number[])[];
}

/**
 * Plans temporaries for programs that run in turn: the largest of each program
 * lie in one place, the second largest in another, and so on.
 */
export function planTemporaries(programs: readonly Program[]): TemporaryPlan {
  const taken: Temporary[] = [];
  const shared = { buffer: [] as number[], texture: [] as number[] };
  const places = programs.map(({ temporaries }) => {
    const found: number[] = [];
    const next = { buffer: 0, texture: 0 };
    const largestFirst = [...temporaries.keys()].sort((a, b) =>
      sizeOf(temporaries[b]!) - sizeOf(temporaries[a]!)
    );
    for (const at of largestFirst) {
      const temporary = temporaries[at]!;
      const { kind } = temporary;
      const place = shared[kind][next[kind]++] ?? taken.length;
      if (place === taken.length) shared[kind].push(place);
      const present = taken[place];
      if (!present || sizeOf(present) < sizeOf(temporary)) {
        taken[place] = temporary;
      }
      found[at] = place;
    }
    return found;
  });
  return { taken, places };
}

function sizeOf(temporary: Temporary): number {
  return temporary.kind === "buffer" ? temporary.byteLength : temporary.texels;
}
