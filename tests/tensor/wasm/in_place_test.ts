import { assert, assertEquals } from "@std/assert";
import type { DType } from "../../../tensor/dtype.ts";
import {
  type HostBuffer,
  hostBuffer,
} from "../../../tensor/kernel/interpret.ts";
import type { LoopKernel } from "../../../tensor/kernel/kernel.ts";
import { canOverwrite } from "../../../tensor/kernel/overwrite.ts";
import { generate, MAX_PAGES } from "../../../tensor/wasm/generate.ts";
import { ThreadPool } from "../../../tensor/wasm/threads.ts";
import { affine, at, KernelBuilder } from "../kernel_builder.ts";
import { product } from "./contract_cases.ts";
import { Random, randomData } from "./random_kernel.ts";

const memory = new WebAssembly.Memory({
  initial: 512,
  maximum: MAX_PAGES,
  shared: true,
});

/** The same kernel with outputs in the memory of inputs. */
function over(
  kernel: LoopKernel,
  overwrites: Readonly<Record<number, number>>,
): LoopKernel {
  const buffers = kernel.buffers.map((slot, number) => {
    const input = overwrites[number];
    if (input === undefined) return slot;
    assert(canOverwrite(kernel, input, number), kernel.name);
    return { ...slot, overwrites: input };
  });
  return { ...kernel, buffers };
}

/** Runs a kernel, cut as finely as can be; gives its outputs. */
function run(
  pool: ThreadPool,
  kernel: LoopKernel,
  data: readonly HostBuffer[],
  params: Uint32Array,
): HostBuffer[] {
  const target = { relaxedSimd: true, sharedMemory: true };
  const made = generate(kernel, target);
  const program = pool.load(
    made.bytes,
    made.library && pool.load(made.library),
  );
  const sequence = pool.sequence(made.stages.map(({ name, items }) => ({
    program,
    stage: name,
    frame: 0,
    items,
    grain: 1,
  })));
  let next = 65536;
  const take = (bytes: number) => {
    const address = next;
    next += Math.ceil((bytes + 32) / 64) * 64;
    assert(next <= memory.buffer.byteLength, "the test's memory is too small");
    return address;
  };
  const frame = new Uint32Array(memory.buffer, 1024);
  kernel.buffers.forEach(({ size, overwrites }, slot) => {
    frame[slot] = overwrites === undefined
      ? take(4 * size)
      : frame[overwrites]!;
  });
  const views = kernel.buffers.map(({ dtype, size }, slot) => {
    const view = hostBuffer(dtype, memory.buffer as unknown as ArrayBuffer);
    const from = frame[slot]! / 4;
    return view.subarray(from, from + size) as HostBuffer;
  });
  kernel.buffers.forEach(({ output }, slot) => {
    if (!output) views[slot]!.set(data[slot]!);
  });
  const behind = kernel.buffers.length;
  frame.set(params, behind);
  frame[behind + params.length] = take(made.sharedScratchBytes);
  frame[behind + params.length + 1] = take(
    made.threadScratchBytes * pool.threads,
  );
  pool.run(sequence, 1024);
  pool.unload(sequence);
  pool.unload(program);
  return views.filter((_, slot) => kernel.buffers[slot]!.output)
    .map((view) => view.slice());
}

const pools: ThreadPool[] = [];

/** Compares bits: in place on any number of threads, and apart on one. */
async function check(
  kernel: LoopKernel,
  overwrites: Readonly<Record<number, number>>,
  random: Random,
): Promise<void> {
  for (const threads of pools.length > 0 ? [] : [1, 2, 4]) {
    const pool = new ThreadPool(memory, { threads });
    await pool.start();
    pools.push(pool);
  }
  const data = kernel.buffers.map(({ dtype, size }) =>
    randomData(random, dtype, size)
  );
  const params = new Uint32Array(
    randomData(random, "float32", kernel.params.length).buffer,
  );
  const want = run(pools[0]!, kernel, data, params);
  const inPlace = over(kernel, overwrites);
  for (const pool of pools) {
    for (let round = 0; round < 3; round++) {
      const got = run(pool, inPlace, data, params);
      const name = `${kernel.name} on ${pool.threads} threads`;
      // As words: NaN has bits too.
      got.forEach((array, i) =>
        assertEquals(
          new Uint32Array(array.buffer),
          new Uint32Array(want[i]!.buffer),
          name,
        )
      );
    }
  }
}

const SHAPES = [[1, 1], [3, 5], [7, 64], [65, 33], [9, 1031]] as const;

Deno.test("wasm maps arrays onto themselves, of any size, type and order", async () => {
  const random = new Random(31);
  for (const [rows, cols] of SHAPES) {
    for (const dtype of ["float32", "int32", "uint32", "bool"] as DType[]) {
      for (const order of [0, 1, 2]) {
        const b = new KernelBuilder();
        const [i, j] = [b.row(rows), b.row(cols)];
        const x = b.input(dtype, rows * cols);
        const other = b.input(dtype, rows * cols);
        const y = b.output(dtype, rows * cols);
        // In order, with columns apart, and from the end.
        const place = order === 0
          ? at(i, j)
          : order === 1
          ? at(j, i)
          : affine([[-cols, i], [-1, j]], rows * cols - 1);
        const value = b.load(x, place);
        const transposed = b.load(other, at(j, i));
        const result = dtype === "bool"
          ? b.op("ne", value, transposed)
          : b.op("max", value, transposed);
        b.store(y, place, result);
        const kernel = b.build(`map ${dtype} ${[rows, cols]} ${order}`);
        await check(kernel, { [y]: x }, random);
      }
    }
  }
});

Deno.test("wasm overwrites several inputs, and one that another result needs", async () => {
  const random = new Random(32);
  for (const size of [1, 4, 7, 63, 1031, 5000]) {
    const b = new KernelBuilder();
    const i = at(b.row(size));
    const inputs = [0, 1, 2, 3].map(() => b.input("float32", size));
    const outputs = [0, 1, 2].map(() => b.output("float32", size));
    const [weight, mean, square, gradient] = inputs.map((x) => b.load(x, i));
    const half = b.param();
    const average = (a: number, c: number) =>
      b.op("mul", half, b.op("add", a, c));
    const newMean = average(mean!, gradient!);
    const newSquare = average(square!, b.op("mul", gradient!, gradient!));
    // Written first, where the others read.
    b.store(outputs[0]!, i, gradient!);
    b.store(outputs[1]!, i, newMean);
    b.store(outputs[2]!, i, newSquare);
    const last = b.output("float32", size);
    b.store(last, i, b.op("add", weight!, b.op("mul", mean!, square!)));
    const kernel = b.build(`moments ${size}`);
    const overwrites = {
      [outputs[0]!]: inputs[0]!,
      [outputs[1]!]: inputs[1]!,
      [outputs[2]!]: inputs[2]!,
    };
    await check(kernel, overwrites, random);
  }
});

Deno.test("wasm overwrites what it reduces, in loops and as straight lines", async () => {
  const random = new Random(33);
  for (
    const [rows, cols] of [
      [3, 1],
      [17, 2],
      [40, 9],
      [5, 16],
      [17, 301],
      [65, 33],
    ] as const
  ) {
    for (const along of [true, false]) {
      const b = new KernelBuilder();
      const [i, j] = [b.row(rows), b.col(cols)];
      const x = b.input("float32", rows * cols);
      const y = b.input("float32", rows * cols);
      const squares = b.output("float32", rows * cols);
      const greatest = b.output("float32", rows);
      const place = along ? at(i, j) : at(j, i);
      const value = b.load(x, place);
      // Does not need what it overwrites.
      b.store(squares, place, b.load(y, place));
      b.store(greatest, at(i), b.reduce("max", value));
      const kernel = b.build(`greatest ${[rows, cols]} ${along}`);
      await check(kernel, { [squares]: x }, random);
    }
  }
});

Deno.test("wasm overwrites a row's element after its reductions", async () => {
  const random = new Random(34);
  for (const [rows, cols] of [...SHAPES, [1031, 9]] as const) {
    const b = new KernelBuilder();
    const [i, j] = [b.row(rows), b.col(cols)];
    const x = b.input("float32", rows * cols);
    const total = b.input("float32", rows);
    const mean = b.input("float32", rows);
    const newTotal = b.output("float32", rows);
    const newMean = b.output("float32", rows);
    const before = b.load(total, at(i));
    const value = b.op("sub", b.load(x, at(i, j)), before);
    const sum = b.reduce("sum", b.op("max", value, b.load(mean, at(i))));
    b.store(newTotal, at(i), sum);
    b.store(newMean, at(i), b.op("mul", before, b.load(mean, at(i))));
    const kernel = b.build(`totals ${[rows, cols]}`);
    await check(kernel, { [newTotal]: total, [newMean]: mean }, random);
  }
});

Deno.test("wasm adds products to the array that it updates", async () => {
  const random = new Random(35);
  const shapes = [
    [1, 1, 1, 1],
    [1, 3, 5, 7],
    [2, 19, 37, 23],
    [1, 65, 64, 70],
    // Few results: the sum is split.
    [1, 5, 9, 20_001],
    [3, 8, 8, 5003],
    // Several passes, and several blocks of rows.
    [1, 67, 131, 1500],
    [1, 700, 40, 33],
  ] as const;
  for (const [batch, m, n, k] of shapes) {
    for (const transposed of [false, true]) {
      const b = new KernelBuilder();
      const [g, i, j, c] = [b.row(batch), b.row(m), b.row(n), b.col(k)];
      const x = b.input("float32", batch * m * k);
      const w = b.input("float32", batch * k * n);
      const updated = b.input("float32", batch * m * n);
      const gates = b.input("float32", batch * m * n);
      const bias = b.input("float32", n);
      const sums = b.output("float32", batch * m * n);
      const kept = b.output("float32", batch * m * n);
      const left = b.load(x, at(g, i, c));
      const right = b.load(w, at(g, c, j));
      const place = transposed ? at(g, j, i) : at(g, i, j);
      const axes = { batch: [g], m: [i], n: [j] };
      const kernel = product(
        `update ${[batch, m, n, k]} ${transposed}`,
        b,
        axes,
        { left, right },
        (sum) => {
          const shifted = b.op("add", sum, b.load(bias, at(j)));
          const before = b.load(updated, place);
          const zero = b.constant(0);
          const gate = b.load(gates, place);
          const gated = b.where(b.op("lt", zero, gate), shifted, zero);
          // Both results need both of what they overwrite.
          b.store(sums, place, b.op("add", before, gated));
          b.store(kept, place, b.op("mul", before, gate));
        },
      );
      await check(kernel, { [sums]: updated, [kept]: gates }, random);
    }
  }
  for (const pool of pools.splice(0)) pool.close();
});
