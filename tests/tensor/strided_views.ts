/**
 * Views of a `[5, 6]` array, as tensors and as plain values.
 *
 * @module
 */

import type { Tensor } from "@heddle/tensor";
import { Values } from "../values.ts";

/** One way to look at an array. */
export interface View {
  /** For messages. */
  readonly name: string;
  /** Through an operation. */
  of(x: Tensor): Tensor;
  /** By a plain loop. */
  valuesOf(x: Values): Values;
}

/** Views of every kind; all lie in place. */
export const VIEWS: readonly View[] = [
  {
    name: "whole",
    of: (x) => x,
    valuesOf: (x) => x,
  },
  {
    name: "transposed",
    of: (x) => x.transpose(),
    valuesOf: (x) => Values.of([6, 5], (i, j) => x.at(j!, i!)),
  },
  {
    name: "every second column",
    of: (x) => x.slice(null, [1, null, 2]),
    valuesOf: (x) => Values.of([5, 3], (i, j) => x.at(i!, 1 + 2 * j!)),
  },
  {
    name: "backwards in steps",
    of: (x) => x.slice([null, null, -2], [4, 0, -3]),
    valuesOf: (x) => Values.of([3, 2], (i, j) => x.at(4 - 2 * i!, 4 - 3 * j!)),
  },
  {
    name: "flipped",
    of: (x) => x.flip([1]),
    valuesOf: (x) => Values.of([5, 6], (i, j) => x.at(i!, 5 - j!)),
  },
  {
    name: "expanded",
    of: (x) => x.slice([2, 3]).expand([4, 3, 6]),
    valuesOf: (x) => Values.of([4, 3, 6], (_i, _j, k) => x.at(2, k!)),
  },
  {
    name: "padded",
    of: (x) => x.pad([[1, 2], [0, 1]], 0.5),
    valuesOf: (x) =>
      Values.of(
        [8, 7],
        (i, j) => i! < 1 || i! > 5 || j! > 5 ? 0.5 : x.at(i! - 1, j!),
      ),
  },
  {
    name: "reshaped",
    of: (x) => x.transpose().reshape([3, 10]),
    valuesOf: (x) =>
      Values.of([3, 10], (i, j) => {
        const flat = 10 * i! + j!;
        return x.at(flat % 5, Math.floor(flat / 5));
      }),
  },
  {
    name: "an axis of size 1",
    of: (x) => x.slice(null, [3, 4]),
    valuesOf: (x) => Values.of([5, 1], (i) => x.at(i!, 3)),
  },
  {
    name: "an axis of size 0",
    of: (x) => x.slice([2, 2]),
    valuesOf: () => new Values([0, 6], []),
  },
  {
    name: "a scalar",
    of: (x) => x.slice(3, -2),
    valuesOf: (x) => new Values([], [x.at(3, 4)]),
  },
];
