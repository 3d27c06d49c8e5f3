/** A checkpoint in a file: written beside, flushed and renamed. */

import type { CheckpointStore } from "@heddle/nn";

/** The store of one file. */
export function fileStore(path: string): CheckpointStore {
  return {
    async read() {
      try {
        return await Deno.readFile(path);
      } catch (error) {
        if (error instanceof Deno.errors.NotFound) return undefined;
        throw error;
      }
    },
    async write(bytes) {
      const beside = `${path}.part`;
      {
        using file = await Deno.create(beside);
        for (let at = 0; at < bytes.length;) {
          at += await file.write(bytes.subarray(at));
        }
        await file.sync();
      }
      await Deno.rename(beside, path);
    },
  };
}
