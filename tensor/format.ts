/**
 * Values as nested arrays and as text.
 *
 * @module
 */

import type { DType, TensorData } from "./dtype.ts";
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
  const summarize = sizeOf(shape) > SUMMARIZE;
  const strides = stridesOf(shape);
  const edges = (extent: number): (number | "...")[] => {
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
    for (const at of edges(shape[axis]!)) {
      if (at !== "...") collect(axis + 1, from + at * strides[axis]!);
    }
  };
  collect(0, 0);
  const format = formatter(shown, dtype);
  const width = Math.max(0, ...shown.map((value) => format(value).length));
  const text = (axis: number, from: number, indent: number): string => {
    if (axis === shape.length) return format(data[from]!).padStart(width);
    const inner = axis === shape.length - 1;
    const parts = edges(shape[axis]!).map((at) =>
      at === "..." ? at : text(axis + 1, from + at * strides[axis]!, indent + 1)
    );
    if (inner) return `[${wrap(parts, indent + 1)}]`;
    const gap = ",\n".padEnd(1 + shape.length - axis - 1, "\n");
    return `[${parts.join(gap + " ".repeat(indent + 1))}]`;
  };
  return text(0, 0, prefix.length);
}

function wrap(parts: readonly string[], indent: number): string {
  let line = "";
  let result = "";
  for (const [at, part] of parts.entries()) {
    const piece = at < parts.length - 1 ? `${part}, ` : part;
    if (line !== "" && indent + line.length + piece.trimEnd().length > WIDTH) {
      result += `${line.trimEnd()}\n${" ".repeat(indent)}`;
      line = "";
    }
    line += piece;
  }
  return result + line;
}

/** One way to write all the values, so that columns align. */
function formatter(
  values: readonly number[],
  dtype: DType,
): (value: number) => string {
  if (dtype === "bool") return (value) => value !== 0 ? "true" : "false";
  if (dtype !== "float32") return (value) => `${value}`;
  const finite = values.filter(Number.isFinite).map(Math.abs);
  const largest = Math.max(0, ...finite);
  const smallest = Math.min(...finite.filter((value) => value > 0));
  const special = (value: number) =>
    Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
  if (largest >= 1e8 || smallest < 1e-4 || largest / smallest > 1e5) {
    return (value) =>
      Number.isFinite(value) ? value.toExponential(4) : special(value);
  }
  const decimals = Math.max(
    0,
    ...finite.map((value) => {
      const [, tail = ""] = value.toFixed(4).replace(/0+$/, "").split(".");
      return tail.length;
    }),
  );
  return (value) => {
    if (!Number.isFinite(value)) return special(value);
    const text = value.toFixed(decimals);
    return decimals === 0 ? `${text}.` : text;
  };
}
