import { assert, assertEquals } from "@std/assert";
import type { HostBuffer } from "../../../tensor/kernel/interpret.ts";
import type { LoopKernel } from "../../../tensor/kernel/kernel.ts";
import { ThreadPool } from "../../../tensor/wasm/threads.ts";
import {
  type Axis,
  axisIndex,
  type Bound,
  type Index,
  linear,
  quotient,
  remainder,
} from "../../../tensor/view.ts";
import { seeded } from "../../seeded.ts";
import { affine, at, expected, KernelBuilder } from "../kernel_builder.ts";
import {
  type Convolution,
  convolution,
  inputGradient,
  matmul,
  product,
  weightGradient,
} from "./contract_cases.ts";
import { ContractRunner, sharedMemory } from "./contract_runner.ts";

const memory = sharedMemory(48 << 20);

/** Numbers in [-0.5, 0.5), or small integers, the same in each run. */
function fill(buffer: HostBuffer, seed: number): void {
  let state = seed * 2654435761 + 1;
  for (let i = 0; i < buffer.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    const unit = (state >>> 8) / 2 ** 24;
    buffer[i] = buffer instanceof Float32Array
      ? unit - 0.5
      : Math.floor(4 * unit);
  }
}

/** Compares with the interpreter, on one thread; gives the outputs. */
function check(
  kernel: LoopKernel,
  params: Uint32Array = new Uint32Array(),
  relaxedSimd: boolean = true,
): HostBuffer[] {
  const pool = new ThreadPool(memory, { threads: 1 });
  const runner = new ContractRunner(kernel, memory, pool, params, relaxedSimd);
  const inputs: HostBuffer[] = [];
  const outputs: HostBuffer[] = [];
  runner.buffers.forEach((buffer, slot) => {
    const { output, dtype } = kernel.buffers[slot]!;
    if (output) {
      buffer.fill(99);
      outputs.push(buffer);
      return;
    }
    fill(buffer, slot + 1);
    if (dtype === "bool") buffer.forEach((x, i) => buffer[i] = x & 1);
    inputs.push(buffer.slice());
  });
  runner.run();
  const terms = kernel.cols.reduce((count, { extent }) => count * extent, 1);
  expected(kernel, inputs, params).forEach((want, output) => {
    const got = outputs[output]!;
    want.forEach((value, i) => {
      const limit = 1e-7 * terms + 1e-5 * Math.abs(value) + 1e-6;
      assert(
        Math.abs(got[i]! - value) <= limit,
        `${kernel.name}: output ${output}, element ${i}: ${
          got[i]
        } is not ${value}`,
      );
    });
  });
  return outputs.map((output) => output.slice());
}

const FLAGS = [0, 1, 2, 3, 4, 5, 6, 7].map((bits) =>
  [(bits & 1) > 0, (bits & 2) > 0, (bits & 4) > 0] as const
);

for (
  const [m, n, k] of [
    [1, 1, 1],
    [7, 5, 3],
    [6, 8, 4],
    [13, 50, 21],
    [50, 13, 21],
    [25, 33, 18],
    [3, 2, 67],
    [1, 37, 11],
    [37, 1, 11],
    [2, 19, 6],
    [4, 4, 129],
    [64, 64, 32],
  ] as const
) {
  Deno.test(`emitContract() multiplies [${m}, ${k}] x [${k}, ${n}] in every layout`, () => {
    for (const flags of FLAGS) check(matmul(m, n, k, flags));
  });
}

Deno.test("emitContract() handles extents of 0", () => {
  check(matmul(0, 3, 4));
  check(matmul(3, 0, 4));
  const [zeros] = check(matmul(9, 11, 0));
  assertEquals([...zeros!], Array(99).fill(0));
});

Deno.test("emitContract() adds up long sums in several passes", () => {
  check(matmul(9, 40, 2500));
  check(matmul(14, 3, 1025, [true, true, false]));
});

Deno.test("emitContract() cuts many rows into blocks", () => {
  check(matmul(811, 9, 31));
  check(matmul(811, 3, 5, [true, false, true]));
  // More than one block and more than one pass.
  check(matmul(200, 9, 1030));
  check(matmul(200, 9, 1030, [true, true, false]));
});

Deno.test("emitContract() splits long sums with few results", async () => {
  const b = new KernelBuilder();
  const [p, i, j, c] = [b.row(2), b.row(7), b.row(18), b.col(4100)];
  const x = b.input("float32", 2 * 7 * 4100);
  const y = b.input("float32", 2 * 18 * 4100);
  const bias = b.input("float32", 18);
  const out = b.output("float32", 2 * 7 * 18);
  const left = b.load(x, at(p, c, i));
  const right = b.load(y, at(p, j, c));
  const axes = { batch: [p], m: [i], n: [j] };
  const kernel = product("split", b, axes, { left, right }, (sum) => {
    b.store(out, at(p, i, j), b.op("add", sum, b.load(bias, at(j))));
  });
  const [one] = check(kernel);
  const pool = new ThreadPool(memory, { threads: 2 });
  await pool.start();
  const runner = new ContractRunner(kernel, memory, pool);
  assert(runner.plan.stages.some(({ name }) => name === "combine"));
  runner.run();
  assertEquals(runner.buffers[3]!.slice(), one);
  pool.close();
});

Deno.test("emitContract() reads wide panels in groups, and what is left over", () => {
  for (const n of [32, 61, 100]) {
    check(matmul(60, n, 6));
    check(matmul(60, n, 6, [false, true, false]));
  }
});

Deno.test("emitContract() works without relaxed SIMD", () => {
  check(matmul(13, 50, 21), new Uint32Array(), false);
});

Deno.test("emitContract() gives each thread count the same bits", async () => {
  for (const kernel of [matmul(67, 131, 1100), matmul(501, 77, 64)]) {
    const results: HostBuffer[] = [];
    for (const threads of [1, 2, 3]) {
      const pool = new ThreadPool(memory, { threads });
      await pool.start();
      const runner = new ContractRunner(kernel, memory, pool);
      fill(runner.buffers[0]!, 1);
      fill(runner.buffers[1]!, 2);
      runner.buffers[2]!.fill(99);
      runner.run();
      results.push(runner.buffers[2]!.slice());
      pool.close();
    }
    assertEquals(results[1], results[0]);
    assertEquals(results[2], results[0]);
  }
});

Deno.test("emitContract() keeps infinities and NaN", () => {
  const kernel = matmul(7, 9, 5);
  const pool = new ThreadPool(memory, { threads: 1 });
  const runner = new ContractRunner(kernel, memory, pool);
  const [x, y, out] = runner.buffers as [HostBuffer, HostBuffer, HostBuffer];
  x.fill(1);
  y.fill(2);
  x[0] = Infinity; // row 0
  x[5] = NaN; // row 1
  runner.run();
  assertEquals([...out.subarray(0, 9)], Array(9).fill(Infinity));
  assertEquals([...out.subarray(9, 18)], Array(9).fill(NaN));
  assertEquals([...out.subarray(18)], Array(45).fill(10));
});

Deno.test("emitContract() runs batches over one or both operands", () => {
  for (const shared of [false, true]) {
    const b = new KernelBuilder();
    const [p, q, i, j, c] = [b.row(3), b.row(2), b.row(7), b.row(9), b.col(5)];
    const x = b.input("float32", 6 * 35);
    const y = b.input("float32", shared ? 45 : 6 * 45);
    const out = b.output("float32", 6 * 63);
    const left = b.load(x, at(p, q, i, c));
    const right = b.load(y, shared ? at(c, j) : at(p, q, c, j));
    const axes = { batch: [p, q], m: [i], n: [j] };
    check(product("batches", b, axes, { left, right }, (sum) => {
      b.store(out, at(p, i, q, j), sum);
    }));
  }
});

Deno.test("emitContract() takes several axes of each kind in any order", () => {
  const b = new KernelBuilder();
  const [m0, n0, m1, n1] = [b.row(3), b.row(2), b.row(5), b.row(7)];
  const [k0, k1] = [b.col(4), b.col(3)];
  const x = b.input("float32", 15 * 12);
  const y = b.input("float32", 14 * 12);
  const out = b.output("float32", 15 * 14);
  const left = b.load(x, at(k1, m0, k0, m1));
  const right = b.load(y, at(n1, k0, n0, k1));
  check(
    product("axes", b, { m: [m0, m1], n: [n0, n1] }, { left, right }, (sum) => {
      b.store(out, at(m1, n1, n0, m0), sum);
    }),
  );
});

const PLAIN: Convolution = {
  batch: 2,
  channels: 3,
  outputs: 7,
  size: 8,
  kernel: 3,
  stride: 1,
  padding: 0,
  dilation: 1,
};

const CONVOLUTIONS: Record<string, Convolution> = {
  "plain": PLAIN,
  "padded": { ...PLAIN, size: 7, padding: 1 },
  "strided": { ...PLAIN, size: 9, stride: 2, padding: 1 },
  "with a stride of 3": { ...PLAIN, size: 11, stride: 3, padding: 2 },
  "dilated": { ...PLAIN, size: 9, dilation: 2, padding: 1 },
  "of single pixels, padded": { ...PLAIN, kernel: 1, padding: 1, size: 10 },
  "of one channel": { ...PLAIN, channels: 1, outputs: 1, size: 14, kernel: 5 },
};

for (const [name, c] of Object.entries(CONVOLUTIONS)) {
  Deno.test(`emitContract() runs a convolution, ${name}, and its gradients`, () => {
    check(convolution(c));
    check(weightGradient(c));
    check(inputGradient(c));
  });
}

Deno.test("emitContract() copies a padded operand with its zeros, if it is read often", () => {
  const shape = { batch: 2, channels: 5, outputs: 7, size: 9, stride: 1 };
  const of = (kernel: number, padding: number): Convolution => ({
    ...shape,
    kernel,
    padding,
    dilation: 1,
  });
  const copies = (kernel: LoopKernel) => {
    const pool = new ThreadPool(memory, { threads: 1 });
    const { stages } = new ContractRunner(kernel, memory, pool).plan;
    return stages.filter(({ name }) => name.startsWith("pad")).length;
  };
  // The gradient's windows reach past the image on all sides.
  assertEquals(copies(inputGradient(of(3, 0))), 1);
  assertEquals(copies(convolution(of(3, 1))), 1);
  assertEquals(copies(weightGradient(of(3, 1))), 1);
  assertEquals(copies(convolution(of(3, 0))), 0); // no zeros
  assertEquals(copies(convolution(of(1, 1))), 0); // read once
});

Deno.test("emitContract() computes what stands before the product", () => {
  for (const transposed of [false, true]) {
    const b = new KernelBuilder();
    const [i, j, c] = [b.row(11), b.row(18), b.col(23)];
    const x = b.input("float32", 11 * 23);
    const kept = b.input("bool", 11 * 23);
    const scale = b.input("float32", 23);
    const shift = b.input("float32", 18);
    const y = b.input("float32", 18 * 23);
    const out = b.output("float32", 11 * 18);
    const place = transposed ? at(c, i) : at(i, c);
    // relu, dropout and a scale of each column; a shift of each lane.
    const raw = b.load(x, place);
    const relu = b.op("max", raw, b.constant(0));
    const masked = b.where(b.load(kept, place), relu, b.constant(0));
    const scaled = b.op("mul", masked, b.load(scale, at(c)));
    const left = b.op("mul", scaled, b.param());
    const right = b.op(
      "exp",
      b.op(
        "sub",
        b.load(y, transposed ? at(j, c) : at(c, j)),
        b.load(shift, at(j)),
      ),
    );
    const kernel = product(
      "before",
      b,
      { m: [i], n: [j] },
      { left, right },
      (sum) => b.store(out, at(i, j), sum),
    );
    check(kernel, new Uint32Array(new Float32Array([1.25]).buffer));
  }
});

Deno.test("emitContract() looks rows up in a table, and casts integers", () => {
  for (const transposed of [false, true]) {
    const b = new KernelBuilder();
    const [i, j, c] = [b.row(9), b.row(17), b.col(14)];
    const ids = b.input("int32", 9);
    const table = b.input("float32", 3 * 14);
    const y = b.input("int32", 17 * 14);
    const out = b.output("float32", 9 * 17);
    // Ids are 0 to 3: one of them is out of range and gives zeros.
    const left = b.value({
      op: "gather",
      dtype: "float32",
      buffer: table,
      index: affine([[1, c]]),
      bounds: [{ index: affine([[1, c]]), low: 1, high: 14 }],
      at: b.load(ids, at(i)),
      stride: 14,
      extent: 3,
    });
    const right = b.cast(
      b.load(y, transposed ? at(j, c) : at(c, j)),
      "float32",
    );
    check(product("gather", b, { m: [i], n: [j] }, { left, right }, (sum) => {
      b.store(out, transposed ? at(j, i) : at(i, j), sum);
    }));
  }
});

Deno.test("emitContract() computes what follows the product and stores it in several places", () => {
  for (const [m, n] of [[10, 21], [21, 10], [5, 3]] as const) {
    const b = new KernelBuilder();
    const [i, j, c] = [b.row(m), b.row(n), b.col(6)];
    const x = b.input("float32", m * 6);
    const y = b.input("float32", n * 6);
    const bias = b.input("float32", n);
    const gain = b.input("float32", m);
    const residual = b.input("float32", m * n);
    const ids = b.input("int32", m);
    const table = b.input("float32", 4 * n);
    const out = b.output("float32", m * n);
    const back = b.output("float32", m * n);
    const positive = b.output("bool", m * n);
    const places = b.output("int32", m * n);
    const bits = b.output("uint32", m * n);
    const left = b.load(x, at(i, c));
    const right = b.load(y, at(j, c));
    const kernel = product(
      `after ${[m, n]}`,
      b,
      { m: [i], n: [j] },
      { left, right },
      (sum) => {
        const shifted = b.op(
          "mul",
          b.op("add", sum, b.load(bias, at(j))),
          b.load(gain, at(i)),
        );
        const chosen = b.value({
          op: "gather",
          dtype: "float32",
          buffer: table,
          index: affine([[1, j]]),
          bounds: [],
          at: b.op("sub", b.load(ids, at(i)), b.constant(1, "int32")),
          stride: n,
          extent: 3,
        });
        const total = b.op(
          "add",
          b.op("add", shifted, b.load(residual, at(i, j))),
          chosen,
        );
        const place = b.value({ op: "index", dtype: "int32", index: at(i, j) });
        const counter = b.cast(place, "uint32");
        const key = b.constant(7, "uint32");
        const random = b.value({
          op: "threefry",
          dtype: "uint32",
          args: [key, key, counter, key],
          word: 1,
        });
        const edge = b.value({
          op: "inside",
          dtype: "bool",
          bounds: [
            { index: affine([[1, i]]), low: 1, high: m },
            { index: affine([[1, j]]), low: 0, high: n - 1 },
          ],
        });
        b.store(out, at(i, j), total);
        b.store(back, at(j, i), b.op("sin", total));
        b.store(
          positive,
          at(i, j),
          b.op("and", edge, b.op("lt", b.constant(0), total)),
        );
        b.store(places, at(j, i), place);
        b.store(bits, at(i, j), random);
      },
    );
    const outputs = check(kernel);
    // Integers exactly: the tolerance of floats is far too wide for them.
    const pool = new ThreadPool(memory, { threads: 1 });
    const runner = new ContractRunner(kernel, memory, pool);
    const inputs = runner.buffers.slice(0, 7).map((buffer) => buffer.slice());
    const want = expected(kernel, inputs);
    assertEquals(outputs[3], want[3]);
    assertEquals(outputs[4], want[4]);
  }
});

Deno.test("emitContract() reads through quotients and remainders", () => {
  // The rows are a [5, 6] that was stored as [6, 5]; the lanes likewise.
  const b = new KernelBuilder();
  const [i, j, c] = [b.row(30), b.row(12), b.col(35)];
  const x = b.input("float32", 30 * 35);
  const y = b.input("float32", 12 * 35);
  const out = b.output("float32", 360);
  const swap = (index: Index, inner: number, outer: number) =>
    linear([[outer, remainder(index, inner)], [1, quotient(index, inner)]]);
  const left = b.load(x, swap(at(i, c), 42, 25));
  const right = b.load(
    y,
    linear([[35, swap(at(j), 3, 4)], [1, swap(at(c), 7, 5)]]),
  );
  check(
    product("divided", b, { m: [i], n: [j] }, { left, right }, (sum) => {
      b.store(out, swap(at(i, j), 24, 15), sum);
    }),
  );
});

Deno.test("emitContract() does not read where a bound fails", () => {
  // A [2, 3] in the middle of zeros, by bounds far outside of its buffer.
  const b = new KernelBuilder();
  const [i, j, c] = [b.row(40), b.row(10), b.col(9)];
  const x = b.input("float32", 6);
  const y = b.input("float32", 90);
  const out = b.output("float32", 400);
  const row = affine([[1000000, i]], -20000000);
  const left = b.load(x, linear([[1, row], [1, axisIndex(c)]], -3), [
    { index: row, low: 0, high: 2 },
    { index: affine([[1, c]], -3), low: 0, high: 3 },
  ]);
  const right = b.load(y, at(c, j));
  const kernel = product(
    "bounded",
    b,
    { m: [i], n: [j] },
    { left, right },
    (sum) => {
      b.store(out, at(i, j), sum);
    },
  );
  const [result] = check(kernel);
  assert(result!.subarray(0, 200).every((value) => value === 0));
  assert(result!.subarray(200, 210).some((value) => value !== 0));
});

/** A product of random axes, each operand and the result in a random order. */
function randomProduct(seed: number): LoopKernel {
  const random = seeded(seed);
  const b = new KernelBuilder();
  const axes = (most: number, make: (extent: number) => Axis) =>
    Array.from(
      { length: random.integer(0, most + 1) },
      () => make(random.pick([1, 2, 3, 4, 5, 8, 9])),
    );
  const [batch, m, n] = [1, 2, 2].map((most) => axes(most, (e) => b.row(e)));
  const k = axes(3, (extent) => b.col(extent));
  const operand = (own: readonly Axis[]) => {
    const order = random.shuffle([...batch!, ...own, ...k]);
    const bounds: Bound[] = [];
    let size = 1;
    const parts = order.toReversed().map((axis) => {
      const stride = size;
      // Some run backwards, some are padded by one in front and behind.
      const [flip, pad] = [random.next() < 0.25, random.next() < 0.2];
      let place = axisIndex(axis);
      if (flip) place = linear([[-1, place]], axis.extent - 1);
      if (pad && axis.extent > 2) {
        place = linear([[1, place]], -1);
        bounds.push({ index: place, low: 0, high: axis.extent - 2 });
        size *= axis.extent - 2;
      } else size *= axis.extent;
      return [stride, place] as const;
    });
    const buffer = b.input("float32", size);
    return b.load(buffer, linear(parts), bounds);
  };
  const left = operand(m!);
  const right = operand(n!);
  const rows = random.shuffle([...batch!, ...m!, ...n!]);
  const size = rows.reduce((product, { extent }) => product * extent, 1);
  const out = b.output("float32", size);
  const roles = { batch: batch!, m: m!, n: n! };
  return product(`random ${seed}`, b, roles, { left, right }, (sum) => {
    b.store(out, at(...rows), sum);
  });
}

Deno.test("emitContract() runs products of random axes", () => {
  for (let seed = 1; seed <= 60; seed++) check(randomProduct(seed));
});
