/**
 * Index expressions as WGSL: integer arithmetic, each part in the outermost
 * loop that it can be computed in.
 *
 * @module
 */

import {
  type Axis,
  type Bound,
  type Division,
  type Index,
  isDivision,
} from "../view.ts";
import type { Operand, Shader } from "./shader.ts";

/** Where each axis stands: an i32. */
export type AxisOperands = ReadonlyMap<Axis, Operand>;

/** The value of an index, as i32. */
export function indexOperand(
  shader: Shader,
  axes: AxisOperands,
  index: Index,
): Operand {
  const byLevel = new Map<number, string[]>();
  for (const { atom, coefficient } of index.terms) {
    const operand = isDivision(atom)
      ? divisionOperand(shader, axes, atom)
      : axes.get(atom)!;
    const text = coefficient === 1
      ? operand.text
      : `${operand.text} * ${coefficient}`;
    const texts = byLevel.get(operand.level);
    if (texts) texts.push(text);
    else byLevel.set(operand.level, [text]);
  }
  let sum: Operand | undefined = index.constant !== 0 || byLevel.size === 0
    ? { text: `${index.constant}`, level: 0 }
    : undefined;
  for (const level of [...byLevel.keys()].sort((a, b) => a - b)) {
    const texts = byLevel.get(level)!;
    if (sum) texts.push(sum.text);
    const expression = texts.join(" + ");
    sum = /^\w+$/.test(expression)
      ? { text: expression, level }
      : shader.let(expression, level, "i");
  }
  return sum!;
}

function divisionOperand(
  shader: Shader,
  axes: AxisOperands,
  { kind, of, by }: Division,
): Operand {
  const { text, level } = indexOperand(shader, axes, of);
  const exponent = Math.log2(by);
  if (Number.isInteger(exponent)) {
    // Both are floors for negative numbers too.
    const expression = kind === "quotient"
      ? `${text} >> ${exponent}u`
      : `${text} & ${by - 1}`;
    return shader.let(expression, level, "i");
  }
  // Unsigned division truncates: lift what can be negative above zero first.
  const lift = of.low < 0 ? Math.ceil(-of.low / by) : 0;
  const lifted = lift > 0 ? `u32(${text} + ${lift * by})` : `u32(${text})`;
  if (kind === "remainder") {
    return shader.let(`i32(${lifted} % ${by}u)`, level, "i");
  }
  const quotient = `i32(${lifted} / ${by}u)`;
  return shader.let(lift > 0 ? `${quotient} - ${lift}` : quotient, level, "i");
}

/** Whether all bounds hold, or undefined if they always do. */
export function boundsOperand(
  shader: Shader,
  axes: AxisOperands,
  bounds: readonly Bound[],
): Operand | undefined {
  const byLevel = new Map<number, string[]>();
  for (const { index, low, high } of bounds) {
    const below = index.low < low;
    const above = index.high >= high;
    if (!below && !above) continue;
    const { text, level } = indexOperand(shader, axes, index);
    const test = high - low === 1
      ? `(${text} == ${low})`
      : below && above
      ? `(u32(${text} - ${low}) < ${Math.max(0, high - low)}u)`
      : below
      ? `(${text} >= ${low})`
      : `(${text} < ${high})`;
    const tests = byLevel.get(level);
    if (tests) tests.push(test);
    else byLevel.set(level, [test]);
  }
  let all: Operand | undefined;
  for (const level of [...byLevel.keys()].sort((a, b) => a - b)) {
    const tests = byLevel.get(level)!;
    if (all) tests.push(all.text);
    all = shader.let(tests.join(" & "), level, "in");
  }
  return all;
}
