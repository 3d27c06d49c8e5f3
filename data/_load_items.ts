/**
 * The side of a loader's workers.
 *
 * @module
 */

import type { Dataset } from "./dataset.ts";
import { defaultCollate } from "./default_collate.ts";
import { isHostArray } from "./_host_array.ts";
import { findFunction } from "./pool/_find_function.ts";
import { moved } from "./pool/moved.ts";

let dataset: Dataset<unknown> | undefined;
let epochOfSet = -1;

/** Makes the data set: the first call in a worker. */
export async function openDataset(
  moduleUrl: string,
  exportName: string,
  args: readonly unknown[],
): Promise<void> {
  const make = await findFunction(moduleUrl, exportName);
  dataset = await make(...args) as Dataset<unknown>;
}

/** How items become a batch: not at all, or by a function of a module. */
export type Collating = "items" | "default" | {
  readonly moduleUrl: string;
  readonly exportName: string;
};

/** Items of the data set, as a batch or as they are. */
export async function loadItems(
  indices: readonly number[],
  epoch: number,
  collating: Collating,
): Promise<unknown> {
  const from = dataset!;
  if (epoch !== epochOfSet) {
    await from.setEpoch?.(epoch);
    epochOfSet = epoch;
  }
  const items = await Promise.all(indices.map(async (index) => {
    try {
      return await from.get(index);
    } catch (cause) {
      throw new ItemError(index, cause);
    }
  }));
  if (collating === "items") return items;
  if (collating === "default") return movedBatch(defaultCollate(items));
  const { moduleUrl, exportName } = collating;
  return await (await findFunction(moduleUrl, exportName))(items);
}

/** With the number of the item, which is not that of the call. */
class ItemError extends Error {
  constructor(index: number, cause: unknown) {
    const why = cause instanceof Error ? cause.message : String(cause);
    super(`item ${index}: ${why}`, { cause });
  }
}

/** What was stacked is nobody else's: it needs no copy. */
function movedBatch(batch: unknown): unknown {
  const parts = isHostArray(batch)
    ? [batch]
    : Array.isArray(batch)
    ? []
    : Object.values(batch as Record<string, unknown>).filter(isHostArray);
  const buffers = parts.map(({ data }) => data.buffer as ArrayBuffer);
  return buffers.length > 0 ? moved(batch as object, buffers) : batch;
}
