/**
 * Random loop kernels whose results do not depend on the order of reductions:
 * any generator must agree with the interpreter to the bit.
 *
 * @module
 */

import type { DType } from "../../../tensor/dtype.ts";
import {
  type HostBuffer,
  hostBuffer,
} from "../../../tensor/kernel/interpret.ts";
import type {
  BufferSlot,
  LoopKernel,
  Store,
  Value,
  ValueId,
} from "../../../tensor/kernel/kernel.ts";
import {
  type Axis,
  axisIndex,
  type Bound,
  constantIndex,
  flatten,
  type Index,
  linear,
  quotient,
  remainder,
} from "../../../tensor/view.ts";

/** A kernel with data to run it on. */
export interface RandomCase {
  readonly kernel: LoopKernel;
  readonly buffers: HostBuffer[];
  readonly params: Uint32Array;
}

/** Numbers from a seed: mulberry32. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  /** In `[0, 1)`. */
  unit(): number {
    this.#state = (this.#state + 0x6D2B79F5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number from `low` to `high`, both included. */
  integer(low: number, high: number): number {
    return low + Math.floor(this.unit() * (high - low + 1));
  }

  chance(probability: number): boolean {
    return this.unit() < probability;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.integer(0, list.length - 1)]!;
  }

  shuffle<T>(list: readonly T[]): T[] {
    const left = [...list];
    return list.map(() => left.splice(this.integer(0, left.length - 1), 1)[0]!);
  }
}

const EXTENTS = [1, 2, 3, 4, 5, 7, 8, 9, 17, 33, 70];

/** What takes long in the interpreter is left out. */
const MOST_ITERATIONS = 6000;
const MOST_ELEMENTS = 200_000;

/** Values that meet every special case now and then. */
export function randomData(
  random: Random,
  dtype: DType,
  size: number,
): HostBuffer {
  const data = hostBuffer(dtype, size);
  const special = dtype === "float32"
    ? [0, -0, NaN, Infinity, -Infinity, 0.5, 2.5, -3e38, 1e-40, 3e9]
    : [0, 1, 0x7fffffff, -1, -0x80000000];
  for (let i = 0; i < size; i++) {
    if (dtype === "bool") data[i] = random.integer(0, 1);
    else if (random.chance(0.05)) data[i] = random.pick(special);
    else if (dtype === "float32") data[i] = random.unit() * 20 - 10;
    else data[i] = random.integer(dtype === "uint32" ? 0 : -20, 20);
  }
  return data;
}

class Generator {
  readonly #random: Random;
  readonly #rows: Axis[] = [];
  readonly #cols: Axis[] = [];
  readonly #values: Value[] = [];
  readonly #stores: Store[] = [];
  readonly #inputs: BufferSlot[] = [];
  readonly #outputs: BufferSlot[] = [];
  readonly #params: DType[] = [];

  constructor(random: Random) {
    this.#random = random;
  }

  /** A kernel, or undefined if it came out too large. */
  make(): RandomCase | undefined {
    const random = this.#random;
    const axis = (): Axis => ({
      id: this.#rows.length + this.#cols.length,
      extent: random.chance(0.04) ? 0 : random.pick(EXTENTS),
    });
    const rows = random.integer(0, 3);
    const cols = random.integer(0, 2);
    for (let i = 0; i < rows; i++) this.#rows.push(axis());
    for (let i = 0; i < cols; i++) this.#cols.push(axis());
    const iterations = this.#axes()
      .reduce((product, { extent }) => product * Math.max(1, extent), 1);
    if (iterations > MOST_ITERATIONS) return undefined;
    const loads = random.integer(1, 3);
    for (let i = 0; i < loads; i++) this.#load();
    const steps = random.integer(1, 12);
    for (let i = 0; i < steps; i++) this.#step();
    this.#storeSome();
    // Outputs stand behind the inputs.
    const stores = this.#stores.map((store) => ({
      ...store,
      buffer: store.buffer + this.#inputs.length,
    }));
    const buffers = [...this.#inputs, ...this.#outputs];
    if (buffers.some(({ size }) => size > MOST_ELEMENTS)) return undefined;
    const kernel: LoopKernel = {
      kind: "loop",
      name: "random",
      rows: this.#rows,
      cols: this.#cols,
      values: this.#values,
      stores,
      buffers,
      params: this.#params,
    };
    return {
      kernel,
      buffers: buffers.map(({ dtype, size }) =>
        randomData(random, dtype, size)
      ),
      params: new Uint32Array(
        randomData(random, "int32", this.#params.length),
      ),
    };
  }

  #axes(): Axis[] {
    return [...this.#rows, ...this.#cols];
  }

  /** A sum of some axes, some of them divided. */
  #expression(): Index {
    const random = this.#random;
    const axes = this.#axes();
    if (axes.length === 0) return constantIndex(0);
    if (random.chance(0.5)) {
      const order = random.chance(0.5) ? axes : random.shuffle(axes);
      const some = order.filter(() => random.chance(0.8));
      return flatten(some.map(axisIndex), some.map((axis) => axis.extent));
    }
    const parts: [number, Index][] = [];
    for (const axis of axes) {
      if (random.chance(0.3)) continue;
      let index = axisIndex(axis);
      if (random.chance(0.3)) {
        const other = axisIndex(random.pick(axes));
        const sum = linear([[random.pick([1, 2, 4]), index], [1, other]]);
        const by = random.pick([2, 3, 4, 5, 8]);
        index = random.chance(0.5) ? quotient(sum, by) : remainder(sum, by);
      }
      parts.push([random.pick([1, 1, 1, 2, 3, -1, -1, 5]), index]);
    }
    return linear(parts);
  }

  #fromZero(index: Index): Index {
    return linear([[1, index]], -index.low);
  }

  /** Bounds, and an index that lies in `[0, size)` where they hold. */
  #place(): { index: Index; bounds: Bound[]; size: number } {
    const random = this.#random;
    if (random.chance(0.6)) {
      const index = this.#fromZero(this.#expression());
      return { index, bounds: [], size: Math.max(index.high + 1, 1) };
    }
    const outer = linear([[1, this.#expression()]], random.integer(-3, 1));
    const inner = this.#fromZero(this.#expression());
    const high = random.integer(1, Math.max(1, outer.high));
    const bounds: Bound[] = [{ index: outer, low: 0, high }];
    if (random.chance(0.3)) {
      bounds.push({ index: this.#expression(), low: 0, high: 3 });
    }
    const width = Math.max(inner.high + 1, 1);
    const index = linear([[width, outer], [1, inner]]);
    return { index, bounds, size: width * high };
  }

  #add(value: Value): ValueId {
    this.#values.push(value);
    return this.#values.length - 1;
  }

  #load(): ValueId {
    const dtype = this.#random.pick<DType>(
      ["float32", "float32", "float32", "int32", "uint32", "bool"],
    );
    const { index, bounds, size } = this.#place();
    this.#inputs.push({ dtype, size, output: false });
    const buffer = this.#inputs.length - 1;
    return this.#add({ op: "load", dtype, buffer, index, bounds });
  }

  /** A value of a type, made if there is none. */
  #some(dtype: DType): ValueId {
    const random = this.#random;
    const present = this.#values.flatMap((value, id) =>
      value.dtype === dtype ? [id] : []
    );
    if (present.length > 0 && random.chance(0.9)) return random.pick(present);
    if (random.chance(0.4)) {
      const value = dtype === "bool"
        ? random.integer(0, 1)
        : random.integer(dtype === "uint32" ? 0 : -3, 9);
      return this.#add({ op: "const", dtype, value });
    }
    if (random.chance(0.2) && dtype !== "bool") {
      this.#params.push(dtype);
      return this.#add({ op: "param", dtype, slot: this.#params.length - 1 });
    }
    const from = random.integer(0, this.#values.length - 1);
    return this.#add({ op: "cast", dtype, args: [from] });
  }

  #step(): void {
    const random = this.#random;
    const dtype = random.pick<DType>(["float32", "int32", "uint32", "bool"]);
    const number = dtype === "bool" ? "int32" : dtype;
    const some = () => this.#some(dtype);
    switch (random.integer(0, 11)) {
      case 0:
        this.#load();
        return;
      case 1:
        this.#gather();
        return;
      case 2:
        this.#reduce();
        return;
      case 3: {
        const index = this.#expression();
        this.#add({ op: "index", dtype: "int32", index });
        return;
      }
      case 4: {
        const { bounds } = this.#place();
        this.#add({ op: "inside", dtype: "bool", bounds });
        return;
      }
      case 5: {
        const condition = this.#some("bool");
        const args = [condition, some(), some()] as const;
        this.#add({ op: "where", dtype, args });
        return;
      }
      case 6: {
        const op = random.pick(["lt", "le", "eq", "ne"] as const);
        this.#add({ op, dtype: "bool", args: [some(), some()] });
        return;
      }
      case 7: {
        const ops = dtype === "float32"
          ? ["neg", "abs", "sqrt", "floor", "ceil", "round", "trunc"] as const
          : dtype === "bool"
          ? ["not"] as const
          : ["not", "neg", "abs"] as const;
        this.#add({ op: random.pick(ops), dtype, args: [some()] });
        return;
      }
      case 8: {
        const args = [0, 1, 2, 3].map(() => this.#some("uint32")) as [
          ValueId,
          ValueId,
          ValueId,
          ValueId,
        ];
        const word = random.pick([0, 1] as const);
        this.#add({ op: "threefry", dtype: "uint32", args, word });
        return;
      }
      default: {
        const ops = number === "float32"
          ? ["add", "sub", "mul", "div", "min", "max", "rem"] as const
          : dtype === "bool"
          ? ["and", "or", "xor", "min", "max"] as const
          : [
            ...["add", "sub", "mul", "min", "max", "and", "or"] as const,
            ...["xor", "shl", "shr", "idiv", "rem"] as const,
          ];
        this.#add({ op: random.pick(ops), dtype, args: [some(), some()] });
      }
    }
  }

  #gather(): void {
    const random = this.#random;
    const { index, bounds, size } = this.#place();
    const at = this.#some("int32");
    const stride = random.integer(1, 3);
    const extent = random.integer(1, 6);
    const dtype = random.pick<DType>(["float32", "int32"]);
    this.#inputs.push({
      dtype,
      size: size + stride * (extent - 1),
      output: false,
    });
    const buffer = this.#inputs.length - 1;
    const place = { buffer, index, bounds, at, stride, extent };
    this.#add({ op: "gather", dtype, ...place });
  }

  #reduce(): void {
    const random = this.#random;
    const dtype = random.pick<DType>(["float32", "int32", "uint32", "bool"]);
    let arg = this.#some(dtype);
    if (dtype === "bool" || (dtype === "float32" && random.chance(0.5))) {
      const reducer = random.pick(["max", "min"] as const);
      this.#add({ op: "reduce", dtype, reducer, args: [arg] });
      return;
    }
    if (dtype === "float32") {
      // Sums of small whole numbers are exact in any order.
      const whole = this.#some("int32");
      const mask = this.#add({ op: "const", dtype: "int32", value: 15 });
      const small = this.#add({
        op: "and",
        dtype: "int32",
        args: [whole, mask],
      });
      arg = this.#add({ op: "cast", dtype, args: [small] });
      this.#add({ op: "reduce", dtype, reducer: "sum", args: [arg] });
      return;
    }
    const reducer = random.pick(["sum", "prod", "max", "min"] as const);
    this.#add({ op: "reduce", dtype, reducer, args: [arg] });
  }

  #storeSome(): void {
    const random = this.#random;
    const last = this.#values.length - 1;
    const chosen = new Set([last, random.integer(0, last)]);
    for (const value of chosen) {
      const axes = this.#dependsOnCols(value) || random.chance(0.1)
        ? this.#axes()
        : this.#rows;
      const order = random.chance(0.6) ? axes : random.shuffle(axes);
      const flat = flatten(
        order.map(axisIndex),
        order.map((axis) => Math.max(1, axis.extent)),
      );
      const step = random.chance(0.2) ? 2 : 1;
      const index = linear([[step, flat]], step - 1);
      this.#outputs.push({
        dtype: this.#values[value]!.dtype,
        size: Math.max(1, index.high + 1),
        output: true,
      });
      this.#stores.push({ buffer: this.#outputs.length - 1, index, value });
    }
  }

  #dependsOnCols(id: ValueId): boolean {
    const value = this.#values[id]!;
    if (value.op === "reduce") return false;
    const args = "args" in value
      ? value.args as readonly ValueId[]
      : value.op === "gather"
      ? [value.at]
      : [];
    if (args.some((arg) => this.#dependsOnCols(arg))) return true;
    const text = JSON.stringify(value);
    return this.#cols.some(({ id }) => text.includes(`"id":${id},`));
  }
}

/** The kernel of a seed. */
export function randomKernel(seed: number): RandomCase {
  const random = new Random(seed);
  for (;;) {
    const made = new Generator(random).make();
    if (made) return made;
  }
}
