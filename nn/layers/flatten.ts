import type { Tensor } from "@heddle/tensor";
import { Module } from "../module.ts";

/**
 * Joins axes to one: by default all but the first, the batch.
 *
 * @example
 * ```ts
 * import { Flatten } from "@heddle/nn";
 * import { ones } from "@heddle/tensor";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(new Flatten().forward(ones([2, 3, 4])).shape, [2, 12]);
 * ```
 */
export class Flatten extends Module {
  /** The first axis joined. */
  readonly startAxis: number;
  /** The last axis joined. */
  readonly endAxis: number;

  /** Takes the first and the last axis. */
  constructor(startAxis: number = 1, endAxis: number = -1) {
    super();
    this.startAxis = startAxis;
    this.endAxis = endAxis;
  }

  /**
   * Joins the axes.
   *
   * @throws {RangeError} If an axis is out of range.
   */
  override forward(input: Tensor): Tensor {
    return input.flatten(this.startAxis, this.endAxis);
  }

  /** What `toString` shows. */
  protected override describe(): string {
    return `${this.startAxis}, ${this.endAxis}`;
  }
}
