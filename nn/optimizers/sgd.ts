import { hostScalar, type Tensor } from "@heddle/tensor";
import {
  type LearningRate,
  Optimizer,
  outOfRange,
  type ParameterList,
  type ParameterState,
} from "./optimizer.ts";

/** Options of {@link SGD}. */
export interface SGDOptions extends LearningRate {
  /**
   * How much of the last direction stays.
   * @default 0
   */
  readonly momentum?: number;
  /**
   * How much less of the gradient joins the direction.
   * @default 0
   */
  readonly dampening?: number;
  /**
   * Whether it looks ahead along the direction: Sutskever et al. 2013.
   * @default false
   */
  readonly nesterov?: boolean;
  /**
   * Times the parameter, added to the gradient.
   * @default 0
   */
  readonly weightDecay?: number;
}

/**
 * Stochastic gradient descent, with momentum as in PyTorch:
 * `v = momentum v + (1 - dampening) g`, `p = p - learningRate v`. The first
 * `v` is `g` itself.
 *
 * @example One step down a slope
 * ```ts
 * import { SGD } from "@heddle/nn";
 * import { tensor } from "@heddle/tensor";
 * import { assertEquals } from "@std/assert";
 *
 * const x = tensor([1, 2], { requiresGrad: true });
 * const optimizer = new SGD([x], { learningRate: 0.5 });
 * x.mul(x).sum().backward();
 * optimizer.step();
 * assertEquals(await x.toArray(), [0, 0]);
 * ```
 */
export class SGD extends Optimizer<Required<SGDOptions>> {
  /**
   * Takes the parameters.
   *
   * @param parameters Variables, or groups of them with options of their own.
   * @throws {RangeError} If an option is out of range, or `nesterov` goes
   * without momentum or with dampening.
   */
  constructor(
    parameters: ParameterList<Required<SGDOptions>>,
    options: SGDOptions,
  ) {
    super(parameters, {
      momentum: 0,
      dampening: 0,
      nesterov: false,
      weightDecay: 0,
      ...options,
    });
  }

  /** Names of its tensors. */
  protected override slots(options: Required<SGDOptions>): readonly string[] {
    return options.momentum === 0 ? [] : ["direction"];
  }

  /** Checks options. */
  protected override problem(
    options: Required<SGDOptions>,
  ): string | undefined {
    const { learningRate, momentum, dampening, weightDecay } = options;
    if (options.nesterov && (momentum === 0 || dampening !== 0)) {
      return `nesterov needs momentum and no dampening: got ${momentum} and ` +
        `${dampening}`;
    }
    return outOfRange("learningRate", learningRate) ??
      outOfRange("momentum", momentum) ??
      outOfRange("weightDecay", weightDecay) ??
      (Number.isFinite(dampening) ? undefined : "dampening must be finite");
  }

  /** Changes one parameter. */
  protected override update(
    parameter: Tensor,
    gradient: Tensor,
    options: Required<SGDOptions>,
    state: ParameterState,
  ): void {
    const { momentum, dampening, nesterov } = options;
    let change = options.weightDecay === 0
      ? gradient
      : gradient.add(parameter.mul(options.weightDecay));
    const { direction } = state.tensors;
    if (direction !== undefined) {
      const share = hostScalar(() => state.steps === 1 ? 1 : 1 - dampening);
      direction.assign(direction.mul(momentum).add(change.mul(share)));
      change = nesterov ? change.add(direction.mul(momentum)) : direction;
    }
    const rate = hostScalar(() => options.learningRate);
    parameter.assign(parameter.sub(change.mul(rate)));
  }
}
