import * as heddle from "@heddle/tensor";
import {
  avgPool2d,
  checkpoint,
  concat,
  conv2d,
  layerNorm,
  logSoftmax,
  maxPool2d,
  softmax,
  type Tensor,
  where,
} from "@heddle/tensor";
import {
  checkSecondDerivatives,
  type Operation,
  type Reference,
} from "../check_gradients.ts";
import { deviceTest } from "../devices.ts";
import { seeded } from "../seeded.ts";
import { Values, zip } from "../values.ts";
import { erf } from "./erf.ts";

const random = seeded(1);
const small = random.values([3, 5]);
const positive = random.values([3, 5], { low: 0.4, high: 2 });
const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

/** Elementwise operations whose slopes change. */
const ELEMENTWISE: Record<
  string,
  [(x: Tensor) => Tensor, (x: number) => number, Values]
> = {
  exp: [heddle.exp, Math.exp, small],
  expm1: [heddle.expm1, Math.expm1, small],
  log: [heddle.log, Math.log, positive],
  log1p: [heddle.log1p, Math.log1p, positive],
  sqrt: [heddle.sqrt, Math.sqrt, positive],
  rsqrt: [heddle.rsqrt, (x) => 1 / Math.sqrt(x), positive],
  reciprocal: [heddle.reciprocal, (x) => 1 / x, positive],
  square: [heddle.square, (x) => x * x, small],
  sin: [heddle.sin, Math.sin, small],
  cos: [heddle.cos, Math.cos, small],
  tan: [heddle.tan, Math.tan, small],
  tanh: [heddle.tanh, Math.tanh, small],
  erf: [heddle.erf, erf, small],
  sigmoid: [heddle.sigmoid, sigmoid, small],
  gelu: [heddle.gelu, (x) => x / 2 * (1 + erf(x / Math.SQRT2)), small],
  silu: [heddle.silu, (x) => x * sigmoid(x), small],
  softplus: [heddle.softplus, (x) => Math.log1p(Math.exp(x)), small],
  "pow 3": [(x) => x.pow(3), (x) => x ** 3, small],
  "pow 1.7": [(x) => x.pow(1.7), (x) => x ** 1.7, positive],
  "pow -2": [(x) => x.pow(-2), (x) => x ** -2, positive],
};

for (const [name, [f, plain, x]] of Object.entries(ELEMENTWISE)) {
  deviceTest(`${name} has second derivatives`, async (device) => {
    await checkSecondDerivatives(f, (v) => v.map(plain), x, {
      // WGSL's sine, twice.
      ...device.name === "webgpu" ? { gradient: { atol: 5e-3 } } : {},
    });
  });
}

const total = (list: readonly number[]) => list.reduce((a, b) => a + b, 0);
const mean = (list: readonly number[]) => total(list) / list.length;

function softmaxOf(x: Values): Values {
  return x.along(-1, (line) => {
    const powers = line.map(Math.exp);
    return powers.map((power) => power / total(powers));
  });
}

function normalized(x: Values): Values {
  return x.along(-1, (line) => {
    const center = mean(line);
    const variance = mean(line.map((v) => (v - center) ** 2));
    return line.map((v) => (v - center) / Math.sqrt(variance + 0.1));
  });
}

function product(a: Values, b: Values): Values {
  return Values.of(
    [a.shape[0]!, b.shape[1]!],
    (i, j) =>
      total(
        Array.from(
          { length: a.shape[1]! },
          (_, k) => a.at(i!, k) * b.at(k, j!),
        ),
      ),
  );
}

/** Stride 2, padding 1. */
function convolved(x: Values, w: Values): Values {
  const [n, channels, height, width] = x.shape as [
    number,
    number,
    number,
    number,
  ];
  const [out, , kernel] = w.shape as [number, number, number];
  const size = (extent: number) => Math.floor((extent + 2 - kernel) / 2) + 1;
  return Values.of([n, out, size(height), size(width)], (b, o, y, z) => {
    let sum = 0;
    for (let c = 0; c < channels; c++) {
      for (let i = 0; i < kernel; i++) {
        for (let j = 0; j < kernel; j++) {
          const [row, col] = [2 * y! + i - 1, 2 * z! + j - 1];
          if (row < 0 || row >= height || col < 0 || col >= width) continue;
          sum += x.at(b!, c, row, col) * w.at(o!, c, i, j);
        }
      }
    }
    return sum;
  });
}

/** Windows of 2 by 2, with `f` of their elements. */
function pooled(x: Values, f: (window: number[]) => number): Values {
  return Values.of(
    [x.shape[0]! >> 1, x.shape[1]! >> 1],
    (y, z) =>
      f([0, 1, 2, 3].map((at) => x.at(2 * y! + (at >> 1), 2 * z! + at % 2))),
  );
}

/** Squared, so that the second derivative of a linear operation is not 0. */
const squared = (f: Operation): Operation => (...xs) => {
  const y = f(...xs);
  return y.mul(y);
};
const squaredOf = (f: Reference): Reference => (...xs) =>
  f(...xs).map((v) => v * v);

const picked = seeded(3).integers([4, 5], 0, 3);

const CASES: Record<string, [Operation, Reference, readonly Values[]]> = {
  mul: [(x, y) => x!.mul(y!), (x, y) => zip((a, b) => a * b, x!, y!), [
    small,
    random.values([5]),
  ]],
  div: [(x, y) => x!.div(y!), (x, y) => zip((a, b) => a / b, x!, y!), [
    small,
    random.values([3, 1], { low: 0.6, high: 1.5 }),
  ]],
  "pow of tensors": [
    (x, y) => x!.pow(y!),
    (x, y) => zip((a, b) => a ** b, x!, y!),
    [positive, random.values([5])],
  ],
  "maximum": [
    squared((x, y) => heddle.maximum(x!, y!)),
    squaredOf((x, y) => zip(Math.max, x!, y!)),
    [
      seeded(4).distinct([3, 5]),
      seeded(5).values([5], { low: 0.01, high: 0.02 }),
    ],
  ],
  where: [
    squared((x, y) => where(x!.detach().gt(0), x!, y!)),
    squaredOf((x, y) => zip((a, b) => a > 0 ? a : b, x!, y!)),
    [random.apartFromZero([3, 5]), random.values([5])],
  ],
  softmax: [(x) => softmax(x!), (x) => softmaxOf(x!), [small]],
  logSoftmax: [
    (x) => logSoftmax(x!),
    (x) => softmaxOf(x!).map(Math.log),
    [small],
  ],
  layerNorm: [
    (x) => layerNorm(x!, { eps: 0.1 }),
    (x) => normalized(x!),
    [small],
  ],
  logSumExp: [
    (x) => x!.logSumExp({ axis: 0 }),
    (x) => x!.reduce(0, false, (list) => Math.log(total(list.map(Math.exp)))),
    [small],
  ],
  variance: [
    (x) => x!.variance({ axis: 1 }),
    (x) =>
      x!.reduce(
        1,
        false,
        (list) =>
          total(list.map((v) => (v - mean(list)) ** 2)) / (list.length - 1),
      ),
    [small],
  ],
  norm: [
    (x) => x!.norm({ axis: 1 }),
    (x) => x!.reduce(1, false, (list) => Math.hypot(...list)),
    [positive],
  ],
  prod: [
    (x) => x!.prod({ axis: 1 }),
    (x) => x!.reduce(1, false, (list) => list.reduce((a, b) => a * b)),
    [positive],
  ],
  max: [
    squared((x) => x!.max({ axis: 1 })),
    squaredOf((x) => x!.reduce(1, false, (list) => Math.max(...list))),
    [seeded(6).distinct([3, 5])],
  ],
  matmul: [
    (x, w) => x!.matmul(w!).sin(),
    (x, w) => product(x!, w!).map(Math.sin),
    [small, random.values([5, 2])],
  ],
  conv2d: [
    squared((x, w) => conv2d(x!, w!, { stride: 2, padding: 1 })),
    squaredOf((x, w) => convolved(x!, w!)),
    [random.values([1, 2, 4, 3]), random.values([2, 2, 3, 3])],
  ],
  maxPool2d: [
    squared((x) => maxPool2d(x!, 2)),
    squaredOf((x) => pooled(x!, (window) => Math.max(...window))),
    [seeded(7).distinct([5, 4])],
  ],
  avgPool2d: [
    squared((x) => avgPool2d(x!, 2)),
    squaredOf((x) => pooled(x!, mean)),
    [random.values([4, 5])],
  ],
  cumsum: [
    squared((x) => x!.cumsum(0)),
    squaredOf((x) =>
      x!.along(0, (line) => {
        let sum = 0;
        return line.map((v) => sum += v);
      })
    ),
    [small],
  ],
  sort: [
    squared((x) => x!.sort({ axis: 0 }).values.mul(x!)),
    squaredOf((x) =>
      zip(
        (a, b) => a * b,
        x!.along(0, (line) => line.sort((a, b) => a - b)),
        x!,
      )
    ),
    [seeded(8).distinct([3, 5])],
  ],
  gather: [
    squared((x) => x!.gather(picked.tensor("int32"), 0)),
    squaredOf((x) => Values.of([4, 5], (i, j) => x!.at(picked.at(i!, j!), j!))),
    [small],
  ],
  take: [
    squared((x) => x!.take(picked.tensor("int32").slice(0), 0)),
    squaredOf((x) => Values.of([5, 5], (i, j) => x!.at(picked.at(0, i!), j!))),
    [small],
  ],
  scatterAdd: [
    squared((x, y) => x!.scatterAdd(picked.tensor("int32"), y!, 0)),
    squaredOf((x, y) =>
      x!.map((v, [i, j]) =>
        v +
        total(
          [0, 1, 2, 3].map((p) => picked.at(p, j!) === i ? y!.at(p, j!) : 0),
        )
      )
    ),
    [small, random.values([4, 5])],
  ],
  "concat and slices": [
    squared((x, y) => concat([x!.slice([null, null, -2]), y!], 0).flip([1])),
    squaredOf((x, y) =>
      Values.of(
        [4, 5],
        (i, j) => i! < 2 ? x!.at(2 - 2 * i!, 4 - j!) : y!.at(i! - 2, 4 - j!),
      )
    ),
    [small, random.values([2, 5])],
  ],
  "pad, transpose and reshape": [
    squared((x) => x!.transpose().pad([[0, 1], [1, 0]]).reshape([4, 6])),
    squaredOf((x) =>
      Values.of([6, 4], (i, j) => i! > 4 || j! < 1 ? 0 : x!.at(j! - 1, i!))
        .reshape([4, 6])
    ),
    [small],
  ],
  checkpoint: [
    (x) => checkpoint((y) => y!.sin().mul(y!))(x!),
    (x) => x!.map((v) => v * Math.sin(v)),
    [small],
  ],
};

for (const [name, [f, reference, inputs]] of Object.entries(CASES)) {
  deviceTest(`${name} has second derivatives by all inputs`, async (device) => {
    await checkSecondDerivatives(f, reference, inputs, {
      ...device.name === "webgpu" ? { gradient: { atol: 5e-3 } } : {},
    });
  });
}
