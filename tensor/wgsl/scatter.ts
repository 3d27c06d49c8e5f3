/**
 * Sums of slices at sorted targets: one invocation adds up all updates of one
 * target, in their order, so that no two write one element.
 *
 * @module
 */

import type { ScatterKernel } from "../kernel/kernel.ts";
import { literal } from "./literal.ts";
import { type Dispatch, gridOf, type ShaderLimits } from "./program.ts";
import { workgroupPosition } from "./rows.ts";
import { Shader } from "./shader.ts";
import { MOST_STEPS } from "./strategy.ts";

const WORKGROUP_SIZE = 64;

/** Zeros, then the sums. */
export function lowerScatter(
  kernel: ScatterKernel,
  limits: ShaderLimits,
): Dispatch[] {
  const { outer, count, inner } = kernel;
  const fill = lowerFill(kernel, limits);
  return outer * count * inner === 0
    ? [fill]
    : [fill, lowerSums(kernel, limits)];
}

function begin(
  kernel: ScatterKernel,
  limits: ShaderLimits,
  elements: number,
): { shader: Shader; workgroups: [number, number, number] } {
  const shader = new Shader(kernel.buffers);
  const groups = Math.ceil(elements / WORKGROUP_SIZE);
  const workgroups = gridOf(groups, limits);
  const group = workgroupPosition(shader, workgroups).text;
  shader.line(`let id = ${group} * ${WORKGROUP_SIZE} + i32(local.x);`);
  shader.line(`if (u32(id) >= ${elements}u) { return; }`);
  return { shader, workgroups };
}

function lowerFill(kernel: ScatterKernel, limits: ShaderLimits): Dispatch {
  const { dtype, size } = kernel.buffers[3]!;
  const { shader, workgroups } = begin(kernel, limits, size);
  shader.line(`${shader.buffer(3)}[id] = ${literal(0, dtype)};`);
  return shader.finish(`${kernel.name} zeros`, WORKGROUP_SIZE, workgroups);
}

function lowerSums(kernel: ScatterKernel, limits: ShaderLimits): Dispatch {
  const { outer, count, size, inner } = kernel;
  const { shader, workgroups } = begin(kernel, limits, outer * count * inner);
  const sorted = shader.buffer(0);
  const order = shader.buffer(1);
  const updates = shader.buffer(2);
  const output = shader.buffer(3);
  shader.line(`let element = id % ${inner};`);
  shader.line(`let at = id / ${inner};`); // [outer, count]
  shader.line(`let first = at / ${count} * ${count};`);
  shader.line(`let target_ = ${sorted}[at];`);
  shader.line(`if (u32(target_) >= ${size}u) { return; }`);
  // Only the first update of a target goes on.
  shader.line(
    `if (at > first) { if (${sorted}[at - 1] == target_) { return; } }`,
  );
  const { dtype } = kernel.buffers[2]!;
  shader.line(`var sum = ${literal(0, dtype)};`);
  // A step of the loop takes several updates where one takes too many.
  const updatesAStep = limits.isFallback ? Math.ceil(count / MOST_STEPS) : 1;
  const step = [
    `if (${sorted}[p] != target_) { break; }`,
    `sum += ${updates}[(first + ${order}[p]) * ${inner} + element];`,
  ];
  const next = ["p++;", `if (p >= first + ${count}) { break; }`];
  shader.block(`for (var p = at; p < first + ${count}; p++)`, [
    ...step,
    ...Array.from({ length: updatesAStep - 1 }, () => [...next, ...step])
      .flat(),
  ]);
  shader.line(
    `${output}[(at / ${count} * ${size} + target_) * ${inner} + element] = sum;`,
  );
  return shader.finish(kernel.name, WORKGROUP_SIZE, workgroups);
}
