/**
 * Loss functions.
 *
 * Each takes what the network gave, then the targets, then options, and gives
 * a scalar, or with `reduction: "none"` one loss an element. Values are what
 * PyTorch's functions of these names give.
 *
 * @example A loss and its gradient
 * ```ts
 * import { crossEntropy } from "@heddle/losses";
 * import { tensor } from "@heddle/tensor";
 * import { assertEquals } from "@std/assert";
 *
 * const logits = tensor([[0, 0]], { requiresGrad: true });
 * crossEntropy(logits, tensor(new Int32Array([1]))).backward();
 * assertEquals(await logits.grad!.toArray(), [[0.5, -0.5]]);
 * ```
 *
 * @module
 */

export * from "./bce.ts";
export * from "./cross_entropy.ts";
export * from "./huber.ts";
export * from "./kl_div.ts";
export * from "./l1.ts";
export * from "./mse.ts";
export * from "./nll.ts";
export type { Reduction, ReductionOptions } from "./_reduction.ts";
