/**
 * Makes one value of the values that all processes of a run have.
 *
 * A run is one process so far, so `combine` gets that one value. Code that calls
 * it for its metrics (a mean of losses, a sum of counts) needs no change where
 * several processes share the work: each calls it with the same `name`, in the
 * same order, and each gets the same result.
 *
 * @param name What the value is called: the same in every process.
 * @param value What this process has. It must survive `structuredClone`.
 * @param combine Makes the result of all values, in the order of the processes.
 * @returns The result.
 *
 * @example A mean over the processes
 * ```ts
 * import { reduceValues } from "@heddle/data";
 * import { assertEquals } from "@std/assert";
 *
 * const mean = (values: readonly number[]) =>
 *   values.reduce((sum, value) => sum + value, 0) / values.length;
 * assertEquals(await reduceValues("loss", 0.25, mean), 0.25);
 * ```
 */
export async function reduceValues<Value, Result>(
  name: string,
  value: Value,
  combine: (values: readonly Value[]) => Result | Promise<Result>,
): Promise<Result> {
  if (name === "") {
    throw new RangeError("reduceValues: the name is empty: name the value");
  }
  return await combine([value]);
}
