import { endStep, noGrad, onEachRun, Tensor, zeros } from "@heddle/tensor";
import { Module } from "../module.ts";
import { describeMisfit, misfitError, misfitOf } from "../_fit.ts";

/** What every optimizer has. */
export interface LearningRate {
  /** By how much the parameters follow the gradients. */
  readonly learningRate: number;
}

/** Parameters with options of their own; others are the optimizer's. */
export type ParameterGroup<Options> =
  & {
    /** The variables of the group. */
    readonly parameters: Iterable<Tensor>;
  }
  & Partial<Options>;

/** A group as an optimizer holds it. The learning rate may be set. */
export type OptimizerGroup<Options> =
  & {
    /** The variables of the group. */
    readonly parameters: readonly Tensor[];
    /** By how much they follow the gradients; a schedule sets it. */
    learningRate: number;
  }
  & Readonly<Omit<Options, "learningRate">>;

/** Variables, or groups of them. */
export type ParameterList<Options> =
  | Iterable<Tensor>
  | Iterable<ParameterGroup<Options>>;

/** How {@link Optimizer.step} leaves the gradients. */
export interface StepOptions {
  /**
   * Whether the gradients stay, so that the next `backward()` adds to them.
   * @default false
   */
  readonly keep?: boolean;
}

/** What an optimizer has learnt: its tensors themselves, not copies. */
export interface OptimizerState {
  /** The learning rate of each group. */
  readonly learningRates: readonly number[];
  /** How many steps each parameter has taken, group by group. */
  readonly steps: readonly number[];
  /** Averages and the like: `0.mean` is the first parameter's `mean`. */
  readonly tensors: Readonly<Record<string, Tensor>>;
}

/** What an optimizer remembers of one parameter. */
export interface ParameterState {
  /** Steps taken, the current one included. */
  steps: number;
  /** Tensors of the parameter's shape, which begin at 0. */
  readonly tensors: Readonly<Record<string, Tensor>>;
}

/**
 * Changes variables by their gradients. Subclasses say how.
 *
 * The loss, the gradients and the new values are computed in one go by
 * {@link Optimizer.step}. Learning rates and what depends on the step are
 * passed to the kernels as numbers, so that changing them costs nothing.
 *
 * Gradients that several `backward()` calls add up are tensors of the scope
 * around each call: put one scope around all calls and the step.
 */
export abstract class Optimizer<
  Options extends LearningRate = LearningRate,
> {
  /** The groups of parameters. */
  readonly groups: readonly OptimizerGroup<Options>[];
  readonly #states = new Map<Tensor, ParameterState>();

  /**
   * Takes the parameters, with the options of groups that name none.
   *
   * @throws {RangeError} If there is no parameter, one is named twice, or an
   * option is out of range.
   * @throws {TypeError} If one is no variable.
   */
  constructor(parameters: ParameterList<Options>, defaults: Options) {
    this.#requireIterable("the parameters", parameters);
    this.groups = [...asGroups(parameters)].map((group) => {
      this.#requireIterable("a group's parameters", group.parameters);
      const options: Options = { ...defaults, ...group };
      this.#fail(this.problem(options));
      const list = [...group.parameters];
      for (const parameter of list) this.#add(parameter, options);
      return { ...options, parameters: list };
    });
    if (this.#states.size === 0) {
      throw new RangeError(`${this.#name}: there are no parameters`);
    }
  }

  /** Names of the tensors that it keeps for each parameter. */
  protected abstract slots(options: Options): readonly string[];

  /** What is wrong with options, in words: `momentum must be …`. */
  protected abstract problem(options: Options): string | undefined;

  /** Assigns a parameter and its state, given its gradient. */
  protected abstract update(
    parameter: Tensor,
    gradient: Tensor,
    options: Readonly<Options>,
    state: ParameterState,
  ): void;

  /**
   * Changes each parameter that has a gradient, clears the gradients and ends
   * the training step: losses, gradients, new values and what else was assigned
   * are computed in one go, without waiting for it.
   *
   * @throws {Error} If no parameter has a gradient.
   */
  step(options: StepOptions = {}): void {
    const updates = this.groups.flatMap((group) =>
      group.parameters.flatMap((parameter) => {
        const { grad } = parameter;
        const state = this.#states.get(parameter)!;
        return grad === null ? [] : [{ group, parameter, grad, state }];
      })
    );
    if (updates.length === 0) {
      throw new Error(
        `${this.#name}.step: no parameter has a gradient: call ` +
          "loss.backward() first",
      );
    }
    const count = (by: number) => {
      for (const { state } of updates) state.steps += by;
    };
    onEachRun(() => count(1), () => count(-1));
    noGrad(() => {
      for (const { group, parameter, grad, state } of updates) {
        const options = group as unknown as Readonly<Options>;
        this.update(parameter, grad, options, state);
      }
    });
    const gradients = updates.map(({ grad }) => grad);
    if (options.keep) return endStep(...gradients);
    this.zeroGrad();
    endStep();
  }

  /** Clears the gradients of all parameters. */
  zeroGrad(): void {
    for (const parameter of this.#states.keys()) parameter.grad = null;
  }

  /** What it has learnt, for {@link Optimizer.loadStateDict} or a file. */
  stateDict(): OptimizerState {
    const states = [...this.#states.values()];
    return {
      learningRates: this.groups.map(({ learningRate }) => learningRate),
      steps: states.map(({ steps }) => steps),
      tensors: Object.fromEntries(
        states.flatMap(({ tensors }, at) =>
          Object.entries(tensors).map(([slot, value]) => [
            `${at}.${slot}`,
            value,
          ])
        ),
      ),
    };
  }

  /**
   * Goes on where another optimizer was: its averages, counts and learning
   * rates. The other options stay as they are. Where anything does not fit,
   * nothing is changed.
   *
   * @param state Of an optimizer of the same kind over the same parameters.
   * @throws {RangeError} If numbers of groups or parameters, names or shapes
   * differ.
   * @throws {TypeError} If a type differs.
   */
  loadStateDict(state: OptimizerState): void {
    this.checkStateDict(state);
    const { tensors } = this.stateDict();
    for (const [name, value] of Object.entries(state.tensors)) {
      tensors[name]!.assign(value);
    }
    this.groups.forEach((group, at) =>
      group.learningRate = state.learningRates[at]!
    );
    [...this.#states.values()].forEach((own, at) =>
      own.steps = state.steps[at]!
    );
  }

  /**
   * Whether {@link Optimizer.loadStateDict} would take a state.
   *
   * @throws {RangeError} If it would throw one.
   * @throws {TypeError} The same.
   */
  checkStateDict(state: OptimizerState): void {
    const own = this.stateDict();
    const where = `${this.#name}.loadStateDict: the state does not fit`;
    const counts = [
      ["groups", state.learningRates.length, own.learningRates.length],
      ["parameters", state.steps.length, own.steps.length],
    ] as const;
    for (const [what, got, want] of counts) {
      if (got === want) continue;
      throw new RangeError(
        `${where}: it has ${got} ${what} instead of ${want}`,
      );
    }
    const wholes = state.steps.every((n) => Number.isSafeInteger(n) && n >= 0);
    if (!wholes || !state.learningRates.every(Number.isFinite)) {
      throw new RangeError(`${where}: a count or a rate is no such number`);
    }
    const misfit = misfitOf(own.tensors, state.tensors);
    const problem = describeMisfit(misfit);
    if (problem !== "") throw misfitError(`${where}: ${problem}`, misfit);
  }

  get #name(): string {
    return this.constructor.name;
  }

  #requireIterable(what: string, value: unknown): void {
    const list = value as Partial<Iterable<unknown>> | null | undefined;
    if (typeof list?.[Symbol.iterator] === "function") return;
    throw new TypeError(
      `${this.#name}: ${what} must be a list: got ${
        value instanceof Module ? "a module" : typeof value
      }: pass model.parameters()`,
    );
  }

  #fail(problem: string | undefined): void {
    if (problem === undefined) return;
    throw new RangeError(`${this.#name}: ${problem}`);
  }

  #add(parameter: Tensor, options: Options): void {
    if (!(parameter instanceof Tensor) || !parameter.isVariable) {
      throw new TypeError(
        `${this.#name}: a parameter must be a variable: got ${
          parameter instanceof Tensor ? "a computed tensor" : typeof parameter
        }: make it with requiresGrad`,
      );
    }
    if (this.#states.has(parameter)) {
      throw new RangeError(
        `${this.#name}: a parameter of shape [${
          parameter.shape.join(", ")
        }] is named twice`,
      );
    }
    // Made now, not in the first step: a step may run in a scope of its own.
    const tensors = this.slots(options).map((slot) =>
      [slot, zeros(parameter.shape)] as const
    );
    this.#states.set(parameter, {
      steps: 0,
      tensors: Object.fromEntries(tensors),
    });
  }
}

function* asGroups<Options>(
  parameters: ParameterList<Options>,
): Iterable<ParameterGroup<Options>> {
  const lone: Tensor[] = [];
  for (const item of parameters) {
    if (item instanceof Tensor) lone.push(item);
    else yield item;
  }
  if (lone.length > 0) {
    yield { parameters: lone } as unknown as ParameterGroup<Options>;
  }
}

/** A problem in words if a number is not from 0 to below `limit`. */
export function outOfRange(
  name: string,
  value: number,
  limit: number = Infinity,
): string | undefined {
  if (Number.isFinite(value) && value >= 0 && value < limit) return undefined;
  const range = limit === Infinity ? "0 or more" : `from 0 to below ${limit}`;
  return `${name} must be ${range}: got ${value}`;
}

/**
 * Options as they are.
 *
 * @throws {TypeError} If they are a bare learning rate, which would be lost.
 */
export function checkOptions<Options extends object>(
  optimizer: string,
  options: Options,
): Options {
  if (typeof options === "object") return options;
  throw new TypeError(
    `${optimizer}: options must be an object: got ${String(options)}: use ` +
      "{ learningRate }",
  );
}
