import { openDevice, type Tensor, tensor } from "@heddle/tensor";
import { assert } from "@std/assert";
import { erf } from "../erf.ts";
import { ulps } from "./ulps.ts";

interface Case {
  readonly name: string;
  readonly f: (x: Tensor) => Tensor;
  /** In float64. */
  readonly exact: (x: number) => number;
  /** Where it is looked at: from, to. */
  readonly ranges: readonly (readonly [number, number])[];
  /** How far it may be off. */
  readonly ulp: number;
}

const logistic = (x: number) => 1 / (1 + Math.exp(-x));

const CASES: readonly Case[] = [
  {
    name: "exp",
    f: (x) => x.exp(),
    exact: Math.exp,
    ranges: [[-87, 88]],
    ulp: 1,
  },
  {
    name: "log",
    f: (x) => x.log(),
    exact: Math.log,
    ranges: [[1e-6, 2], [1, 1e6]],
    ulp: 1,
  },
  {
    name: "log1p",
    f: (x) => x.log1p(),
    exact: Math.log1p,
    ranges: [[-0.99, 10], [-1e-3, 1e-3]],
    ulp: 3,
  },
  {
    name: "expm1",
    f: (x) => x.expm1(),
    exact: Math.expm1,
    ranges: [[-10, 10], [-1e-2, 1e-2]],
    ulp: 4,
  },
  {
    name: "tanh",
    f: (x) => x.tanh(),
    exact: Math.tanh,
    ranges: [[-10, 10], [-0.1, 0.1]],
    ulp: 2,
  },
  {
    name: "erf",
    f: (x) => x.erf(),
    exact: erf,
    ranges: [[-5, 5], [-0.1, 0.1]],
    ulp: 4,
  },
  {
    name: "sigmoid",
    f: (x) => x.sigmoid(),
    exact: logistic,
    ranges: [[-80, 80], [-1, 1]],
    ulp: 3,
  },
  {
    name: "sin",
    f: (x) => x.sin(),
    exact: Math.sin,
    ranges: [[-100, 100], [-1, 1]],
    ulp: 2,
  },
  {
    name: "cos",
    f: (x) => x.cos(),
    exact: Math.cos,
    ranges: [[-100, 100], [-1, 1]],
    ulp: 2,
  },
  {
    name: "tan",
    f: (x) => x.tan(),
    exact: Math.tan,
    ranges: [[-10, 10]],
    ulp: 4,
  },
  {
    name: "sqrt",
    f: (x) => x.sqrt(),
    exact: Math.sqrt,
    ranges: [[0, 100]],
    ulp: 0.5,
  },
  {
    name: "rsqrt",
    f: (x) => x.rsqrt(),
    exact: (x) => 1 / Math.sqrt(x),
    ranges: [[1e-3, 100]],
    ulp: 2,
  },
  {
    name: "silu",
    f: (x) => x.silu(),
    exact: (x) => x * logistic(x),
    ranges: [[-20, 20]],
    ulp: 4,
  },
  {
    name: "softplus",
    f: (x) => x.softplus(),
    exact: (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
    ranges: [[-20, 20]],
    ulp: 4,
  },
];

const COUNT = 50_001;

for (const { name, f, exact, ranges, ulp } of CASES) {
  Deno.test(`${name}() is within ${ulp} ulp on wasm`, async () => {
    using _device = await openDevice("wasm", { threads: 1 });
    for (const [from, to] of ranges) {
      const x = Float32Array.from(
        { length: COUNT },
        (_, i) => from + (to - from) * i / (COUNT - 1),
      );
      const y = await f(tensor(x)).data();
      x.forEach((value, i) => {
        const error = ulps(y[i]!, exact(value));
        assert(error <= ulp, `${name}(${value}) = ${y[i]}: ${error} ulp`);
      });
    }
  });
}
