/**
 * Arrays of float64 numbers, for references: plain loops, no tensors.
 *
 * @module
 */

import { type DType, type Tensor, tensor } from "@heddle/tensor";

/** Row-major numbers with a shape. */
export class Values {
  /** Sizes of the axes. */
  readonly shape: readonly number[];
  /** The numbers, row by row. */
  readonly data: Float64Array;

  constructor(shape: readonly number[], data: ArrayLike<number>) {
    const size = shape.reduce((product, extent) => product * extent, 1);
    if (data.length !== size) {
      throw new RangeError(`values: ${data.length} numbers for [${shape}]`);
    }
    this.shape = [...shape];
    this.data = Float64Array.from(data);
  }

  /** The number that `f` gives for each index. */
  static of(
    shape: readonly number[],
    f: (...index: number[]) => number,
  ): Values {
    return new Values(shape, indices(shape).map((index) => f(...index)));
  }

  /** Numbers, or nested arrays of them. */
  static from(nested: Nested): Values {
    const shape: number[] = [];
    for (let at = nested; typeof at === "object";) {
      shape.push(at.length);
      if (at.length === 0) break;
      at = at[0]!;
    }
    const flat: number[] = [];
    const visit = (part: Nested): void => {
      if (typeof part === "object") { for (const inner of part) visit(inner); }
      else flat.push(Number(part));
    };
    visit(nested);
    return new Values(shape, flat);
  }

  /** Number of elements. */
  get size(): number {
    return this.data.length;
  }

  /** The number at an index; negative ones count from the end. */
  at(...index: number[]): number {
    let flat = 0;
    this.shape.forEach((extent, axis) => {
      const i = index[axis]!;
      flat = flat * extent + (i < 0 ? i + extent : i);
    });
    return this.data[flat]!;
  }

  /** `f` of each number. */
  map(f: (value: number, index: readonly number[]) => number): Values {
    const all = indices(this.shape);
    return new Values(
      this.shape,
      this.data.map((value, at) => f(value, all[at]!)),
    );
  }

  /** `f` of all numbers along some axes. */
  reduce(
    axes: readonly number[] | number | undefined,
    keepDims: boolean,
    f: (list: number[]) => number,
  ): Values {
    const rank = this.shape.length;
    const list = axes === undefined
      ? this.shape.map((_, axis) => axis)
      : (typeof axes === "number" ? [axes] : axes)
        .map((axis) => axis < 0 ? axis + rank : axis);
    const kept = this.shape.map((extent, axis) =>
      list.includes(axis) ? 1 : extent
    );
    const gathered = new Map<string, number[]>();
    for (const index of indices(kept)) gathered.set(`${index}`, []);
    indices(this.shape).forEach((index, at) => {
      const home = index.map((i, axis) => list.includes(axis) ? 0 : i);
      gathered.get(`${home}`)!.push(this.data[at]!);
    });
    const shape = keepDims
      ? kept
      : this.shape.filter((_, axis) => !list.includes(axis));
    return new Values(shape, [...gathered.values()].map(f));
  }

  /** `f` of each line of numbers along an axis, which may change its size. */
  along(axis: number, f: (line: number[]) => number[]): Values {
    const at = axis < 0 ? axis + this.shape.length : axis;
    const rest = this.shape.map((extent, i) => i === at ? 1 : extent);
    const results = new Map<string, number[]>();
    let size = f(new Array<number>(this.shape[at]!).fill(0)).length;
    for (const index of indices(rest)) {
      const line = Array.from({ length: this.shape[at]! }, (_, i) => {
        const place = [...index];
        place[at] = i;
        return this.at(...place);
      });
      const result = f(line);
      size = result.length;
      results.set(`${index}`, result);
    }
    const shape = this.shape.map((extent, i) => i === at ? size : extent);
    return Values.of(shape, (...index) => {
      const home = index.map((i, a) => a === at ? 0 : i);
      return results.get(`${home}`)![index[at]!]!;
    });
  }

  /** The same numbers under another shape. */
  reshape(shape: readonly number[]): Values {
    return new Values(shape, this.data);
  }

  /** As a tensor of these numbers. */
  tensor(dtype: DType = "float32"): Tensor {
    return tensor(this.data, { shape: this.shape, dtype });
  }
}

/** Numbers nested as deep as there are axes. */
export type Nested = number | boolean | readonly Nested[];

/** All indices of a shape, row by row. */
export function indices(shape: readonly number[]): number[][] {
  return shape.reduce<number[][]>(
    (list, extent) =>
      list.flatMap((index) =>
        Array.from({ length: extent }, (_, i) => [...index, i])
      ),
    [[]],
  );
}

/** `f` of the numbers that meet when all broadcast by NumPy's rule. */
export function zip(
  f: (...numbers: number[]) => number,
  ...operands: readonly Values[]
): Values {
  const rank = Math.max(...operands.map(({ shape }) => shape.length));
  const shape = Array.from({ length: rank }, (_, axis) => {
    const extents = operands.map((x) => x.shape[axis - rank + x.shape.length]);
    return extents.find((e) => e !== undefined && e !== 1) ?? 1;
  });
  return Values.of(shape, (...index) => {
    const met = operands.map((x) => {
      const own = index.slice(rank - x.shape.length);
      return x.at(...own.map((i, axis) => x.shape[axis] === 1 ? 0 : i));
    });
    return f(...met);
  });
}
