/**
 * Makes kernels by hand, for tests of the code generators.
 *
 * @module
 */

import type { DType } from "../../tensor/dtype.ts";
import { hostBuffer, interpret } from "../../tensor/kernel/interpret.ts";
import type { HostBuffer } from "../../tensor/kernel/interpret.ts";
import type {
  BinaryOp,
  BufferSlot,
  CompareOp,
  Contract,
  Kernel,
  LoopKernel,
  Reducer,
  Store,
  UnaryOp,
  Value,
  ValueId,
} from "../../tensor/kernel/kernel.ts";
import { flatten, linear } from "../../tensor/view.ts";
import type { Axis, Bound, Index } from "../../tensor/view.ts";
import { axisIndex } from "../../tensor/view.ts";

const COMPARISONS: readonly string[] = ["lt", "le", "eq", "ne"];

/** Collects axes, buffers, values and stores; {@link build} gives the kernel. */
export class KernelBuilder {
  readonly #rows: Axis[] = [];
  readonly #cols: Axis[] = [];
  readonly #buffers: BufferSlot[] = [];
  readonly #params: DType[] = [];
  readonly #values: Value[] = [];
  readonly #stores: Store[] = [];

  /** An outer loop. */
  row(extent: number): Axis {
    const axis = { id: this.#rows.length + this.#cols.length, extent };
    this.#rows.push(axis);
    return axis;
  }

  /** An inner loop. */
  col(extent: number): Axis {
    const axis = { id: this.#rows.length + this.#cols.length, extent };
    this.#cols.push(axis);
    return axis;
  }

  /** A buffer that is read: declare all of them before the first output. */
  input(dtype: DType, size: number): number {
    return this.#buffers.push({ dtype, size, output: false }) - 1;
  }

  /** A buffer that is written. */
  output(dtype: DType, size: number): number {
    return this.#buffers.push({ dtype, size, output: true }) - 1;
  }

  /** Any value. */
  value(value: Value): ValueId {
    return this.#values.push(value) - 1;
  }

  /** A constant. */
  constant(value: number, dtype: DType = "float32"): ValueId {
    return this.value({ op: "const", dtype, value });
  }

  /** A new scalar parameter. */
  param(dtype: DType = "float32"): ValueId {
    const slot = this.#params.push(dtype) - 1;
    return this.value({ op: "param", dtype, slot });
  }

  /** An element of an input. */
  load(
    buffer: number,
    index: Index,
    bounds: readonly Bound[] = [],
  ): ValueId {
    const { dtype } = this.#buffers[buffer]!;
    return this.value({ op: "load", dtype, buffer, index, bounds });
  }

  /** An operation whose result has the type of its operands, or bool. */
  op(op: UnaryOp | BinaryOp | CompareOp, ...args: ValueId[]): ValueId {
    const dtype = COMPARISONS.includes(op)
      ? "bool"
      : this.#values[args[0]!]!.dtype;
    return this.value({ op, dtype, args } as unknown as Value);
  }

  /** `condition ? a : b`. */
  where(condition: ValueId, a: ValueId, b: ValueId): ValueId {
    const { dtype } = this.#values[a]!;
    return this.value({ op: "where", dtype, args: [condition, a, b] });
  }

  /** To another type. */
  cast(a: ValueId, dtype: DType): ValueId {
    return this.value({ op: "cast", dtype, args: [a] });
  }

  /** A reduction of all columns. */
  reduce(reducer: Reducer, a: ValueId): ValueId {
    const { dtype } = this.#values[a]!;
    return this.value({ op: "reduce", dtype, reducer, args: [a] });
  }

  /** Writes an element of an output. */
  store(buffer: number, index: Index, value: ValueId): void {
    this.#stores.push({ buffer, index, value });
  }

  /** The kernel so far. */
  build(name: string, contract?: Contract): LoopKernel {
    return {
      kind: "loop",
      name,
      rows: this.#rows,
      cols: this.#cols,
      values: this.#values,
      stores: this.#stores,
      buffers: this.#buffers,
      params: this.#params,
      ...(contract ? { contract } : {}),
    };
  }
}

/** Row-major position in an array whose sizes are the extents of the axes. */
export function at(...axes: readonly Axis[]): Index {
  return flatten(axes.map(axisIndex), axes.map(({ extent }) => extent));
}

/** `Σ coefficient * axis + constant`. */
export function affine(
  parts: readonly (readonly [number, Axis])[],
  constant: number = 0,
): Index {
  return linear(
    parts.map(([scale, axis]) => [scale, axisIndex(axis)] as const),
    constant,
  );
}

/** What the interpreter writes to the outputs, one array an output. */
export function expected(
  kernel: Kernel,
  inputs: readonly HostBuffer[],
  params: Uint32Array = new Uint32Array(),
): HostBuffer[] {
  let next = 0;
  const buffers = kernel.buffers.map(({ dtype, size, output }) =>
    output ? hostBuffer(dtype, size) : inputs[next++]!
  );
  interpret(kernel, buffers, params);
  return buffers.filter((_, slot) => kernel.buffers[slot]!.output);
}
