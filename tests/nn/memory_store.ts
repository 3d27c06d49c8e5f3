/** Checkpoints in memory. */

import type { CheckpointStore } from "@heddle/nn";

/** A store that counts what is written. */
export interface MemoryStore extends CheckpointStore {
  /** Checkpoints written. */
  writes: number;
}

/** An empty store. */
export function memoryStore(): MemoryStore {
  let kept: Uint8Array | undefined;
  return {
    writes: 0,
    read: () => Promise.resolve(kept),
    write(bytes) {
      kept = bytes;
      this.writes++;
      return Promise.resolve();
    },
  };
}
