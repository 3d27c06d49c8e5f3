/**
 * Values as nested arrays and as text.
 *
 * @module
 */

import type { DType, TensorData } from "./dtype.ts";
import { positional, scientific } from "./float_text.ts";
import { type Shape, sizeOf, stridesOf } from "./shape.ts";

/** Numbers, or booleans, nested as deep as there are axes. */
export type NestedArray = number | boolean | NestedArray[];

/** Row-major values as nested arrays. */
export function nest(
  data: TensorData,
  shape: Shape,
  dtype: DType,
): NestedArray {
  const strides = stridesOf(shape);
  const build = (axis: number, from: number): NestedArray => {
    if (axis === shape.length) {
      return dtype === "bool" ? data[from] !== 0 : data[from]!;
    }
    return Array.from(
      { length: shape[axis]! },
      (_, at) => build(axis + 1, from + at * strides[axis]!),
    );
  };
  return build(0, 0);
}

/** Above this many elements only the edges of each axis are shown. */
const SUMMARIZE = 1000;
const EDGE = 3;
const WIDTH = 75;

/**
 * Row-major values as NumPy prints them: aligned, four decimals at most, and
 * with `...` in the middle of what is long.
 *
 * @param prefix What stands before it on the first line, for the indent.
 */
export function formatValues(
  data: TensorData,
  shape: Shape,
  dtype: DType,
  prefix: string = "",
): string {
  if (sizeOf(shape) === 0) return "[]";
  const summarize = sizeOf(shape) > SUMMARIZE;
  const strides = stridesOf(shape);
  const shownOf = (extent: number): (number | "...")[] => {
    const all = Array.from({ length: extent }, (_, at) => at);
    return summarize && extent > 2 * EDGE
      ? [...all.slice(0, EDGE), "...", ...all.slice(-EDGE)]
      : all;
  };
  const shown: number[] = [];
  const collect = (axis: number, from: number): void => {
    if (axis === shape.length) {
      shown.push(data[from]!);
      return;
    }
    for (const at of shownOf(shape[axis]!)) {
      if (at !== "...") collect(axis + 1, from + at * strides[axis]!);
    }
  };
  collect(0, 0);
  const format = formatter(shown, dtype, shape);
  const text = (axis: number, from: number): string => {
    if (axis === shape.length) return format(data[from]!);
    const indent = " ".repeat(prefix.length + axis + 1);
    const left = shape.length - axis;
    const parts = shownOf(shape[axis]!).map((at) =>
      at === "..." ? at : text(axis + 1, from + at * strides[axis]!)
    );
    // Each bracket that will close behind a line takes a column of it.
    if (left === 1) return `[${wrap(parts, indent, WIDTH - axis - 1)}]`;
    return `[${parts.join(`,${"\n".repeat(left - 1)}${indent}`)}]`;
  };
  return text(0, 0);
}

function wrap(parts: readonly string[], indent: string, width: number): string {
  let text = "";
  let line = indent;
  for (const [at, part] of parts.entries()) {
    if (line.length > indent.length && line.length + part.length > width) {
      text += `${line.trimEnd()}\n`;
      line = indent;
    }
    line += at < parts.length - 1 ? `${part}, ` : part;
  }
  return (text + line).slice(indent.length);
}

/** One way to write all the values, so that columns align. */
function formatter(
  values: readonly number[],
  dtype: DType,
  shape: Shape,
): (value: number) => string {
  if (dtype === "bool") {
    const width = shape.length === 0 ? 0 : "false".length;
    return (value) => (value !== 0 ? "true" : "false").padStart(width);
  }
  const plain = dtype === "float32"
    ? floatFormatter(values)
    : (value: number) => `${value}`;
  const width = Math.max(...values.map((value) => plain(value).length));
  return (value) => plain(value).padStart(width);
}

/** A float32 is known to six digits: a larger number has an exponent. */
const PLAIN_BELOW = 1e6;
const PLAIN_FROM = Math.fround(1e-4);

function floatFormatter(values: readonly number[]): (value: number) => string {
  const finite = values.filter(Number.isFinite);
  const sizes = finite.map(Math.abs).filter((size) => size > 0);
  const largest = Math.max(0, ...sizes);
  const smallest = Math.min(largest, ...sizes);
  const special = (value: number) =>
    Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
  const longest = (list: readonly string[]) =>
    Math.max(0, ...list.map((part) => part.length));
  if (
    largest >= PLAIN_BELOW || (largest > 0 && smallest < PLAIN_FROM) ||
    Math.fround(largest / smallest) > 1000
  ) {
    const decimals = longest(finite.map((value) => scientific(value)[1]));
    return (value) => {
      if (!Number.isFinite(value)) return special(value);
      const [whole, fraction, exponent] = scientific(value);
      return `${whole}.${fraction.padEnd(decimals, "0")}e${exponent}`;
    };
  }
  const decimals = longest(finite.map((value) => positional(value)[1]));
  return (value) => {
    if (!Number.isFinite(value)) return special(value);
    const [whole, fraction] = positional(value);
    return `${whole}.${fraction.padEnd(decimals)}`;
  };
}
