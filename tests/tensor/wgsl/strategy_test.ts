import { assert, assertEquals } from "@std/assert";
import { literal } from "../../../tensor/wgsl/literal.ts";
import { mergeAxes } from "../../../tensor/wgsl/merge_axes.ts";
import { gridOf, type ShaderLimits } from "../../../tensor/wgsl/program.ts";
import {
  chooseContract,
  contractWays,
  wayName,
} from "../../../tensor/wgsl/contract_strategy.ts";
import {
  lanesOf,
  workgroupBytesOf,
} from "../../../tensor/wgsl/contract_tiled.ts";
import {
  chooseLoop,
  chooseScan,
  chooseSort,
} from "../../../tensor/wgsl/strategy.ts";
import { indexKey } from "../../../tensor/view.ts";
import { at, KernelBuilder } from "../kernel_builder.ts";

const GPU: ShaderLimits = {
  maxWorkgroupSize: 1024,
  maxWorkgroupBytes: 32768,
  maxWorkgroups: 65535,
  isFallback: false,
};
const FALLBACK: ShaderLimits = { ...GPU, isFallback: true };

function sumKernel(rows: number, cols: number) {
  const builder = new KernelBuilder();
  const [i, j] = [builder.row(rows), builder.col(cols)];
  const input = builder.input("float32", rows * cols);
  const output = builder.output("float32", rows);
  const value = builder.load(input, at(i, j));
  builder.store(output, at(i), builder.reduce("sum", value));
  return builder.build("sum");
}

Deno.test("chooseLoop() gives long rows a workgroup each, others a lane", () => {
  assertEquals(chooseLoop(sumKernel(64, 10), GPU).kind, "invocation");
  assertEquals(chooseLoop(sumKernel(100_000, 30), GPU).kind, "invocation");
  assertEquals(chooseLoop(sumKernel(100_000, 100), GPU).kind, "workgroup");
  assertEquals(chooseLoop(sumKernel(64, 1000), GPU), {
    kind: "workgroup",
    workgroupSize: 256,
  });
  assertEquals(chooseLoop(sumKernel(64, 40), GPU), {
    kind: "workgroup",
    workgroupSize: 64,
  });
  const little = { ...GPU, maxWorkgroupBytes: 128 };
  assertEquals(chooseLoop(sumKernel(64, 1000), little).workgroupSize, 32);
  const none = { ...GPU, maxWorkgroupBytes: 4 };
  assertEquals(chooseLoop(sumKernel(64, 1000), none).kind, "invocation");
  const small = { ...GPU, maxWorkgroupSize: 64 };
  assertEquals(chooseLoop(sumKernel(64, 1000), small).workgroupSize, 64);
});

Deno.test("chooseLoop() takes blocks of rows where those are neighbours", () => {
  const across = (rows: number, cols: number) => {
    const builder = new KernelBuilder();
    const [i, j] = [builder.row(rows), builder.col(cols)];
    const input = builder.input("float32", rows * cols);
    const output = builder.output("float32", rows);
    const value = builder.load(input, at(j, i));
    builder.store(output, at(i), builder.reduce("sum", value));
    return builder.build("sum over the first axis");
  };
  const block = { kind: "block", workgroupSize: 256, rows: 32 } as const;
  assertEquals(chooseLoop(across(768, 4096), GPU), block);
  assertEquals(chooseLoop(across(16384, 64), GPU), block);
  assertEquals(chooseLoop(across(100_000, 64), GPU).kind, "invocation");
  assertEquals(chooseLoop(across(768, 16), GPU).kind, "invocation");
  assertEquals(chooseLoop(across(1, 4096), GPU).kind, "workgroup");
  assertEquals(chooseLoop(across(768, 4096), FALLBACK).kind, "invocation");
});

Deno.test("chooseLoop() spreads few rows over a processor's threads", () => {
  assertEquals(chooseLoop(sumKernel(64, 1000), FALLBACK), {
    kind: "invocation",
    workgroupSize: 8,
  });
  assertEquals(chooseLoop(sumKernel(4, 1000), FALLBACK).kind, "workgroup");
});

Deno.test("chooseContract() takes larger tiles for larger products", () => {
  const choose = (batch: number, m: number, n: number, k: number) => {
    const strategy = chooseContract({ batch, m, n, k }, GPU);
    assert(strategy.kind === "tiled", wayName(strategy));
    return strategy;
  };
  const large = choose(1, 4096, 4096, 4096);
  assertEquals(large.tile, [128, 128]);
  assertEquals(large.block, [8, 8]);
  assertEquals(large.parts, 1);
  assertEquals(choose(1, 300, 64, 1400).tile, [32, 32]);
  // Tiles that would stick out are narrower; many products need no parts.
  assertEquals(choose(96, 512, 64, 512).tile, [128, 64]);
  assertEquals(choose(1, 24, 36864, 216).tile, [32, 128]);
  assertEquals(choose(1, 36864, 24, 216).tile, [128, 32]);
});

Deno.test("chooseContract() cuts long sums of few tiles", () => {
  const sizes = { batch: 1, m: 24, n: 216, k: 9216 };
  const gradient = chooseContract(sizes, GPU);
  assert(gradient.kind === "tiled" && gradient.parts > 4);
  const short = chooseContract({ ...sizes, k: 200 }, GPU);
  assert(!("parts" in short) || short.parts === 1);
  // Parts of what is large would take memory for nothing.
  const large = { batch: 1, m: 8192, n: 8192, k: 8192 };
  for (const { strategy } of contractWays(large, GPU)) {
    assert(!("parts" in strategy) || strategy.parts === 1);
  }
});

Deno.test("chooseContract() reads a matrix once for a few vectors", () => {
  for (const few of [2, 4]) {
    for (const alongN of [false, true]) {
      const sizes = { batch: 1, m: few, n: 4096, k: 4096, alongN };
      const chosen = chooseContract(sizes, GPU);
      assert(chosen.kind === "vector" && !chosen.swap);
      // Neighbouring invocations read neighbouring numbers.
      assertEquals(chosen.alongTerms, !alongN);
      const other = chooseContract(
        { ...sizes, m: 4096, n: few, alongM: alongN, alongN: false },
        GPU,
      );
      assert(other.kind === "vector" && other.swap);
    }
  }
  const five = { batch: 1, m: 5, n: 4096, k: 4096 };
  assert(chooseContract(five, GPU).kind !== "vector");
});

Deno.test("chooseContract() keeps to the loop for what is small, and to the limits", () => {
  const choose = (
    [batch, m, n, k]: readonly [number, number, number, number],
    limits: ShaderLimits = GPU,
  ) => chooseContract({ batch, m, n, k }, limits);
  assertEquals(choose([1, 8, 8, 8]).kind, "loop");
  assertEquals(choose([1, 0, 10, 10]).kind, "loop");
  assertEquals(choose([1, 10, 10, 0]).kind, "loop");
  const narrow = choose([1, 512, 512, 512], { ...GPU, maxWorkgroupSize: 64 });
  assert(narrow.kind === "tiled" && lanesOf(narrow) === 64);
  for (const maxWorkgroupBytes of [16384, 32768, 49152]) {
    const chosen = choose([1, 4096, 4096, 4096], { ...GPU, maxWorkgroupBytes });
    assert(chosen.kind === "tiled");
    assert(workgroupBytesOf(chosen) <= maxWorkgroupBytes);
  }
  const none = { ...GPU, maxWorkgroupBytes: 64 };
  assertEquals(choose([1, 512, 512, 512], none).kind, "loop");
});

Deno.test("contractWays() gives each way a name of its own", () => {
  for (const limits of [GPU, FALLBACK]) {
    for (const m of [1, 4, 100, 3000]) {
      const ways = contractWays({ batch: 2, m, n: 3000, k: 5000 }, limits);
      const names = ways.map(({ strategy }) => wayName(strategy));
      assertEquals(new Set(names).size, names.length);
      assert(names.includes("loop"));
    }
  }
});

Deno.test("chooseContract() packs on a processor where that pays", () => {
  const choose = (batch: number, m: number, n: number, k: number) =>
    chooseContract({ batch, m, n, k }, FALLBACK);
  const large = choose(1, 1024, 1024, 1024);
  assert(large.kind === "packed" && large.rows === 16 && !large.swap);
  const tall = choose(1, 4096, 10, 300);
  assert(tall.kind === "packed" && tall.swap);
  const shared = chooseContract({ batch: 1, m: 1024, n: 1024, k: 1024 }, {
    ...FALLBACK,
    subgroups: { enable: "", size: 8 },
  });
  // Rows that are told cost less than columns.
  assert(shared.kind === "packed" && shared.columns < large.columns);
  assertEquals(choose(1, 5, 7, 3).kind, "loop");
  assertEquals(choose(1, 1, 1000, 1000).kind, "loop");
  assertEquals(choose(1, 8, 8, 0).kind, "loop");
});

Deno.test("chooseScan() and chooseSort() share long lines among lanes", () => {
  assertEquals(chooseScan([1, 10_000, 1], GPU), 256);
  assertEquals(chooseScan([1, 10_000, 1], FALLBACK), 32);
  assertEquals(chooseScan([1, 64, 1], GPU), 1);
  assertEquals(chooseScan([100, 1000, 100], GPU), 1);
  assertEquals(chooseSort([5, 64]), "count");
  assertEquals(chooseSort([5, 65]), "merge");
});

Deno.test("gridOf() stays within the limit and covers the count", () => {
  assertEquals(gridOf(65535, GPU), [65535, 1, 1]);
  for (const count of [65536, 1_000_003, 2 ** 31 / 64]) {
    const [width, height] = gridOf(count, GPU);
    assert(width <= 65535 && height <= 65535);
    assert(width * height >= count && width * height < count + height);
  }
});

Deno.test("literal() parses back to the same number, or is undefined", () => {
  assertEquals(literal(0.1, "float32"), "0.10000000149011612f");
  assertEquals(literal(3, "float32"), "3f");
  assertEquals(literal(1e30, "float32"), "1.0000000150474662e+30f");
  for (const value of [Infinity, -Infinity, NaN, -0, 1e-40]) {
    assertEquals(literal(value, "float32"), undefined);
  }
  assertEquals(literal(-5, "int32"), "i32(-5)");
  assertEquals(literal(5, "uint32"), "5u");
  assertEquals(literal(1, "bool"), "true");
});

Deno.test("mergeAxes() makes one loop of axes that step as one", () => {
  const builder = new KernelBuilder();
  const [a, b, c] = [builder.row(3), builder.row(1), builder.row(5)];
  const [d, e] = [builder.col(7), builder.col(2)];
  const input = builder.input("float32", 210);
  const output = builder.output("float32", 15);
  const value = builder.load(input, at(a, b, c, d, e));
  builder.store(output, at(a, b, c), builder.reduce("sum", value));
  const kernel = builder.build("merge");
  const merged = mergeAxes(kernel, [kernel.rows, kernel.cols]);
  assertEquals(merged.kernel.rows, [{ id: 0, extent: 15 }]);
  assertEquals(merged.kernel.cols, [{ id: 3, extent: 14 }]);
  const load = merged.kernel.values[0]!;
  assert(load.op === "load");
  assertEquals(indexKey(load.index), "14*i0+i3");
});

Deno.test("mergeAxes() keeps axes apart that one index steps otherwise", () => {
  const builder = new KernelBuilder();
  const [a, b] = [builder.row(3), builder.row(5)];
  const input = builder.input("float32", 15);
  const bias = builder.input("float32", 5);
  const output = builder.output("float32", 15);
  const sum = builder.op(
    "add",
    builder.load(input, at(a, b)),
    builder.load(bias, at(b)),
  );
  builder.store(output, at(a, b), sum);
  const kernel = builder.build("bias");
  const merged = mergeAxes(kernel, [kernel.rows, kernel.cols]);
  assertEquals(merged.kernel.rows, [a, b]);
});

Deno.test("mergeAxes() keeps a reduction of one column", () => {
  const kernel = sumKernel(4, 1);
  const merged = mergeAxes(kernel, [kernel.rows, kernel.cols]);
  assertEquals(merged.kernel.cols.length, 1);
});
