import { hostScalar, type Tensor } from "@heddle/tensor";
import {
  checkOptions,
  type LearningRate,
  Optimizer,
  outOfRange,
  type ParameterList,
  type ParameterState,
} from "./optimizer.ts";

/** Options of {@link Adam} and {@link AdamW}. */
export interface AdamOptions {
  /**
   * By how much the parameters follow the gradients.
   * @default 1e-3
   */
  readonly learningRate?: number;
  /**
   * How much of the averages of the gradient and of its square stays.
   * @default [0.9, 0.999]
   */
  readonly betas?: readonly [number, number];
  /**
   * Added to the root of the average square.
   * @default 1e-8
   */
  readonly eps?: number;
  /**
   * How the parameters are drawn to 0: in Adam times the parameter, added to
   * the gradient; in AdamW times the learning rate, taken off the parameter.
   * @default 0 in Adam, 0.01 in AdamW
   */
  readonly weightDecay?: number;
  /**
   * Whether the greatest average square so far counts: Reddi et al. 2018.
   * @default false
   */
  readonly amsgrad?: boolean;
}

/** All options, as a group has them. */
export type AdamGroupOptions = Required<AdamOptions> & LearningRate;

/**
 * Adam: Kingma and Ba 2015, https://arxiv.org/abs/1412.6980, with weight decay
 * as part of the gradient.
 *
 * `m = β₁ m + (1 - β₁) g`, `s = β₂ s + (1 - β₂) g²`,
 * `p = p - learningRate m̂ / (√ŝ + eps)`, where `m̂` and `ŝ` are divided by
 * `1 - βᵗ`.
 *
 * @example Two groups, one at a rate of its own
 * ```ts
 * import { Adam, Linear } from "@heddle/nn";
 * import { ones } from "@heddle/tensor";
 * import { assertEquals } from "@std/assert";
 *
 * const [body, head] = [new Linear(2, 2), new Linear(2, 1)];
 * const optimizer = new Adam([
 *   { parameters: body.parameters(), learningRate: 1e-4 },
 *   { parameters: head.parameters() },
 * ]);
 * head.forward(body.forward(ones([1, 2]))).sum().backward();
 * optimizer.step();
 * assertEquals(optimizer.groups.map((group) => group.learningRate), [1e-4, 1e-3]);
 * ```
 */
export class Adam extends Optimizer<AdamGroupOptions> {
  /**
   * Takes the parameters.
   *
   * @param parameters Variables, or groups of them with options of their own.
   * @throws {RangeError} If an option is out of range.
   * @throws {TypeError} If a parameter is no variable.
   */
  constructor(
    parameters: ParameterList<AdamGroupOptions>,
    options: AdamOptions = {},
  ) {
    super(parameters, {
      learningRate: 1e-3,
      betas: [0.9, 0.999],
      eps: 1e-8,
      weightDecay: 0,
      amsgrad: false,
      ...checkOptions("Adam", options),
    });
  }

  /** Names of its tensors. */
  protected override slots(options: AdamGroupOptions): readonly string[] {
    return options.amsgrad ? ["mean", "square", "peak"] : ["mean", "square"];
  }

  /** Checks options. */
  protected override problem(options: AdamGroupOptions): string | undefined {
    return outOfRange("learningRate", options.learningRate) ??
      outOfRange("the first of betas", options.betas[0], 1) ??
      outOfRange("the second of betas", options.betas[1], 1) ??
      outOfRange("eps", options.eps) ??
      outOfRange("weightDecay", options.weightDecay);
  }

  /** What the step starts from and follows, weight decay taken in. */
  protected decay(
    parameter: Tensor,
    gradient: Tensor,
    { weightDecay }: AdamGroupOptions,
  ): readonly [from: Tensor, gradient: Tensor] {
    return weightDecay === 0
      ? [parameter, gradient]
      : [parameter, gradient.add(parameter.mul(weightDecay))];
  }

  /** Changes one parameter. */
  protected override update(
    parameter: Tensor,
    gradient: Tensor,
    options: AdamGroupOptions,
    state: ParameterState,
  ): void {
    const { betas: [beta1, beta2], eps } = options;
    const { mean, square, peak } = state.tensors as {
      mean: Tensor;
      square: Tensor;
      peak?: Tensor;
    };
    const [from, g] = this.decay(parameter, gradient, options);
    mean.assign(mean.mul(beta1).add(g.mul(1 - beta1)));
    square.assign(square.mul(beta2).add(g.mul(g).mul(1 - beta2)));
    peak?.assign(peak.maximum(square));
    // Both averages begin at 0: these are their weights so far.
    const meanWeight = () => 1 - beta1 ** state.steps;
    const rootWeight = () => Math.sqrt(1 - beta2 ** state.steps);
    // lr (m / meanWeight) / (√s / rootWeight + eps), with one division less.
    const rate = hostScalar(() =>
      options.learningRate * rootWeight() / meanWeight()
    );
    const least = hostScalar(() => eps * rootWeight());
    const change = mean.mul(rate)
      .div((peak ?? square).sqrt().add(least));
    parameter.assign(from.sub(change));
  }
}

/**
 * Adam with weight decay apart from the gradient: Loshchilov and Hutter 2019,
 * https://arxiv.org/abs/1711.05101.
 *
 * `p = (1 - learningRate weightDecay) p`, then as in {@link Adam}.
 *
 * @example
 * ```ts
 * import { AdamW, Linear } from "@heddle/nn";
 * import { ones } from "@heddle/tensor";
 * import { assertEquals } from "@std/assert";
 *
 * const layer = new Linear(2, 1);
 * const optimizer = new AdamW(layer.parameters(), { weightDecay: 0.1 });
 * layer.forward(ones([1, 2])).sum().backward();
 * optimizer.step();
 * assertEquals(optimizer.stateDict().steps, [1, 1]);
 * ```
 */
export class AdamW extends Adam {
  /**
   * Takes the parameters.
   *
   * @param parameters Variables, or groups of them with options of their own.
   * @throws {RangeError} If an option is out of range.
   * @throws {TypeError} If a parameter is no variable.
   */
  constructor(
    parameters: ParameterList<AdamGroupOptions>,
    options: AdamOptions = {},
  ) {
    super(parameters, { weightDecay: 0.01, ...checkOptions("AdamW", options) });
  }

  /** What the step starts from and follows. */
  protected override decay(
    parameter: Tensor,
    gradient: Tensor,
    options: AdamGroupOptions,
  ): readonly [from: Tensor, gradient: Tensor] {
    const { weightDecay } = options;
    if (weightDecay === 0) return [parameter, gradient];
    const kept = hostScalar(() => 1 - options.learningRate * weightDecay);
    return [parameter.mul(kept), gradient];
  }
}
