/**
 * How a nest of loops runs: which axis goes four at a time, which axes threads
 * share, and what is computed at which depth.
 *
 * @module
 */

import {
  argumentsOf,
  indicesOf,
  type Levels,
  levelsOf,
  type LoopKernel,
} from "../kernel/kernel.ts";
import { axesOf, type Axis } from "../view.ts";
import { findKept, type Kept } from "./kept_values.ts";
import {
  axisDependencies,
  costAlong,
  operationCost,
  sizeOfCode,
  strideAlong,
} from "./loop_cost.ts";

/** The loops, outermost first, and what they carry. */
export interface LoopPlan {
  /** What runs. */
  readonly kernel: LoopKernel;
  /** Passes over the columns. */
  readonly levels: Levels;
  /** The axis that runs four at a time, if any has more than one element. */
  readonly vector: Axis | undefined;
  /** Whether that is one of the columns. */
  readonly vectorInCols: boolean;
  /** Row axes whose positions, together, are the items that threads share. */
  readonly items: readonly Axis[];
  /** Row axes that run inside an item, without the vector axis. */
  readonly serial: readonly Axis[];
  /** Column axes, without the vector axis. */
  readonly cols: readonly Axis[];
  /**
   * Elements of the vector axis that belong to one item, if it is shared too:
   * a multiple of what one turn of its loop takes.
   */
  readonly block: number | undefined;
  /** Vectors that one turn of the vector loop takes. */
  readonly unroll: number;
  /** Depth at which each axis is known; the function's own body is depth 0. */
  readonly axisDepth: ReadonlyMap<Axis, number>;
  /** Depth of the body of the innermost row loop. */
  readonly rowDepth: number;
  /** Depth at which each value is computed. */
  readonly depth: readonly number[];
  /** Whether each value differs along the vector axis. */
  readonly varying: readonly boolean[];
  /** Whether a store, or a value that is stored, needs each value. */
  readonly needed: readonly boolean[];
  /** What passes over the columns leave for later ones. */
  readonly kept: readonly Kept[];
  /** Estimated nanoseconds of the whole kernel on one thread. */
  readonly cost: number;
}

/** What the caller of {@link planLoop} may fix. */
export interface PlanOptions {
  /** Row axes that are the items; by default chosen. */
  readonly items?: readonly Axis[];
}

/** Items are made until there are this many: enough for any number of threads. */
const ENOUGH_ITEMS = 32;

/**
 * Side of a tile of a transposition, in elements. As many rows of a buffer as a
 * first cache has ways: they often lie a power of two apart.
 */
const TILE = 8;

/** Fewer elements than this are not worth a block of their own. */
const LEAST_BLOCK = 2048;

/** Instructions of a turn that reads as much as it can in one place. */
const LONG_PIECE = 128;

/** Copies of a body at most. */
const MOST_UNROLLED = 32;

/** Pieces that are left for threads to share, at least. */
const FEW_ITEMS = 8;

/** Instructions that one nanosecond runs. */
const INSTRUCTIONS_PER_NS = 4;

/** Decides how a kernel runs; no axis of it has extent 0. */
export function planLoop(
  kernel: LoopKernel,
  options: PlanOptions = {},
): LoopPlan {
  const levels = levelsOf(kernel);
  const needed = neededValues(kernel);
  const dependencies = axisDependencies(kernel);
  const free = kernel.rows.filter((axis) => !options.items?.includes(axis));
  const costs = [...free, ...kernel.cols]
    .filter((axis) => axis.extent > 1)
    .map((axis) => ({
      axis,
      cost: costAlong(kernel, dependencies, needed, axis),
    }));
  const best = costs.reduceRight(
    (least, one) => one.cost < least.cost ? one : least,
    { axis: undefined as Axis | undefined, cost: Infinity },
  );
  const vector = best.axis;
  const cost = vector ? best.cost : kernel.values.length;
  const vectorInCols = vector !== undefined && kernel.cols.includes(vector);
  const others = kernel.rows.filter((axis) => axis !== vector);
  const inner = vector && !vectorInCols && !options.items
    ? innerAxes(kernel, vector)
    : [];
  const items = options.items ??
    (inner.length > 0
      ? others.filter((axis) => !inner.includes(axis))
      : chooseItems(others));
  const serial = others.filter((axis) => !items.includes(axis));
  const cols = kernel.cols.filter((axis) => axis !== vector);
  const most = vector ? chooseUnroll(kernel, needed, vector, vectorInCols) : 1;
  const unroll = inner.length > 0 ? Math.min(most, TILE / 4) : most;

  const axisDepth = new Map<Axis, number>();
  for (const axis of items) axisDepth.set(axis, 1);
  let rowDepth = 1;
  for (const axis of serial) axisDepth.set(axis, ++rowDepth);
  if (vector && !vectorInCols) axisDepth.set(vector, ++rowDepth);
  let depthNow = rowDepth;
  for (const axis of cols) axisDepth.set(axis, ++depthNow);
  if (vector && vectorInCols) axisDepth.set(vector, ++depthNow);

  const depth: number[] = [];
  const varying: boolean[] = [];
  kernel.values.forEach((value, id) => {
    if (value.op === "reduce") {
      depth[id] = rowDepth;
      varying[id] = vector !== undefined && !vectorInCols;
      return;
    }
    const args = argumentsOf(value);
    const axes = indicesOf(value).flatMap((index) => [...axesOf(index)]);
    depth[id] = Math.max(
      0,
      ...args.map((arg) => depth[arg]!),
      ...axes.map((axis) => axisDepth.get(axis)!),
    );
    varying[id] = args.some((arg) => varying[arg]!) ||
      axes.some((axis) => axis === vector);
  });
  const kept = findKept(
    kernel,
    levels,
    needed,
    (id) =>
      varying[id]! && kernel.cols.every((axis) => dependencies[id]!.has(axis)),
    (id) => operationCost(kernel.values[id]!),
  );
  return {
    kernel,
    levels,
    vector,
    vectorInCols,
    items,
    serial,
    cols,
    block: inner.length > 0
      ? TILE
      : vector && !vectorInCols && !options.items
      ? chooseBlock(vector, items, serial.length, 4 * unroll, cost)
      : undefined,
    unroll,
    axisDepth,
    rowDepth,
    depth,
    varying,
    needed,
    kept,
    cost: cost / INSTRUCTIONS_PER_NS,
  };
}

/**
 * The row axes that step less far than the vector axis where that takes long
 * strides. The vector axis is then cut into short blocks and they run inside,
 * so that each cache line is used as long as it is there.
 */
function innerAxes(kernel: LoopKernel, vector: Axis): Axis[] {
  if (vector.extent <= TILE) return [];
  const places = [...kernel.values, ...kernel.stores].flatMap((one) =>
    "buffer" in one ? [one.index] : []
  );
  const inner = new Set<Axis>();
  for (const index of places) {
    const far = Math.abs(strideAlong(index, vector).stride);
    if (far < TILE) continue;
    for (const axis of kernel.rows) {
      const near = Math.abs(strideAlong(index, axis).stride);
      if (near > 0 && near < far) inner.add(axis);
    }
  }
  const turns = [...inner].reduce((count, axis) => count * axis.extent, 1);
  return turns >= TILE / 2 ? [...inner] : [];
}

function chooseItems(rows: readonly Axis[]): Axis[] {
  const items: Axis[] = [];
  let count = 1;
  for (const axis of rows) {
    if (count >= ENOUGH_ITEMS) break;
    items.push(axis);
    count *= axis.extent;
  }
  return items;
}

function chooseBlock(
  vector: Axis,
  items: readonly Axis[],
  serial: number,
  turn: number,
  cost: number,
): number | undefined {
  const count = items.reduce((product, axis) => product * axis.extent, 1);
  if (serial > 0 || count >= ENOUGH_ITEMS) return undefined;
  // Cheap elements come in longer blocks.
  const costEach = cost / (count * vector.extent);
  const least = Math.max(16, LEAST_BLOCK / Math.max(1, costEach));
  const wanted = Math.max(least, count * vector.extent / (4 * ENOUGH_ITEMS));
  const block = Math.ceil(wanted / turn) * turn;
  return block < vector.extent ? block : undefined;
}

function chooseUnroll(
  kernel: LoopKernel,
  needed: readonly boolean[],
  vector: Axis,
  vectorInCols: boolean,
): number {
  const vectors = Math.ceil(vector.extent / 4);
  const size = kernel.values.reduce(
    (sum, value, id) => sum + (needed[id] ? sizeOfCode(value, vector) : 0),
    0,
  );
  // Down the columns each turn is at another place: it takes a long piece.
  const isDown = kernel.cols.length > 0 && !vectorInCols;
  const rows = kernel.rows.reduce((count, axis) => count * axis.extent, 1);
  const piece = Math.min(
    LONG_PIECE / size,
    MOST_UNROLLED,
    rows / 4 / FEW_ITEMS,
  );
  const usual = size <= 24 ? 4 : size <= 60 ? 2 : 1;
  const most = isDown ? Math.max(usual, Math.floor(piece)) : usual;
  return Math.min(most, vectors);
}

/** Values that reach a store. */
function neededValues(kernel: LoopKernel): boolean[] {
  const needed = kernel.values.map(() => false);
  for (const store of kernel.stores) needed[store.value] = true;
  for (let id = kernel.values.length - 1; id >= 0; id--) {
    if (!needed[id]) continue;
    for (const arg of argumentsOf(kernel.values[id]!)) needed[arg] = true;
  }
  return needed;
}
