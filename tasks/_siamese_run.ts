/**
 * The training behind the siamese task: rounds of epochs of steps, evaluation,
 * and checkpoints from which a run goes on with the same bits.
 *
 * @module
 */
import {
  type Collated,
  DataLoader,
  type DigitPair,
  type DigitPairs,
  pairedAnew,
  toTensors,
} from "@heddle/data";
import { bce, crossEntropy } from "@heddle/losses";
import {
  Adam,
  AverageMeter,
  type CheckpointParts,
  readCheckpoint,
  readCheckpointState,
  StepLR,
  writeCheckpoint,
  writeSafetensors,
} from "@heddle/nn";
import {
  Generator,
  noGrad,
  realize,
  Scope,
  stack,
  type Tensor,
} from "@heddle/tensor";
import { type Comparison, SiameseNetwork } from "./_siamese_network.ts";
import { yieldToEventLoop } from "./_signals.ts";
import {
  type SiameseEnvironment,
  type SiameseEpoch,
  type SiameseSettings,
  SiameseStopped,
} from "./siamese.ts";

/** Training and test pairs of a round. */
export interface RoundData {
  readonly train: DigitPairs;
  readonly test: DigitPairs;
}

/** What a finished round leaves. All of it is JSON. */
export interface RoundResult {
  readonly variant: string;
  readonly round: number;
  readonly history: readonly SiameseEpoch[];
  readonly confusion: readonly (readonly number[])[];
  readonly examples: readonly {
    readonly images: readonly (readonly number[])[];
    readonly digits: readonly [number, number];
    readonly seen: readonly [number, number];
    readonly probability: number;
    readonly right: boolean;
  }[];
}

/** What a run is so far. */
export interface RunState {
  /** Finished rounds. */
  readonly done: readonly RoundResult[];
  /** Seconds that it took, also before it was resumed. */
  readonly seconds: number;
  /** Training steps. */
  readonly steps: number;
  /** The weights of the best epoch, as a safetensors file. */
  readonly model: Uint8Array;
}

/** A combination of weight sharing and auxiliary losses. */
interface Variant {
  readonly name: string;
  readonly weightSharing: boolean;
  readonly auxiliary: boolean;
}

/** Pairs that are evaluated at once. */
const TEST_BATCH = 250;
/** Milliseconds between readings of the loss. */
const READ_MS = 500;
/** Example pairs of each kind in a report. */
const EXAMPLES = 12;

const VARIANTS: readonly Variant[] = [
  { name: "none", weightSharing: false, auxiliary: false },
  { name: "sharing", weightSharing: true, auxiliary: false },
  { name: "auxiliary", weightSharing: false, auxiliary: true },
  { name: "both", weightSharing: true, auxiliary: true },
];

/** Runs all rounds of all variants, from the last checkpoint if there is one. */
export async function runRounds(
  settings: SiameseSettings,
  drawPairs: (round: number) => RoundData,
  environment: SiameseEnvironment,
): Promise<RunState> {
  const variants = VARIANTS.filter((variant) =>
    settings.compare ||
    (variant.weightSharing === settings.weightSharing &&
      variant.auxiliary === settings.auxiliary)
  );
  const begun = performance.now();
  const saved = await lastCheckpoint(environment);
  const before = saved?.progress.seconds ?? 0;
  const run: Run = {
    settings,
    environment,
    done: [...saved?.progress.done ?? []],
    steps: saved?.progress.steps ?? 0,
    best: saved?.progress.best ?? -1,
    model: Uint8Array.fromBase64(saved?.progress.model ?? ""),
    seconds: () => before + (performance.now() - begun) / 1000,
  };
  for (const variant of variants) {
    for (let round = 1; round <= settings.rounds; round++) {
      const isThis = (other: { variant: string; round: number }) =>
        other.variant === variant.name && other.round === round;
      if (run.done.some(isThis)) continue;
      const training = new Round(run, variant, round, drawPairs(round));
      if (saved && isThis(saved.progress)) await training.restore(saved);
      run.done.push(await training.run());
    }
  }
  const { done, steps, model } = run;
  return { done, steps, model, seconds: run.seconds() };
}

/** The part of a checkpoint that is JSON. */
interface Progress {
  /** The round at work, and its epochs so far. */
  readonly variant: string;
  readonly round: number;
  readonly history: readonly SiameseEpoch[];
  /** What all rounds have left so far. */
  readonly done: readonly RoundResult[];
  readonly steps: number;
  readonly best: number;
  /** In base64. */
  readonly model: string;
  readonly seconds: number;
}

interface Saved {
  readonly bytes: Uint8Array;
  readonly progress: Progress;
}

async function lastCheckpoint(
  { checkpoints }: SiameseEnvironment,
): Promise<Saved | undefined> {
  const bytes = await checkpoints?.read();
  return bytes && { bytes, progress: readCheckpointState(bytes) as Progress };
}

/** What the rounds of a run share. */
interface Run {
  readonly settings: SiameseSettings;
  readonly environment: SiameseEnvironment;
  readonly done: RoundResult[];
  steps: number;
  /** The best test accuracy of all rounds, and the weights that gave it. */
  best: number;
  model: Uint8Array;
  readonly seconds: () => number;
}

class Round {
  readonly #run: Run;
  readonly #variant: Variant;
  readonly #round: number;
  readonly #data: RoundData;
  readonly #generator: Generator;
  readonly #network: SiameseNetwork;
  readonly #optimizer: Adam;
  readonly #schedule: StepLR;
  readonly #loader: DataLoader<DigitPair>;
  readonly #loss = new AverageMeter();
  readonly #accuracy = new AverageMeter();
  #history: SiameseEpoch[] = [];

  constructor(run: Run, variant: Variant, round: number, data: RoundData) {
    const { settings } = run;
    this.#run = run;
    this.#variant = variant;
    this.#round = round;
    this.#data = data;
    // Every variant starts a round from the same numbers.
    this.#generator = new Generator(settings.seed * 100_003 + round);
    this.#network = new SiameseNetwork({
      ...settings,
      weightSharing: variant.weightSharing,
      generator: this.#generator,
    });
    const { learningRate, batch, seed, augment } = settings;
    this.#optimizer = new Adam(this.#network.parameters(), { learningRate });
    this.#schedule = new StepLR(this.#optimizer, { stepSize: 1, gamma: 0.9 });
    this.#loader = new DataLoader(
      augment ? pairedAnew(data.train, seed + round) : data.train,
      { batchSize: batch, shuffle: true, seed: seed + round },
    );
  }

  async run(): Promise<RoundResult> {
    const { settings, environment } = this.#run;
    while (this.#history.length < settings.epochs) {
      const trained = await this.#trainEpoch();
      const tested = await this.#evaluate();
      const epoch = { ...this.#place(), ...trained, ...tested };
      this.#history.push(epoch);
      this.#schedule.step();
      if (epoch.testAccuracy > this.#run.best) {
        await this.#keepBest(epoch.testAccuracy);
      }
      await environment.onEpoch?.(epoch, this.#variant.name);
      const due = this.#history.length % (environment.saveEvery ?? 5) === 0;
      if (due || this.#history.length === settings.epochs) await this.#save();
    }
    return await this.#finish();
  }

  /** The round and the epoch at work, from 1. */
  #place(): { round: number; epoch: number } {
    return { round: this.#round, epoch: this.#history.length + 1 };
  }

  async #trainEpoch(): Promise<{ trainLoss: number; trainAccuracy: number }> {
    const { environment } = this.#run;
    this.#network.train();
    let read = performance.now();
    let loss = this.#history.at(-1)?.trainLoss;
    for await (const batch of this.#loader) {
      this.#step(batch);
      if (performance.now() - read > READ_MS) {
        loss = await this.#loss.value();
        read = performance.now();
      }
      environment.onStep?.({
        variant: this.#variant.name,
        ...this.#place(),
        step: this.#loader.state().position,
        steps: this.#loader.length,
        loss,
        accuracy: this.#history.at(-1)?.testAccuracy,
      });
      await yieldToEventLoop();
      if (environment.stop?.requested) {
        await this.#save();
        throw new SiameseStopped("siamese: stopped on request");
      }
    }
    const result = {
      trainLoss: await this.#loss.value(),
      trainAccuracy: await this.#accuracy.value(),
    };
    this.#loss.reset();
    this.#accuracy.reset();
    return result;
  }

  #step(batch: Collated<DigitPair>): void {
    using _scope = new Scope();
    const { images, targets, classes } = toTensors(batch);
    const said = this.#network.forward(images);
    const loss = this.#lossOf(said, targets, classes);
    loss.backward();
    this.#loss.add(loss, targets.size);
    this.#accuracy.add(rightOnes(said, targets).mean(), targets.size);
    this.#optimizer.step();
    this.#run.steps++;
  }

  #lossOf(said: Comparison, targets: Tensor, classes: Tensor): Tensor {
    const comparison = bce(said.probability, targets);
    if (!this.#variant.auxiliary) return comparison;
    const { alpha } = this.#run.settings;
    const digits = crossEntropy(said.first, classes.slice(null, 0))
      .add(crossEntropy(said.second, classes.slice(null, 1)));
    return digits.mul((1 - alpha) / 2).add(comparison.mul(alpha));
  }

  /** The network's word on all test pairs, batch by batch. */
  async #overTest<T>(
    f: (
      said: Comparison,
      batch: { targets: Tensor; classes: Tensor },
    ) => Promise<T>,
  ): Promise<T[]> {
    const loader = new DataLoader(this.#data.test, { batchSize: TEST_BATCH });
    this.#network.eval();
    const found: T[] = [];
    for await (const batch of loader) {
      using _scope = new Scope();
      const { images, targets, classes } = toTensors(batch);
      const said = noGrad(() => this.#network.forward(images));
      found.push(await f(said, { targets, classes }));
      await yieldToEventLoop();
    }
    this.#network.train();
    return found;
  }

  async #evaluate(): Promise<{ testLoss: number; testAccuracy: number }> {
    const parts = await this.#overTest(async (said, { targets, classes }) => {
      const loss = noGrad(() => this.#lossOf(said, targets, classes));
      const right = rightOnes(said, targets).sum();
      const sums = await stack([loss.mul(targets.size), right]).data();
      return [sums[0]!, sums[1]!] as const;
    });
    const total = (at: 0 | 1) => parts.reduce((sum, part) => sum + part[at], 0);
    const count = this.#data.test.length;
    return { testLoss: total(0) / count, testAccuracy: total(1) / count };
  }

  async #keepBest(accuracy: number): Promise<void> {
    this.#run.best = accuracy;
    this.#run.model = await writeSafetensors(this.#network.stateDict(), {
      task: "siamese",
      variant: this.#variant.name,
      settings: JSON.stringify(this.#run.settings),
    });
    await this.#run.environment.onBest?.(this.#run.model);
  }

  /** Which digits the branches took for which, and a few pairs. */
  async #finish(): Promise<RoundResult> {
    const parts = await this.#overTest(async (said) => {
      const logits = stack([said.first, said.second], 1); // [batch, 2, 10]
      await realize(logits, said.probability);
      return {
        probabilities: await said.probability.data(),
        seen: await logits.argmax({ axis: 2 }).data(),
      };
    });
    const probabilities = parts.flatMap((part) => [...part.probabilities]);
    const seen = parts.flatMap((part) => [...part.seen]);
    const { classes, targets, images } = this.#data.test;
    const confusion = Array.from(
      { length: 10 },
      () => new Array<number>(10).fill(0),
    );
    seen.forEach((digit, at) => confusion[classes.data[at]!]![digit]!++);
    const isRight = (pair: number) =>
      Number(probabilities[pair]! > 0.5) === targets.data[pair];
    const surety = (pair: number) => Math.abs(probabilities[pair]! - 0.5);
    const pairs = probabilities.map((_, pair) => pair)
      .sort((a, b) => surety(a) - surety(b));
    const right = pairs.filter(isRight).slice(0, EXAMPLES);
    const wrong = pairs.filter((pair) => !isRight(pair)).reverse();
    const size = images.data.length / (2 * targets.data.length);
    const pixels = (at: number) =>
      Array.from(images.data.subarray(at * size, (at + 1) * size));
    return {
      variant: this.#variant.name,
      round: this.#round,
      history: this.#history,
      confusion,
      examples: [...wrong.slice(0, EXAMPLES), ...right].map((pair) => ({
        images: [pixels(2 * pair), pixels(2 * pair + 1)],
        digits: [classes.data[2 * pair]!, classes.data[2 * pair + 1]!] as const,
        seen: [seen[2 * pair]!, seen[2 * pair + 1]!] as const,
        probability: probabilities[pair]!,
        right: isRight(pair),
      })),
    };
  }

  /** What the bits of the rest of the round depend on. */
  get #parts(): CheckpointParts {
    return {
      network: this.#network,
      optimizer: this.#optimizer,
      schedule: this.#schedule,
      loader: this.#loader,
      loss: this.#loss,
      accuracy: this.#accuracy,
    };
  }

  /** Goes to where the round was saved. */
  async restore({ bytes, progress }: Saved): Promise<void> {
    await readCheckpoint(bytes, this.#parts);
    this.#history = [...progress.history];
  }

  async #save(): Promise<void> {
    const { checkpoints } = this.#run.environment;
    if (checkpoints === undefined) return;
    const { done, steps, best, model, seconds } = this.#run;
    const progress: Progress = {
      variant: this.#variant.name,
      round: this.#round,
      history: this.#history,
      done,
      steps,
      best,
      model: model.toBase64(),
      seconds: seconds(),
    };
    await checkpoints.write(await writeCheckpoint(this.#parts, progress));
  }
}

/** 1 for each pair told right, else 0. */
function rightOnes(said: Comparison, targets: Tensor): Tensor {
  return said.probability.gt(0.5).eq(targets.gt(0.5)).cast("float32");
}
