/**
 * Which of two handwritten digits is larger: five siamese networks, with and
 * without weight sharing and auxiliary losses.
 *
 * `deno task siamese --help` tells how it is run; {@link siamese} is the same
 * from code.
 *
 * @module
 */
import {
  DataNotFoundError,
  type DigitPairs,
  digitPairs,
  generatedDigits,
  type ImageSplits,
  mnist,
} from "@heddle/data";
import { type DeviceName, openDevice } from "@heddle/tensor";
import { defineCommand, type OptionValues, UsageError } from "./_command.ts";
import { svgToPng } from "./_charts.ts";
import { formatTime } from "./_format.ts";
import { runCommand } from "./_main.ts";
import { Progress } from "./_progress.ts";
import { readRunRecord, RunFolder, unusedFolder } from "./_run_folder.ts";
import { completeSettings } from "./_settings.ts";
import { StopRequest } from "./_signals.ts";
import { spatialPath } from "./_siamese_network.ts";
import {
  curves,
  deviation,
  formatAccuracy,
  mean,
  siameseReport,
  VARIANT_NAMES,
} from "./_siamese_report.ts";
import { type RoundResult, runRounds, type RunState } from "./_siamese_run.ts";

/** Settings of a run; each has the default that `--help` names. */
export interface SiameseSettings {
  /** Which of the five networks. */
  readonly architecture: number;
  /** Kernel size of network 5. */
  readonly kernel: number;
  /** Channels of the first convolution; the second has twice as many. */
  readonly channels: number;
  /** Width of each branch's hidden layer. */
  readonly hidden: number;
  /** Whether both images go through one branch. */
  readonly weightSharing: boolean;
  /** Whether the branches also learn which digits they see. */
  readonly auxiliary: boolean;
  /** Share of the comparison in the loss, 0 to 1; the digits have the rest. */
  readonly alpha: number;
  /** All four of neither, weight sharing, auxiliary losses and both. */
  readonly compare: boolean;
  /** Training pairs, and as many test pairs. */
  readonly pairs: number;
  /** Passes over the training pairs. */
  readonly epochs: number;
  /** Pairs a step. */
  readonly batch: number;
  /** Adam's learning rate; it shrinks by a tenth after each epoch. */
  readonly learningRate: number;
  /** Repetitions with new pairs and new weights. */
  readonly rounds: number;
  /** Pairs the same digits anew in each epoch. */
  readonly augment: boolean;
  /** `unit` divides pixels by 255; `original` keeps them. */
  readonly preset: "unit" | "original";
  /** What pairs, weights and dropout are drawn from. */
  readonly seed: number;
}

/** One epoch of a round. */
export interface SiameseEpoch {
  /** From 1. */
  readonly round: number;
  /** From 1. */
  readonly epoch: number;
  /** Mean loss of the steps, nats, with dropout. */
  readonly trainLoss: number;
  /** Share of the training pairs told right, with dropout. */
  readonly trainAccuracy: number;
  /** Mean loss over all test pairs, nats. */
  readonly testLoss: number;
  /** Share of the test pairs told right. */
  readonly testAccuracy: number;
}

/** A test pair and what the network said. */
export interface SiameseExample {
  /** Pixels of both images, 14 x 14 each. */
  readonly images: readonly Float32Array[];
  /** The digits. */
  readonly digits: readonly [number, number];
  /** The digits that the branches saw. */
  readonly seen: readonly [number, number];
  /** That the first digit <= the second, as the network has it. */
  readonly probability: number;
  /** Whether the comparison is right. */
  readonly right: boolean;
}

/** Mean, standard deviation of a sample, and the values, one a round. */
export interface SiameseSummary {
  /** Mean over the rounds. */
  readonly mean: number;
  /** Standard deviation over the rounds; 0 of one round. */
  readonly sd: number;
  /** One for each round. */
  readonly values: readonly number[];
}

/** The result of one setting of weight sharing and auxiliary losses. */
export interface SiameseVariant {
  /** `none`, `sharing`, `auxiliary` or `both`. */
  readonly name: string;
  /** Share of the test pairs told right after the last epoch. */
  readonly testAccuracy: SiameseSummary;
  /** The epoch with the best test accuracy of all rounds. */
  readonly best: SiameseEpoch;
  /** Share of the test digits that the branches see right. */
  readonly digitAccuracy: number;
  /** `confusion[digit][seen]` over both images of the test pairs. */
  readonly confusion: readonly (readonly number[])[];
  /** All epochs of all rounds. */
  readonly history: readonly SiameseEpoch[];
  /** A few test pairs, right and wrong. */
  readonly examples: readonly SiameseExample[];
}

/** What a run found. */
export interface SiameseResult {
  /** Always `siamese`. */
  readonly task: "siamese";
  /** The device that computed it. */
  readonly device: DeviceName;
  /** Its hardware. */
  readonly adapter: string;
  /** The settings it ran with. */
  readonly settings: SiameseSettings;
  /** Where the digits came from. */
  readonly source: string;
  /** One variant, or four with `compare`. */
  readonly variants: readonly SiameseVariant[];
  /** Seconds that it took, evaluations included. */
  readonly seconds: number;
  /** Training steps a second, evaluations included. */
  readonly stepsPerSecond: number;
  /** The weights of the best epoch, as a safetensors file. */
  readonly model: Uint8Array;
}

/** Where a run's data, device and checkpoints are. */
export interface SiameseEnvironment {
  /**
   * Folder with MNIST.
   * @default the cache, then a download, then drawn digits
   */
  readonly data?: string | undefined;
  /**
   * Which device.
   * @default that of `openDevice`
   */
  readonly device?: DeviceName | "auto" | undefined;
  /** Called after each training step. */
  readonly onStep?: ((step: SiameseStep) => void) | undefined;
  /** Called with a line of text for the user. */
  readonly onMessage?: ((text: string) => void) | undefined;
  /** Called after each epoch. */
  readonly onEpoch?:
    | ((epoch: SiameseEpoch, variant: string) => void | Promise<void>)
    | undefined;
  /** Called with the weights whenever a test accuracy is the best yet. */
  readonly onBest?:
    | ((model: Uint8Array) => void | Promise<void>)
    | undefined;
  /** Keeps checkpoints: what is read is what was written last. */
  readonly checkpoints?: SiameseCheckpoints | undefined;
  /** Epochs between checkpoints. @default 5 */
  readonly saveEvery?: number | undefined;
  /** Asks the run to save and stop. */
  readonly stop?: { readonly requested: boolean } | undefined;
}

/** Where checkpoints are kept. */
export interface SiameseCheckpoints {
  /** The last one, or undefined. */
  read(): Promise<Uint8Array | undefined>;
  /** Keeps one in place of the last. */
  write(checkpoint: Uint8Array): Promise<void>;
}

/** How far a run is. */
export interface SiameseStep {
  /** The variant. */
  readonly variant: string;
  /** From 1. */
  readonly round: number;
  /** From 1. */
  readonly epoch: number;
  /** Steps done in this epoch. */
  readonly step: number;
  /** Steps in each epoch. */
  readonly steps: number;
  /** Mean loss of this epoch's steps as last read, nats. */
  readonly loss: number | undefined;
  /** Test accuracy of the last epoch. */
  readonly accuracy: number | undefined;
}

/** The run was asked to stop, and has saved a checkpoint if it could. */
export class SiameseStopped extends Error {
  /** Always `SiameseStopped`. */
  override name = "SiameseStopped";
}

const NETWORK = "The network";
const TRAINING = "Training";
const RUN = "The run";

const SETTINGS = {
  architecture: {
    type: "int",
    default: 1,
    min: 1,
    max: 5,
    group: NETWORK,
    help: "which of the five networks",
  },
  kernel: {
    type: "int",
    default: 3,
    min: 1,
    group: NETWORK,
    help: "size of the kernels of network 5",
  },
  channels: {
    type: "int",
    default: 24,
    min: 1,
    group: NETWORK,
    help: "channels of the first convolution; the second has twice as many",
  },
  hidden: {
    type: "int",
    default: 300,
    min: 1,
    group: NETWORK,
    help: "width of the hidden layer of a branch",
  },
  weightSharing: {
    type: "boolean",
    default: true,
    group: NETWORK,
    help: "give each image a branch of its own",
  },
  auxiliary: {
    type: "boolean",
    default: true,
    group: NETWORK,
    help: "do not teach the branches which digits they see",
  },
  alpha: {
    type: "number",
    default: 0.5,
    min: 0,
    max: 1,
    group: TRAINING,
    help: "share of the comparison in the loss; the digits have the rest",
  },
  compare: {
    type: "boolean",
    default: false,
    group: TRAINING,
    help: "run neither, weight sharing, auxiliary losses and both",
  },
  pairs: {
    type: "int",
    default: 1000,
    min: 1,
    max: 5000,
    group: TRAINING,
    help: "training pairs, and as many test pairs",
  },
  epochs: {
    type: "int",
    default: 20,
    min: 1,
    group: TRAINING,
    help: "passes over the training pairs",
  },
  batch: {
    type: "int",
    default: 1,
    min: 1,
    group: TRAINING,
    help: "pairs a step",
  },
  learningRate: {
    type: "number",
    default: 1e-3,
    above: 0,
    group: TRAINING,
    help: "Adam's, at first; it shrinks by a tenth after each epoch",
  },
  rounds: {
    type: "int",
    default: 1,
    min: 1,
    group: TRAINING,
    help: "repetitions with new pairs and new weights",
  },
  augment: {
    type: "boolean",
    default: false,
    group: TRAINING,
    help: "pair the same digits anew in each epoch",
  },
  preset: {
    type: "enum",
    choices: ["unit", "original"],
    default: "unit",
    group: TRAINING,
    help: "unit divides pixels by 255; original keeps them",
  },
  seed: {
    type: "int",
    default: 0,
    min: 0,
    group: TRAINING,
    help: "what pairs, weights and dropout are drawn from",
  },
} as const;

/**
 * Trains and tests siamese networks.
 *
 * @param settings What differs from the defaults.
 * @param environment Data, device, and what to call while it runs.
 * @returns What it found.
 * @throws {TypeError} For an unknown setting or a wrong type.
 * @throws {RangeError} For a setting out of range.
 * @throws {Error} If the run to go on with was begun with other digits.
 * @throws {SiameseStopped} If `environment.stop` asked for it.
 *
 * @example A run of two short epochs on drawn digits
 * ```ts ignore
 * import { siamese } from "@heddle/tasks";
 *
 * const { variants: [found] } = await siamese({ pairs: 100, epochs: 2 });
 * console.log(found.testAccuracy.mean);
 * ```
 */
export async function siamese(
  settings: Partial<SiameseSettings> = {},
  environment: SiameseEnvironment = {},
): Promise<SiameseResult> {
  const complete = checkSettings(
    completeSettings("siamese", SETTINGS, settings) as SiameseSettings,
  );
  const digits = await loadDigits(environment);
  const device = await openDevice(environment.device);
  const { name, adapter } = device;
  environment.onMessage?.(`device: ${name} (${adapter})`);
  environment.onMessage?.(`data: ${digits.source}`);
  try {
    const state = await runRounds(
      complete,
      digits.source,
      (round) => drawPairs(digits, complete, round),
      environment,
    );
    return summarize(complete, state, {
      device: name,
      adapter,
      source: digits.source,
    });
  } finally {
    device.close();
  }
}

/** Settings that hold together. */
function checkSettings(settings: SiameseSettings): SiameseSettings {
  spatialPath(settings.architecture, settings.kernel);
  return settings;
}

async function loadDigits(
  environment: SiameseEnvironment,
): Promise<ImageSplits> {
  try {
    return await mnist({ folder: environment.data });
  } catch (error) {
    if (!(error instanceof DataNotFoundError)) throw error;
    environment.onMessage?.(
      (environment.data === undefined
        ? "MNIST was not found in the cache or by download"
        : `MNIST was not found in ${environment.data}, the cache or by download`) +
        ": training on drawn digits instead; --data DIR names a folder that " +
        "holds it",
    );
    return generatedDigits();
  }
}

/** New pairs for each round, none of an image twice. */
function drawPairs(
  { train, test }: ImageSplits,
  { pairs, seed, preset }: SiameseSettings,
  round: number,
): { train: DigitPairs; test: DigitPairs } {
  const options = {
    count: pairs,
    seed: seed * 100_003 + round,
    pixels: preset === "original" ? "byte" as const : "unit" as const,
  };
  return {
    train: digitPairs(train, options),
    test: digitPairs(test, {
      ...options,
      count: Math.min(pairs, test.length >> 1),
    }),
  };
}

function summarize(
  settings: SiameseSettings,
  state: RunState,
  where: { device: DeviceName; adapter: string; source: string },
): SiameseResult {
  const names = [...new Set(state.done.map(({ variant }) => variant))];
  const variants = names.map((name): SiameseVariant => {
    const rounds = state.done.filter(({ variant }) => variant === name);
    const last = rounds.at(-1)!;
    const history = rounds.flatMap((round) => round.history);
    const values = rounds.map((round) => round.history.at(-1)!.testAccuracy);
    const confusion = addUp(rounds);
    const right = confusion.reduce((sum, row, digit) => sum + row[digit]!, 0);
    const all = confusion.flat().reduce((a, b) => a + b, 0);
    return {
      name,
      testAccuracy: { mean: mean(values), sd: deviation(values), values },
      best: history.reduce((a, b) => b.testAccuracy > a.testAccuracy ? b : a),
      digitAccuracy: right / all,
      confusion,
      history,
      examples: last.examples.map((example) => ({
        ...example,
        images: example.images.map((pixels) => Float32Array.from(pixels)),
      })),
    };
  });
  return {
    task: "siamese",
    ...where,
    settings,
    variants,
    seconds: state.seconds,
    stepsPerSecond: state.steps / state.seconds,
    model: state.model,
  };
}

function addUp(rounds: readonly RoundResult[]): number[][] {
  const sum = Array.from({ length: 10 }, () => new Array<number>(10).fill(0));
  for (const { confusion } of rounds) {
    confusion.forEach((row, digit) =>
      row.forEach((count, seen) => sum[digit]![seen]! += count)
    );
  }
  return sum;
}

const COMMAND = defineCommand({
  name: "deno task siamese",
  summary: "Trains siamese networks to tell which of two handwritten digits " +
    "is larger, on pairs of MNIST digits, and writes a report.",
  options: {
    ...SETTINGS,
    device: {
      type: "enum",
      choices: ["auto", "webgpu", "wasm"],
      default: "auto",
      group: RUN,
      help: "what computes; auto takes a GPU if there is one",
    },
    data: {
      type: "string",
      placeholder: "DIR",
      defaultText: "the cache, then a download, then drawn digits",
      group: RUN,
      help: "folder with the MNIST files",
    },
    out: {
      type: "string",
      placeholder: "DIR",
      defaultText: "runs/siamese-1, -2, …",
      group: RUN,
      help: "where the results go",
    },
    saveEvery: {
      type: "int",
      default: 5,
      min: 1,
      group: RUN,
      help: "epochs between checkpoints",
    },
    resume: {
      type: "boolean",
      default: false,
      group: RUN,
      help: "go on with the run in --out",
    },
  },
  examples: [
    { args: "--data ~/mnist", help: "20 epochs on 1000 pairs" },
    { args: "--compare --rounds 10", help: "what each ingredient is worth" },
    { args: "--augment --epochs 200", help: "the best result" },
  ],
});

type Options = OptionValues<typeof COMMAND["options"]>;

const CHECKPOINT = "checkpoint.safetensors";

function settingsOf(options: Options): SiameseSettings {
  const names = Object.keys(SETTINGS) as (keyof SiameseSettings)[];
  const entries = names.map((name) => [name, options[name]]);
  try {
    return checkSettings(Object.fromEntries(entries) as SiameseSettings);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new UsageError(`--${error.message}`, `Try ${COMMAND.name} --help`);
  }
}

async function main(
  given: Options,
  withDefaults: (defaults: Readonly<Record<string, unknown>>) => Options,
): Promise<number> {
  if (given.resume && given.out === undefined) {
    throw new UsageError("--resume: which run? Name its folder with --out");
  }
  const out = given.out ?? await unusedFolder("runs/siamese");
  const options = given.resume
    ? withDefaults((await readRunRecord(out, "siamese")).settings)
    : given;
  const settings = settingsOf(options);
  const folder = await RunFolder.open({
    path: out,
    task: "siamese",
    settings: { ...settings },
    resume: options.resume,
    mayDiffer: ["epochs", "rounds"],
  });
  // What the last checkpoint does not hold is computed, and written, again.
  let history = options.resume ? await folder.readHistory() : [];
  let progress: Progress | undefined;
  let shown = "";
  const say = (text: string) =>
    progress ? progress.log(text) : writeLine(Deno.stderr, text);
  using stop = new StopRequest({
    onRequest: () => say("stopping: saving a checkpoint …"),
  });
  const command = [
    COMMAND.name,
    ...options.data === undefined ? [] : [`--data ${options.data}`],
    ...options.device === "auto" ? [] : [`--device ${options.device}`],
    `--out ${out} --resume`,
  ].join(" ");
  try {
    const result = await siamese(settings, {
      data: options.data,
      device: options.device as DeviceName | "auto",
      saveEvery: options.saveEvery,
      stop,
      onMessage: say,
      onStep: ({ variant, round, epoch, step, steps, loss, accuracy }) => {
        const label = [
          settings.compare ? VARIANT_NAMES[variant] : "",
          settings.rounds > 1 ? `round ${round}/${settings.rounds}` : "",
        ].filter(Boolean).join(", ");
        if (progress === undefined || label !== shown) {
          progress?.finish();
          const { epochs } = settings;
          progress = new Progress({
            epochs,
            stepsPerEpoch: steps,
            label,
            epochsDone: epoch - 1,
          });
          shown = label;
        }
        progress.update(epoch, step, { loss, accuracy });
      },
      onEpoch: async (epoch, variant) => {
        const again = history.findIndex((row) =>
          row["variant"] === variant && row["round"] === epoch.round &&
          row["epoch"] === epoch.epoch
        );
        if (again >= 0) history = history.slice(0, again);
        history.push({ variant, ...epoch });
        await folder.writeHistory(history);
      },
      onBest: (model) => folder.write("model.safetensors", model),
      checkpoints: {
        read: () => readIfThere(folder.file(CHECKPOINT)),
        write: (bytes) => folder.write(CHECKPOINT, bytes),
      },
    });
    progress?.finish();
    await writeResults(folder, result);
    await printResults(result, out);
    return 0;
  } catch (error) {
    progress?.finish();
    if (!(error instanceof SiameseStopped)) throw error;
    writeLine(Deno.stderr, `stopped; go on with: ${command}`);
    return 1;
  }
}

async function writeResults(
  folder: RunFolder,
  result: SiameseResult,
): Promise<void> {
  const { model, variants, settings, ...rest } = result;
  const main = variants.at(-1)!;
  await folder.write("model.safetensors", model);
  const chart = await curves(result);
  await folder.write("curves.svg", chart.svg);
  await folder.write("curves.png", await svgToPng(chart));
  await folder.write("report.html", await siameseReport(result, chart));
  await folder.writeHistory(
    variants.flatMap(({ name, history }) =>
      history.map((epoch) => ({ variant: name, ...epoch }))
    ),
  );
  const metricsOf = (
    { testAccuracy, best, digitAccuracy }: SiameseVariant,
  ) => ({
    testAccuracy,
    best,
    digitAccuracy,
  });
  await folder.writeResult({
    ...rest,
    seed: settings.seed,
    settings,
    metrics: metricsOf(main),
    ...variants.length > 1
      ? {
        variants: Object.fromEntries(
          variants.map((variant) => [variant.name, metricsOf(variant)]),
        ),
      }
      : {},
  });
}

function printResults(result: SiameseResult, out: string): void {
  const { variants, settings, seconds, stepsPerSecond } = result;
  const lines: string[] = [];
  if (variants.length > 1) {
    lines.push("variant           test accuracy      best epoch");
    for (const { name, testAccuracy, best } of variants) {
      lines.push(
        `${VARIANT_NAMES[name]!.padEnd(16)}  ${
          formatAccuracy(testAccuracy, settings.rounds).padEnd(17)
        }  ${(100 * best.testAccuracy).toFixed(2)} %`,
      );
    }
  } else {
    const { testAccuracy, best } = variants[0]!;
    lines.push(
      `test accuracy ${
        formatAccuracy(testAccuracy, settings.rounds)
      } after epoch ${settings.epochs}, best ${
        (100 * best.testAccuracy).toFixed(2)
      } % in epoch ${best.epoch}`,
    );
  }
  lines.push(
    `${formatTime(1000 * seconds)}, ${stepsPerSecond.toFixed(1)} steps/s; ` +
      `report: ${out}/report.html`,
  );
  for (const line of lines) writeLine(Deno.stdout, line);
}

function writeLine(
  stream: { writeSync(bytes: Uint8Array): number },
  text: string,
): void {
  stream.writeSync(new TextEncoder().encode(`${text}\n`));
}

async function readIfThere(path: string): Promise<Uint8Array | undefined> {
  try {
    return await Deno.readFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

if (import.meta.main) await runCommand(COMMAND, main);
