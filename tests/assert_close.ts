/**
 * Compares the values of a tensor with what they should be.
 *
 * @module
 */

import { AssertionError } from "@std/assert";
import { Tensor } from "@heddle/tensor";
import { type Nested, Values } from "./values.ts";

/** How far apart numbers may be. */
export interface Tolerance {
  /**
   * Relative to the expected number.
   * @default 1e-5
   */
  readonly rtol?: number;
  /**
   * Beside that.
   * @default 1e-6
   */
  readonly atol?: number;
  /** What is compared, for the message. */
  readonly of?: string;
}

/** No tolerance: for moves, integers and comparisons. */
export const EXACT: Tolerance = { rtol: 0, atol: 0 };

/** What {@link assertClose} compares. */
export type Comparable = Tensor | Values | Nested | ArrayLike<number>;

async function valuesOf(from: Comparable): Promise<Values> {
  if (from instanceof Values) return from;
  if (from instanceof Tensor) return new Values(from.shape, await from.data());
  if (ArrayBuffer.isView(from)) {
    const list = from as unknown as ArrayLike<number>;
    return new Values([list.length], list);
  }
  return Values.from(from as Nested);
}

/**
 * `|got - want| <= atol + rtol * |want|` for every element. NaN equals NaN, and
 * infinities equal themselves alone. Shapes must be equal too.
 *
 * @throws {AssertionError} Naming the worst element.
 */
export async function assertClose(
  actual: Comparable,
  expected: Comparable,
  tolerance: Tolerance = {},
): Promise<void> {
  const { rtol = 1e-5, atol = 1e-6 } = tolerance;
  const got = await valuesOf(actual);
  const want = await valuesOf(expected);
  const of = tolerance.of ? `${tolerance.of}: ` : "";
  if (`${got.shape}` !== `${want.shape}`) {
    throw new AssertionError(
      `${of}shapes differ: got [${got.shape}], want [${want.shape}]`,
    );
  }
  let worst = -1;
  let excess = 0;
  let wrong = 0;
  for (let at = 0; at < want.size; at++) {
    const [a, b] = [got.data[at]!, want.data[at]!];
    if (Object.is(a, b) || a === b) continue;
    const past = Math.abs(a - b) - (atol + rtol * Math.abs(b));
    if (past <= 0) continue;
    wrong++;
    const size = Number.isNaN(past) ? Infinity : past;
    if (worst < 0 || size > excess) [worst, excess] = [at, size];
  }
  if (worst < 0) return;
  const index: number[] = [];
  let rest = worst;
  for (const extent of [...want.shape].reverse()) {
    index.unshift(rest % extent);
    rest = Math.floor(rest / extent);
  }
  throw new AssertionError(
    `${of}${wrong} of ${want.size} elements differ: got ${
      got.data[worst]
    }, want ${want.data[worst]} at [${index}] of [${want.shape}] ` +
      `(rtol ${rtol}, atol ${atol})`,
  );
}

/** No difference at all: the same shape and the same numbers. */
export function assertSame(
  actual: Comparable,
  expected: Comparable,
  of?: string,
): Promise<void> {
  return assertClose(actual, expected, of ? { ...EXACT, of } : EXACT);
}
