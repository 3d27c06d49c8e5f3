/**
 * Cumulative sums.
 *
 * @module
 */

import type { ScanKernel } from "../kernel/kernel.ts";
import { literal, typeOf } from "./literal.ts";
import { type Dispatch, gridOf, type ShaderLimits } from "./program.ts";
import { workgroupPosition } from "./rows.ts";
import { Shader } from "./shader.ts";
import { chooseScan } from "./strategy.ts";

/** The program of a scan. */
export function lowerScan(
  kernel: ScanKernel,
  limits: ShaderLimits,
  lanes: number = chooseScan(kernel.shape, limits),
): Dispatch {
  const [outer, size, inner] = kernel.shape;
  const shader = new Shader(kernel.buffers);
  const input = shader.buffer(0);
  const output = shader.buffer(1);
  const { dtype } = kernel.buffers[0]!;
  const type = typeOf(dtype);
  const zero = literal(0, dtype)!;
  const lines = outer * inner;
  // One lane a line, or all lanes of a workgroup for each line.
  const workgroupSize = lanes === 1 ? 64 : lanes;
  const groups = lanes === 1 ? Math.ceil(lines / workgroupSize) : lines;
  const workgroups = gridOf(groups, limits);
  const group = workgroupPosition(shader, workgroups).text;
  const line = lanes === 1
    ? shader.let(`${group} * ${workgroupSize} + i32(local.x)`, 0).text
    : group;
  shader.line(`if (u32(${line}) >= ${lines}u) { return; }`);
  shader.line(
    `let base = ${line} / ${inner} * ${size * inner} + ${line} % ${inner};`,
  );
  shader.line(`var sum = ${zero};`);
  if (lanes > 1) {
    const chunk = Math.ceil(size / lanes);
    shader.line("let lane = i32(local.x);");
    shader.line(`let start = min(lane * ${chunk}, ${size});`);
    shader.line(`let end = min(start + ${chunk}, ${size});`);
    shader.block("for (var i = start; i < end; i++)", [
      `sum += ${input}[base + i * ${inner}];`,
    ]);
    shader.line(`sum = ${prefixSums(shader, lanes, type, zero)};`);
  } else {
    shader.line("let start = 0;");
    shader.line(`let end = ${size};`);
  }
  shader.block("for (var i = start; i < end; i++)", [
    `sum += ${input}[base + i * ${inner}];`,
    `${output}[base + i * ${inner}] = sum;`,
  ]);
  return shader.finish(kernel.name, workgroupSize, workgroups);
}

/** The sum of what the lanes before this one hold in `sum`. */
function prefixSums(
  shader: Shader,
  lanes: number,
  type: string,
  zero: string,
): string {
  // Two arrays in turn: one barrier a step.
  let [from, to] = ["even", "odd"] as [string, string];
  for (const name of [from, to]) {
    shader.global(`var<workgroup> ${name}: array<${type}, ${lanes}>;`);
  }
  shader.line(`${from}[lane] = sum;`);
  shader.line("workgroupBarrier();");
  for (let step = 1; step < lanes; step *= 2) {
    const before = `${from}[max(lane - ${step}, 0)]`;
    shader.line(
      `${to}[lane] = ${from}[lane] + ` +
        `select(${zero}, ${before}, lane >= ${step});`,
    );
    shader.line("workgroupBarrier();");
    [from, to] = [to, from];
  }
  return `select(${zero}, ${from}[max(lane - 1, 0)], lane > 0)`;
}
