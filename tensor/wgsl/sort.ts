/**
 * Sorting rows, stable. Keys are the elements' bits, mapped so that unsigned
 * integers compare as the elements do: no comparison meets a NaN.
 *
 * Short rows: each element counts those before it. Long rows: blocks are sorted
 * in workgroup memory and merged pairwise, each element finding its place by a
 * binary search in the other run. A run holds a contiguous range of positions,
 * so that equal keys of the left run come first.
 *
 * @module
 */

import type { DType } from "../dtype.ts";
import type { BufferSlot, SortKernel } from "../kernel/kernel.ts";
import {
  type Dispatch,
  gridOf,
  type Program,
  type ShaderLimits,
} from "./program.ts";
import { workgroupPosition } from "./rows.ts";
import { Shader } from "./shader.ts";
import { chooseSort } from "./strategy.ts";

/** Elements that one workgroup sorts: 16 KiB, the least limit. */
const BLOCK = 1024;
const BLOCK_LANES = 256;
const WORKGROUP_SIZE = 64;

/** The programs of a sort. */
export function lowerSort(
  kernel: SortKernel,
  limits: ShaderLimits,
  strategy: "count" | "merge" = chooseSort(kernel.shape),
): Program {
  if (strategy === "count") {
    return { dispatches: [lowerCount(kernel, limits)], temporaries: [] };
  }
  const [rows, size] = kernel.shape;
  const dispatches = [lowerBlocks(kernel, limits)];
  let from = 0;
  for (let run = BLOCK; run < size; run *= 2) {
    const isLast = run * 2 >= size;
    dispatches.push(lowerMerge(kernel, limits, run, from, isLast));
    from = 1 - from;
  }
  // Keys and positions of one pass and, with more than two, of the next.
  const arrays = dispatches.length === 1 ? 0 : dispatches.length === 2 ? 2 : 4;
  const temporaries = Array.from({ length: arrays }, () => ({
    kind: "buffer" as const,
    byteLength: rows * size * 4,
  }));
  return { dispatches, temporaries };
}

/** The kernel's buffers and the temporaries, all as bits. */
function slotsOf(
  { shape, buffers }: SortKernel,
  isWritten: (slot: number) => boolean,
): BufferSlot[] {
  const [rows, size] = shape;
  return Array.from({ length: buffers.length + 4 }, (_, slot) => ({
    dtype: "uint32",
    size: rows * size,
    output: isWritten(slot),
  }));
}

function keyFunction(dtype: DType, descending: boolean): string {
  const direction = descending ? "~" : "";
  const lines = ["fn key_of(bits: u32) -> u32 {"];
  if (dtype === "float32") {
    lines.push(
      // NaN is last in both directions, and -0 equals 0.
      "  if ((bits & 0x7fffffffu) > 0x7f800000u) { return 0xffffffffu; }",
      "  let zeroed = select(bits, 0u, bits == 0x80000000u);",
      "  let flipped = select(zeroed | 0x80000000u, ~zeroed, zeroed >= 0x80000000u);",
      `  return ${direction}flipped;`,
    );
  } else {
    const sign = dtype === "int32" ? " ^ 0x80000000u" : "";
    lines.push(`  return ${direction}(bits${sign});`);
  }
  return [...lines, "}"].join("\n");
}

function begin(
  kernel: SortKernel,
  limits: ShaderLimits,
  isWritten: (slot: number) => boolean,
): { shader: Shader; workgroups: [number, number, number] } {
  const [rows, size] = kernel.shape;
  const shader = new Shader(slotsOf(kernel, isWritten));
  const groups = Math.ceil(rows * size / WORKGROUP_SIZE);
  const workgroups = gridOf(groups, limits);
  const group = workgroupPosition(shader, workgroups).text;
  shader.line(`let id = ${group} * ${WORKGROUP_SIZE} + i32(local.x);`);
  shader.line(`if (u32(id) >= ${rows * size}u) { return; }`);
  shader.line(`let first = id / ${size} * ${size};`); // of the row
  shader.line("let at = id - first;");
  return { shader, workgroups };
}

function lowerCount(kernel: SortKernel, limits: ShaderLimits): Dispatch {
  const { shader, workgroups } = begin(kernel, limits, isResult);
  const [, size] = kernel.shape;
  const input = shader.buffer(0);
  shader.helper(
    "key_of",
    keyFunction(kernel.buffers[0]!.dtype, kernel.descending),
  );
  shader.line(`let bits = ${input}[id];`);
  shader.line("let key = key_of(bits);");
  shader.line("var place = first;");
  shader.block(`for (var other = 0; other < ${size}; other++)`, [
    `let against = key_of(${input}[first + other]);`,
    "place += select(0, 1, (against < key) | " +
    "((against == key) & (other < at)));",
  ]);
  shader.line(`${shader.buffer(1)}[place] = bits;`);
  shader.line(`${shader.buffer(2)}[place] = u32(at);`);
  return shader.finish(kernel.name, WORKGROUP_SIZE, workgroups);
}

function isResult(slot: number): boolean {
  return slot === 1 || slot === 2;
}

/**
 * The place of an element among the two runs of which it is in one: its own
 * place and the number of elements of the other that come before it.
 *
 * @param keys The array, and what is added to a position in it.
 * @param end Number of elements in the row or block.
 */
function placeInMerge(
  keys: (position: string) => string,
  run: string,
  end: string,
): string[] {
  return [
    `let isRight = (at / ${run}) % 2 == 1;`,
    `let other = (at / ${run}) * ${run} + select(${run}, -${run}, isRight);`,
    `var low = 0;`,
    `var high = clamp(${end} - other, 0, ${run});`,
    "while (low < high) {",
    "  let middle = (low + high) / 2;",
    `  let against = ${keys("other + middle")};`,
    "  if ((against < key) | (isRight & (against == key))) {",
    "    low = middle + 1;",
    "  } else {",
    "    high = middle;",
    "  }",
    "}",
    `let place = at + low - select(0, ${run}, isRight);`,
  ];
}

function lowerBlocks(kernel: SortKernel, limits: ShaderLimits): Dispatch {
  const [rows, size] = kernel.shape;
  const slot = kernel.buffers.length;
  const isOnly = size <= BLOCK;
  const shader = new Shader(
    slotsOf(kernel, isOnly ? isResult : (written) => written >= slot),
  );
  const blocks = Math.ceil(size / BLOCK);
  const workgroups = gridOf(rows * blocks, limits);
  const group = workgroupPosition(shader, workgroups).text;
  shader.line(`if (u32(${group}) >= ${rows * blocks}u) { return; }`);
  shader.helper(
    "key_of",
    keyFunction(kernel.buffers[0]!.dtype, kernel.descending),
  );
  for (const name of ["keys0", "keys1", "order0", "order1"]) {
    shader.global(`var<workgroup> ${name}: array<u32, ${BLOCK}>;`);
  }
  shader.line(`let start = (${group} % ${blocks}) * ${BLOCK};`); // in the row
  shader.line(`let first = ${group} / ${blocks} * ${size};`); // of the row
  shader.line(`let end = min(${size} - start, ${BLOCK});`);
  const forEach = (lines: readonly string[]) =>
    shader.block(
      `for (var at = i32(local.x); at < end; at += ${BLOCK_LANES})`,
      lines,
    );
  const input = shader.buffer(0);
  forEach([
    `keys0[at] = key_of(${input}[first + start + at]);`,
    "order0[at] = u32(start + at);",
  ]);
  shader.line("workgroupBarrier();");
  let from = 0;
  for (let run = 1; run < Math.min(BLOCK, size); run *= 2) {
    forEach([
      `let key = keys${from}[at];`,
      ...placeInMerge((at) => `keys${from}[${at}]`, `${run}`, "end"),
      `keys${1 - from}[place] = key;`,
      `order${1 - from}[place] = order${from}[at];`,
    ]);
    shader.line("workgroupBarrier();");
    from = 1 - from;
  }
  const to = "first + start + at";
  forEach(
    isOnly
      ? [
        `let position = order${from}[at];`,
        `${shader.buffer(1)}[${to}] = ${input}[first + i32(position)];`,
        `${shader.buffer(2)}[${to}] = position;`,
      ]
      : [
        `${shader.buffer(slot)}[${to}] = keys${from}[at];`,
        `${shader.buffer(slot + 1)}[${to}] = order${from}[at];`,
      ],
  );
  return shader.finish(`${kernel.name} blocks`, BLOCK_LANES, workgroups);
}

function lowerMerge(
  kernel: SortKernel,
  limits: ShaderLimits,
  run: number,
  from: number,
  isLast: boolean,
): Dispatch {
  const slot = kernel.buffers.length;
  const keys = slot + from * 2;
  const results = slot + (1 - from) * 2;
  const { shader, workgroups } = begin(
    kernel,
    limits,
    isLast
      ? isResult
      : (written) => written === results || written === results + 1,
  );
  const [, size] = kernel.shape;
  // The same text for all runs: their length is a uniform word.
  shader.line(`let run = ${shader.size(run)};`);
  const keyArray = shader.buffer(keys);
  shader.line(`let key = ${keyArray}[id];`);
  for (
    const text of placeInMerge(
      (at) => `${keyArray}[first + ${at}]`,
      "run",
      `${size}`,
    )
  ) shader.line(text);
  shader.line(`let position = ${shader.buffer(keys + 1)}[id];`);
  if (isLast) {
    shader.line(
      `${shader.buffer(1)}[first + place] = ` +
        `${shader.buffer(0)}[first + i32(position)];`,
    );
    shader.line(`${shader.buffer(2)}[first + place] = position;`);
  } else {
    shader.line(`${shader.buffer(results)}[first + place] = key;`);
    shader.line(`${shader.buffer(results + 1)}[first + place] = position;`);
  }
  return shader.finish(`${kernel.name} merge`, WORKGROUP_SIZE, workgroups);
}
