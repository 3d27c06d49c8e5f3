// Numeric loops through `jit`, as plain JavaScript, and in Numba; π by tensors
// as well.

import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { compile, Generator, openDevice, Scope } from "@heddle/tensor";
import { jit, Random } from "@heddle/tensor/jit";
import { insideOf } from "../../tasks/_pi_ways.ts";
import { register } from "./_compare.ts";
import { setGoals } from "./_medians.ts";
import { type NumbaWork, openNumba } from "./_numba.ts";
import type { Ahead } from "./_results.ts";

const numba = await openNumba();

/** The same work, three times. */
interface LoopBench {
  readonly group: string;
  /** How far ahead of the others it should be. */
  readonly ahead: Ahead;
  readonly jit: () => Iterable<number>;
  readonly plain: () => Iterable<number>;
  /** The same by tensors, compiled, on one thread. */
  readonly tensors?: () => Promise<Iterable<number>>;
  readonly numba: NumbaWork;
  /** Compares two results. */
  readonly check: (got: Iterable<number>, want: Iterable<number>) => void;
}

async function benchLoop(bench: LoopBench): Promise<void> {
  const { group, ahead, plain } = bench;
  const activate = () => Promise.resolve();
  setGoals(group, { ahead });
  bench.check([...bench.jit()], plain());
  const time = (run: () => unknown) => () => {
    run();
    return Promise.resolve();
  };
  await register(group, {
    library: "heddle",
    activate,
    run: time(bench.jit),
  });
  await register(group, { library: "plain loop", activate, run: time(plain) });
  const { tensors } = bench;
  if (tensors) {
    bench.check(await tensors(), plain());
    await register(group, {
      library: "compiled tensors",
      activate,
      run: async () => void await tensors(),
    });
  }
  if (!numba) return;
  const { id, result } = await numba.prepare(bench.numba);
  bench.check(result, plain());
  await register(group, {
    library: "numba",
    activate,
    run: () => numba.run(id),
  });
}

function assertClose(got: Iterable<number>, want: Iterable<number>): void {
  const expected = [...want];
  const numbers = [...got];
  assertEquals(numbers.length, expected.length);
  numbers.forEach((number, at) =>
    assertAlmostEquals(number, expected[at]!, 1e-9)
  );
}

function pi(points: number, random: Random): number {
  let inside = 0;
  for (let i = 0; i < points; i++) {
    const x = random.next();
    const y = random.next();
    if (x * x + y * y < 1) inside++;
  }
  return 4 * inside / points;
}

function plainPi(points: number): number {
  let inside = 0;
  for (let i = 0; i < points; i++) {
    const x = Math.random();
    const y = Math.random();
    if (x * x + y * y < 1) inside++;
  }
  return 4 * inside / points;
}

const points = 100_000;
const random = new Random(1);
const fastPi = jit(pi);
await openDevice("wasm", { threads: 1 });
const keys = new Generator(1);
const inside = compile(() => insideOf(keys.next(), points));
await benchLoop({
  group: `monte carlo pi ${points}`,
  ahead: { "plain loop": 1, numba: 1.5 },
  jit: () => [fastPi(points, random)],
  plain: () => [plainPi(points)],
  tensors: async () => {
    using _scope = new Scope();
    return [4 * await inside().item() / points];
  },
  numba: { name: "pi", points },
  check: ([got]) => assert(Math.abs(got! - Math.PI) < 0.03),
});

function nBody(
  x: Float64Array,
  v: Float64Array,
  m: Float64Array,
  steps: number,
  dt: number,
): void {
  const n = m.length;
  for (let step = 0; step < steps; step++) {
    for (let i = 0; i < n; i++) {
      for (let j = i + 1; j < n; j++) {
        const dx = x[3 * i]! - x[3 * j]!;
        const dy = x[3 * i + 1]! - x[3 * j + 1]!;
        const dz = x[3 * i + 2]! - x[3 * j + 2]!;
        const square = dx * dx + dy * dy + dz * dz;
        const force = dt / (square * Math.sqrt(square));
        v[3 * i]! -= dx * m[j]! * force;
        v[3 * i + 1]! -= dy * m[j]! * force;
        v[3 * i + 2]! -= dz * m[j]! * force;
        v[3 * j]! += dx * m[i]! * force;
        v[3 * j + 1]! += dy * m[i]! * force;
        v[3 * j + 2]! += dz * m[i]! * force;
      }
    }
    for (let i = 0; i < 3 * n; i++) x[i]! += dt * v[i]!;
  }
}

const bodies = 5;
const steps = 10_000;
const dt = 1e-5;
const numbers = new Random(2);
const start = Float64Array.from({ length: 3 * bodies }, () => numbers.normal());
const m = Float64Array.from({ length: bodies }, () => numbers.next());
const [x, v] = [0, 1].map(() => new Float64Array(3 * bodies));
/** From the same places each time. */
const simulate = (run: typeof nBody) => () => {
  x!.set(start);
  v!.fill(0);
  run(x!, v!, m, steps, dt);
  return x!;
};
await benchLoop({
  group: `n-body ${bodies} bodies ${steps} steps`,
  ahead: { "plain loop": 1 },
  jit: simulate(jit(nBody)),
  plain: simulate(nBody),
  numba: { name: "n-body", x: [...start], m: [...m], steps, dt },
  check: assertClose,
});

function mandelbrot(
  width: number,
  height: number,
  limit: number,
  out: Int32Array,
): void {
  for (let row = 0; row < height; row++) {
    const ci = row * 2 / height - 1;
    for (let column = 0; column < width; column++) {
      const cr = column * 3 / width - 2;
      let x = 0;
      let y = 0;
      let steps = 0;
      while (steps < limit && x * x + y * y <= 4) {
        const next = x * x - y * y + cr;
        y = 2 * x * y + ci;
        x = next;
        steps++;
      }
      out[row * width + column] = steps;
    }
  }
}

const [width, height, limit] = [300, 200, 200];
const fastMandelbrot = jit(mandelbrot);
const [image, plainImage] = [0, 1].map(() => new Int32Array(width * height));
await benchLoop({
  group: `mandelbrot ${width} x ${height}`,
  ahead: { "plain loop": 1 },
  jit: () => {
    fastMandelbrot(width, height, limit, image!);
    return image!;
  },
  plain: () => {
    mandelbrot(width, height, limit, plainImage!);
    return plainImage!;
  },
  numba: { name: "mandelbrot", width, height, limit },
  check: (got, want) => assertEquals([...got], [...want]),
});

function runningMedian(
  values: Float64Array,
  window: number,
  sorted: Float64Array,
  out: Float64Array,
): void {
  let count = 0;
  for (let i = 0; i < values.length; i++) {
    if (count === window) {
      const old = values[i - window]!;
      let low = 0;
      let high = count;
      while (low < high) {
        const middle = (low + high) >> 1;
        if (sorted[middle]! < old) low = middle + 1;
        else high = middle;
      }
      for (let k = low; k < count - 1; k++) sorted[k] = sorted[k + 1]!;
      count--;
    }
    let at = count;
    while (at > 0 && sorted[at - 1]! > values[i]!) {
      sorted[at] = sorted[at - 1]!;
      at--;
    }
    sorted[at] = values[i]!;
    count++;
    const half = count >> 1;
    out[i] = count % 2 === 1
      ? sorted[half]!
      : (sorted[half - 1]! + sorted[half]!) / 2;
  }
}

const window = 101;
const noise = new Random(3);
const values = Float64Array.from({ length: 20_000 }, () => noise.normal());
const fastMedian = jit(runningMedian);
const [medians, plainMedians] = [0, 1].map(() => new Float64Array(values));
const sorted = new Float64Array(window);
await benchLoop({
  group: `running median ${values.length} of ${window}`,
  ahead: { "plain loop": 1 },
  jit: () => {
    fastMedian(values, window, sorted, medians!);
    return medians!;
  },
  plain: () => {
    runningMedian(values, window, sorted, plainMedians!);
    return plainMedians!;
  },
  numba: { name: "running median", values: [...values], window },
  check: (got, want) => assertEquals([...got], [...want]),
});
