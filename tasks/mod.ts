/**
 * The training tasks, as functions with typed settings and results.
 *
 * @module
 */

export {
  siamese,
  type SiameseCheckpoints,
  type SiameseEnvironment,
  type SiameseEpoch,
  type SiameseExample,
  type SiameseResult,
  type SiameseSettings,
  type SiameseStep,
  SiameseStopped,
  type SiameseSummary,
  type SiameseVariant,
} from "./siamese.ts";
