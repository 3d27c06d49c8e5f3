import type {
  BinaryOp,
  CompareOp,
  UnaryOp,
  Value,
} from "../../tensor/kernel/kernel.ts";
import type { DType } from "../../tensor/dtype.ts";
import { assertEquals } from "@std/assert";
import { affine, at, KernelBuilder } from "./kernel_builder.ts";
import {
  checkKernel,
  EXACT,
  gpuTest,
  POINTWISE,
  randomBuffer,
  runKernel,
  type Tolerance,
  withGpu,
} from "./webgpu_test_device.ts";

const SIZE = 67;

/** A map of one operation over buffers of one type. */
function mapKernel(
  op: UnaryOp | BinaryOp | CompareOp,
  dtype: DType,
  operands: number,
) {
  const builder = new KernelBuilder();
  const axis = builder.row(SIZE);
  const inputs = Array.from(
    { length: operands },
    () => builder.input(dtype, SIZE),
  );
  const isComparison = ["lt", "le", "eq", "ne"].includes(op);
  const output = builder.output(isComparison ? "bool" : dtype, SIZE);
  const args = inputs.map((input) => builder.load(input, at(axis)));
  builder.store(output, at(axis), builder.op(op, ...args));
  return builder.build(`${op} ${dtype}`);
}

const FLOAT_UNARY: readonly (readonly [UnaryOp, number, Tolerance])[] = [
  ["neg", 100, EXACT],
  ["abs", 100, EXACT],
  ["exp", 40, POINTWISE],
  ["log", 100, POINTWISE],
  ["sqrt", 100, POINTWISE],
  ["sin", Math.PI, { rtol: 0, atol: 5e-4 }],
  ["cos", Math.PI, { rtol: 0, atol: 5e-4 }],
  ["floor", 10, EXACT],
  ["ceil", 10, EXACT],
  ["round", 10, EXACT],
  ["trunc", 10, EXACT],
];

gpuTest("webgpu computes every unary operation of floats", async () => {
  await withGpu(async (gpu) => {
    for (const [op, scale, tolerance] of FLOAT_UNARY) {
      const input = randomBuffer("float32", SIZE, 3, scale);
      if (op === "log" || op === "sqrt") {
        input.forEach((value, i) => input[i] = Math.abs(value));
      }
      // Halves: they round to even.
      if (op === "round") input.set([0.5, 1.5, 2.5, -0.5, -1.5, -2.5]);
      await checkKernel(gpu, mapKernel(op, "float32", 1), [input], tolerance);
    }
  });
});

gpuTest("webgpu computes every binary operation of floats", async () => {
  await withGpu(async (gpu) => {
    const ops: readonly (readonly [BinaryOp | CompareOp, Tolerance])[] = [
      ["add", EXACT],
      ["sub", EXACT],
      ["mul", EXACT],
      ["div", POINTWISE],
      ["rem", EXACT],
      ["min", EXACT],
      ["max", EXACT],
      ["lt", EXACT],
      ["le", EXACT],
      ["eq", EXACT],
      ["ne", EXACT],
    ];
    const a = randomBuffer("float32", SIZE, 5, 20);
    const b = randomBuffer("float32", SIZE, 6, 3);
    a.set([1, 2, 5.3, -5.3, 1e30, 3, -7.5]);
    b.set([1, -2, 0.1, 0.1, 0.7, -3, 2.5]);
    for (const [op, tolerance] of ops) {
      await checkKernel(gpu, mapKernel(op, "float32", 2), [a, b], tolerance);
    }
  });
});

gpuTest("webgpu computes every operation of integers", async () => {
  await withGpu(async (gpu) => {
    const ops: readonly (BinaryOp | CompareOp)[] = [
      "add",
      "sub",
      "mul",
      "idiv",
      "rem",
      "min",
      "max",
      "and",
      "or",
      "xor",
      "shl",
      "shr",
      "lt",
      "le",
      "eq",
      "ne",
    ];
    for (const dtype of ["int32", "uint32"] as const) {
      const a = randomBuffer(dtype, SIZE, 7, 2 ** 31);
      const b = randomBuffer(dtype, SIZE, 8, 40);
      a.set([0, 1, 2 ** 31 - 1, -(2 ** 31), -1, 17, -17, 5]);
      b.set([0, 0, 2, -1, 31, 5, 5, 5]);
      for (const op of ops) {
        await checkKernel(gpu, mapKernel(op, dtype, 2), [a, b]);
      }
      for (const op of ["neg", "abs", "not"] as const) {
        await checkKernel(gpu, mapKernel(op, dtype, 1), [a]);
      }
    }
  });
});

gpuTest("webgpu computes every operation of bools", async () => {
  await withGpu(async (gpu) => {
    const a = randomBuffer("bool", SIZE, 9);
    const b = randomBuffer("bool", SIZE, 10);
    const ops = ["and", "or", "xor", "min", "max", "lt", "le", "eq", "ne"];
    for (const op of ops as (BinaryOp | CompareOp)[]) {
      await checkKernel(gpu, mapKernel(op, "bool", 2), [a, b]);
    }
    await checkKernel(gpu, mapKernel("not", "bool", 1), [a]);
  });
});

gpuTest("webgpu casts between all types, saturating", async () => {
  await withGpu(async (gpu) => {
    const types = ["float32", "int32", "uint32", "bool"] as const;
    for (const from of types) {
      for (const to of types) {
        for (const op of ["cast", "bitcast"] as const) {
          // The bits of a bool are 0 or 1.
          if (op === "bitcast" && to === "bool") continue;
          const builder = new KernelBuilder();
          const axis = builder.row(SIZE);
          const input = builder.input(from, SIZE);
          const output = builder.output(to, SIZE);
          const args = [builder.load(input, at(axis))] as const;
          const value: Value = { op, dtype: to, args };
          builder.store(output, at(axis), builder.value(value));
          const values = randomBuffer(from, SIZE, 11, 1000);
          if (from === "float32") {
            values.set([3e9, -3e9, 5e9, 2147483520, -0.7, 0.7, 1e38, 0, NaN]);
          }
          if (from === "int32") values.set([-1, 2 ** 31 - 1, -(2 ** 31)]);
          await checkKernel(gpu, builder.build(`${op} ${from} ${to}`), [
            values,
          ]);
        }
      }
    }
  });
});

gpuTest("webgpu keeps infinities and NaN where the driver does", async () => {
  await withGpu(async (gpu) => {
    const special = [Infinity, -Infinity, NaN, 0, -0, 1, -1, 200, -200];
    const pad = (values: number[]) => {
      const buffer = new Float32Array(SIZE).fill(1);
      buffer.set(values);
      return buffer;
    };
    const input = pad(special);
    for (const op of ["exp", "log", "sqrt", "neg", "abs", "floor"] as const) {
      await checkKernel(gpu, mapKernel(op, "float32", 1), [input], POINTWISE);
    }
    const pairs = special.flatMap((a) =>
      special.slice(0, 7).map((b) => [a, b])
    );
    const a = pad(pairs.map(([a]) => a!));
    const b = pad(pairs.map(([, b]) => b!));
    for (
      const op of [
        "add",
        "mul",
        "div",
        "min",
        "max",
        "lt",
        "le",
        "eq",
        "ne",
      ] as const
    ) {
      await checkKernel(gpu, mapKernel(op, "float32", 2), [a, b], POINTWISE);
    }
  });
});

gpuTest("webgpu stores constants to the bit", async () => {
  await withGpu(async (gpu) => {
    const constants: readonly (readonly [DType, number])[] = [
      ["float32", 0.1],
      ["float32", -0],
      ["float32", 1e-45],
      ["float32", 3.4028234663852886e38],
      ["float32", -1.1754943508222875e-38],
      ["float32", Infinity],
      ["float32", -Infinity],
      ["float32", 16777217],
      ["int32", -2147483648],
      ["int32", 2147483647],
      ["uint32", 4294967295],
      ["bool", 1],
    ];
    for (const [dtype, value] of constants) {
      const builder = new KernelBuilder();
      const axis = builder.row(3);
      const output = builder.output(dtype, 3);
      builder.store(output, at(axis), builder.constant(value, dtype));
      const kernel = builder.build(`constant ${value}`);
      const [got] = await runKernel(gpu, kernel, []);
      const want = dtype === "float32" ? Math.fround(value) : value;
      assertEquals([...got!], [want, want, want]);
    }
  });
});

gpuTest("webgpu computes with constants that overflow", async () => {
  await withGpu(async (gpu) => {
    const builder = new KernelBuilder();
    const axis = builder.row(1);
    const floats = builder.output("float32", 2);
    const integers = builder.output("int32", 3);
    const one = builder.constant(1);
    const zero = builder.constant(0);
    builder.store(floats, affine([[1, axis]]), builder.op("div", one, zero));
    const big = builder.constant(3e38);
    builder.store(floats, affine([[1, axis]], 1), builder.op("mul", big, big));
    const most = builder.constant(2147483647, "int32");
    const unit = builder.constant(1, "int32");
    const none = builder.constant(0, "int32");
    const sum = builder.op("add", most, unit);
    builder.store(integers, affine([[1, axis]]), sum);
    const shifted = builder.op("shl", most, unit);
    builder.store(integers, affine([[1, axis]], 1), shifted);
    const quotient = builder.op("idiv", most, none);
    builder.store(integers, affine([[1, axis]], 2), quotient);
    await checkKernel(gpu, builder.build("overflow"), []);
  });
});

gpuTest("webgpu takes parameters of each type with each run", async () => {
  await withGpu(async (gpu) => {
    const builder = new KernelBuilder();
    const axis = builder.row(5);
    const input = builder.input("float32", 5);
    const floats = builder.output("float32", 5);
    const flags = builder.output("bool", 5);
    const rate = builder.param();
    const step = builder.param("int32");
    const flag = builder.param("bool");
    const scaled = builder.op("mul", builder.load(input, at(axis)), rate);
    const shifted = builder.op("add", scaled, builder.cast(step, "float32"));
    builder.store(floats, at(axis), shifted);
    builder.store(flags, at(axis), flag);
    const kernel = builder.build("params");
    const values = randomBuffer("float32", 5);
    const words = new Uint32Array(3);
    for (const [rate, step, flag] of [[0.5, -3, 1], [2, 7, 0]] as const) {
      new Float32Array(words.buffer)[0] = rate;
      words[1] = step;
      words[2] = flag;
      await checkKernel(gpu, kernel, [values], EXACT, words);
    }
  });
});

gpuTest("webgpu chooses, shows positions and tests bounds", async () => {
  await withGpu(async (gpu) => {
    const builder = new KernelBuilder();
    const [i, j] = [builder.row(5), builder.row(7)];
    const input = builder.input("float32", 35);
    const chosen = builder.output("float32", 35);
    const positions = builder.output("int32", 35);
    const flags = builder.output("bool", 35);
    const index = affine([[3, i], [-1, j]], -2);
    const position = builder.value({ op: "index", dtype: "int32", index });
    const bounds = [{ index, low: 0, high: 4 }];
    const inside = builder.value({ op: "inside", dtype: "bool", bounds });
    const value = builder.load(input, at(i, j));
    builder.store(
      chosen,
      at(i, j),
      builder.where(inside, value, builder.constant(-1)),
    );
    builder.store(positions, at(i, j), position);
    builder.store(flags, at(i, j), inside);
    await checkKernel(gpu, builder.build("inside"), [
      randomBuffer("float32", 35),
    ]);
  });
});

gpuTest("webgpu computes Threefry to the bit", async () => {
  await withGpu(async (gpu) => {
    const builder = new KernelBuilder();
    const axis = builder.row(SIZE);
    const outputs = [
      builder.output("uint32", SIZE),
      builder.output("uint32", SIZE),
    ];
    const index = affine([[1, axis]]);
    const position = builder.value({ op: "index", dtype: "int32", index });
    const counter = builder.cast(position, "uint32");
    const zero = builder.constant(0, "uint32");
    for (const word of [0, 1] as const) {
      const args = [zero, zero, counter, zero] as const;
      const value: Value = { op: "threefry", dtype: "uint32", args, word };
      builder.store(outputs[word]!, at(axis), builder.value(value));
    }
    const kernel = builder.build("threefry");
    const [low, high] = await runKernel(gpu, kernel, []);
    // Known answer: Random123's kat_vectors, threefry2x32 with 20 rounds.
    assertEquals([low![0], high![0]], [0x6b200159, 0x99ba4efe]);
    await checkKernel(gpu, kernel, []);
  });
});
