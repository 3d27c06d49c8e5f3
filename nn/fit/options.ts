import type { Tensor } from "@heddle/tensor";
import type {
  CheckpointParts,
  CheckpointStore,
} from "../checkpoint/checkpoint.ts";
import type { Module } from "../module.ts";

/** What a step gives: the loss, or values by name. */
export type StepOutput = Tensor | Readonly<Record<string, Tensor>>;

/**
 * Does one step: of training, or of evaluation. It may not wait; `compile`
 * makes it fast.
 *
 * @returns The loss, or values by name. A single element is the mean over the
 * batch and counts with the batch's size; of several, each counts alone.
 */
export type Step<Batch> = (batch: Batch) => StepOutput;

/**
 * Gives the batches of an epoch each time that it is looped over: a
 * `DataLoader`, an array of batches, or any other iterable.
 *
 * With `state` and `restore` it goes on in the middle of an epoch. Without
 * them each loop must give the same batches: a run that is resumed skips those
 * that it has had.
 */
export type BatchLoader<Batch> = (AsyncIterable<Batch> | Iterable<Batch>) & {
  /** Batches in an epoch, to tell how long it takes. */
  readonly length?: number;
  /** Where it stands: JSON, behind the last batch that it gave. */
  state?(): unknown;
  /** Goes there; the next loop gives the rest of that epoch. */
  restore?(state: never): void;
};

/** Means over an epoch, by name. */
export type Metrics = Readonly<Record<string, number>>;

/** What `fit` tells after a step. */
export interface FitStep {
  /** The epoch at work, from 1. */
  readonly epoch: number;
  /** Steps done in this epoch. */
  readonly step: number;
  /** Steps in each epoch, if that is known. */
  readonly stepsPerEpoch: number | undefined;
  /** Steps done in all. */
  readonly totalSteps: number;
  /** Means over this epoch as last read, some steps ago; empty before. */
  readonly metrics: Metrics;
  /** The last evaluation. */
  readonly evaluation: Metrics | undefined;
  /** Over the last seconds, evaluations included. */
  readonly stepsPerSecond: number | undefined;
  /** Until the last epoch is done, at that pace. */
  readonly secondsLeft: number | undefined;
}

/** What `fit` tells after an evaluation. */
export interface FitEvaluation {
  /** The epoch that it follows, from 1. */
  readonly epoch: number;
  /** Means over all batches. */
  readonly metrics: Metrics;
}

/** What `fit` tells after an epoch; JSON. */
export interface FitEpoch {
  /** From 1. */
  readonly epoch: number;
  /** Steps done in all. */
  readonly totalSteps: number;
  /** Means over the epoch's steps. */
  readonly metrics: Metrics;
  /** Those of the evaluation, if there was one. */
  readonly evaluation?: Metrics;
  /** Whether the metric of early stopping is the best so far. */
  readonly improved?: boolean;
}

/** `"stop"` ends the training; it may be promised. */
export type FitAnswer = void | "stop" | Promise<void | "stop">;

/**
 * What is called while `fit` runs, and waited for. To answer `"stop"` ends the
 * training: a checkpoint is written, and `fit` returns.
 */
export interface FitCallbacks {
  /** After each training step. */
  onStep?(step: FitStep): FitAnswer;
  /** After each evaluation, before `onEpoch`. */
  onEvaluate?(evaluation: FitEvaluation): FitAnswer;
  /** After each epoch and its evaluation, before the checkpoint. */
  onEpoch?(epoch: FitEpoch): FitAnswer;
}

/** How batches are evaluated. */
export interface EvaluateOptions<Batch> {
  /** Set to evaluation meanwhile; each of its modules is set back after. */
  readonly model?: Module;
  /**
   * How much a batch counts in a mean.
   * @default the first axis of the first tensor or array in the batch, or 1
   */
  readonly batchSize?: (batch: Batch) => number;
  /** Ends it: it rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** The evaluation after epochs. */
export interface FitEvaluationOptions<Batch> {
  /** Gives the metrics of a batch; run without gradients. */
  readonly step: Step<Batch>;
  /** Its batches. */
  readonly loader: BatchLoader<Batch>;
  /**
   * Epochs from one evaluation to the next.
   * @default 1
   */
  readonly every?: number;
  /**
   * How much a batch counts in a mean.
   * @default the first axis of the first tensor or array in the batch, or 1
   */
  readonly batchSize?: (batch: Batch) => number;
}

/** Checkpoints, from which a run goes on with the same bits. */
export interface FitCheckpointOptions {
  /**
   * Where they are kept. A checkpoint that is there already is gone on with.
   */
  readonly store: CheckpointStore;
  /**
   * What the rest of the run depends on: the model, the optimizer, the
   * schedule. The loader and the metrics belong to it by themselves.
   */
  readonly parts: CheckpointParts;
  /**
   * Epochs from one to the next.
   * @default 1
   */
  readonly everyEpochs?: number;
  /**
   * Steps from one to the next.
   * @default none in the middle of an epoch
   */
  readonly everySteps?: number;
  /** JSON of one's own, found under `own` in {@link FitState}. */
  readonly state?: () => unknown;
  /**
   * Whether to go on with the checkpoint that is there; else the first one
   * replaces it.
   * @default true
   */
  readonly resume?: boolean;
}

/** When a run that gets no better ends before its last epoch. */
export interface EarlyStoppingOptions {
  /** The name of the metric. */
  readonly metric: string;
  /**
   * Whose metric.
   * @default "evaluation", or "training" if there is none
   */
  readonly of?: "evaluation" | "training";
  /**
   * Whether less is better, or more.
   * @default "min"
   */
  readonly mode?: "min" | "max";
  /**
   * After so many epochs (evaluations) in a row that were no better the run
   * ends. `Infinity` only keeps the best.
   * @default 3
   */
  readonly patience?: number;
  /**
   * By more than this it must be better to count.
   * @default 0
   */
  readonly minDelta?: number;
  /**
   * Whether the model has the weights of the best epoch in the end. They are
   * kept on the device meanwhile.
   * @default false
   */
  readonly restoreBest?: boolean;
}

/** How `fit` trains. */
export interface FitOptions<Batch, EvaluationBatch = Batch>
  extends FitCallbacks {
  /**
   * Epochs in all, those before a checkpoint included.
   * @default 1
   */
  readonly epochs?: number;
  /**
   * Steps after which an epoch ends: for loaders without an end.
   * @default all that the loader gives
   */
  readonly stepsPerEpoch?: number;
  /** What is trained: set to evaluation for evaluations, kept if best. */
  readonly model?: Module;
  /** What sets the learning rates. */
  readonly schedule?: {
    /** Goes one step on. */
    step(): void;
  };
  /**
   * What the schedule counts.
   * @default "epoch"
   */
  readonly scheduleEach?: "step" | "epoch";
  /** What is evaluated after epochs. */
  readonly evaluation?: FitEvaluationOptions<EvaluationBatch>;
  /** Where the run is saved. */
  readonly checkpoint?: FitCheckpointOptions;
  /** When the run ends early. */
  readonly earlyStopping?: EarlyStoppingOptions;
  /** Called like those of the options, after them and in order. */
  readonly callbacks?: readonly FitCallbacks[];
  /**
   * Milliseconds from one reading of the metrics to the next.
   * @default 500
   */
  readonly metricsMs?: number;
  /**
   * Steps from one reading to the next, if they are sooner over.
   * @default Infinity
   */
  readonly metricsSteps?: number;
  /**
   * How much a batch counts in a mean.
   * @default the first axis of the first tensor or array in the batch, or 1
   */
  readonly batchSize?: (batch: Batch) => number;
  /**
   * Ends the training: a checkpoint is written, and `fit` rejects with the
   * signal's reason.
   */
  readonly signal?: AbortSignal;
}

/** What `fit` has done. */
export interface FitResult {
  /** All epochs, those before a checkpoint included. */
  readonly history: readonly FitEpoch[];
  /** Steps done in all. */
  readonly totalSteps: number;
  /** Seconds that they took, evaluations included. */
  readonly seconds: number;
  /** Why it ended: all epochs were done, early stopping, or a callback. */
  readonly stopped: "epochs" | "early" | "callback";
  /** The best epoch, if there is early stopping. */
  readonly best?: BestEpoch;
}

/** The epoch with the best metric. */
export interface BestEpoch {
  /** From 1. */
  readonly epoch: number;
  /** The metric. */
  readonly value: number;
}

/** What `readCheckpointState` reads from a checkpoint of `fit`. */
export interface FitState {
  /** Epochs done. */
  readonly epoch: number;
  /** Steps done in the epoch after them. */
  readonly step: number;
  /** Whether these are all of its steps, and only its evaluation is left. */
  readonly trained: boolean;
  /** Steps done in all. */
  readonly totalSteps: number;
  /** Seconds that they took. */
  readonly seconds: number;
  /** All epochs done. */
  readonly history: readonly FitEpoch[];
  /** The metrics of the epoch at work. */
  readonly metrics: MetricsState;
  /** Where the loader stands, or null if it cannot say. */
  readonly loader: unknown;
  /** The same of the evaluation's. */
  readonly evaluationLoader: unknown;
  /** How early stopping stands. */
  readonly earlyStopping: EarlyStoppingState;
  /** JSON of one's own. */
  readonly own: unknown;
}

/** Where the means of some metrics are: sums, their rounding, and weights. */
export interface MetricsState {
  /** The metrics, in order; none before the first step. */
  readonly names: readonly string[];
  /** A float32 each. */
  readonly sums: readonly number[];
  /** What rounding added to the sums. */
  readonly excess: readonly number[];
  /** What the sums are to be divided by. */
  readonly weights: readonly number[];
}

/** How early stopping stands. */
export interface EarlyStoppingState {
  /** The best epoch, or null before the first. */
  readonly best: BestEpoch | null;
  /** Epochs in a row that were no better. */
  readonly waited: number;
}
