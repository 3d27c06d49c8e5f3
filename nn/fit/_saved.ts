import {
  type CheckpointPart,
  type CheckpointParts,
  readCheckpointState,
} from "../checkpoint/checkpoint.ts";
import { Module } from "../module.ts";
import type { FitOptions, FitState } from "./options.ts";

/** The name of the part that holds the weights of the best epoch. */
export const BEST_WEIGHTS = "bestWeights";

/**
 * Whether a run can be resumed from these parts.
 *
 * @throws {RangeError} If something is missing, or there twice.
 */
export function checkParts<Batch, EvaluationBatch>(
  parts: CheckpointParts,
  loader: unknown,
  { model, schedule }: FitOptions<Batch, EvaluationBatch>,
): void {
  const all = Object.values(parts);
  const modules = all.flatMap((part) =>
    part instanceof Module ? part.modules() : []
  );
  if (model && !modules.includes(model)) {
    throw new RangeError(
      "fit: the model is none of the checkpoint's parts: a resumed run would " +
        "begin it anew: add it",
    );
  }
  if (schedule && "restore" in schedule && !has(all, schedule)) {
    throw new RangeError(
      "fit: the schedule is none of the checkpoint's parts: a resumed run " +
        "would begin it anew: add it",
    );
  }
  if (has(all, loader)) {
    throw new RangeError(
      "fit: the loader is one of the checkpoint's parts: it belongs to it by " +
        "itself: leave it out",
    );
  }
  if (Object.hasOwn(parts, BEST_WEIGHTS)) {
    throw new RangeError(
      `fit: a part is named ${BEST_WEIGHTS}, which is fit's own: rename it`,
    );
  }
}

function has(parts: readonly CheckpointPart[], part: unknown): boolean {
  return (parts as readonly unknown[]).includes(part);
}

/**
 * What `fit` has saved in a checkpoint.
 *
 * @throws {RangeError} If somebody else has written it.
 */
export function readState(bytes: Uint8Array): FitState {
  const state = readCheckpointState(bytes);
  const { epoch, step, totalSteps, history, metrics, earlyStopping } = Object(
    state,
  ) as Partial<FitState>;
  const counts = [epoch, step, totalSteps].every(Number.isSafeInteger);
  if (counts && Array.isArray(history) && metrics && earlyStopping) {
    return state as FitState;
  }
  throw new RangeError(
    "fit: the checkpoint in the store is none of fit: move it away, or pass " +
      "{ resume: false } to replace it",
  );
}
