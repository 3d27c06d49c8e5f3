/**
 * What all modules of kernels begin with.
 *
 * @module
 */

import { ModuleBuilder } from "./assembler.ts";
import type { Target } from "./math.ts";

/** Pages of 64 KiB that a memory can have. */
export const MAX_PAGES = 65536;

/** A module that works on the memory of the device. */
export function beginModule(target: Target): ModuleBuilder {
  const module = new ModuleBuilder();
  module.importMemory({
    shared: target.sharedMemory,
    initial: 1,
    maximum: MAX_PAGES,
  });
  return module;
}
