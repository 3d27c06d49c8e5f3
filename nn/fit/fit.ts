import { Trainer } from "./_trainer.ts";
import type { BatchLoader, FitOptions, FitResult, Step } from "./options.ts";

/**
 * Trains: does a step with each batch of a loader, for some epochs.
 *
 * The step is a function of a batch, best one that `compile` made: it computes
 * the loss, calls `backward()` and `optimizer.step()`, and returns what is to
 * be averaged. What `compile` made is compiled together with the averaging, so
 * that a step is one replay. Tensors that a step makes itself are freed after
 * it.
 *
 * The host never waits for a value in a step. Metrics add up on the device and
 * are read every half second while steps go on; at the end of an epoch they are
 * exact. The next batch is asked for before the step begins; the device is at
 * most three steps behind. Timers, signals and servers get a turn every 50 ms.
 *
 * With a checkpoint store the run goes on where the last checkpoint in it was
 * written, also in the middle of an epoch, and with the same bits as a run that
 * never stopped.
 *
 * @param step Does a training step, without waiting.
 * @param loader Gives the batches of an epoch each time that it is looped over.
 * @param options Epochs, evaluation, checkpoints, early stopping, callbacks.
 * @returns The metrics of all epochs, and why it ended.
 * @throws {RangeError} If an option is out of range, the loader gives no batch,
 * or there is no metric of a name.
 * @throws {TypeError} If the step gives something else than tensors.
 * @throws The reason of `options.signal`, after a checkpoint was written.
 *
 * @example A line through points
 * ```ts
 * import { Adam, fit, Linear } from "@heddle/nn";
 * import { compile, openDevice, type Tensor, tensor } from "@heddle/tensor";
 * import { assert, assertEquals } from "@std/assert";
 *
 * using _device = await openDevice("wasm");
 * const model = new Linear(1, 1);
 * const optimizer = new Adam(model.parameters(), { learningRate: 0.1 });
 * const lossOf = ({ x, y }: { x: Tensor; y: Tensor }) =>
 *   model.forward(x).sub(y).square().mean();
 * const step = compile((batch: { x: Tensor; y: Tensor }) => {
 *   const loss = lossOf(batch);
 *   loss.backward();
 *   optimizer.step();
 *   return { loss };
 * });
 * const batches = [
 *   { x: tensor([[0], [1]]), y: tensor([[1], [3]]) },
 *   { x: tensor([[2], [3]]), y: tensor([[5], [7]]) },
 * ];
 * const { history, stopped } = await fit(step, batches, {
 *   epochs: 200,
 *   model,
 *   evaluation: { step: compile(lossOf), loader: batches, every: 10 },
 *   earlyStopping: { metric: "loss", patience: 2, restoreBest: true },
 *   onEpoch: ({ evaluation }) => {
 *     if (evaluation && evaluation.loss! < 1e-3) return "stop";
 *   },
 * });
 * assertEquals(stopped, "callback");
 * assert(history.at(-1)!.evaluation!.loss! < 1e-3);
 * ```
 */
export async function fit<Batch, EvaluationBatch = Batch>(
  step: Step<Batch>,
  loader: BatchLoader<Batch>,
  options: FitOptions<Batch, EvaluationBatch> = {},
): Promise<FitResult> {
  return await new Trainer(step, loader, options).run();
}
