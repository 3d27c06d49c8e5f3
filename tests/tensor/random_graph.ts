/**
 * Random graphs: the same seed builds the same graph again.
 *
 * @module
 */

import {
  arange,
  argmax,
  avgPool2d,
  concat,
  conv2d,
  full,
  layerNorm,
  logSoftmax,
  matmul,
  maximum,
  maxPool2d,
  minimum,
  type SliceRange,
  softmax,
  stack,
  type Tensor,
  valueAndGrad,
  where,
} from "@heddle/tensor";
import { type Seeded, seeded } from "../seeded.ts";

/** What a random graph is made of. */
export interface GraphOptions {
  /** Decides everything. */
  readonly seed: number;
  /**
   * Whether all values are small whole numbers, so that float32 sums are exact
   * in any order; else also what rounds.
   */
  readonly whole: boolean;
  /** Whether gradients are among the results. */
  readonly gradients: boolean;
  /** Number of operations. */
  readonly length: number;
}

const MAX_SIZE = 240;

function randomShape(random: Seeded, rank: number): number[] {
  for (;;) {
    const extents = [1, 2, 3, 4, 5, 7];
    const shape = Array.from({ length: rank }, () => random.pick(extents));
    if (shape.reduce((a, b) => a * b, 1) <= MAX_SIZE) return shape;
  }
}

/**
 * Values stay small: whole numbers by remainder, others by a curve that
 * flattens, so that large ones do not amplify what was rounded.
 */
export function bounded(x: Tensor, whole: boolean): Tensor {
  return whole
    ? x.sub(x.mul(1 / 8).trunc().mul(8))
    : x.div(x.square().add(1).sqrt());
}

type Step = (
  x: Tensor,
  random: Seeded,
  pool: readonly Tensor[],
  whole: boolean,
) => Tensor | undefined;

function axisOf(x: Tensor, random: Seeded): number {
  return random.integer(-x.rank, x.rank);
}

/** Another value that broadcasts with `x`, or a part or an expansion of one. */
function partner(
  x: Tensor,
  random: Seeded,
  pool: readonly Tensor[],
): Tensor | number {
  const fits = pool.filter((other) =>
    other.shape.every((extent, axis) => {
      const own = x.shape[x.rank - other.rank + axis];
      return own === undefined || own === extent || extent === 1;
    }) && other.rank <= x.rank
  );
  if (fits.length === 0 || random.next() < 0.15) return random.integer(-3, 4);
  const chosen = random.pick(fits);
  if (chosen.rank > 0 && random.next() < 0.2) {
    return chosen.sum({ axis: axisOf(chosen, random), keepDims: true });
  }
  return chosen;
}

function randomAxes(x: Tensor, random: Seeded): number[] {
  const axes = x.shape.map((_, axis) => axis);
  return random.shuffle(axes).slice(0, random.integer(1, x.rank + 1));
}

const MOVEMENTS: readonly Step[] = [
  (x, random) => x.permute(random.shuffle(x.shape.map((_, axis) => axis))),
  (x, random) => {
    const factors = x.shape.filter((extent) => extent > 1);
    if (factors.length < 2) return x.reshape([1, -1]);
    const cut = random.integer(1, factors.length);
    const rest = factors.slice(cut).reduce((a, b) => a * b, 1);
    return x.reshape(
      random.pick([
        [-1],
        [...factors.slice(0, cut), rest],
        [rest, ...factors.slice(0, cut)],
        [1, -1, rest, 1],
      ]),
    );
  },
  (x, random) => x.flip(x.rank > 0 ? randomAxes(x, random) : []),
  (x, random) =>
    x.slice(...x.shape.map((extent): SliceRange => {
      const step = random.pick([1, 1, 2, -1, -2]);
      const a = random.integer(0, extent);
      const b = random.integer(0, extent);
      const [low, high] = [Math.min(a, b), Math.max(a, b)];
      if (random.next() < 0.3) return null;
      return step > 0
        ? [low, high + 1, step]
        : [high, low === 0 ? null : low - 1, step];
    })),
  (x, random) =>
    x.pad(
      x.shape.map(() => [random.integer(0, 3), random.integer(-1, 3)] as const)
        .map(([a, b], axis) =>
          [a, Math.max(b, 1 - a - x.shape[axis]!)] as const
        ),
      random.pick([0, 0, 2]),
    ),
  (x, random) => {
    const axis = random.integer(-x.rank - 1, x.rank + 1);
    const wide = x.unsqueeze(axis);
    const at = axis < 0 ? axis + wide.rank : axis;
    return wide.expand(wide.shape.map((extent, i) => i === at ? 3 : extent));
  },
  (x) => x.rank >= 2 ? x.transpose() : undefined,
  (x, random) => x.rank >= 2 ? x.tril(random.integer(-2, 3)) : undefined,
  (x, random, pool) => {
    if (x.rank === 0) return undefined;
    const axis = axisOf(x, random);
    const at = axis < 0 ? axis + x.rank : axis;
    const fits = pool.filter((other) =>
      other.rank === x.rank &&
      other.shape.every((extent, i) => i === at || extent === x.shape[i])
    );
    return concat([x, random.pick(fits), x.flip(axis)], axis);
  },
  (x, random, pool) => {
    const fits = pool.filter((other) => `${other.shape}` === `${x.shape}`);
    return stack([x, random.pick(fits)], random.integer(-x.rank - 1, x.rank));
  },
];

const ELEMENTWISE: readonly Step[] = [
  (x) => x.neg(),
  (x, random, pool) => x.add(partner(x, random, pool)),
  (x, random, pool) => x.sub(partner(x, random, pool)),
  (x, random, pool) => x.mul(partner(x, random, pool)),
];

/** They jump, or their slopes do: devices must not round apart before. */
const JUMPS: readonly Step[] = [
  (x) => x.abs(),
  (x) => x.relu(),
  (x, random, pool) => minimum(x.add(100), partner(x, random, pool)),
  (x, random, pool) => maximum(x.mul(2).add(0.5), partner(x, random, pool)),
  (x, random, pool) =>
    where(x.detach().gt(0), partner(x, random, pool), x.mul(2)),
  (x) => x.mul(x.detach().cast("int32").mod(3).cast("float32")),
];

const SMOOTH: readonly Step[] = [
  (x) => x.exp(),
  (x) => x.sin(),
  (x) => x.tanh(),
  (x) => x.sigmoid(),
  (x) => x.square().add(1).sqrt(),
  (x) => x.square().add(1).log(),
  (x, random, pool) => x.div(x.square().add(1)).add(partner(x, random, pool)),
  (x, random) => x.rank > 0 ? softmax(x, axisOf(x, random)) : undefined,
  (x, random) => x.rank > 0 ? logSoftmax(x, axisOf(x, random)) : undefined,
  (x) =>
    x.rank > 0 && x.shape.at(-1)! > 2 ? layerNorm(x, { eps: 0.1 }) : undefined,
  (x, random) =>
    x.rank > 0 ? x.logSumExp({ axis: axisOf(x, random) }) : undefined,
  (x, random) =>
    x.rank > 0 ? x.mean({ axis: randomAxes(x, random) }) : undefined,
  (x, random) =>
    x.rank > 0
      ? x.variance({ axis: axisOf(x, random), correction: 0, keepDims: true })
      : undefined,
];

const REDUCTIONS: readonly Step[] = [
  (x, random) =>
    x.rank > 0
      ? x.sum({ axis: randomAxes(x, random), keepDims: random.next() < 0.5 })
      : undefined,
  (x, random, pool) =>
    x.rank > 0
      ? x.mul(partner(x, random, pool)).sum({ axis: randomAxes(x, random) })
      : undefined,
  (x, random) => x.rank > 0 ? x.cumsum(axisOf(x, random)) : undefined,
  (x, random) =>
    x.rank > 0
      ? x.sub(x.detach().max({ axis: axisOf(x, random), keepDims: true }))
      : undefined,
];

const PRODUCTS: readonly Step[] = [
  (x, random, pool) => {
    if (x.rank === 0) return undefined;
    const inner = x.shape.at(-1)!;
    for (const other of random.shuffle(pool)) {
      if (other.rank === 1 && other.size === inner) return matmul(x, other);
      if (other.rank >= 2 && other.shape.at(-1) === inner) {
        return matmul(
          x,
          other.slice(...other.shape.slice(0, -2).map(() => 0)).transpose(),
        );
      }
    }
    return x.rank >= 2 ? matmul(x.transpose(), x) : undefined;
  },
  (x, random) => {
    const image = images(x);
    if (image === undefined) return undefined;
    const [, channels, height, width] = image.shape as number[];
    const [kh, kw] = [random.integer(1, 3), random.integer(1, 4)];
    const groups = channels! % 2 === 0 ? random.pick([1, 2]) : 1;
    const out = groups * random.integer(1, 3);
    const padding = [random.integer(0, 2), random.integer(0, 2)] as const;
    const dilation = [random.integer(1, 3), 1] as const;
    if (
      (kh - 1) * dilation[0] >= height! + 2 * padding[0] ||
      kw > width! + 2 * padding[1]
    ) return undefined;
    const weight = image.slice([0, 1]).sum()
      .add(arange(out * (channels! / groups) * kh * kw).mod(5).cast("float32"))
      .sub(2).reshape([out, channels! / groups, kh, kw]);
    return conv2d(image, weight, {
      padding,
      dilation,
      groups,
      stride: [random.integer(1, 3), random.integer(1, 3)],
      ...random.next() < 0.5 ? { bias: weight.sum({ axis: [1, 2, 3] }) } : {},
    });
  },
];

const POOLS: readonly Step[] = [
  (x, random, _, whole) => {
    if (x.rank < 2 || Math.min(...x.shape.slice(-2)) < 2) return undefined;
    const stride = random.integer(1, 3);
    const padding = random.integer(0, 2);
    return whole
      ? maxPool2d(x.add(100), 2, { stride }).sub(100)
      : avgPool2d(x, 2, {
        stride,
        padding,
        countIncludePad: random.next() < 0.5,
      });
  },
];

const LOOKUPS: readonly Step[] = [
  (x, random) => {
    if (x.rank === 0) return undefined;
    const axis = axisOf(x, random);
    const count = random.integer(1, 5);
    const indices = arange(count).mul(random.integer(1, 4)).sub(1);
    return x.take(
      random.next() < 0.5 ? indices : indices.reshape([1, -1]),
      axis,
    );
  },
  (x, random) => {
    if (x.rank === 0) return undefined;
    const axis = axisOf(x, random);
    const extent = x.shape[axis < 0 ? axis + x.rank : axis]!;
    const chosen = x.detach().abs().mul(3).cast("int32").mod(extent);
    return x.gather(chosen, axis);
  },
  (x, random) => {
    if (x.rank === 0) return undefined;
    const axis = axisOf(x, random);
    const extent = x.shape[axis < 0 ? axis + x.rank : axis]!;
    const places = x.detach().abs().mul(5).cast("int32").mod(extent);
    return x.scatterAdd(places, x.mul(2), axis);
  },
  (x, random) => {
    if (x.rank === 0) return undefined;
    const axis = axisOf(x, random);
    const { values, indices } = x.detach().sort({
      axis,
      descending: random.next() < 0.5,
    });
    return x.add(values).add(indices.cast("float32"));
  },
  (x, random) => {
    if (x.rank === 0) return undefined;
    const axis = axisOf(x, random);
    return x.mul(argmax(x.detach(), { axis, keepDims: true }).cast("float32"));
  },
];

/** `[n, c, h, w]` of what has at least two axes, or undefined. */
function images(x: Tensor): Tensor | undefined {
  if (x.rank < 2) return undefined;
  const [height, width] = x.shape.slice(-2) as [number, number];
  const lead = x.shape.slice(0, -2).reduce((a, b) => a * b, 1);
  return x.reshape(
    lead % 2 === 0 ? [lead / 2, 2, height, width] : [1, lead, height, width],
  );
}

/** Computes from given values: some of what a random graph computes. */
export function grow(
  leaves: readonly Tensor[],
  random: Seeded,
  { whole, length }: Pick<GraphOptions, "whole" | "length">,
): Tensor[] {
  const pool = [...leaves];
  const kinds: (readonly Step[])[] = [
    MOVEMENTS,
    MOVEMENTS,
    ELEMENTWISE,
    ELEMENTWISE,
    REDUCTIONS,
    PRODUCTS,
    POOLS,
    LOOKUPS,
  ];
  // Sorts and indices jump where two devices round apart.
  if (whole) kinds.push(JUMPS);
  else kinds.splice(-1, 1, SMOOTH, SMOOTH, SMOOTH);
  for (let made = 0; made < length;) {
    // Late values more often: graphs get deep.
    const at = Math.max(
      0,
      pool.length - 1 - Math.floor(random.next() ** 2 * pool.length),
    );
    const step = random.pick(random.pick(kinds));
    const result = step(pool[at]!, random, pool, whole);
    if (result === undefined || result.size > MAX_SIZE || result.rank > 5) {
      continue;
    }
    if (result.size === 0) continue;
    made++;
    pool.push(bounded(result, whole));
  }
  return pool.slice(leaves.length);
}

/** Builds a graph; several of its values, and gradients, are its results. */
export function randomGraph(options: GraphOptions): Tensor[] {
  const random = seeded(options.seed);
  const leaves = Array.from({ length: random.integer(2, 5) }, () => {
    const shape = randomShape(random, random.integer(0, 4));
    const values = options.whole
      ? random.integers(shape, -4, 5)
      : random.values(shape, { low: -2, high: 2 });
    const chosen = values.tensor();
    return random.next() < 0.2 ? chosen.add(full(shape, 1)) : chosen;
  });
  const results: Tensor[] = [];
  const build = (...inputs: Tensor[]): Tensor => {
    const made = grow(inputs, random, options);
    const last = made.at(-1)!;
    results.push(last, random.pick(made));
    if (random.next() < 0.5) results.push(random.pick(made).flatten());
    return made.slice(-3).map((x) => x.mul(x.size % 3 + 1).sum())
      .reduce((a, b) => a.add(b));
  };
  if (!options.gradients) results.push(build(...leaves));
  else {
    const { value, grads } = valueAndGrad(build)(...leaves);
    results.push(value, ...grads);
  }
  return results;
}
