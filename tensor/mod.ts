/**
 * Tensors with gradients, on WebGPU and WebAssembly.
 *
 * Operations are lazy: they build a graph, and `await x.data()` computes what
 * the values need in as few kernels as possible.
 *
 * @example A matrix product and its gradient
 * ```ts
 * import { tensor } from "@heddle/tensor";
 * import { assertEquals } from "@std/assert";
 *
 * const x = tensor([[1, 2], [3, 4]]);
 * const weight = tensor([[1], [2]], { requiresGrad: true });
 * const loss = x.matmul(weight).sum();
 * loss.backward();
 * assertEquals(await loss.item(), 16);
 * assertEquals(await weight.grad!.toArray(), [[4], [6]]);
 * ```
 *
 * @module
 */

export { type Operand, Tensor } from "./tensor.ts";
export * from "./ops/mod.ts";
export * from "./scope.ts";
export type { DType, TensorData, TypedArrays } from "./dtype.ts";
export type { NestedArray } from "./format.ts";
export type { Shape } from "./shape.ts";
export type {
  Device,
  DeviceMemory,
  DeviceName,
  Leak,
  MemoryInfo,
} from "./device/device.ts";
export {
  currentDevice,
  type DeviceOptions,
  openDevice,
  useDevice,
} from "./device/session.ts";
export { DeviceLostError } from "./device/webgpu_errors.ts";
export { endStep, realize, realizeSync } from "./realize.ts";
export * from "./compile/compile.ts";
export * from "./host.ts";
export { onWarning, type WarningHandler } from "./warnings.ts";
