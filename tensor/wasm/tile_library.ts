/**
 * The register tiles of matrix products as a module of their own: kernels
 * import them, so that they are generated, compiled and optimized once.
 *
 * @module
 */

import type { Callable, ModuleBuilder } from "./assembler.ts";
import { beginModule } from "./begin_module.ts";
import type { Target } from "./math.ts";
import { emitMicrokernel, MICROKERNEL_PARAMS } from "./microkernel.ts";

/** Tiles that keep the multipliers busy, and what a column costs in cycles. */
export const TILES = [
  { rows: 6, quads: 2, cycles: 6.5 },
  { rows: 5, quads: 2, cycles: 5.9 },
  { rows: 4, quads: 2, cycles: 4.8 },
  { rows: 3, quads: 3, cycles: 5 },
  { rows: 2, quads: 4, cycles: 5.1 },
  { rows: 1, quads: 8, cycles: 6.9 },
] as const;

/** A tile of the library: its rows and the vectors in each. */
export interface LibraryTile {
  readonly rows: number;
  readonly quads: number;
}

function nameOf({ rows, quads }: LibraryTile): string {
  return `multiply${rows}x${quads}`;
}

/** Imports a tile: {@link emitMicrokernel}, with the bytes between rows. */
export function importTile(module: ModuleBuilder, tile: LibraryTile): Callable {
  return module.importFunction("env", nameOf(tile), MICROKERNEL_PARAMS, []);
}

/** The module: for equal targets one and the same. */
export function tileLibrary(target: Target): Uint8Array<ArrayBuffer> {
  const key = `${target.relaxedSimd} ${target.sharedMemory}`;
  let bytes = libraries.get(key);
  if (bytes === undefined) {
    const module = beginModule(target);
    for (const { rows, quads } of TILES) {
      const tile = { rows, quads };
      emitMicrokernel(module, tile, target, nameOf(tile));
    }
    libraries.set(key, bytes = module.finish());
  }
  return bytes;
}

const libraries = new Map<string, Uint8Array<ArrayBuffer>>();
