/**
 * Layers, optimizers, schedules, checkpoints and the loop that trains.
 *
 * @example A network learns the parity of two bits
 * ```ts
 * import { Adam, Linear, Sequential, Tanh } from "@heddle/nn";
 * import { openDevice, Scope, tensor } from "@heddle/tensor";
 * import { assertEquals } from "@std/assert";
 *
 * using _device = await openDevice("wasm");
 * const net = new Sequential(new Linear(2, 8), new Tanh(), new Linear(8, 1));
 * const optimizer = new Adam(net.parameters(), { learningRate: 0.1 });
 * const bits = tensor([[0, 0], [0, 1], [1, 0], [1, 1]]);
 * const parity = tensor([[0], [1], [1], [0]]);
 * for (let step = 0; step < 100; step++) {
 *   using _scope = new Scope();
 *   net.forward(bits).sub(parity).square().mean().backward();
 *   optimizer.step();
 * }
 * assertEquals(await net.forward(bits).round().abs().toArray(), [[0], [1], [1], [0]]);
 * ```
 *
 * @module
 */

export {
  type Layer,
  type LoadStateOptions,
  type LoadStateResult,
  Module,
  type StateDict,
} from "./module.ts";
export { defaultGenerator, manualSeed } from "./random.ts";
export {
  calculateGain,
  fans,
  type InitOptions,
  kaimingNormal,
  type KaimingOptions,
  kaimingUniform,
  type Nonlinearity,
  xavierNormal,
  type XavierOptions,
  xavierUniform,
} from "./init.ts";
export * from "./layers/activation.ts";
export * from "./layers/conv2d.ts";
export * from "./layers/dropout.ts";
export * from "./layers/embedding.ts";
export * from "./layers/flatten.ts";
export * from "./layers/layer_norm.ts";
export * from "./layers/linear.ts";
export * from "./layers/pool2d.ts";
export * from "./layers/sequential.ts";
export {
  Adam,
  type AdamGroupOptions,
  type AdamOptions,
  AdamW,
} from "./optimizers/adam.ts";
export {
  type LearningRate,
  Optimizer,
  type OptimizerGroup,
  type OptimizerState,
  type ParameterGroup,
  type ParameterList,
  type ParameterState,
  type StepOptions,
} from "./optimizers/optimizer.ts";
export { SGD, type SGDOptions } from "./optimizers/sgd.ts";
export * from "./layers/batch_norm2d.ts";
export * from "./optimizers/clip_grad_norm.ts";
export {
  Schedule,
  type Scheduled,
  type ScheduleState,
} from "./schedules/schedule.ts";
export { StepLR, type StepLROptions } from "./schedules/step_lr.ts";
export {
  CosineAnnealingLR,
  type CosineAnnealingLROptions,
} from "./schedules/cosine_annealing_lr.ts";
export {
  WarmupCosineLR,
  WarmupLinearLR,
  type WarmupOptions,
} from "./schedules/warmup_lr.ts";
export * from "./average_meter.ts";
export * from "./accuracy.ts";
export { SafetensorsError } from "./safetensors/error.ts";
export {
  readSafetensorsHeader,
  type SafetensorsHeader,
  type SafetensorsInfo,
} from "./safetensors/header.ts";
export * from "./safetensors/read.ts";
export * from "./safetensors/write.ts";
export * from "./checkpoint/checkpoint.ts";
export { fit } from "./fit/fit.ts";
export { evaluate } from "./fit/evaluate.ts";
export type {
  BatchLoader,
  BestEpoch,
  EarlyStoppingOptions,
  EarlyStoppingState,
  EvaluateOptions,
  FitAnswer,
  FitCallbacks,
  FitCheckpointOptions,
  FitEpoch,
  FitEvaluation,
  FitEvaluationOptions,
  FitOptions,
  FitResult,
  FitState,
  FitStep,
  Metrics,
  MetricsState,
  Step,
  StepOutput,
} from "./fit/options.ts";
