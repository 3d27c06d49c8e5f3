/**
 * All operations.
 *
 * @module
 */

export * from "./activation.ts";
export * from "./arithmetic.ts";
export * from "./autograd.ts";
export * from "./compare.ts";
export * from "./conv2d.ts";
export * from "./create.ts";
export * from "./index.ts";
export * from "./join.ts";
export * from "./layer_norm.ts";
export * from "./matmul.ts";
export * from "./movement.ts";
export * from "./pool2d.ts";
export * from "./random.ts";
export * from "./reduce.ts";
export * from "./scaled_dot_product_attention.ts";
export * from "./softmax.ts";
export * from "./sort.ts";
export * from "./unary.ts";
