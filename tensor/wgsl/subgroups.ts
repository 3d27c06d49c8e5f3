/**
 * Reductions over the invocations of a subgroup, which need no memory.
 *
 * @module
 */

import type { DType } from "../dtype.ts";
import type { Reducer } from "../kernel/kernel.ts";
import { isNaNText } from "./expressions.ts";

/** Invocations in the smallest subgroup that is used. */
export const LEAST_SUBGROUP = 4;

/** What a name holds in all invocations of a subgroup, combined. */
export function subgroupCombined(
  reducer: Reducer,
  name: string,
  dtype: DType,
): string {
  switch (reducer) {
    case "sum":
      return `subgroupAdd(${name})`;
    case "prod":
      return `subgroupMul(${name})`;
    case "max":
    case "min": {
      const isMax = reducer === "max";
      if (dtype === "bool") {
        return `${isMax ? "subgroupAny" : "subgroupAll"}(${name})`;
      }
      const extreme = `${isMax ? "subgroupMax" : "subgroupMin"}(${name})`;
      // The builtins may lose a NaN; a sum does not.
      return dtype === "float32"
        ? `select(${extreme}, subgroupAdd(${name}), ` +
          `subgroupAny(${isNaNText(name)}))`
        : extreme;
    }
    default:
      return reducer satisfies never;
  }
}
