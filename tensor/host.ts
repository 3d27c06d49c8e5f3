/**
 * Numbers and switches of the host that compiled functions depend on.
 *
 * @module
 */

import type { DType } from "./dtype.ts";
import { liveParameter, parameter } from "./graph/build.ts";
import { currentTrace } from "./graph/trace.ts";
import { Tensor } from "./tensor.ts";

/**
 * A scalar tensor of a number that may change: a learning rate, a step. In a
 * compiled function it is read anew in each run; elsewhere at once.
 *
 * @param read Gives the number.
 * @returns `[]`.
 * @throws {TypeError} If it gives none; in a compiled function, in each run.
 *
 * @example A rate that changes between the runs
 * ```ts
 * import { compile, hostScalar, openDevice, ones } from "@heddle/tensor";
 * import { assertEquals } from "@std/assert";
 *
 * using _device = await openDevice("wasm");
 * let rate = 2;
 * const scaled = compile(() => ones([2]).mul(hostScalar(() => rate)));
 * assertEquals(await scaled().toArray(), [2, 2]);
 * rate = 3;
 * assertEquals(await scaled().toArray(), [3, 3]);
 * ```
 */
export function hostScalar(
  read: () => number,
  dtype: DType = "float32",
): Tensor {
  const checked = () => {
    const value: unknown = read();
    if (typeof value === "number") return value;
    throw new TypeError(
      `hostScalar: not a number: got ${typeof value}: return one from read()`,
    );
  };
  const trace = currentTrace();
  if (trace === undefined) return new Tensor(parameter(checked(), dtype));
  const node = liveParameter(checked, dtype);
  trace.actions.push(node);
  return new Tensor(node);
}

/**
 * Does something on the host in each run of a compiled function, before its
 * kernels and in the order of the calls; elsewhere at once.
 *
 * While the function is traced it is not done, so that a trace that fails
 * leaves nothing behind.
 *
 * @param action Counts a step, draws a key.
 * @param undo Undoes it, where a later action of the same run or the reading of
 * a scalar throws: then a run has changed nothing. Called only after an action
 * that did not throw itself.
 */
export function onEachRun(action: () => void, undo?: () => void): void {
  const trace = currentTrace();
  if (trace === undefined) action();
  else trace.actions.push({ act: action, undo });
}

/**
 * A value of the host that decides which operations run, such as whether a
 * module trains. A compiled function that has read it is traced again when it
 * is another; one that sets it, sets it in each run.
 *
 * @example
 * ```ts
 * import { compile, HostValue, openDevice, tensor } from "@heddle/tensor";
 * import { assertEquals } from "@std/assert";
 *
 * using _device = await openDevice("wasm");
 * const doubles = new HostValue(true);
 * const f = compile((x) => doubles.value ? x.mul(2) : x.add(1));
 * assertEquals(await f(tensor(5)).item(), 10);
 * doubles.value = false;
 * assertEquals(await f(tensor(5)).item(), 6);
 * ```
 */
export class HostValue<T> {
  #value: T;

  /** Begins with a value. */
  constructor(value: T) {
    this.#value = value;
  }

  /** The value; values are compared with `Object.is`. */
  get value(): T {
    const trace = currentTrace();
    if (trace === undefined) return this.#value;
    const set = trace.overlay(this);
    return set ? set.value as T : trace.guard(() => this.#value);
  }

  set value(value: T) {
    const trace = currentTrace();
    if (trace === undefined) {
      this.#value = value;
      return;
    }
    trace.setOverlay(this, value);
    let before: T;
    trace.actions.push({
      act: () => {
        before = this.#value;
        this.#value = value;
      },
      undo: () => this.#value = before,
    });
  }
}
