/**
 * Activations as layers, for {@link Sequential} and for printing.
 *
 * @module
 */

import type { Tensor } from "@heddle/tensor";
import { Module } from "../module.ts";

/** Changes nothing: a place for something else. */
export class Identity extends Module {
  /** Gives the input back. */
  override forward(input: Tensor): Tensor {
    return input;
  }
}

/** `max(x, 0)`. */
export class ReLU extends Module {
  /** Computes the outputs. */
  override forward(input: Tensor): Tensor {
    return input.relu();
  }
}

/** `x` where it is above 0, else `slope * x`. */
export class LeakyReLU extends Module {
  /** Steepness below 0. */
  readonly slope: number;

  /** Takes the steepness below 0. */
  constructor(slope: number = 0.01) {
    super();
    this.slope = slope;
  }

  /** Computes the outputs. */
  override forward(input: Tensor): Tensor {
    return input.leakyRelu(this.slope);
  }

  /** What `toString` shows. */
  protected override describe(): string {
    return `${this.slope}`;
  }
}

/** `x Φ(x)`, Φ the normal distribution function. */
export class GELU extends Module {
  /** `none` for the function itself, `tanh` for its approximation. */
  readonly approximate: "none" | "tanh";

  /** Takes how it is computed. */
  constructor(approximate: "none" | "tanh" = "none") {
    super();
    this.approximate = approximate;
  }

  /** Computes the outputs. */
  override forward(input: Tensor): Tensor {
    return input.gelu({ approximate: this.approximate });
  }

  /** What `toString` shows. */
  protected override describe(): string {
    return this.approximate;
  }
}

/** The hyperbolic tangent. */
export class Tanh extends Module {
  /** Computes the outputs. */
  override forward(input: Tensor): Tensor {
    return input.tanh();
  }
}

/** `1 / (1 + exp(-x))`. */
export class Sigmoid extends Module {
  /** Computes the outputs. */
  override forward(input: Tensor): Tensor {
    return input.sigmoid();
  }
}

/** `x * sigmoid(x)`. */
export class SiLU extends Module {
  /** Computes the outputs. */
  override forward(input: Tensor): Tensor {
    return input.silu();
  }
}

/** `log(1 + exp(x))`. */
export class Softplus extends Module {
  /** Computes the outputs. */
  override forward(input: Tensor): Tensor {
    return input.softplus();
  }
}

/** Positive values that sum to one along an axis. */
export class Softmax extends Module {
  /** The axis that sums to one. */
  readonly axis: number;

  /** Takes the axis. */
  constructor(axis: number = -1) {
    super();
    this.axis = axis;
  }

  /**
   * Computes the outputs.
   *
   * @throws {RangeError} If the axis is out of range.
   */
  override forward(input: Tensor): Tensor {
    return input.softmax(this.axis);
  }

  /** What `toString` shows. */
  protected override describe(): string {
    return `${this.axis}`;
  }
}

/** The logarithm of {@link Softmax}. */
export class LogSoftmax extends Module {
  /** The axis whose exponentials sum to one. */
  readonly axis: number;

  /** Takes the axis. */
  constructor(axis: number = -1) {
    super();
    this.axis = axis;
  }

  /**
   * Computes the outputs.
   *
   * @throws {RangeError} If the axis is out of range.
   */
  override forward(input: Tensor): Tensor {
    return input.logSoftmax(this.axis);
  }

  /** What `toString` shows. */
  protected override describe(): string {
    return `${this.axis}`;
  }
}
