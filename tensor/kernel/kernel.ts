/**
 * A kernel as data: what both devices generate code from. Nothing here knows
 * of WGSL or WebAssembly.
 *
 * @module
 */

import { type DType, toDType } from "../dtype.ts";
import type { BinaryOp, CompareOp, Reducer, UnaryOp } from "../op.ts";
import {
  type AttentionGradientKernel,
  type AttentionKernel,
  attentionKey,
} from "./attention.ts";
import {
  axesOf,
  type Axis,
  type Bound,
  type Index,
  indexKey,
} from "../view.ts";

export type { BinaryOp, CompareOp, Reducer, UnaryOp } from "../op.ts";

/** Position of a value in {@link LoopKernel.values}. */
export type ValueId = number;

/** One step of a kernel: computed from earlier ones. */
export type Value =
  & {
    /** Type of the result. */
    readonly dtype: DType;
  }
  & (
    /** A constant of the program text: small and structural. */
    | { readonly op: "const"; readonly value: number }
    /** A scalar that arrives with each run, at word `slot` of the parameters. */
    | { readonly op: "param"; readonly slot: number }
    /** The value of an index expression, as int32. */
    | { readonly op: "index"; readonly index: Index }
    /** Whether all bounds hold, as bool. */
    | { readonly op: "inside"; readonly bounds: readonly Bound[] }
    /** Element `index` of a buffer, or 0 where a bound fails. */
    | {
      readonly op: "load";
      readonly buffer: number;
      readonly index: Index;
      readonly bounds: readonly Bound[];
    }
    /**
     * Element `index + stride * at` of a buffer, or 0 where a bound fails or
     * the int32 value `at` is not in `[0, extent)`.
     */
    | {
      readonly op: "gather";
      readonly buffer: number;
      readonly index: Index;
      readonly bounds: readonly Bound[];
      readonly at: ValueId;
      readonly stride: number;
      readonly extent: number;
    }
    | { readonly op: UnaryOp; readonly args: readonly [ValueId] }
    | {
      readonly op: BinaryOp | CompareOp;
      readonly args: readonly [ValueId, ValueId];
    }
    /** `condition ? a : b`. */
    | {
      readonly op: "where";
      readonly args: readonly [ValueId, ValueId, ValueId];
    }
    /**
     * To another type: floats to integers truncate and saturate, NaN gives 0;
     * anything to bool is `!= 0`; between int32 and uint32 the bits stay.
     */
    | { readonly op: "cast"; readonly args: readonly [ValueId] }
    /** The same 32 bits as another type. */
    | { readonly op: "bitcast"; readonly args: readonly [ValueId] }
    /**
     * Word 0 or 1 of Threefry-2x32 with 20 rounds (Salmon et al. 2011) of
     * (key0, key1, counter0, counter1), all uint32.
     */
    | {
      readonly op: "threefry";
      readonly args: readonly [ValueId, ValueId, ValueId, ValueId];
      readonly word: 0 | 1;
    }
    /** Combines the argument over all columns; the result is one a row. */
    | {
      readonly op: "reduce";
      readonly reducer: Reducer;
      readonly args: readonly [ValueId];
    }
  );

/** Writes a value to element `index` of a buffer. */
export interface Store {
  /** Position in {@link LoopKernel.buffers}. */
  readonly buffer: number;
  /** Where; different iterations write different elements. */
  readonly index: Index;
  /** What. */
  readonly value: ValueId;
}

/** A buffer that a kernel reads or writes. */
export interface BufferSlot {
  /** Type of its elements. */
  readonly dtype: DType;
  /** Number of elements. */
  readonly size: number;
  /** Whether the kernel writes it. */
  readonly output: boolean;
  /**
   * Set on an output that lies in the memory of this input slot, of its type
   * and size: an iteration reads of that only the element that it then writes.
   * All other slots have memory of their own.
   */
  readonly overwrites?: number;
}

/**
 * A nest of loops: for each row, and in it for each column, the values and
 * stores. A value that depends on a column axis is computed for each element;
 * all else once a row, reductions of the columns among it. Because a reduction
 * may depend on an earlier one, the columns run in {@link phasesOf} passes.
 *
 * With no columns it is a map; with them a reduction with its prologue and
 * epilogue, or several, as in softmax.
 */
export interface LoopKernel {
  /** Tells the kinds of kernel apart. */
  readonly kind: "loop";
  /** For messages and profiles, `sum[64,10]`. */
  readonly name: string;
  /** Outer loops, outermost first. */
  readonly rows: readonly Axis[];
  /** Inner loops, outermost first: those that reductions run over. */
  readonly cols: readonly Axis[];
  /** What is computed, each value from earlier ones. */
  readonly values: readonly Value[];
  /** What is written. */
  readonly stores: readonly Store[];
  /** What is read and written, inputs before outputs. */
  readonly buffers: readonly BufferSlot[];
  /** Types of the scalars that arrive with each run. */
  readonly params: readonly DType[];
  /**
   * Set where the kernel is a matrix product, which a device may run faster
   * than the nest of loops that it also is.
   */
  readonly contract?: Contract;
}

/**
 * Marks the only reduction of a kernel, `product`, as the sum over all columns
 * of `left * right`. The rows are exactly `batch`, `m` and `n` together: `left`
 * does not depend on `n`, nor `right` on `m`, nor does either depend on any
 * reduction; the columns are `k`.
 */
export interface Contract {
  /** Axes that both operands share. */
  readonly batch: readonly Axis[];
  /** Axes of the left operand alone. */
  readonly m: readonly Axis[];
  /** Axes of the right operand alone. */
  readonly n: readonly Axis[];
  /** The value of the reduction. */
  readonly product: ValueId;
  /** float32, at (batch, m, k). */
  readonly left: ValueId;
  /** float32, at (batch, n, k). */
  readonly right: ValueId;
}

/** Cumulative sums along the middle axis of contiguous `[outer, size, inner]`. */
export interface ScanKernel {
  /** Tells the kinds of kernel apart. */
  readonly kind: "scan";
  /** For messages and profiles. */
  readonly name: string;
  /** `[outer, size, inner]`. */
  readonly shape: readonly [number, number, number];
  /** The input, then the output, of one type: float32, int32 or uint32. */
  readonly buffers: readonly BufferSlot[];
}

/**
 * Sorts the rows of a contiguous `[rows, size]`: stable, ascending or
 * descending (equal elements keep their order in both), NaN last in both.
 */
export interface SortKernel {
  /** Tells the kinds of kernel apart. */
  readonly kind: "sort";
  /** For messages and profiles. */
  readonly name: string;
  /** `[rows, size]`. */
  readonly shape: readonly [number, number];
  /** Greatest first. */
  readonly descending: boolean;
  /** The input; the sorted values, of its type; their positions, int32. */
  readonly buffers: readonly BufferSlot[];
}

/**
 * Sums slices of `updates [outer, count, inner]` into a zeroed
 * `[outer, size, inner]`: slice `order[o, p]` of the updates is added at
 * `sorted[o, p]`, where `sorted [outer, count]` is ascending, so that equal
 * targets are neighbours and the sum has one order. Targets outside
 * `[0, size)` are dropped.
 */
export interface ScatterKernel {
  /** Tells the kinds of kernel apart. */
  readonly kind: "scatter";
  /** For messages and profiles. */
  readonly name: string;
  /** Slices to choose from, and their targets. */
  readonly outer: number;
  /** Updates an outer index. */
  readonly count: number;
  /** Targets an outer index. */
  readonly size: number;
  /** Elements a slice. */
  readonly inner: number;
  /** `sorted` (int32), `order` (int32), `updates`, then the output. */
  readonly buffers: readonly BufferSlot[];
}

/** Anything that a device runs. */
export type Kernel =
  | LoopKernel
  | ScanKernel
  | SortKernel
  | ScatterKernel
  | AttentionKernel
  | AttentionGradientKernel;

/** What a reduction of nothing gives. */
export function identityOf(reducer: Reducer, dtype: DType): number {
  switch (reducer) {
    case "sum":
      return 0;
    case "prod":
      return 1;
    case "max":
      return dtype === "bool" ? 0 : toDType(-Infinity, dtype);
    case "min":
      return dtype === "bool" ? 1 : toDType(Infinity, dtype);
    default:
      return reducer satisfies never;
  }
}

/** The ids that a value is computed from. */
export function argumentsOf(value: Value): readonly ValueId[] {
  if ("args" in value) return value.args;
  return value.op === "gather" ? [value.at] : [];
}

/** The index expressions that a value holds. */
export function indicesOf(value: Value): Index[] {
  switch (value.op) {
    case "index":
      return [value.index];
    case "inside":
      return value.bounds.map((bound) => bound.index);
    case "load":
    case "gather":
      return [value.index, ...value.bounds.map((bound) => bound.index)];
    default:
      return [];
  }
}

/** Where in the nest each value is computed. */
export interface Levels {
  /** Whether a value is computed for each column, not once a row. */
  readonly element: readonly boolean[];
  /**
   * The pass over the columns in which a value of each element is first known,
   * or after which (`phase - 1`) a value of a row is.
   */
  readonly phase: readonly number[];
  /** Number of passes over the columns; 0 where there are none. */
  readonly phases: number;
}

/** Sorts the values of a kernel into passes over its columns. */
export function levelsOf(kernel: LoopKernel): Levels {
  const cols = new Set(kernel.cols);
  const element: boolean[] = [];
  const phase: number[] = [];
  let phases = kernel.cols.length > 0 ? 1 : 0;
  kernel.values.forEach((value, id) => {
    const args = argumentsOf(value);
    const latest = Math.max(0, ...args.map((arg) => phase[arg]!));
    if (value.op === "reduce") {
      element[id] = false;
      phase[id] = latest + 1;
      phases = Math.max(phases, latest + 1);
      return;
    }
    element[id] = args.some((arg) => element[arg]) ||
      indicesOf(value).some((index) =>
        [...axesOf(index)].some((axis) => cols.has(axis))
      );
    phase[id] = latest;
  });
  for (const store of kernel.stores) {
    if (kernel.cols.length > 0 && isElementStore(kernel, element, store)) {
      phases = Math.max(phases, phase[store.value]! + 1);
    }
  }
  return { element, phase, phases };
}

/** Whether a store happens for each column: by its value or by its place. */
export function isElementStore(
  kernel: LoopKernel,
  element: readonly boolean[],
  store: Store,
): boolean {
  return element[store.value]! ||
    [...axesOf(store.index)].some((axis) => kernel.cols.includes(axis));
}

/** A text that is equal for kernels that the same code runs. */
export function kernelKey(kernel: Kernel): string {
  const buffers = kernel.buffers
    .map(({ dtype, size, output, overwrites }) =>
      `${output ? "out" : "in"} ${dtype}[${size}]` +
      (overwrites === undefined ? "" : ` over b${overwrites}`)
    )
    .join(", ");
  switch (kernel.kind) {
    case "scan":
      return `scan ${kernel.shape} (${buffers})`;
    case "sort":
      return `sort ${kernel.shape} ${kernel.descending} (${buffers})`;
    case "scatter": {
      const { outer, count, size, inner } = kernel;
      return `scatter ${[outer, count, size, inner]} (${buffers})`;
    }
    case "attention":
    case "attentionGradient":
      return `${kernel.kind} ${attentionKey(kernel)} (${buffers})`;
    case "loop":
      return [
        `loop ${formatAxes(kernel.rows)} | ${formatAxes(kernel.cols)}`,
        `(${buffers}; ${kernel.params})`,
        ...kernel.values.map((value, id) => `v${id} = ${formatValue(value)}`),
        ...kernel.stores.map(formatStore),
        kernel.contract ? formatContract(kernel.contract) : "",
      ].join("\n");
    default:
      return kernel satisfies never;
  }
}

function formatAxes(axes: readonly Axis[]): string {
  return `[${axes.map(({ id, extent }) => `i${id}<${extent}`).join(", ")}]`;
}

function formatBounds(bounds: readonly Bound[]): string {
  return bounds.map(({ index, low, high }) =>
    ` if ${low}<=${indexKey(index)}<${high}`
  ).join("");
}

function formatStore({ buffer, index, value }: Store): string {
  return `b${buffer}[${indexKey(index)}] = v${value}`;
}

function formatContract(contract: Contract): string {
  const { batch, m, n, product, left, right } = contract;
  const axes = [batch, m, n].map(formatAxes).join(" ");
  return `contract ${axes} v${product} = v${left} . v${right}`;
}

function formatValue(value: Value): string {
  const prefix = `${value.dtype} ${value.op}`;
  switch (value.op) {
    case "const":
      return `${prefix} ${Object.is(value.value, -0) ? "-0" : value.value}`;
    case "param":
      return `${prefix} ${value.slot}`;
    case "index":
      return `${prefix} ${indexKey(value.index)}`;
    case "inside":
      return prefix + formatBounds(value.bounds);
    case "load":
      return `${prefix} b${value.buffer}[${indexKey(value.index)}]` +
        formatBounds(value.bounds);
    case "gather":
      return `${prefix} b${value.buffer}[${indexKey(value.index)} + ` +
        `${value.stride}*v${value.at}<${value.extent}]` +
        formatBounds(value.bounds);
    case "reduce":
      return `${prefix} ${value.reducer} v${value.args[0]}`;
    case "threefry":
      return `${prefix}.${value.word} ${value.args.map((id) => `v${id}`)}`;
    default:
      return `${prefix} ${value.args.map((id) => `v${id}`)}`;
  }
}
