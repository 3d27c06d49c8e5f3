import { isFloat } from "../dtype.ts";
import { broadcast, cast, custom, map, parameter } from "../graph/build.ts";
import type { MapOp, Node } from "../graph/node.ts";
import { nodeOf, requireTensor, Tensor } from "../tensor.ts";
import { floatNode, like, polynomial } from "./_operands.ts";

function float(op: MapOp, x: Tensor): Tensor {
  requireTensor(op, x);
  return new Tensor(map(op, [floatNode(x)]));
}

/** `-x`; a bool counts as int32. */
export function neg(x: Tensor): Tensor {
  const node = nodeOf(x);
  return new Tensor(
    map("neg", [x.dtype === "bool" ? cast(node, "int32") : node]),
  );
}

/** `|x|`; the gradient at 0 is 0. */
export function abs(x: Tensor): Tensor {
  const plain = x.dtype === "bool" || x.dtype === "uint32";
  return plain ? x : new Tensor(map("abs", [nodeOf(x)]));
}

/** -1, 0 or 1; its gradient is 0. */
export function sign(x: Tensor): Tensor {
  const node = nodeOf(x);
  const [zero, one] = [like(node, 0), like(node, 1)];
  if (x.dtype === "bool" || x.dtype === "uint32") {
    return new Tensor(map("where", [map("ne", [node, zero]), one, zero]));
  }
  const below = map("where", [map("lt", [node, zero]), like(node, -1), zero]);
  return new Tensor(map("where", [map("lt", [zero, node]), one, below]));
}

/** `e^x`. */
export function exp(x: Tensor): Tensor {
  return float("exp", x);
}

/** The natural logarithm; -Infinity at 0, NaN below. */
export function log(x: Tensor): Tensor {
  return float("log", x);
}

/** The square root; NaN below 0. */
export function sqrt(x: Tensor): Tensor {
  return float("sqrt", x);
}

/** `1 / sqrt(x)`. */
export function rsqrt(x: Tensor): Tensor {
  const root = map("sqrt", [floatNode(x)]);
  return new Tensor(map("div", [like(root, 1), root]));
}

/** `1 / x`. */
export function reciprocal(x: Tensor): Tensor {
  const node = floatNode(x);
  return new Tensor(map("div", [like(node, 1), node]));
}

/** `x * x`. */
export function square(x: Tensor): Tensor {
  return x.mul(x);
}

/** The sine, in radians. */
export function sin(x: Tensor): Tensor {
  return float("sin", x);
}

/** The cosine, in radians. */
export function cos(x: Tensor): Tensor {
  return float("cos", x);
}

/** The tangent, in radians. */
export function tan(x: Tensor): Tensor {
  const node = floatNode(x);
  return new Tensor(map("div", [map("sin", [node]), map("cos", [node])]));
}

function rounding(op: MapOp, x: Tensor): Tensor {
  return isFloat(x.dtype) ? new Tensor(map(op, [nodeOf(x)])) : x;
}

/** The greatest whole number not above. */
export function floor(x: Tensor): Tensor {
  return rounding("floor", x);
}

/** The least whole number not below. */
export function ceil(x: Tensor): Tensor {
  return rounding("ceil", x);
}

/** The nearest whole number; halves go to the even one. */
export function round(x: Tensor): Tensor {
  return rounding("round", x);
}

/** The whole part. */
export function trunc(x: Tensor): Tensor {
  return rounding("trunc", x);
}

/** `log(1 + x)`, right also where x is tiny. */
export function log1p(x: Tensor): Tensor {
  const node = floatNode(x);
  const one = like(node, 1);
  const outer = map("add", [one, node]);
  // 2 atanh(s) with s = x / (2 + x): its series is short where |s| is small.
  const s = map("div", [node, map("add", [node, like(node, 2)])]);
  const z = map("mul", [s, s]);
  const series = polynomial(z, [2, 2 / 3, 2 / 5, 2 / 7, 2 / 9, 2 / 11]);
  const near = map("lt", [map("abs", [node]), like(node, 0.3)]);
  const value = map("where", [
    near,
    map("mul", [s, series]),
    map("log", [outer]),
  ]);
  const infinite = map("where", [
    map("eq", [node, outer]),
    map("log", [outer]),
    value,
  ]);
  return new Tensor(
    custom(infinite, [node], (g) => [map("div", [g, outer])]),
  );
}

/** `exp(x) - 1`, right also where x is tiny. */
export function expm1(x: Tensor): Tensor {
  const node = floatNode(x);
  const series = polynomial(node, [
    1,
    1 / 2,
    1 / 6,
    1 / 24,
    1 / 120,
    1 / 720,
    1 / 5040,
  ]);
  const near = map("lt", [map("abs", [node]), like(node, 0.35)]);
  const far = map("sub", [map("exp", [node]), like(node, 1)]);
  const value = map("where", [near, map("mul", [node, series]), far]);
  return new Tensor(
    custom(value, [node], (g) => [map("mul", [g, map("exp", [node])])]),
  );
}

/**
 * The error function.
 *
 * Below 1 a polynomial in x², above Abramowitz and Stegun 1964, 7.1.26; within
 * 2e-7 of the true value, and relative to it below 1.
 */
export function erf(x: Tensor): Tensor {
  const node = floatNode(x);
  const size = map("abs", [node]);
  const z = map("mul", [node, node]);
  const series = polynomial(z, ERF_SERIES);
  const inner = map("mul", [node, series]);
  const t = map("div", [
    like(node, 1),
    map("add", [like(node, 1), map("mul", [size, like(node, 0.3275911)])]),
  ]);
  const tail = map("mul", [
    map("mul", [t, polynomial(t, ERF_TAIL)]),
    map("exp", [map("neg", [z])]),
  ]);
  const outer = map("sub", [like(node, 1), tail]);
  const negative = map("lt", [node, like(node, 0)]);
  const signed = map("where", [negative, map("neg", [outer]), outer]);
  const value = map("where", [map("lt", [size, like(node, 1)]), inner, signed]);
  return new Tensor(
    custom(value, [node], (g) => {
      const bell = map("exp", [map("neg", [map("mul", [node, node])])]);
      const slope = map("mul", [bell, like(node, 2 / Math.sqrt(Math.PI))]);
      return [map("mul", [g, slope])];
    }),
  );
}

/** `2/√π Σ (-1)^n z^n / (n! (2n+1))`, as far as float32 sees it for z <= 1. */
const ERF_SERIES: readonly number[] = (() => {
  const coefficients: number[] = [];
  let factorial = 1;
  for (let n = 0; n <= 10; n++) {
    if (n > 0) factorial *= -n;
    coefficients.push(2 / Math.sqrt(Math.PI) / (factorial * (2 * n + 1)));
  }
  return coefficients;
})();

const ERF_TAIL: readonly number[] = [
  0.254829592,
  -0.284496736,
  1.421413741,
  -1.453152027,
  1.061405429,
];

/** The hyperbolic tangent; within 3e-7 of the true value. */
export function tanh(x: Tensor): Tensor {
  const node = floatNode(x);
  const size = map("abs", [node]);
  const z = map("mul", [node, node]);
  // The continued fraction of tanh, cut where float32 no longer sees it.
  const fraction = [11, 9, 7, 5, 3, 1].reduce<Node | undefined>(
    (below, n) =>
      below === undefined
        ? like(node, n)
        : map("add", [like(node, n), map("div", [z, below])]),
    undefined,
  )!;
  const inner = map("div", [node, fraction]);
  // 1 from 10 on, where exp(2x) need not be taken.
  const capped = map("min", [size, like(node, 10)]);
  const doubled = map("exp", [map("add", [capped, capped])]);
  const outer = map("sub", [
    like(node, 1),
    map("div", [like(node, 2), map("add", [doubled, like(node, 1)])]),
  ]);
  const negative = map("lt", [node, like(node, 0)]);
  const signed = map("where", [negative, map("neg", [outer]), outer]);
  const near = map("lt", [size, like(node, 0.8)]);
  const result: Node = custom(
    map("where", [near, inner, signed]),
    [node],
    (g) => {
      const slope = map("sub", [like(node, 1), map("mul", [result, result])]);
      return [map("mul", [g, slope])];
    },
  );
  return new Tensor(result);
}

/** `1 / (1 + exp(-x))`, without overflow. */
export function sigmoid(x: Tensor): Tensor {
  const node = floatNode(x);
  const decay = map("exp", [map("neg", [map("abs", [node])])]);
  const negative = map("lt", [node, like(node, 0)]);
  const top = map("where", [negative, decay, like(node, 1)]);
  const result: Node = custom(
    map("div", [top, map("add", [like(node, 1), decay])]),
    [node],
    (g) => {
      const rest = map("sub", [like(node, 1), result]);
      return [map("mul", [g, map("mul", [result, rest])])];
    },
  );
  return new Tensor(result);
}

/** Bounds of {@link clamp}. */
export interface ClampOptions {
  /**
   * Least value.
   * @default none
   */
  readonly min?: number;
  /**
   * Greatest value.
   * @default none
   */
  readonly max?: number;
}

/**
 * Values outside of the bounds become the bound, and get no gradient.
 *
 * @throws {RangeError} If the least value is above the greatest.
 */
export function clamp(x: Tensor, options: ClampOptions): Tensor {
  const { min, max } = options;
  if (min !== undefined && max !== undefined && min > max) {
    throw new RangeError(`clamp: min is above max: got ${min} and ${max}`);
  }
  let node = nodeOf(x);
  const bound = (value: number) =>
    broadcast(parameter(value, x.dtype), x.shape);
  if (min !== undefined) {
    node = map("where", [map("lt", [node, bound(min)]), bound(min), node]);
  }
  if (max !== undefined) {
    node = map("where", [map("lt", [bound(max), node]), bound(max), node]);
  }
  return new Tensor(node);
}
