/**
 * Runs a kernel as the plain nest of loops that it describes: the oracle of
 * the devices. It rounds to float32 after each operation, and fails where a
 * kernel leaves a buffer.
 *
 * @module
 */

import { decode, type DType, encode, toDType } from "../dtype.ts";
import { threefry } from "../threefry.ts";
import { type Axis, type Bound, evaluateIndex, type Index } from "../view.ts";
import {
  interpretAttention,
  interpretAttentionGradient,
} from "./interpret_attention.ts";
import {
  identityOf,
  isElementStore,
  type Kernel,
  levelsOf,
  type LoopKernel,
  type Reducer,
  type ScanKernel,
  type ScatterKernel,
  type SortKernel,
  type Value,
  type ValueId,
} from "./kernel.ts";

/** A buffer on the host: floats, or the integers that the slot's type names. */
export type HostBuffer = Float32Array | Int32Array | Uint32Array;

/**
 * Runs a kernel on host memory.
 *
 * @param kernel What to run.
 * @param buffers One a slot; a bool is a Uint32Array of 0 and 1.
 * @param params One word a parameter.
 */
export function interpret(
  kernel: Kernel,
  buffers: readonly HostBuffer[],
  params: Uint32Array,
): void {
  switch (kernel.kind) {
    case "loop":
      return interpretLoop(kernel, buffers, params);
    case "scan":
      return interpretScan(kernel, buffers);
    case "sort":
      return interpretSort(kernel, buffers);
    case "scatter":
      return interpretScatter(kernel, buffers);
    case "attention":
      return interpretAttention(kernel, buffers);
    case "attentionGradient":
      return interpretAttentionGradient(kernel, buffers);
    default:
      return kernel satisfies never;
  }
}

/** An array of the type that stores `dtype`. */
export function hostBuffer(
  dtype: DType,
  from: number | ArrayBuffer,
  byteOffset: number = 0,
  length?: number,
): HostBuffer {
  // `as ArrayBuffer` picks one of the constructors' overloads; a number takes
  // no notice of the rest.
  const parts = [from as ArrayBuffer, byteOffset, length] as const;
  if (dtype === "float32") return new Float32Array(...parts);
  return dtype === "int32"
    ? new Int32Array(...parts)
    : new Uint32Array(...parts);
}

function interpretLoop(
  kernel: LoopKernel,
  buffers: readonly HostBuffer[],
  params: Uint32Array,
): void {
  const { element, phase, phases } = levelsOf(kernel);
  const { values, stores } = kernel;
  const position = new Map<Axis, number>();
  const at = (index: Index) =>
    evaluateIndex(index, (axis) => position.get(axis)!);
  const inside = (bounds: readonly Bound[]) =>
    bounds.every(({ index, low, high }) => {
      const value = at(index);
      return low <= value && value < high;
    });
  const read = (buffer: number, index: number): number => {
    const { size } = kernel.buffers[buffer]!;
    const value = buffers[buffer]![index];
    if (value !== undefined && index < size) return value;
    // Columns of extent 0 stand still at 0, where nothing uses what is read.
    if (size === 0) return 0;
    throw new RangeError(
      `interpret: element ${index} of buffer ${buffer} with ${size} elements: ${kernel.name}`,
    );
  };
  const known = new Array<number>(values.length).fill(0);
  const compute = (value: Value): number => {
    switch (value.op) {
      case "const":
        return toDType(value.value, value.dtype);
      case "param":
        return decode(params[value.slot]!, value.dtype);
      case "index":
        return at(value.index);
      case "inside":
        return Number(inside(value.bounds));
      case "load":
        return inside(value.bounds) ? read(value.buffer, at(value.index)) : 0;
      case "gather": {
        const chosen = known[value.at]!;
        if (!inside(value.bounds) || chosen < 0 || chosen >= value.extent) {
          return 0;
        }
        return read(value.buffer, at(value.index) + value.stride * chosen);
      }
      case "reduce":
        throw new Error("reduce: computed by its pass over the columns");
      default: {
        const args = value.args as readonly ValueId[];
        const from = values[args[0]!]!.dtype;
        return applyOp(value, args.map((arg) => known[arg]!), from);
      }
    }
  };
  const write = (chosen: boolean, inPhase: number) => {
    for (const store of stores) {
      const isElement = isElementStore(kernel, element, store);
      if (isElement !== chosen) continue;
      if (isElement && phase[store.value] !== inPhase) continue;
      const index = at(store.index);
      read(store.buffer, index);
      buffers[store.buffer]![index] = known[store.value]!;
    }
  };
  const computeLevel = (isElement: boolean, inPhase: number) => {
    values.forEach((value, id) => {
      if (value.op === "reduce" || element[id] !== isElement) return;
      if (isElement ? phase[id]! <= inPhase : phase[id] === inPhase) {
        known[id] = compute(value);
      }
    });
  };
  forEachPosition(kernel.rows, position, () => {
    for (const axis of kernel.cols) position.set(axis, 0);
    computeLevel(false, 0);
    for (let pass = 0; pass < phases; pass++) {
      const reductions = values.flatMap((value, id) =>
        value.op === "reduce" && phase[id] === pass + 1 ? [{ value, id }] : []
      );
      for (const { value, id } of reductions) {
        known[id] = identityOf(value.reducer, value.dtype);
      }
      forEachPosition(kernel.cols, position, () => {
        computeLevel(true, pass);
        for (const { value, id } of reductions) {
          known[id] = combine(
            value.reducer,
            known[id]!,
            known[value.args[0]]!,
            value.dtype,
          );
        }
        write(true, pass);
      });
      computeLevel(false, pass + 1);
    }
    if (kernel.cols.length === 0) write(true, 0);
    write(false, 0);
  });
}

function forEachPosition(
  axes: readonly Axis[],
  position: Map<Axis, number>,
  visit: () => void,
  from: number = 0,
): void {
  const axis = axes[from];
  if (axis === undefined) return visit();
  for (let i = 0; i < axis.extent; i++) {
    position.set(axis, i);
    forEachPosition(axes, position, visit, from + 1);
  }
}

function combine(reducer: Reducer, a: number, b: number, dtype: DType): number {
  switch (reducer) {
    case "sum":
      return wrap(a + b, dtype);
    case "prod":
      return dtype === "float32"
        ? Math.fround(a * b)
        : wrap(Math.imul(a, b), dtype);
    case "max":
      return Math.max(a, b);
    case "min":
      return Math.min(a, b);
    default:
      return reducer satisfies never;
  }
}

function wrap(value: number, dtype: DType): number {
  if (dtype === "float32") return Math.fround(value);
  return dtype === "int32" ? value | 0 : value >>> 0;
}

function roundHalfEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  if (rest !== 0.5) return rest < 0.5 ? floor : floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}

function applyOp(
  value: Value,
  args: readonly number[],
  from: DType,
): number {
  const dtype = value.dtype;
  const [a = 0, b = 0, c = 0, d = 0] = args;
  const float = from === "float32";
  switch (value.op) {
    case "neg":
      return wrap(-a, dtype);
    case "abs":
      return wrap(Math.abs(a), dtype);
    case "exp":
      return Math.fround(Math.exp(a));
    case "log":
      return Math.fround(Math.log(a));
    case "sqrt":
      return Math.fround(Math.sqrt(a));
    case "sin":
      return Math.fround(Math.sin(a));
    case "cos":
      return Math.fround(Math.cos(a));
    case "floor":
      return Math.floor(a);
    case "ceil":
      return Math.ceil(a);
    case "round":
      return roundHalfEven(a);
    case "trunc":
      return Math.trunc(a);
    case "not":
      return dtype === "bool" ? Number(a === 0) : wrap(~a, dtype);
    case "add":
      return wrap(a + b, dtype);
    case "sub":
      return wrap(a - b, dtype);
    case "mul":
      return float ? Math.fround(a * b) : wrap(Math.imul(a, b), dtype);
    case "div":
      return Math.fround(a / b);
    case "idiv":
      return b === 0 ? 0 : wrap(Math.trunc(a / b), dtype);
    case "rem":
      return b === 0 && !float ? 0 : a % b;
    case "min":
      return Math.min(a, b);
    case "max":
      return Math.max(a, b);
    case "and":
      return wrap(a & b, dtype);
    case "or":
      return wrap(a | b, dtype);
    case "xor":
      return wrap(a ^ b, dtype);
    case "shl":
      return wrap(a << b, dtype);
    case "shr":
      return from === "int32" ? a >> b : a >>> b;
    case "lt":
      return Number(a < b);
    case "le":
      return Number(a <= b);
    case "eq":
      return Number(a === b);
    case "ne":
      return Number(a !== b);
    case "where":
      return a !== 0 ? b : c;
    case "cast":
      if (dtype === "int32" && from === "uint32") return a | 0;
      if (dtype === "uint32" && from === "int32") return a >>> 0;
      return toDType(a, dtype);
    case "bitcast":
      return decode(encode(a, from), dtype);
    case "threefry":
      return threefry(a, b, c, d)[value.word];
    default:
      throw new Error(`interpret: unexpected ${value.op}`);
  }
}

function interpretScan(
  { shape: [outer, size, inner] }: ScanKernel,
  [input, output]: readonly HostBuffer[],
): void {
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < inner; i++) {
      let sum = 0;
      for (let s = 0; s < size; s++) {
        const at = (o * size + s) * inner + i;
        output![at] = sum + input![at]!;
        sum = output![at]!;
      }
    }
  }
}

function interpretSort(
  { shape: [rows, size], descending }: SortKernel,
  [input, sorted, order]: readonly HostBuffer[],
): void {
  for (let row = 0; row < rows; row++) {
    const values = input!.subarray(row * size, (row + 1) * size);
    const positions = Array.from(values, (_, position) => position);
    positions.sort((p, q) => {
      const a = values[p]!;
      const b = values[q]!;
      if (Number.isNaN(a) || Number.isNaN(b)) {
        return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
      }
      return descending ? b - a : a - b;
    });
    positions.forEach((from, to) => {
      sorted![row * size + to] = values[from]!;
      order![row * size + to] = from;
    });
  }
}

function interpretScatter(
  { outer, count, size, inner }: ScatterKernel,
  [sorted, order, updates, output]: readonly HostBuffer[],
): void {
  output!.fill(0);
  for (let o = 0; o < outer; o++) {
    for (let p = 0; p < count; p++) {
      const target = sorted![o * count + p]!;
      if (target < 0 || target >= size) continue;
      const from = (o * count + order![o * count + p]!) * inner;
      const to = (o * size + target) * inner;
      for (let i = 0; i < inner; i++) {
        output![to + i] = output![to + i]! + updates![from + i]!;
      }
    }
  }
}
