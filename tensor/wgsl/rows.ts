/**
 * Where an invocation stands: positions on axes from its number in the grid.
 *
 * @module
 */

import { sizeOf } from "../shape.ts";
import type { Axis } from "../view.ts";
import type { Operand, Shader } from "./shader.ts";

/** Number of iterations of a nest of loops. */
export function iterationsOf(axes: readonly Axis[]): number {
  return sizeOf(axes.map(({ extent }) => extent));
}

/**
 * Positions on all axes, outermost first, from a row-major position.
 *
 * @param flat An i32 that is less than the product of the extents.
 */
export function splitPosition(
  shader: Shader,
  axes: readonly Axis[],
  flat: Operand,
  found: Map<Axis, Operand>,
): void {
  const outer = axes.findIndex(({ extent }) => extent > 1);
  let rest = flat;
  for (let position = axes.length - 1; position >= 0; position--) {
    const axis = axes[position]!;
    if (axis.extent <= 1) found.set(axis, { text: "0", level: 0 });
    else if (position === outer) found.set(axis, rest);
    else {
      const { text, level } = rest;
      const by = `u32(${text}) PLACE ${axis.extent}u`;
      const remainder = `i32(${by.replace("PLACE", "%")})`;
      found.set(axis, shader.let(remainder, level, "a"));
      rest = shader.let(`i32(${by.replace("PLACE", "/")})`, level, "a");
    }
  }
}

/**
 * The number of this workgroup in a grid that may have two dimensions, as i32.
 */
export function workgroupPosition(
  shader: Shader,
  [width, height]: readonly [number, number, number],
): Operand {
  return height === 1
    ? shader.let("i32(group.x)", 0, "g")
    : shader.let(`i32(group.x + group.y * ${width}u)`, 0, "g");
}
