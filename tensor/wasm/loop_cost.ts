/**
 * What a nest of loops costs, in instructions.
 *
 * @module
 */

import {
  argumentsOf,
  indicesOf,
  type LoopKernel,
  type Value,
  type ValueId,
} from "../kernel/kernel.ts";
import { axesOf, type Axis, type Index, isDivision } from "../view.ts";

/** The coefficient of an axis in an index, and whether it is also divided. */
export function strideAlong(
  index: Index,
  axis: Axis,
): { stride: number; divided: boolean } {
  let stride = 0;
  let divided = false;
  for (const { atom, coefficient } of index.terms) {
    if (atom === axis) stride = coefficient;
    else if (isDivision(atom) && axesOf(atom.of).has(axis)) divided = true;
  }
  return { stride, divided };
}

/** Instructions of one value on four lanes. */
export function sizeOfCode(value: Value, vector: Axis): number {
  switch (value.op) {
    case "const":
    case "param":
      return 0;
    case "load":
    case "gather":
      return loadCost(value.index, vector) + 2 * value.bounds.length;
    default:
      return operationCost(value);
  }
}

/** Instructions of an operation on four lanes. */
export function operationCost(value: Value): number {
  switch (value.op) {
    case "const":
    case "param":
      return 0;
    case "exp":
      return 25;
    case "log":
      return 35;
    case "sin":
    case "cos":
      return 60;
    case "threefry":
      return 60; // Two values often share one.
    case "idiv":
    case "rem":
      return 60;
    case "div":
    case "sqrt":
      return 5;
    case "min":
    case "max":
    case "round":
      return value.dtype === "float32" ? 4 : 1;
    default:
      return 1;
  }
}

function loadCost(index: Index, vector: Axis): number {
  const { stride, divided } = strideAlong(index, vector);
  if (divided) return 16;
  if (stride === 0 || stride === 1) return 1;
  if (stride === -1) return 2;
  return stride === 2 ? 3 : 8;
}

/** The axes that each value differs along. */
export function axisDependencies(kernel: LoopKernel): ReadonlySet<Axis>[] {
  const found: Set<Axis>[] = [];
  const rows = new Set(kernel.rows);
  kernel.values.forEach((value, id) => {
    const axes = new Set(
      indicesOf(value).flatMap((index) => [...axesOf(index)]),
    );
    for (const arg of argumentsOf(value)) {
      for (const axis of found[arg]!) axes.add(axis);
    }
    found[id] = value.op === "reduce" ? axes.intersection(rows) : axes;
  });
  return found;
}

/** Instructions that the kernel takes if `vector` runs four at a time. */
export function costAlong(
  kernel: LoopKernel,
  dependencies: readonly ReadonlySet<Axis>[],
  needed: readonly boolean[],
  vector: Axis,
): number {
  const turns = (axes: Iterable<Axis>) => {
    let count = 1;
    for (const axis of axes) {
      count *= axis === vector ? Math.ceil(axis.extent / 4) : axis.extent;
    }
    return count;
  };
  const all = (id: ValueId) => dependencies[id]!;
  let cost = 0;
  kernel.values.forEach((value, id) => {
    if (!needed[id]) return;
    switch (value.op) {
      case "load":
      case "gather":
      case "index":
      case "inside": {
        const bounds = "bounds" in value ? value.bounds : [];
        const checks = bounds.reduce(
          (sum, { index }) => {
            const along = strideAlong(index, vector);
            if (along.divided) return sum + 10;
            return sum + (along.stride === 0 ? 0.5 : 3);
          },
          0,
        );
        const load = value.op === "load"
          ? loadCost(value.index, vector)
          : value.op === "gather"
          ? gatherCost(value.index, all(value.at).has(vector), vector)
          : 1;
        cost += (load + checks) * turns(all(id));
        break;
      }
      case "reduce": {
        const combine = value.reducer === "sum" || value.reducer === "prod"
          ? 1
          : 3;
        cost += combine * turns([...kernel.rows, ...kernel.cols]);
        // Lanes are combined at the end of each row.
        if (kernel.cols.includes(vector)) cost += 8 * turns(kernel.rows);
        break;
      }
      default:
        cost += operationCost(value) * turns(all(id));
    }
  });
  for (const { index, value } of kernel.stores) {
    const axes = new Set(all(value)).union(axesOf(index));
    cost += loadCost(index, vector) * turns(axes);
  }
  // The loops themselves: counting, addresses, and what a short one begins with.
  if (kernel.cols.length === 0) return cost + turns(kernel.rows);
  return cost + 4 * turns([...kernel.rows, ...kernel.cols]) +
    8 * turns(kernel.rows);
}

function gatherCost(index: Index, chosen: boolean, vector: Axis): number {
  return chosen ? 14 : 2 + loadCost(index, vector);
}
