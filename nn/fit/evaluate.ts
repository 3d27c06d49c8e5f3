import { currentDevice, noGrad, realize } from "@heddle/tensor";
import type { Module } from "../module.ts";
import { Batches, batchSizeOf } from "./_batches.ts";
import { RunningMetrics } from "./_metrics.ts";
import { Breath } from "./_yield.ts";
import type { BatchLoader, EvaluateOptions, Metrics, Step } from "./options.ts";

/**
 * The means of what a step gives over all batches of a loader, without
 * gradients.
 *
 * @param step Gives the metrics of a batch, as tensors; it may not wait.
 * @param loader The batches.
 * @param options The model, which is set to evaluation meanwhile.
 * @returns The means, by name; that of a step that gives a tensor is `loss`.
 * @throws {RangeError} If the loader gives no batch.
 * @throws {TypeError} If the step gives something else than tensors.
 *
 * @example
 * ```ts
 * import { evaluate } from "@heddle/nn";
 * import { tensor } from "@heddle/tensor";
 * import { assertEquals } from "@std/assert";
 *
 * const batches = [tensor([1, 2, 3]), tensor([6])];
 * const means = await evaluate((x) => ({
 *   loss: x.mean(),
 *   above1: x.gt(1),
 * }), batches);
 * assertEquals(means, { loss: 3, above1: 0.75 });
 * ```
 */
export async function evaluate<Batch>(
  step: Step<Batch>,
  loader: BatchLoader<Batch>,
  options: EvaluateOptions<Batch> = {},
): Promise<Metrics> {
  requireStep("evaluate", step);
  const metrics = new RunningMetrics("evaluate", false);
  try {
    return await evaluateWith(metrics, step, loader, options);
  } finally {
    metrics.dispose();
  }
}

/** The same with metrics that are used again: their kernels are kept. */
export async function evaluateWith<Batch>(
  metrics: RunningMetrics,
  step: Step<Batch>,
  loader: BatchLoader<Batch>,
  options: EvaluateOptions<Batch>,
): Promise<Metrics> {
  const { model, batchSize = batchSizeOf, signal } = options;
  const batches = new Batches(metrics.operation, loader, signal);
  const begun = await batches.state();
  const breath = new Breath();
  const restoreModes = evaluationMode(model);
  metrics.reset();
  let count = 0;
  try {
    await realize(); // Opens a device if there is none.
    for (let next; (next = await batches.next()) !== undefined; count++) {
      const { batch } = next;
      batches.prefetch();
      noGrad(() => metrics.run(step, batch, batchSize(batch)));
      await currentDevice()?.ready();
      if (breath.isDue) await breath.take();
    }
    if (count === 0) throw emptyLoader(metrics.operation);
    return await metrics.read();
  } catch (error) {
    await batches.close();
    // So that the next evaluation begins where this one did.
    if (begun !== null) loader.restore?.(begun as never);
    throw error;
  } finally {
    await batches.close();
    restoreModes();
  }
}

/**
 * Sets a model to evaluation.
 *
 * @returns Sets each of its modules back.
 */
function evaluationMode(model: Module | undefined): () => void {
  const before =
    model?.modules().map((module) => [module, module.training] as const) ?? [];
  model?.eval();
  return () => {
    // Outer ones first: setting one sets all below it.
    for (const [module, training] of before) {
      if (module.training !== training) module.train(training);
    }
  };
}

/** @throws {TypeError} If it is no function. */
export function requireStep(operation: string, step: unknown): void {
  if (typeof step === "function") return;
  throw new TypeError(
    `${operation}: the step must be a function of a batch: got ${typeof step}`,
  );
}

/** The error for a loader without batches. */
export function emptyLoader(operation: string): RangeError {
  return new RangeError(
    `${operation}: the loader gave no batch: if it is a generator, ` +
      "which gives its batches once, pass an array or a DataLoader",
  );
}
