import { custom as customNode, fence, filled } from "../graph/build.ts";
import { gradients } from "../graph/gradients.ts";
import {
  isGradEnabled,
  type Node,
  topological,
  withGrad,
  withoutGrad,
} from "../graph/node.ts";
import { formatShape, sameShape } from "../shape.ts";
import { nodeOf, requireTensor, Tensor } from "../tensor.ts";
import { KeyTape } from "./_key_tape.ts";
import { requireType } from "./_operands.ts";

/** The same values; no gradient flows back through them. */
export function stopGradient(x: Tensor): Tensor {
  return new Tensor(customNode(nodeOf(x), [], null));
}

/**
 * Runs `f`; what it makes takes no part in gradients.
 *
 * @throws {TypeError} If it is asynchronous.
 */
export function noGrad<T>(f: () => T): T {
  const result = withoutGrad(f);
  if (result instanceof Promise) {
    throw new TypeError(
      "noGrad: the function is asynchronous: what it makes after its first " +
        "await would have gradients: await outside of it",
    );
  }
  return result;
}

/** A function of tensors with a scalar result. */
export type ScalarFunction = (...inputs: Tensor[]) => Tensor;

/**
 * The value and the gradient of a function.
 *
 * @param f Takes float32 tensors and returns one element.
 * @returns A function of the same arguments, which gives the value and one
 * gradient for each argument. It may be differentiated again.
 * @throws {RangeError} (when called) If the result is not one element.
 *
 * @example
 * ```ts
 * import { tensor, valueAndGrad } from "@heddle/tensor";
 * import { assertEquals } from "@std/assert";
 *
 * const cube = valueAndGrad((x) => x.mul(x).mul(x));
 * const { value, grads: [slope] } = cube(tensor(2));
 * assertEquals([await value.item(), await slope!.item()], [8, 12]);
 * ```
 */
export function valueAndGrad(
  f: ScalarFunction,
): (...inputs: Tensor[]) => { value: Tensor; grads: Tensor[] } {
  return differentiate("valueAndGrad", f);
}

function differentiate(
  operation: string,
  f: ScalarFunction,
): (...inputs: Tensor[]) => { value: Tensor; grads: Tensor[] } {
  if (typeof f !== "function") {
    throw new TypeError(`${operation}: not a function: got ${typeof f}`);
  }
  return (...inputs) => {
    for (const input of inputs) {
      requireTensor(operation, input);
      requireType(operation, input, ["float32"], "cast it first");
    }
    const leaves = withGrad(() =>
      inputs.map((input) => fence(nodeOf(input), true))
    );
    const value = withGrad(() => f(...leaves.map((leaf) => new Tensor(leaf))));
    requireTensor(`${operation}: the result`, value);
    if (value.size !== 1) {
      throw new RangeError(
        `${operation}: the result is not a scalar: got shape ${
          formatShape(value.shape)
        }`,
      );
    }
    const node = nodeOf(value);
    const seed = filled(1, node.shape, "float32");
    const found = gradients([node], [seed], leaves);
    const grads = found.map((gradient, at) =>
      new Tensor(gradient ?? filled(0, leaves[at]!.shape, "float32"))
    );
    return { value, grads };
  };
}

/**
 * The gradient of a function by its first argument.
 *
 * @param f Takes float32 tensors and returns one element.
 * @throws {RangeError} (when called) If the result is not one element.
 *
 * @example A second derivative
 * ```ts
 * import { grad, tensor } from "@heddle/tensor";
 * import { assertEquals } from "@std/assert";
 *
 * const slope = grad((x) => x.mul(x).mul(x));
 * const bend = grad(slope);
 * assertEquals(await bend(tensor(2)).item(), 12);
 * ```
 */
export function grad(f: ScalarFunction): (...inputs: Tensor[]) => Tensor {
  const both = differentiate("grad", f);
  return (...inputs) => both(...inputs).grads[0]!;
}

/**
 * Gives a function a gradient of your own.
 *
 * @param f The function; how it is computed does not matter to gradients.
 * @param vjp Takes the gradient of the result, the result and the inputs, and
 * returns the gradient of each input, or null for none.
 * @throws {RangeError} (in backward) If a gradient has not its input's shape.
 *
 * @example A step that passes its gradient straight through
 * ```ts
 * import { custom, grad, tensor } from "@heddle/tensor";
 * import { assertEquals } from "@std/assert";
 *
 * const round = custom(([x]) => x!.round(), (g) => [g]);
 * const slope = grad((x) => round(x).mul(3));
 * assertEquals(await slope(tensor(0.7)).item(), 3);
 * ```
 */
export function custom(
  f: (inputs: readonly Tensor[]) => Tensor,
  vjp: (
    gradient: Tensor,
    result: Tensor,
    inputs: readonly Tensor[],
  ) => readonly (Tensor | null)[],
): (...inputs: Tensor[]) => Tensor {
  return (...inputs) => {
    const nodes = inputs.map(nodeOf);
    const value = f(inputs);
    const result: Tensor = new Tensor(
      customNode(nodeOf(value), nodes, (gradient) => {
        const grads = vjp(new Tensor(gradient), result, inputs);
        return nodes.map((node, at) => {
          const part = grads[at] ?? null;
          if (part !== null && !sameShape(part.shape, node.shape)) {
            throw new RangeError(
              `custom: gradient ${at} has not its input's shape: got ${
                formatShape(part.shape)
              } for ${formatShape(node.shape)}`,
            );
          }
          return part && nodeOf(part);
        });
      }),
    );
    return result;
  };
}

/**
 * Trades time for memory: what `f` computes on its way is not kept for the
 * gradient, but computed again: Chen et al. 2016,
 * https://arxiv.org/abs/1604.06174.
 *
 * @param f Computes from its inputs, and variables that it closes over.
 */
export function checkpoint(
  f: (...inputs: Tensor[]) => Tensor,
): (...inputs: Tensor[]) => Tensor {
  return (...inputs) => {
    if (!isGradEnabled()) return f(...inputs);
    const given = inputs.map(nodeOf);
    // What it draws at random, it draws again.
    const tape = new KeyTape();
    const { starts, result } = tape.run(() => runApart(f, given));
    const closedOver = topological([result], isLeaf)
      .filter((node) => isLeaf(node) && node.needsGrad)
      .filter((node) => !starts.includes(node));
    return new Tensor(
      customNode(result, [...given, ...closedOver], (gradient) => {
        const again = tape.run(() => withGrad(() => runApart(f, given)));
        const targets = [...again.starts, ...closedOver];
        return gradients([again.result], [gradient], targets);
      }),
    );
  };
}

/** Runs a function on fenced inputs: not merged with other runs of it. */
function runApart(
  f: (...inputs: Tensor[]) => Tensor,
  given: readonly Node[],
): { starts: Node[]; result: Node } {
  const starts = given.map((node) => fence(node, node.needsGrad));
  const result = nodeOf(f(...starts.map((node) => new Tensor(node))));
  return { starts, result };
}

/** Whether gradients do not look behind a node: variables have nothing there. */
function isLeaf(node: Node): boolean {
  const { kind } = node.op;
  return !node.needsGrad || kind === "fence" || kind === "source";
}
