import { noteCall } from "./_dataset_calls.ts";
import type { Dataset } from "./dataset.ts";
import type { DelayedCall } from "./pool/delayed.ts";

/**
 * A data set that workers can make as well: for a {@linkcode DataLoader} with
 * `workers`. Functions do not cross threads, so that the set itself cannot; its
 * making can, by the module and name of a function. A `subset` of it, a side of
 * a fold for instance, is one as well.
 *
 * @param call `delayed(f)(...args)`: gives the data set, or a promise of it. It
 * is called here, and in each worker once. What it makes must be the same each
 * time.
 * @returns The set, made here.
 * @throws {TypeError} If the function gives no data set.
 *
 * @example A set that two workers read
 * ```ts
 * import { DataLoader, remoteDataset } from "@heddle/data";
 * import { delayed, remoteModule } from "@heddle/data/pool";
 * import { assertEquals } from "@std/assert";
 *
 * const { squares } = remoteModule<{
 *   squares(length: number): { length: number; get(index: number): number };
 * }>(
 *   "data:text/javascript,export const squares = " +
 *     "(length) => ({ length, get: (index) => index ** 2 })",
 * );
 * const loader = new DataLoader(await remoteDataset(delayed(squares)(5)), {
 *   batchSize: 3,
 *   workers: 2,
 * });
 * const batches = await Array.fromAsync(loader);
 * assertEquals(batches[0]!.data, Float32Array.of(0, 1, 4));
 * assertEquals(batches[1]!.data, Float32Array.of(9, 16));
 * ```
 */
export async function remoteDataset<Item>(
  call: DelayedCall<Dataset<Item> | Promise<Dataset<Item>>>,
): Promise<Dataset<Item>> {
  const { findFunction } = await import("./pool/_find_function.ts");
  const { moduleUrl, exportName } = call.f;
  const make = await findFunction(moduleUrl, exportName);
  const dataset = await make(...call.args) as Dataset<Item>;
  if (typeof dataset?.get !== "function") {
    throw new TypeError(
      `remoteDataset: ${exportName} of ${moduleUrl} must give a data set, with ` +
        `length and get: got ${dataset === null ? "null" : typeof dataset}`,
    );
  }
  noteCall(dataset, call);
  return dataset;
}
