/**
 * The training behind the siamese task: rounds of epochs of steps, evaluation,
 * and checkpoints from which a run goes on with the same bits.
 *
 * @module
 */
import {
  type Collated,
  DataLoader,
  defaultCollate,
  type DigitPair,
  type DigitPairs,
  pairedAnew,
  type Tensors,
  toTensors,
} from "@heddle/data";
import { bce, crossEntropy } from "@heddle/losses";
import {
  Adam,
  fit,
  type FitEpoch,
  type FitState,
  type FitStep,
  readCheckpointState,
  StepLR,
  writeSafetensors,
} from "@heddle/nn";
import {
  compile,
  Generator,
  noGrad,
  realize,
  Scope,
  stack,
} from "@heddle/tensor";
import { SiameseNetwork } from "./_siamese_network.ts";
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
/** The source of digits that are no files. */
const DRAWN = "generated";
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
  source: string,
  drawPairs: (round: number) => RoundData,
  environment: SiameseEnvironment,
): Promise<RunState> {
  const variants = VARIANTS.filter((variant) =>
    settings.compare ||
    (variant.weightSharing === settings.weightSharing &&
      variant.auxiliary === settings.auxiliary)
  );
  const begun = performance.now();
  const saved = await lastCheckpoint(environment, source);
  const before = saved?.progress.seconds ?? 0;
  const run: Run = {
    settings,
    source,
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
      const bytes = saved && isThis(saved.progress) ? saved.bytes : undefined;
      run.done.push(await training.run(bytes));
    }
  }
  const { done, steps, model } = run;
  return { done, steps, model, seconds: run.seconds() };
}

/** What a checkpoint says beside the round at work. */
interface Progress {
  /** The round at work. */
  readonly variant: string;
  readonly round: number;
  /** Where the digits came from. */
  readonly source: string;
  /** What all rounds before it have left. */
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
  source: string,
): Promise<Saved | undefined> {
  const bytes = await checkpoints?.read();
  if (bytes === undefined) return undefined;
  const { own } = readCheckpointState(bytes) as FitState;
  const progress = own as Progress;
  // A folder may have moved; drawn digits are never those of a folder.
  const wasDrawn = progress.source === DRAWN;
  if (wasDrawn !== (source === DRAWN)) {
    throw new Error(
      `siamese: the run was begun with ${
        wasDrawn ? "drawn digits" : `MNIST from ${progress.source}`
      }: got ${wasDrawn ? `MNIST from ${source}` : "drawn digits"}: name the ` +
        "same --data as then",
    );
  }
  return { bytes, progress };
}

/** What the rounds of a run share. */
interface Run {
  readonly settings: SiameseSettings;
  readonly source: string;
  readonly environment: SiameseEnvironment;
  readonly done: RoundResult[];
  /** Steps of the rounds that are done. */
  steps: number;
  /** The best test accuracy of all rounds, and the weights that gave it. */
  best: number;
  model: Uint8Array;
  readonly seconds: () => number;
}

type Batch = Tensors<Collated<DigitPair>>;
type Loader = DataLoader<DigitPair, Batch>;

class Round {
  readonly #run: Run;
  readonly #variant: Variant;
  readonly #round: number;
  readonly #data: RoundData;
  readonly #network: SiameseNetwork;
  readonly #optimizer: Adam;
  readonly #schedule: StepLR;
  readonly #loader: Loader;
  readonly #testLoader: Loader;
  readonly #trainStep = compile((batch: Batch) => {
    const metrics = this.#metrics(batch);
    metrics.loss.backward();
    this.#optimizer.step();
    return metrics;
  }, { name: "train" });
  readonly #testStep = compile(
    (batch: Batch) => this.#metrics(batch),
    { name: "test" },
  );

  constructor(run: Run, variant: Variant, round: number, data: RoundData) {
    const { settings } = run;
    this.#run = run;
    this.#variant = variant;
    this.#round = round;
    this.#data = data;
    // Every variant starts a round from the same numbers.
    this.#network = new SiameseNetwork({
      ...settings,
      weightSharing: variant.weightSharing,
      generator: new Generator(settings.seed * 100_003 + round),
    });
    const { learningRate, batch, seed, augment } = settings;
    this.#optimizer = new Adam(this.#network.parameters(), { learningRate });
    this.#schedule = new StepLR(this.#optimizer, { stepSize: 1, gamma: 0.9 });
    const collate = (pairs: readonly DigitPair[]) =>
      toTensors(defaultCollate(pairs));
    this.#loader = new DataLoader(
      augment ? pairedAnew(data.train, seed + round) : data.train,
      { batchSize: batch, shuffle: true, seed: seed + round, collate },
    );
    this.#testLoader = new DataLoader(data.test, {
      batchSize: TEST_BATCH,
      collate,
    });
  }

  /** Trains, from a checkpoint of this round if there is one. */
  async run(saved: Uint8Array | undefined): Promise<RoundResult> {
    const { settings, environment } = this.#run;
    const { checkpoints, saveEvery = 5 } = environment;
    const checkpoint = checkpoints && {
      store: {
        read: () => Promise.resolve(saved),
        write: (bytes: Uint8Array) => checkpoints.write(bytes),
      },
      parts: {
        network: this.#network,
        optimizer: this.#optimizer,
        schedule: this.#schedule,
      },
      everyEpochs: saveEvery,
      state: () => this.#progress(),
    };
    const { history, stopped, totalSteps } = await fit(
      this.#trainStep,
      this.#loader,
      {
        epochs: settings.epochs,
        model: this.#network,
        schedule: this.#schedule,
        evaluation: { step: this.#testStep, loader: this.#testLoader },
        onStep: (step) => this.#onStep(step),
        onEpoch: (epoch) => this.#onEpoch(this.#epochOf(epoch)),
        ...checkpoint ? { checkpoint } : {},
      },
    );
    if (stopped === "callback") {
      throw new SiameseStopped("siamese: stopped on request");
    }
    this.#run.steps += totalSteps;
    return await this.#finish(history.map((epoch) => this.#epochOf(epoch)));
  }

  #metrics({ images, targets, classes }: Batch) {
    const said = this.#network.forward(images);
    const comparison = bce(said.probability, targets);
    const accuracy = said.probability.gt(0.5).eq(targets.gt(0.5)); // [batch]
    if (!this.#variant.auxiliary) return { loss: comparison, accuracy };
    const { alpha } = this.#run.settings;
    const digits = crossEntropy(said.first, classes.slice(null, 0))
      .add(crossEntropy(said.second, classes.slice(null, 1)));
    const loss = digits.mul((1 - alpha) / 2).add(comparison.mul(alpha));
    return { loss, accuracy };
  }

  #epochOf({ epoch, metrics, evaluation }: FitEpoch): SiameseEpoch {
    return {
      round: this.#round,
      epoch,
      trainLoss: metrics["loss"]!,
      trainAccuracy: metrics["accuracy"]!,
      testLoss: evaluation!["loss"]!,
      testAccuracy: evaluation!["accuracy"]!,
    };
  }

  #onStep({ epoch, step, metrics, evaluation }: FitStep): "stop" | undefined {
    const { environment } = this.#run;
    environment.onStep?.({
      variant: this.#variant.name,
      round: this.#round,
      epoch,
      step,
      steps: this.#loader.length,
      loss: metrics["loss"],
      accuracy: evaluation?.["accuracy"],
    });
    return environment.stop?.requested ? "stop" : undefined;
  }

  async #onEpoch(epoch: SiameseEpoch): Promise<void> {
    const { environment, settings, best } = this.#run;
    if (epoch.testAccuracy > best) {
      this.#run.best = epoch.testAccuracy;
      this.#run.model = await writeSafetensors(this.#network.stateDict(), {
        task: "siamese",
        variant: this.#variant.name,
        settings: JSON.stringify(settings),
      });
      await environment.onBest?.(this.#run.model);
    }
    await environment.onEpoch?.(epoch, this.#variant.name);
  }

  #progress(): Progress {
    const { source, done, steps, best, model, seconds } = this.#run;
    return {
      variant: this.#variant.name,
      round: this.#round,
      source,
      done,
      steps,
      best,
      model: model.toBase64(),
      seconds: seconds(),
    };
  }

  /** What the network says of all test pairs. */
  async #predict(): Promise<{ probabilities: number[]; seen: number[] }> {
    const probabilities: number[] = [];
    const seen: number[] = [];
    this.#network.eval();
    for await (const { images } of this.#testLoader) {
      using _scope = new Scope();
      const said = noGrad(() => this.#network.forward(images));
      const logits = stack([said.first, said.second], 1); // [batch, 2, 10]
      const classes = logits.argmax({ axis: 2 });
      await realize(said.probability, classes);
      probabilities.push(...await said.probability.data());
      seen.push(...await classes.data());
      await yieldToEventLoop();
    }
    return { probabilities, seen };
  }

  /** Which digits the branches took for which, and a few pairs. */
  async #finish(history: readonly SiameseEpoch[]): Promise<RoundResult> {
    const { probabilities, seen } = await this.#predict();
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
      history,
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
}
