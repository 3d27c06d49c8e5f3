/**
 * How workers make a subset.
 *
 * @module
 */

import { type Dataset, subset } from "./dataset.ts";
import { findFunction } from "./pool/_find_function.ts";

/** Some items of what a call gives. */
export async function subsetOf(
  moduleUrl: string,
  exportName: string,
  args: readonly unknown[],
  indices: Uint32Array,
): Promise<Dataset<unknown>> {
  const make = await findFunction(moduleUrl, exportName);
  return subset(await make(...args) as Dataset<unknown>, indices);
}
