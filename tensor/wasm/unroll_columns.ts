/**
 * Kernels with a few columns as straight lines: windows of pooling and the
 * like, where the loops would cost more than what they do.
 *
 * @module
 */

import { identityOf } from "../kernel/kernel.ts";
import {
  argumentsOf,
  isElementStore,
  levelsOf,
  type LoopKernel,
  type Store,
  type Value,
  type ValueId,
} from "../kernel/kernel.ts";
import { substituteInValue } from "../kernel/normalize.ts";
import { type Axis, constantIndex, type Index, substitute } from "../view.ts";

/** More columns than this stay loops. */
const MOST_COLUMNS = 16;

/** More values than this stay loops. */
const MOST_VALUES = 160;

const COMBINE = { sum: "add", prod: "mul", max: "max", min: "min" } as const;

/**
 * The same kernel without columns: each of their positions has values of its
 * own, and a reduction is a chain of operations in the order of the loops.
 *
 * @returns undefined where there are no columns, or too many.
 */
export function unrollColumns(kernel: LoopKernel): LoopKernel | undefined {
  const { cols, values } = kernel;
  const count = cols.reduce((product, axis) => product * axis.extent, 1);
  if (cols.length === 0 || count === 0 || count > MOST_COLUMNS) {
    return undefined;
  }
  const { element } = levelsOf(kernel);
  const repeated = values.filter((value, id) =>
    element[id] || value.op === "reduce"
  );
  if (repeated.length * count > MOST_VALUES) return undefined;

  const positions = positionsOf(cols);
  const unrolled: Value[] = [];
  const add = (value: Value): ValueId => unrolled.push(value) - 1;
  /** For each value its copies, or the one that all positions share. */
  const copies: ValueId[][] = [];
  const copyOf = (id: ValueId, at: number) =>
    copies[id]![at] ?? copies[id]![0]!;
  values.forEach((value, id) => {
    if (value.op === "reduce") {
      const { reducer, dtype } = value;
      const op = COMBINE[reducer];
      const identity = identityOf(reducer, dtype);
      let total = reducer === "sum" || reducer === "prod"
        ? add({ op: "const", dtype, value: identity })
        : undefined;
      positions.forEach((_, at) => {
        const arg = copyOf(value.args[0], at);
        total = total === undefined
          ? arg
          : add({ op, dtype, args: [total, arg] });
      });
      copies[id] = [total!];
      return;
    }
    const places = element[id] ? positions : positions.slice(0, 1);
    copies[id] = places.map((position, at) =>
      add(withArguments(
        substituteInValue(value, position),
        argumentsOf(value).map((arg) => copyOf(arg, at)),
      ))
    );
  });
  const stores = kernel.stores.flatMap((store): Store[] => {
    const places = isElementStore(kernel, element, store)
      ? positions
      : positions.slice(0, 1);
    return places.map((position, at) => ({
      buffer: store.buffer,
      index: substitute(store.index, position),
      value: copyOf(store.value, at),
    }));
  });
  return { ...kernel, cols: [], values: unrolled, stores };
}

function withArguments(value: Value, args: readonly ValueId[]): Value {
  if ("args" in value) return { ...value, args } as Value;
  return value.op === "gather" ? { ...value, at: args[0]! } : value;
}

/** All positions of the columns, in the order of their loops. */
function positionsOf(cols: readonly Axis[]): Map<Axis, Index>[] {
  let positions: Map<Axis, Index>[] = [new Map()];
  for (const axis of cols) {
    positions = positions.flatMap((position) =>
      Array.from(
        { length: axis.extent },
        (_, at) => new Map([...position, [axis, constantIndex(at)]]),
      )
    );
  }
  return positions;
}
