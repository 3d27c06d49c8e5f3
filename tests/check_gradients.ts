/**
 * Compares an operation and its gradients with a float64 reference.
 *
 * @module
 */

import { type Tensor, valueAndGrad } from "@heddle/tensor";
import { assertClose, type Tolerance } from "./assert_close.ts";
import { seeded } from "./seeded.ts";
import { Values } from "./values.ts";

/** The operation: float32 tensors to one float32 tensor. */
export type Operation = (...inputs: Tensor[]) => Tensor;

/** One of a single tensor, and perhaps of options that are left out. */
export type UnaryOperation = (input: Tensor) => Tensor;

/** The same in plain numbers. */
export type Reference = (...inputs: Values[]) => Values;

/** Tolerances, where those of the style page do not do. */
export interface GradientOptions {
  /**
   * Of the values.
   * @default rtol 1e-5, atol 1e-6
   */
  readonly forward?: Tolerance;
  /**
   * Of the gradients.
   * @default rtol 1e-4, atol 1e-5
   */
  readonly gradient?: Tolerance;
  /** What is checked, for the message. */
  readonly of?: string;
}

const STEP = 1e-5;

/** The weights that turn a result into one number. */
function weightsFor(shape: readonly number[]): Values {
  return seeded(shape.length + 1).apartFromZero(shape, 0.5, 1.5);
}

function weighted(reference: Reference, inputs: readonly Values[]): number {
  const result = reference(...inputs);
  const weights = weightsFor(result.shape);
  return result.data.reduce(
    (sum, value, at) => sum + value * weights.data[at]!,
    0,
  );
}

/** The gradient of a number by each element of the inputs, by central differences. */
export function numericGradients(
  f: (inputs: readonly Values[]) => number,
  inputs: readonly Values[],
  step: number = STEP,
): Values[] {
  return inputs.map((input, which) =>
    new Values(
      input.shape,
      input.data.map((value, at) => {
        const [up, down] = [value + step, value - step].map((moved) => {
          const data = input.data.slice();
          data[at] = moved;
          return f(inputs.map((other, i) =>
            i === which ? new Values(input.shape, data) : other
          ));
        }) as [number, number];
        return (up - down) / (2 * step);
      }),
    )
  );
}

function listOf(inputs: Values | readonly Values[]): readonly Values[] {
  return inputs instanceof Values ? [inputs] : inputs;
}

/** The result, and its gradients weighted as {@link weightsFor} says. */
function differentiate(
  operation: Operation | UnaryOperation,
  inputs: readonly Values[],
): { value: Tensor; grads: Tensor[] } {
  const f = operation as Operation;
  let value: Tensor | undefined;
  const { grads } = valueAndGrad((...xs) => {
    value = f(...xs);
    return value.mul(weightsFor(value.shape).tensor()).sum();
  })(...inputs.map((input) => input.tensor()));
  return { value: value!, grads };
}

/**
 * Compares the values with the reference's, and the gradient by each input
 * with central differences of the reference.
 *
 * @param inputs float32 numbers, away from kinks.
 */
export function checkGradients(
  operation: UnaryOperation,
  reference: Reference,
  inputs: Values,
  options?: GradientOptions,
): Promise<void>;
/** The same for several inputs. */
export function checkGradients(
  operation: Operation,
  reference: Reference,
  inputs: readonly Values[],
  options?: GradientOptions,
): Promise<void>;
export async function checkGradients(
  operation: Operation | UnaryOperation,
  reference: Reference,
  inputs: Values | readonly Values[],
  options: GradientOptions = {},
): Promise<void> {
  const list = listOf(inputs);
  const of = options.of ? `${options.of}: ` : "";
  const { value, grads } = differentiate(operation, list);
  await assertClose(value, reference(...list), {
    of: `${of}value`,
    ...options.forward,
  });
  const expected = numericGradients((xs) => weighted(reference, xs), list);
  for (const [at, gradient] of grads.entries()) {
    await assertClose(gradient, expected[at]!, {
      rtol: 1e-4,
      atol: 1e-5,
      of: `${of}gradient of input ${at}`,
      ...options.gradient,
    });
  }
}

/**
 * Compares the gradients with central differences of the float32 operation
 * itself: for what has no reference.
 */
export function checkGradientsBySteps(
  operation: UnaryOperation,
  inputs: Values,
  options?: GradientOptions,
): Promise<void>;
/** The same for several inputs. */
export function checkGradientsBySteps(
  operation: Operation,
  inputs: readonly Values[],
  options?: GradientOptions,
): Promise<void>;
export async function checkGradientsBySteps(
  operation: Operation | UnaryOperation,
  inputs: Values | readonly Values[],
  options: GradientOptions = {},
): Promise<void> {
  const list = listOf(inputs);
  const f = operation as Operation;
  const step = 2 ** -7;
  const { grads } = differentiate(operation, list);
  for (const [which, input] of list.entries()) {
    const slopes: number[] = [];
    for (let at = 0; at < input.size; at++) {
      const ends: number[] = [];
      for (const sign of [1, -1]) {
        const moved = input.data.slice();
        moved[at] = moved[at]! + sign * step;
        const given = list.map((other, i) =>
          (i === which ? new Values(input.shape, moved) : other).tensor()
        );
        const result = f(...given);
        const data = await result.data();
        const weights = weightsFor(result.shape).data;
        ends.push(weights.reduce((sum, w, i) => sum + w * data[i]!, 0));
      }
      slopes.push((ends[0]! - ends[1]!) / (2 * step));
    }
    await assertClose(grads[which]!, new Values(input.shape, slopes), {
      rtol: 1e-2,
      atol: 1e-4,
      of: `${options.of ? `${options.of}: ` : ""}gradient of input ${which}`,
      ...options.gradient,
    });
  }
}

/**
 * Compares second derivatives with those of the reference: the gradient of
 * `Σ v * gradient`, for a fixed `v`, by each input.
 *
 * The reference's come from differences of differences, so that they are known
 * to about 1e-5.
 */
export function checkSecondDerivatives(
  operation: UnaryOperation,
  reference: Reference,
  inputs: Values,
  options?: GradientOptions,
): Promise<void>;
/** The same for several inputs. */
export function checkSecondDerivatives(
  operation: Operation,
  reference: Reference,
  inputs: readonly Values[],
  options?: GradientOptions,
): Promise<void>;
export async function checkSecondDerivatives(
  operation: Operation | UnaryOperation,
  reference: Reference,
  inputs: Values | readonly Values[],
  options: GradientOptions = {},
): Promise<void> {
  const list = listOf(inputs);
  const f = operation as Operation;
  const directions = list.map((input, at) =>
    seeded(77 + at).apartFromZero(input.shape, 0.5, 1.5)
  );
  const { grads } = valueAndGrad((...xs) => {
    const inner = valueAndGrad((...ys) => {
      const value = f(...ys);
      return value.mul(weightsFor(value.shape).tensor()).sum();
    })(...xs);
    return inner.grads
      .map((gradient, at) => gradient.mul(directions[at]!.tensor()).sum())
      .reduce((a, b) => a.add(b));
  })(...list.map((input) => input.tensor()));
  // Σ v * gradient is the slope along v.
  const along = 1e-3;
  const slope = (xs: readonly Values[]): number => {
    const [up, down] = [along, -along].map((by) =>
      weighted(
        reference,
        xs.map((x, i) =>
          x.map((value, index) => value + by * directions[i]!.at(...index))
        ),
      )
    ) as [number, number];
    return (up - down) / (2 * along);
  };
  const expected = numericGradients(slope, list, 1e-3);
  for (const [at, second] of grads.entries()) {
    await assertClose(second, expected[at]!, {
      rtol: 1e-3,
      atol: 1e-4,
      of: `${
        options.of ? `${options.of}: ` : ""
      }second derivative by input ${at}`,
      ...options.gradient,
    });
  }
}
