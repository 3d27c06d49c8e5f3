/**
 * Which kernels may write a result into the memory of an input.
 *
 * @module
 */

import { axesOf, indexKey } from "../view.ts";
import {
  argumentsOf,
  type Kernel,
  levelsOf,
  type LoopKernel,
} from "./kernel.ts";

/**
 * Whether the output slot of a kernel may lie in the memory of the input slot:
 * each iteration reads there only the element that it writes, and before it.
 */
export function canOverwrite(
  kernel: Kernel,
  input: number,
  output: number,
): boolean {
  if (kernel.kind !== "loop") return false;
  const [from, to] = [kernel.buffers[input]!, kernel.buffers[output]!];
  if (from.size !== to.size || from.dtype !== to.dtype) return false;
  const stores = kernel.stores.filter(({ buffer }) => buffer === output);
  if (stores.length !== 1) return false;
  const place = indexKey(stores[0]!.index);
  const loads = loadsOf(kernel, input, place);
  if (loads === undefined) return false;
  const cols = new Set(kernel.cols);
  const inner = [...axesOf(stores[0]!.index)].some((axis) => cols.has(axis));
  if (kernel.contract) {
    // The operands are read in tiles, long before and after this element.
    const { left, right } = kernel.contract;
    const operands = ancestorsOf(kernel, [left, right]);
    return !inner && !loads.some((id) => operands.has(id));
  }
  if (kernel.cols.length === 0) return true;
  // One pass reads and writes an element; a row is read by all who share it.
  if (inner) return levelsOf(kernel).phases <= 1;
  const { element } = levelsOf(kernel);
  return !kernel.stores.some(({ value, index }) =>
    element[value]! || [...axesOf(index)].some((axis) => cols.has(axis))
  );
}

/** The loads of a buffer if all are of the element at `place`. */
function loadsOf(
  kernel: LoopKernel,
  buffer: number,
  place: string,
): number[] | undefined {
  const loads: number[] = [];
  for (const [id, value] of kernel.values.entries()) {
    if (value.op === "gather" && value.buffer === buffer) return undefined;
    if (value.op !== "load" || value.buffer !== buffer) continue;
    if (value.bounds.length > 0 || indexKey(value.index) !== place) {
      return undefined;
    }
    loads.push(id);
  }
  return loads;
}

function ancestorsOf(kernel: LoopKernel, ids: readonly number[]): Set<number> {
  const found = new Set<number>();
  const todo = [...ids];
  for (let id = todo.pop(); id !== undefined; id = todo.pop()) {
    if (found.has(id)) continue;
    found.add(id);
    todo.push(...argumentsOf(kernel.values[id]!));
  }
  return found;
}
