/**
 * Monte Carlo π, every way: a plain loop, compiled functions, tensors, threads
 * and workers; and what goes wrong where work is spread.
 *
 * `deno task pi --help` tells how it is run; {@link pi} is the same from code.
 *
 * @module
 */
import { Pool } from "@heddle/data/pool";
import { type Device, openDevice } from "@heddle/tensor";
import { Random } from "@heddle/tensor/jit";
import { defineCommand, type OptionValues } from "./_command.ts";
import { runCommand } from "./_main.ts";
import { converge, type PiConvergence } from "./_pi_convergence.ts";
import { measure } from "./_pi_measure.ts";
import {
  mapCosines,
  type PiCosines,
  type PiFiles,
  readFiles,
} from "./_pi_parallel.ts";
import { type PiRace, race } from "./_pi_race.ts";
import { piReport } from "./_pi_report.ts";
import { resultLines, wayLines } from "./_pi_table.ts";
import { loops, plural, pooled, range, tensors, type Way } from "./_pi_ways.ts";
import { writeText } from "./_process.ts";
import { Progress } from "./_progress.ts";
import { RunFolder, unusedFolder } from "./_run_folder.ts";
import { completeSettings } from "./_settings.ts";
import { StopRequest, yieldToEventLoop } from "./_signals.ts";

export type { PiConvergence, PiCosines, PiFiles, PiRace };

/** Settings of a run; each has the default that `--help` names. */
export interface PiSettings {
  /** How many points each way counts. */
  readonly points: number;
  /** The devices of the tensors; `all` takes a GPU too if there is one. */
  readonly device: "all" | "wasm" | "webgpu";
  /** Workers of the pool, and threads of WebAssembly. */
  readonly workers: number;
  /** Seconds after which a way that is not done is stopped. */
  readonly limit: number;
  /** What the points are drawn from. */
  readonly seed: number;
}

/** One way to compute π, and what came of it. */
export interface PiWay {
  /** As `plain loop`. */
  readonly name: string;
  /** What ran it, as `webgpu`. */
  readonly where: string;
  /** Points counted; fewer than asked for if the time was over. */
  readonly points: number;
  /** How many of them lie inside. */
  readonly inside: number;
  /** `4 * inside / points`. */
  readonly estimate: number;
  /** `estimate - π`. */
  readonly error: number;
  /** Milliseconds for 100,000 points, without the first call. */
  readonly ms: number;
  /** How many times as fast as the plain loop. */
  readonly ratio: number;
  /** Milliseconds of the first call, which compiles and starts workers. */
  readonly firstMs: number;
}

/** The kernels of the compiled tensors. */
export interface PiKernels {
  /** The device. */
  readonly where: string;
  /** What `explain()` says of 100,000 points. */
  readonly text: string;
}

/** A few points, to look at. */
export interface PiPoints {
  /** From 0 to 1. */
  readonly x: readonly number[];
  /** From 0 to 1. */
  readonly y: readonly number[];
}

/** What a run found. */
export interface PiResult {
  /** Always `pi`. */
  readonly task: "pi";
  /** The settings it ran with. */
  readonly settings: PiSettings;
  /** The devices by name, each with its hardware. */
  readonly devices: Readonly<Record<string, string>>;
  /** The ways, the plain loop first. */
  readonly ways: readonly PiWay[];
  /** The kernels of the compiled tensors, by device. */
  readonly kernels: readonly PiKernels[];
  /** How the error falls. */
  readonly convergence: PiConvergence;
  /** Some of the points. */
  readonly scatter: PiPoints;
  /** Where spreading work loses. */
  readonly cosines: PiCosines;
  /** Where it wins. */
  readonly files: PiFiles;
  /** Where it goes wrong. */
  readonly race: PiRace;
  /** Seconds that it took. */
  readonly seconds: number;
}

/** How far a run is. */
export interface PiStep {
  /** What is being done. */
  readonly name: string;
  /** From 1. */
  readonly part: number;
  /** Parts in all. */
  readonly parts: number;
  /** The share of the part that is done, 0 to 1. */
  readonly share: number;
}

/** What a run calls while it goes on. */
export interface PiEnvironment {
  /** Called with a line of text for the user. */
  readonly onMessage?: ((text: string) => void) | undefined;
  /** Called many times a second. */
  readonly onStep?: ((step: PiStep) => void) | undefined;
  /** Asks the run to stop. */
  readonly stop?: { readonly requested: boolean } | undefined;
}

/** The run was asked to stop. */
export class PiStopped extends Error {
  /** Always `PiStopped`. */
  override name = "PiStopped";
}

const SETTINGS = {
  points: {
    type: "int",
    default: 10_000_000,
    defaultText: "10 million",
    min: 1,
    max: 1e12,
    help: "how many points each way counts, as 1e9",
  },
  device: {
    type: "enum",
    choices: ["all", "wasm", "webgpu"],
    default: "all",
    help: "where tensors are computed; all takes a GPU too if there is one",
  },
  workers: {
    type: "int",
    min: 1,
    max: 256,
    defaultText: "one for each core",
    help: "workers of the pool, and threads of WebAssembly",
  },
  limit: {
    type: "number",
    default: 10,
    above: 0,
    help: "seconds after which a way that is not done is stopped",
  },
  seed: {
    type: "int",
    default: 0,
    min: 0,
    help: "what the points are drawn from",
  },
} as const;

/** Points of the scatter chart. */
const SCATTER = 3000;

/**
 * Computes π in every way, and shows where spreading work over workers loses,
 * wins, and goes wrong.
 *
 * Points lie in the unit square; a share of π/4 of them lies inside the quarter
 * of a circle. The estimate from n points has a standard deviation of
 * `√(π (4 - π) / n)`, about `1.64 / √n`.
 *
 * @param settings What differs from the defaults.
 * @param environment What to call while it runs.
 * @returns What it found.
 * @throws {TypeError} For an unknown setting or a wrong type.
 * @throws {RangeError} For a setting out of range.
 * @throws {PiStopped} If `environment.stop` asked for it.
 *
 * @example A short run
 * ```ts ignore
 * import { pi } from "@heddle/tasks";
 *
 * const { ways } = await pi({ points: 1e6, device: "wasm" });
 * for (const { name, ms, estimate } of ways) console.log(name, ms, estimate);
 * ```
 */
export async function pi(
  settings: Partial<PiSettings> = {},
  environment: PiEnvironment = {},
): Promise<PiResult> {
  const start = performance.now();
  const complete = complemented(settings);
  const { points, workers, seed, limit } = complete;
  const devices = await openDevices(complete, environment);
  try {
    const planned: Way[] = [
      ...loops(),
      range(workers),
      ...devices.flatMap((device) => tensors(device, whereOf(device, workers))),
      ...pooled(workers),
    ];
    const parts = new Parts(planned.length + 4, environment);
    const measured = [];
    for (const way of planned) {
      const onPart = parts.next(`${way.name}, ${way.where}`);
      const options = { points, seed, limitMs: 1000 * limit, onPart };
      const found = await measure(way, options);
      measured.push(found);
      if (found.points < points) {
        environment.onMessage?.(
          `${way.name}, ${way.where}: stopped after ${limit} s at ` +
            `${found.points.toLocaleString("en")} points`,
        );
      }
    }
    const [plain] = measured;
    const convergence = await converge(
      points,
      seed,
      parts.next("the error by the number of points"),
    );
    await using pool = new Pool({ workers });
    const cosines = await mapCosines(pool, parts.next("a map of cosines"));
    const files = await readFiles(pool, seed, parts.next("CSV files"));
    const raced = await race(workers, parts.next("a data race"));
    return {
      task: "pi",
      settings: complete,
      devices: Object.fromEntries(
        devices.map(({ name, adapter }) => [name, adapter]),
      ),
      ways: measured.map((way): PiWay => {
        const { explanation: _, ...rest } = way;
        const estimate = 4 * way.inside / way.points;
        const error = estimate - Math.PI;
        return { ...rest, estimate, error, ratio: plain!.ms / way.ms };
      }),
      kernels: measured.flatMap(({ where, explanation: text }) =>
        text === undefined ? [] : [{ where, text }]
      ),
      convergence,
      scatter: drawPoints(seed),
      cosines,
      files,
      race: raced,
      seconds: (performance.now() - start) / 1000,
    };
  } finally {
    for (const device of devices) device.close();
  }
}

function whereOf({ name }: Device, threads: number): string {
  return name === "wasm" ? `wasm, ${plural(threads, "thread")}` : name;
}

function complemented(settings: Partial<PiSettings>): PiSettings {
  const { workers = navigator.hardwareConcurrency, ...rest } = completeSettings(
    "pi",
    SETTINGS,
    settings,
  );
  return { ...rest, workers } as PiSettings;
}

/** The devices there are of those wanted; says which are not there. */
async function openDevices(
  { device, workers }: PiSettings,
  { onMessage }: PiEnvironment,
): Promise<Device[]> {
  const devices: Device[] = [];
  const names = device === "all" ? ["wasm", "webgpu"] as const : [device];
  for (const name of names) {
    try {
      const opened = await openDevice(name, { threads: workers });
      devices.push(opened);
      onMessage?.(`${name}: ${opened.adapter}`);
    } catch (error) {
      if (name !== "webgpu" || !(error instanceof Error)) throw error;
      onMessage?.(`webgpu is left out: ${error.message}`);
    }
  }
  return devices;
}

/** Counts the parts of a run, and stops it between two steps. */
class Parts {
  readonly #parts: number;
  readonly #environment: PiEnvironment;
  #part = 0;

  constructor(parts: number, environment: PiEnvironment) {
    this.#parts = parts;
    this.#environment = environment;
  }

  /** Begins a part; what it gives is to be called between its steps. */
  next(name: string): (share: number) => Promise<void> {
    const part = ++this.#part;
    const { stop, onStep } = this.#environment;
    const step = (share: number) =>
      onStep?.({ name, part, parts: this.#parts, share });
    step(0);
    return async (share) => {
      step(share);
      await yieldToEventLoop();
      if (stop?.requested) throw new PiStopped("pi: stopped on request");
    };
  }
}

/** The first points of a run. */
function drawPoints(seed: number): PiPoints {
  const random = new Random(seed).split(0);
  const [x, y] = [[] as number[], [] as number[]];
  for (let point = 0; point < SCATTER; point++) {
    x.push(random.next());
    y.push(random.next());
  }
  return { x, y };
}

const COMMAND = defineCommand({
  name: "deno task pi",
  summary: "Computes π from random points in every way: a plain loop, the " +
    "same loop compiled, tensors on each device, threads and a pool of " +
    "workers. Then it shows where spreading work loses, where it wins and " +
    "where it goes wrong, and writes a report.",
  options: {
    ...SETTINGS,
    out: {
      type: "string",
      placeholder: "DIR",
      defaultText: "runs/pi-1, -2, …",
      help: "where the results go",
    },
  },
  examples: [
    { args: "", help: "10 million points, in about ten seconds" },
    {
      args: "--points 1e9",
      help: "the fast ways in seconds, the slow in part",
    },
    { args: "--device wasm --workers 4", help: "without a GPU, on 4 threads" },
  ],
});

type Options = OptionValues<typeof COMMAND["options"]>;

async function main({ out: given, ...options }: Options): Promise<number> {
  const settings = complemented(options as Partial<PiSettings>);
  const out = given ?? await unusedFolder("runs/pi");
  const folder = await RunFolder.open({
    path: out,
    task: "pi",
    settings: { ...settings },
  });
  let progress: Progress | undefined;
  const say = (text: string) =>
    progress ? progress.log(text) : writeText(Deno.stderr, `${text}\n`);
  using stop = new StopRequest({ onRequest: () => say("stopping …") });
  try {
    const result = await pi(settings, {
      stop,
      onMessage: say,
      onStep: ({ name, part, parts, share }) => {
        progress ??= new Progress({
          epochs: parts,
          stepsPerEpoch: 100,
          epochName: "part",
          showSteps: false,
        });
        progress.update(part, Math.floor(100 * share), { "": name });
      },
    });
    progress?.finish();
    await folder.write("report.html", await piReport(result));
    const { scatter: _, ...rest } = result;
    await folder.writeResult({ ...rest });
    const lines = [
      ...wayLines(result),
      "",
      ...resultLines(result),
      "",
      `report: ${out}/report.html`,
    ];
    writeText(Deno.stdout, `${lines.join("\n")}\n`);
    return 0;
  } catch (error) {
    progress?.finish();
    if (!(error instanceof PiStopped)) throw error;
    writeText(Deno.stderr, "stopped\n");
    return 1;
  }
}

if (import.meta.main) await runCommand(COMMAND, main);
