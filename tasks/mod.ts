/**
 * The training tasks, as functions with typed settings and results.
 *
 * @module
 */

export {
  pi,
  type PiConvergence,
  type PiCosines,
  type PiEnvironment,
  type PiFiles,
  type PiKernels,
  type PiPoints,
  type PiRace,
  type PiResult,
  type PiSettings,
  type PiStep,
  PiStopped,
  type PiWay,
} from "./pi.ts";
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
