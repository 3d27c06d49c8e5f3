/**
 * Matrix products and convolutions as kernels, for tests and benches.
 *
 * @module
 */

import type { LoopKernel } from "../../../tensor/kernel/kernel.ts";
import {
  type Axis,
  axisIndex,
  type Bound,
  flatten,
  type Index,
  mapIndices,
} from "../../../tensor/view.ts";
import { affine, at, KernelBuilder } from "../kernel_builder.ts";

/** The two operands of a product. */
export interface Operands {
  /** At (batch, m, k). */
  readonly left: number;
  /** At (batch, n, k). */
  readonly right: number;
}

/** A product of given axes; `operands` and `stores` say what is loaded and kept. */
export function product(
  name: string,
  b: KernelBuilder,
  axes: { batch?: Axis[]; m: Axis[]; n: Axis[] },
  { left, right }: Operands,
  stores: (product: number) => void,
): LoopKernel {
  const sum = b.reduce("sum", b.op("mul", left, right));
  stores(sum);
  const { batch = [], m, n } = axes;
  return b.build(name, { batch, m, n, product: sum, left, right });
}

/** `[m, k]` x `[k, n]`; each of both, and the result, may lie transposed. */
export function matmul(
  m: number,
  n: number,
  k: number,
  transposed: readonly [boolean, boolean, boolean] = [false, false, false],
): LoopKernel {
  const b = new KernelBuilder();
  const [i, j, c] = [b.row(m), b.row(n), b.col(k)];
  const x = b.input("float32", m * k);
  const y = b.input("float32", k * n);
  const out = b.output("float32", m * n);
  const left = b.load(x, transposed[0] ? at(c, i) : at(i, c));
  const right = b.load(y, transposed[1] ? at(j, c) : at(c, j));
  const name = `matmul ${[m, n, k]} ${transposed}`;
  return product(name, b, { m: [i], n: [j] }, { left, right }, (sum) => {
    b.store(out, transposed[2] ? at(j, i) : at(i, j), sum);
  });
}

/** A convolution of square images. */
export interface Convolution {
  readonly batch: number;
  readonly channels: number;
  readonly outputs: number;
  readonly size: number;
  readonly kernel: number;
  readonly stride: number;
  readonly padding: number;
  readonly dilation: number;
}

function outputSize(c: Convolution): number {
  const span = c.dilation * (c.kernel - 1) + 1;
  return Math.floor((c.size + 2 * c.padding - span) / c.stride) + 1;
}

/** The input at (b, c, window, k) of both spatial axes, padded. */
function windowed(
  c: Convolution,
  b: Index,
  channel: Index,
  places: readonly [Index, Index],
  taps: readonly [Index, Index],
): { index: Index; bounds: Bound[] } {
  const bounds: Bound[] = [];
  const spatial = places.map((place, axis) => {
    const padded = c.size + 2 * c.padding;
    const [inPadded] = mapIndices(
      { kind: "windows", axis: 0, stride: c.stride, dilation: c.dilation },
      [place, taps[axis]!],
      [padded],
      [outputSize(c), c.kernel],
    ).indices;
    const { indices, bounds: own } = mapIndices(
      { kind: "pad", low: [c.padding], interior: [0] },
      [inPadded!],
      [c.size],
      [padded],
    );
    bounds.push(...own);
    return indices[0]!;
  });
  const shape = [c.batch, c.channels, c.size, c.size];
  return { index: flatten([b, channel, ...spatial], shape), bounds };
}

/** With bias and leaky ReLU. */
export function convolution(c: Convolution): LoopKernel {
  const b = new KernelBuilder();
  const side = outputSize(c);
  const [n, o, h, w] = [
    b.row(c.batch),
    b.row(c.outputs),
    b.row(side),
    b.row(side),
  ];
  const [i, kh, kw] = [b.col(c.channels), b.col(c.kernel), b.col(c.kernel)];
  const x = b.input("float32", c.batch * c.channels * c.size ** 2);
  const f = b.input("float32", c.outputs * c.channels * c.kernel ** 2);
  const bias = b.input("float32", c.outputs);
  const out = b.output("float32", c.batch * c.outputs * side ** 2);
  const from = windowed(
    c,
    axisIndex(n),
    axisIndex(i),
    [axisIndex(h), axisIndex(w)],
    [axisIndex(kh), axisIndex(kw)],
  );
  const left = b.load(x, from.index, from.bounds);
  const right = b.load(f, at(o, i, kh, kw));
  const axes = { m: [n, h, w], n: [o] };
  return product(
    `convolution ${Object.values(c)}`,
    b,
    axes,
    { left, right },
    (sum) => {
      const shifted = b.op("add", sum, b.load(bias, at(o)));
      const slope = b.op("mul", shifted, b.constant(0.01));
      b.store(out, at(n, o, h, w), b.op("max", shifted, slope));
    },
  );
}

/** The gradient of the weights of a convolution. */
export function weightGradient(c: Convolution): LoopKernel {
  const b = new KernelBuilder();
  const side = outputSize(c);
  const [o, i, kh, kw] = [
    b.row(c.outputs),
    b.row(c.channels),
    b.row(c.kernel),
    b.row(c.kernel),
  ];
  const [n, h, w] = [b.col(c.batch), b.col(side), b.col(side)];
  const g = b.input("float32", c.batch * c.outputs * side ** 2);
  const x = b.input("float32", c.batch * c.channels * c.size ** 2);
  const out = b.output("float32", c.outputs * c.channels * c.kernel ** 2);
  const from = windowed(
    c,
    axisIndex(n),
    axisIndex(i),
    [axisIndex(h), axisIndex(w)],
    [axisIndex(kh), axisIndex(kw)],
  );
  const left = b.load(g, at(n, o, h, w));
  const right = b.load(x, from.index, from.bounds);
  const axes = { m: [o], n: [i, kh, kw] };
  return product(`weight gradient ${Object.values(c)}`, b, axes, {
    left,
    right,
  }, (sum) => {
    b.store(out, at(o, i, kh, kw), sum);
  });
}

/** The gradient of the input of a convolution. */
export function inputGradient(c: Convolution): LoopKernel {
  const b = new KernelBuilder();
  const side = outputSize(c);
  const [n, i, h, w] = [
    b.row(c.batch),
    b.row(c.channels),
    b.row(c.size),
    b.row(c.size),
  ];
  const [o, kh, kw] = [b.col(c.outputs), b.col(c.kernel), b.col(c.kernel)];
  const g = b.input("float32", c.batch * c.outputs * side ** 2);
  const f = b.input("float32", c.outputs * c.channels * c.kernel ** 2);
  const out = b.output("float32", c.batch * c.channels * c.size ** 2);
  const bounds: Bound[] = [];
  const [gh, gw] = ([[h, kh], [w, kw]] as const).map(([place, tap]) => {
    const { indices, bounds: own } = mapIndices(
      { kind: "unwindow", axis: 0, stride: c.stride, dilation: c.dilation },
      [affine([[1, place]], c.padding), axisIndex(tap)],
      [side, c.kernel],
      [c.size, c.kernel],
    );
    bounds.push(...own);
    return indices[0]!;
  });
  const shape = [c.batch, c.outputs, side, side];
  const index = flatten([axisIndex(n), axisIndex(o), gh!, gw!], shape);
  const left = b.load(g, index, bounds);
  const right = b.load(f, at(o, i, kh, kw));
  const axes = { m: [n, h, w], n: [i] };
  return product(
    `input gradient ${Object.values(c)}`,
    b,
    axes,
    { left, right },
    (sum) => {
      b.store(out, at(n, i, h, w), sum);
    },
  );
}
