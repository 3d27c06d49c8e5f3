import { currentDevice, realize } from "@heddle/tensor";
import { requireSizes, requireWithin } from "../_check.ts";
import {
  type CheckpointParts,
  readCheckpoint,
  saveCheckpoint,
} from "../checkpoint/checkpoint.ts";
import { Batches, batchSizeOf } from "./_batches.ts";
import { BestWeights, EarlyStopping } from "./_early_stopping.ts";
import { RunningMetrics } from "./_metrics.ts";
import { Pace } from "./_pace.ts";
import { BEST_WEIGHTS, checkParts, readState } from "./_saved.ts";
import { Breath } from "./_yield.ts";
import { emptyLoader, evaluateWith, requireStep } from "./evaluate.ts";
import type {
  BatchLoader,
  FitAnswer,
  FitCallbacks,
  FitEpoch,
  FitOptions,
  FitResult,
  FitState,
  FitStep,
  Metrics,
  Step,
} from "./options.ts";

type Stopped = FitResult["stopped"];

/** One run of `fit`. */
export class Trainer<Batch, EvaluationBatch> {
  readonly #step: Step<Batch>;
  readonly #loader: BatchLoader<Batch>;
  readonly #options: FitOptions<Batch, EvaluationBatch>;
  readonly #epochs: number;
  readonly #stepsPerEpoch: number;
  readonly #batches: Batches<Batch>;
  readonly #callbacks: readonly FitCallbacks[];
  readonly #metrics = new RunningMetrics("fit", true);
  readonly #evaluationMetrics = new RunningMetrics("fit: evaluation", true);
  readonly #early: EarlyStopping | undefined;
  readonly #bestWeights: BestWeights | undefined;
  readonly #breath = new Breath();
  #history: FitEpoch[] = [];
  /** Epochs done, steps done in the one at work, and in all. */
  #epoch = 0;
  #epochSteps = 0;
  #totalSteps = 0;
  /** Whether all steps of the epoch at work are done. */
  #trained = false;
  /** Seconds before this run was resumed, and when that was. */
  #secondsBefore = 0;
  #begun = performance.now();
  #pace = new Pace(0);
  /** The metrics as last read, when, and behind how many steps. */
  #read: Metrics = {};
  #readAt = performance.now();
  #readSteps = 0;
  #reading: Promise<void> | undefined;
  #failure: { readonly error: unknown } | undefined;

  /** @throws If an option is out of range, or options do not fit together. */
  constructor(
    step: Step<Batch>,
    loader: BatchLoader<Batch>,
    options: FitOptions<Batch, EvaluationBatch>,
  ) {
    requireStep("fit", step);
    const { model, evaluation, checkpoint, earlyStopping } = options;
    const { epochs = 1, stepsPerEpoch = Infinity } = options;
    const { metricsMs = 0, metricsSteps = Infinity } = options;
    requireSizes("fit", {
      epochs,
      "evaluation.every": evaluation?.every ?? 1,
      "checkpoint.everyEpochs": checkpoint?.everyEpochs ?? 1,
      "checkpoint.everySteps": checkpoint?.everySteps ?? 1,
      ...stepsPerEpoch < Infinity ? { stepsPerEpoch } : {},
      ...metricsSteps < Infinity ? { metricsSteps } : {},
    });
    requireWithin("fit", "metricsMs", metricsMs, 0);
    if (evaluation) requireStep("fit: evaluation", evaluation.step);
    if (checkpoint) checkParts(checkpoint.parts, loader, options);
    this.#early = earlyStopping &&
      new EarlyStopping(earlyStopping, evaluation !== undefined);
    if (earlyStopping?.restoreBest) {
      if (model === undefined) {
        throw new TypeError(
          "fit: earlyStopping.restoreBest is of no model: pass { model }",
        );
      }
      this.#bestWeights = new BestWeights(model);
    }
    this.#step = step;
    this.#loader = loader;
    this.#options = options;
    this.#epochs = epochs;
    this.#stepsPerEpoch = stepsPerEpoch;
    this.#batches = new Batches("fit", loader, options.signal);
    this.#callbacks = [options, ...options.callbacks ?? []];
  }

  /** Trains. */
  async run(): Promise<FitResult> {
    const { signal } = this.#options;
    try {
      signal?.throwIfAborted();
      await realize(); // Opens a device if there is none.
      await this.#resume();
      const stopped = await this.#train();
      const best = this.#early?.best;
      if (best) this.#bestWeights?.putBack();
      return {
        history: this.#history,
        totalSteps: this.#totalSteps,
        seconds: this.#seconds(),
        stopped,
        ...best ? { best } : {},
      };
    } catch (error) {
      const aborted = signal?.aborted && error === signal.reason;
      if (aborted && this.#totalSteps > 0) await this.#save();
      throw error;
    } finally {
      await this.#batches.close();
      await this.#reading;
      this.#metrics.dispose();
      this.#evaluationMetrics.dispose();
    }
  }

  async #train(): Promise<Stopped> {
    let stopped: Stopped | undefined = this.#early?.isOver
      ? "early"
      : undefined;
    while (stopped === undefined && this.#epoch < this.#epochs) {
      stopped = await this.#trainEpoch() ?? await this.#endEpoch();
    }
    return stopped ?? "epochs";
  }

  async #trainEpoch(): Promise<Stopped | undefined> {
    const { signal, checkpoint } = this.#options;
    const everySteps = checkpoint?.everySteps ?? Infinity;
    let gaveNone = false;
    while (!this.#trained) {
      const next = await this.#batches.next();
      if (next === undefined) {
        const isOver = this.#stepsPerEpoch === Infinity;
        if (gaveNone || isOver && this.#epochSteps === 0) {
          throw emptyLoader("fit");
        }
        this.#trained = isOver;
        gaveNone = true;
        continue;
      }
      gaveNone = false;
      this.#trained = this.#epochSteps + 1 === this.#stepsPerEpoch;
      // The loader works on the next one while the device has this one.
      if (!this.#trained) this.#batches.prefetch();
      this.#takeStep(next.batch);
      this.#readIfDue();
      const stop = await this.#tell((callbacks) =>
        callbacks.onStep?.(this.#progress())
      );
      await currentDevice()?.ready();
      if (this.#breath.isDue) await this.#breath.take();
      signal?.throwIfAborted();
      const save = stop || this.#totalSteps % everySteps === 0;
      if (save) await this.#save();
      if (stop) return "callback";
    }
    return undefined;
  }

  #takeStep(batch: Batch): void {
    const { batchSize = batchSizeOf, schedule, scheduleEach } = this.#options;
    this.#metrics.run(this.#step, batch, batchSize(batch));
    if (this.#totalSteps === 0) {
      this.#early?.checkTraining(this.#metrics.names);
    }
    if (scheduleEach === "step") schedule?.step();
    this.#epochSteps++;
    this.#totalSteps++;
  }

  /** Evaluates, counts the epoch and tells of it. */
  async #endEpoch(): Promise<Stopped | undefined> {
    const { signal, schedule, scheduleEach = "epoch" } = this.#options;
    const everyEpochs = this.#options.checkpoint?.everyEpochs ?? 1;
    await this.#reading;
    this.#throwFailure();
    const metrics = await this.#metrics.read();
    const evaluation = await this.#evaluate();
    // At once, so that a checkpoint is of before all of this, or of after.
    const epoch = ++this.#epoch;
    this.#epochSteps = 0;
    this.#trained = false;
    this.#metrics.reset();
    this.#read = metrics;
    if (scheduleEach === "epoch") schedule?.step();
    const row: FitEpoch = {
      epoch,
      totalSteps: this.#totalSteps,
      metrics,
      ...evaluation ? { evaluation } : {},
    };
    const improved = this.#early?.add(row);
    if (improved) this.#bestWeights?.keep();
    const done = improved === undefined ? row : { ...row, improved };
    this.#history.push(done);

    const stopped = [
      evaluation &&
      await this.#tell((callbacks) =>
        callbacks.onEvaluate?.({ epoch, metrics: evaluation })
      ),
      await this.#tell((callbacks) => callbacks.onEpoch?.(done)),
    ].includes(true);
    const early = this.#early?.isOver;
    const last = stopped || early || epoch >= this.#epochs;
    if (last || epoch % everyEpochs === 0) await this.#save();
    signal?.throwIfAborted();
    return stopped ? "callback" : early ? "early" : undefined;
  }

  async #evaluate(): Promise<Metrics | undefined> {
    const { model, evaluation, signal } = this.#options;
    if (!evaluation) return undefined;
    const { step, loader, every = 1, batchSize } = evaluation;
    if ((this.#epoch + 1) % every !== 0) return undefined;
    return await evaluateWith(this.#evaluationMetrics, step, loader, {
      ...model ? { model } : {},
      ...batchSize ? { batchSize } : {},
      ...signal ? { signal } : {},
    });
  }

  /** Asks for the metrics now and then; they come while steps go on. */
  #readIfDue(): void {
    this.#throwFailure();
    if (this.#reading) return;
    const { metricsMs = 500, metricsSteps = Infinity } = this.#options;
    const now = performance.now();
    const due = now - this.#readAt >= metricsMs ||
      this.#totalSteps - this.#readSteps >= metricsSteps;
    if (!due) return;
    this.#readAt = now;
    this.#readSteps = this.#totalSteps;
    this.#reading = this.#metrics.read().then(
      (metrics) => void (this.#read = metrics),
      (error) => void (this.#failure = { error }),
    ).finally(() => this.#reading = undefined);
  }

  #throwFailure(): void {
    if (this.#failure) throw this.#failure.error;
  }

  #progress(): FitStep {
    const [epoch, step] = [this.#epoch, this.#epochSteps];
    const total = this.#totalSteps;
    const length = this.#stepsPerEpoch < Infinity
      ? this.#stepsPerEpoch
      : this.#loader.length;
    const rate = this.#pace.mark(total);
    return {
      epoch: epoch + 1,
      step,
      stepsPerEpoch: length,
      totalSteps: total,
      metrics: this.#read,
      evaluation: this.#history.findLast(({ evaluation }) => evaluation)
        ?.evaluation,
      stepsPerSecond: rate,
      secondsLeft: rate && length
        ? Math.max(0, (this.#epochs - epoch) * length - step) / rate
        : undefined,
    };
  }

  /** Whether anybody wants to stop. */
  async #tell(call: (callbacks: FitCallbacks) => FitAnswer): Promise<boolean> {
    let stop = false;
    for (const callbacks of this.#callbacks) {
      const answer = call(callbacks);
      const said = answer instanceof Promise ? await answer : answer;
      stop ||= said === "stop";
    }
    return stop;
  }

  #seconds(): number {
    return this.#secondsBefore + (performance.now() - this.#begun) / 1000;
  }

  #parts(parts: CheckpointParts): CheckpointParts {
    return this.#bestWeights
      ? { ...parts, [BEST_WEIGHTS]: this.#bestWeights }
      : parts;
  }

  async #save(): Promise<void> {
    const { checkpoint, evaluation } = this.#options;
    if (!checkpoint) return;
    const { store, parts, state: own } = checkpoint;
    const state: FitState = {
      epoch: this.#epoch,
      step: this.#epochSteps,
      trained: this.#trained,
      totalSteps: this.#totalSteps,
      seconds: this.#seconds(),
      history: this.#history,
      metrics: await this.#metrics.state(),
      loader: await this.#batches.state(),
      evaluationLoader: await evaluation?.loader.state?.() ?? null,
      earlyStopping: this.#early?.state() ?? { best: null, waited: 0 },
      own: own?.() ?? null,
    };
    await saveCheckpoint(store, this.#parts(parts), state);
  }

  async #resume(): Promise<void> {
    const { checkpoint, evaluation } = this.#options;
    if (!checkpoint || checkpoint.resume === false) return;
    const bytes = await checkpoint.store.read();
    if (bytes === undefined) return;
    const state = readState(bytes);
    // Loaders first: those of other data refuse.
    const done = state.trained ? 0 : state.step;
    await this.#batches.restore(state.loader, done);
    if (state.evaluationLoader !== null) {
      evaluation?.loader.restore?.(state.evaluationLoader as never);
    }
    await readCheckpoint(bytes, this.#parts(checkpoint.parts));
    this.#metrics.restore(state.metrics);
    this.#early?.restore(state.earlyStopping);
    this.#history = [...state.history];
    this.#epoch = state.epoch;
    this.#epochSteps = state.step;
    this.#trained = state.trained;
    this.#totalSteps = state.totalSteps;
    this.#secondsBefore = state.seconds;
    this.#read = this.#history.at(-1)?.metrics ?? {};
    this.#readSteps = state.totalSteps;
    this.#begun = this.#readAt = performance.now();
    this.#pace = new Pace(state.totalSteps);
  }
}
