/**
 * Padded copies: an operand that is 0 outside of its bounds, as in a padded
 * convolution, is read many times over. Copied once with the zeros around it,
 * it is read without a look at bounds.
 *
 * @module
 */

import {
  argumentsOf,
  type LoopKernel,
  type Value,
  type ValueId,
} from "../kernel/kernel.ts";
import {
  axesOf,
  type Axis,
  axisIndex,
  type Bound,
  flatten,
  type Index,
  isDivision,
  linear,
  rangeOf,
} from "../view.ts";

type Load = Value & { op: "load" };

/** A kernel that reads padded copies. */
export interface PaddedKernel {
  /**
   * The kernel, with loads from a further buffer whose address lies behind the
   * params: the copies, one behind the other.
   */
  readonly kernel: LoopKernel;
  /** Each writes one copy: inputs of the kernel, then the buffer of copies. */
  readonly copies: readonly LoopKernel[];
  /** Elements of all copies. */
  readonly size: number;
}

/** A copy pays if its elements are read so often on average. */
const LEAST_READS = 1.5;
const MAX_ELEMENTS = 1 << 24;

/** Replaces the loads of a product's operands for which it pays. */
export function padOperands(kernel: LoopKernel): PaddedKernel {
  const values = [...kernel.values];
  const copies: LoopKernel[] = [];
  const word = kernel.buffers.length + kernel.params.length;
  let size = 0;
  const { left, right } = kernel.contract!;
  for (const operand of [left, right]) {
    for (const id of loadsBehind(kernel, operand)) {
      const load = kernel.values[id] as Load;
      const padded = padLoad(kernel, load);
      if (!padded || size + padded.size > MAX_ELEMENTS) continue;
      const index = linear([[1, padded.index]], size);
      values[id] = { ...load, buffer: word, index, bounds: [] };
      copies.push(padded.copy(size));
      size += padded.size;
    }
  }
  return copies.length === 0
    ? { kernel, copies, size }
    : { kernel: { ...kernel, values }, copies, size };
}

function loadsBehind(
  kernel: LoopKernel,
  id: ValueId,
  found: Set<ValueId> = new Set(),
): ValueId[] {
  const value = kernel.values[id]!;
  if (value.op === "load" && value.bounds.length > 0) found.add(id);
  for (const arg of argumentsOf(value)) loadsBehind(kernel, arg, found);
  return [...found];
}

/** One axis of a copy: an atom of the index, or what a bound looks at. */
interface Dimension {
  /** Elements between neighbours in the original. */
  readonly stride: number;
  /** Its position in the index, and what that starts at. */
  readonly position: Index;
  readonly low: number;
  readonly extent: number;
  readonly bound?: Bound;
}

function padLoad(
  kernel: LoopKernel,
  load: Load,
): {
  index: Index;
  size: number;
  copy: (offset: number) => LoopKernel;
} | undefined {
  const split = dimensionsOf(load);
  if (!split) return undefined;
  const dimensions = split.dimensions.toSorted((a, b) =>
    Math.abs(b.stride) - Math.abs(a.stride)
  );
  const shape = dimensions.map(({ extent }) => extent);
  const size = shape.reduce((product, extent) => product * extent, 1);
  const reads = readsOf(kernel, load);
  if (size === 0 || reads < LEAST_READS * size) return undefined;
  const index = flatten(
    dimensions.map(({ position, low }) => linear([[1, position]], -low)),
    shape,
  );
  const copy = (offset: number): LoopKernel => {
    const rows = dimensions.map(({ extent }, id): Axis => ({ id, extent }));
    const positions = rows.map((axis, i) =>
      linear([[1, axisIndex(axis)]], dimensions[i]!.low)
    );
    const from = linear(
      dimensions.map(({ stride }, i) => [stride, positions[i]!] as const),
      split.constant,
    );
    const bounds = dimensions.flatMap(({ bound }, i) =>
      bound ? [{ ...bound, index: positions[i]! }] : []
    );
    const to = flatten(rows.map(axisIndex), shape);
    const source = kernel.buffers[load.buffer]!;
    return {
      kind: "loop",
      name: `pad ${kernel.name}`,
      rows,
      cols: [],
      values: [{ ...load, buffer: load.buffer, index: from, bounds }],
      stores: [{
        buffer: kernel.buffers.length,
        index: linear([[1, to]], offset),
        value: 0,
      }],
      buffers: [
        ...kernel.buffers,
        { dtype: source.dtype, size: offset + size, output: true },
      ],
      params: [],
    };
  };
  return { index, size, copy };
}

/**
 * Writes the index of a load as a sum over its bounds' positions and other
 * atoms, with no axis in two of them.
 */
function dimensionsOf(
  load: Load,
): { dimensions: Dimension[]; constant: number } | undefined {
  const dimensions: Dimension[] = [];
  const taken = new Set<Axis>();
  let rest = load.index;
  for (const bound of load.bounds) {
    const axes = axesOf(bound.index);
    const first = bound.index.terms[0];
    if (!first || [...axes].some((axis) => taken.has(axis))) return undefined;
    const own = rest.terms.find(({ atom }) => atom === first.atom);
    if (!own || bound.index.terms.some(({ atom }) => isDivision(atom))) {
      return undefined;
    }
    const stride = own.coefficient / first.coefficient;
    const position = exact(bound.index);
    rest = linear([[1, rest], [-stride, position]]);
    if (!Number.isInteger(stride)) return undefined;
    for (const axis of axes) taken.add(axis);
    dimensions.push({
      stride,
      position,
      low: position.low,
      extent: position.high - position.low + 1,
      bound,
    });
  }
  for (const { atom, coefficient } of rest.terms) {
    const position = exact({
      terms: [{ atom, coefficient: 1 }],
      constant: 0,
    });
    const axes = isDivision(atom) ? axesOf(atom.of) : [atom];
    if (position.low < 0 || [...axes].some((axis) => taken.has(axis))) {
      return undefined;
    }
    dimensions.push({
      stride: coefficient,
      position,
      low: 0,
      extent: position.high + 1,
    });
  }
  return { dimensions, constant: rest.constant };
}

/** The same index with the range of its terms, outside of bounds too. */
function exact({ terms, constant }: Pick<Index, "terms" | "constant">): Index {
  return { terms, constant, ...rangeOf(terms, constant) };
}

/** How many elements are packed from a load in all. */
function readsOf(kernel: LoopKernel, load: Load): number {
  const { batch, m, n, left } = kernel.contract!;
  const ofLeft = loadsBehind(kernel, left).some((id) =>
    kernel.values[id] === load
  );
  return [...batch, ...(ofLeft ? m : n), ...kernel.cols].reduce(
    (product, { extent }) => product * extent,
    1,
  );
}
