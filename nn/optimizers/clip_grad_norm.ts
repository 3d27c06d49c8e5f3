import { noGrad, type Tensor, zeros } from "@heddle/tensor";

/**
 * Scales the gradients of parameters down so that their norm, as that of one
 * long vector, is at most `maxNorm`: Pascanu et al. 2013. As in PyTorch the
 * factor is `min(1, maxNorm / (norm + 1e-6))`.
 *
 * Nothing is computed yet; `optimizer.step()` computes it with the rest.
 *
 * @param parameters Those without a gradient are left out.
 * @param maxNorm The greatest norm, above 0.
 * @returns The norm before, a scalar; 0 if there is no gradient.
 * @throws {RangeError} If `maxNorm` is not a number above 0.
 * @throws {TypeError} If the parameters are no list.
 *
 * @example
 * ```ts
 * import { clipGradNorm } from "@heddle/nn";
 * import { tensor } from "@heddle/tensor";
 * import { assertAlmostEquals, assertEquals } from "@std/assert";
 *
 * const x = tensor([0, 0], { requiresGrad: true });
 * x.mul(tensor([3, 4])).sum().backward();
 * assertEquals(await clipGradNorm([x], 1).item(), 5);
 * assertAlmostEquals((await x.grad!.data())[1]!, 0.8, 1e-5);
 * ```
 */
export function clipGradNorm(
  parameters: Iterable<Tensor>,
  maxNorm: number,
): Tensor {
  if (!(maxNorm > 0)) {
    throw new RangeError(
      `clipGradNorm: maxNorm must be above 0: got ${maxNorm}`,
    );
  }
  if (typeof parameters?.[Symbol.iterator] !== "function") {
    throw new TypeError(
      "clipGradNorm: the parameters must be a list: pass model.parameters()",
    );
  }
  const clipped = [...new Set(parameters)].filter(({ grad }) => grad !== null);
  // Assigned to, it is computed with the step even if it is read only later.
  const result = zeros([]);
  if (clipped.length === 0) return result;
  noGrad(() => {
    const squares = clipped.map(({ grad }) => grad!.square().sum());
    const norm = sumOf(squares).sqrt();
    const scale = norm.add(1e-6).reciprocal().mul(maxNorm).minimum(1);
    for (const parameter of clipped) {
      parameter.grad = parameter.grad!.mul(scale);
    }
    result.assign(norm);
  });
  return result;
}

/** Halves of halves: so a long list makes no deep graph. */
function sumOf(scalars: readonly Tensor[]): Tensor {
  if (scalars.length === 1) return scalars[0]!;
  const middle = scalars.length >> 1;
  return sumOf(scalars.slice(0, middle)).add(sumOf(scalars.slice(middle)));
}
