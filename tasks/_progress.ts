/**
 * One line that says how far a training run is.
 *
 * @module
 */
import { drawBar, formatMetric, formatRate, formatTime } from "./_format.ts";
import { environment, terminalColumns, writeText } from "./_process.ts";

/** Where progress is written; tests give their own. */
export interface ProgressWriter {
  write(text: string): void;
  /** Whether a line can be redrawn. */
  readonly isTerminal: boolean;
  /** Width now; terminals change it. */
  columns(): number;
  /** Whether the bar may use characters outside of ASCII. */
  readonly unicode: boolean;
}

/** How long the run is and how it is shown. */
export interface ProgressOptions {
  readonly epochs: number;
  readonly stepsPerEpoch: number;
  /** Stands in front, as `round 3/10`. */
  readonly label?: string;
  /** What an epoch is called. @default "epoch" */
  readonly epochName?: string;
  /** Whether steps and their rate are shown. @default true */
  readonly showSteps?: boolean;
  /** Epochs done before, in a run that is resumed. @default 0 */
  readonly epochsDone?: number;
  /** Milliseconds between redraws on a terminal. @default 100 */
  readonly redrawMs?: number;
  /** Milliseconds between plain lines inside an epoch. @default 10000 */
  readonly plainMs?: number;
  /** @default stderr */
  readonly writer?: ProgressWriter;
  /** Milliseconds from any origin. @default performance.now */
  readonly clock?: () => number;
}

/**
 * Values to show by name, or alone if that is empty; those named `accuracy` are
 * shown in percent.
 */
export type Metrics = Readonly<Record<string, number | string | undefined>>;

/** The rate shown follows the last seconds, with this time constant. */
const RATE_MS = 3000;
/** In less time than this there is no rate to speak of. */
const LEAST_RATE_MS = 250;
/** Plain lines at ends of epochs come at most this often. */
const PLAIN_EPOCH_MS = 1000;

/**
 * Shows epoch, metrics, steps per second, time left and a bar, redrawn in
 * place on a terminal; where there is none, a plain line now and then: after
 * an epoch, but not more than one a second, and every 10 s in longer ones.
 *
 * @example Around a training loop
 * ```ts ignore
 * using progress = new Progress({ epochs: 20, stepsPerEpoch: 40 });
 * for (let epoch = 1; epoch <= 20; epoch++) {
 *   for (let step = 1; step <= 40; step++) {
 *     progress.update(epoch, step, { loss: 0.5, accuracy: 0.9 });
 *   }
 * }
 * ```
 */
export class Progress implements Disposable {
  readonly #options: Required<ProgressOptions>;
  readonly #stepsBefore: number;
  readonly #start: number;
  #metrics: Metrics = {};
  #epoch: number;
  #step = 0;
  #rate: number | undefined;
  #rateAt: number;
  #rateSteps: number;
  #shownAt: number;
  #shown: string | undefined;
  #shownSteps = -1;
  #finished = false;

  constructor(options: ProgressOptions) {
    this.#options = {
      label: "",
      epochName: "epoch",
      showSteps: true,
      epochsDone: 0,
      redrawMs: 100,
      plainMs: 10_000,
      writer: stderrWriter(),
      clock: () => performance.now(),
      ...options,
    };
    this.#epoch = this.#options.epochsDone + 1;
    this.#stepsBefore = this.#options.epochsDone * options.stepsPerEpoch;
    this.#start = this.#options.clock();
    this.#rateAt = this.#start;
    this.#rateSteps = this.#stepsBefore;
    // So that the end of a short first epoch gives a plain line.
    this.#shownAt = this.#options.writer.isTerminal
      ? -Infinity
      : this.#start - PLAIN_EPOCH_MS;
  }

  /**
   * Says where the run is. Cheap: most calls draw nothing.
   *
   * @param epoch From 1.
   * @param step Steps done in this epoch.
   * @param metrics New values; the others stay as they were.
   */
  update(epoch: number, step: number, metrics?: Metrics): void {
    this.#epoch = epoch;
    this.#step = step;
    if (metrics) this.#metrics = { ...this.#metrics, ...metrics };
    const { writer, clock, redrawMs, plainMs, stepsPerEpoch } = this.#options;
    const now = clock();
    const since = now - this.#shownAt;
    if (writer.isTerminal) {
      if (since >= redrawMs) this.#draw(now);
    } else if (
      since >= (step >= stepsPerEpoch ? PLAIN_EPOCH_MS : plainMs)
    ) {
      this.#draw(now);
    }
  }

  /** Prints a line of its own, above the progress line. */
  log(text: string): void {
    const { writer, clock } = this.#options;
    if (!writer.isTerminal || this.#shown === undefined || this.#finished) {
      writer.write(`${text}\n`);
    } else {
      writer.write(`\r\x1b[K${text}\n`);
      this.#shown = undefined;
      this.#draw(clock());
    }
  }

  /** Draws the last state for good. Further updates draw nothing. */
  finish(): void {
    if (this.#finished) return;
    const { writer, clock } = this.#options;
    const stands = !writer.isTerminal && this.#shownSteps === this.#done();
    if (this.#done() > this.#stepsBefore && !stands) this.#draw(clock());
    if (writer.isTerminal && this.#shown !== undefined) writer.write("\n");
    this.#finished = true;
  }

  /** Finishes the line, whatever happened. */
  [Symbol.dispose](): void {
    this.finish();
  }

  /** Steps done in the whole run. */
  #done(): number {
    return (this.#epoch - 1) * this.#options.stepsPerEpoch + this.#step;
  }

  #draw(now: number): void {
    if (this.#finished) return;
    this.#follow(now);
    this.#shownAt = now;
    this.#shownSteps = this.#done();
    const { writer } = this.#options;
    const text = writer.isTerminal
      ? this.#bar(Math.max(writer.columns() - 1, 1))
      : this.#fields().map(([field]) => field).join("  ");
    if (text === this.#shown) return;
    this.#shown = text;
    writer.write(writer.isTerminal ? `\r${text}\x1b[K` : `${text}\n`);
  }

  /** Moves the rate towards the steps per second since it was last moved. */
  #follow(now: number): void {
    const steps = this.#done() - this.#rateSteps;
    const passed = now - this.#rateAt;
    if (steps <= 0 || passed < LEAST_RATE_MS) return;
    const latest = steps / passed * 1000;
    const weight = 1 - Math.exp(-passed / RATE_MS);
    this.#rate = this.#rate === undefined
      ? latest
      : this.#rate + weight * (latest - this.#rate);
    this.#rateAt = now;
    this.#rateSteps = this.#done();
  }

  /** What the line says, each with its rank: higher ranks go first. */
  #fields(): [text: string, rank: number][] {
    const { label, epochs, stepsPerEpoch, writer } = this.#options;
    const { epochName, showSteps } = this.#options;
    const done = this.#done() - this.#stepsBefore;
    const total = epochs * stepsPerEpoch;
    const fields: [string, number][] = [];
    if (label) fields.push([label, 3]);
    fields.push([`${epochName} ${this.#epoch}/${epochs}`, 0]);
    if (showSteps && (!writer.isTerminal || stepsPerEpoch >= 200)) {
      fields.push([`step ${this.#step}/${stepsPerEpoch}`, 1]);
    }
    for (const [i, [name, value]] of Object.entries(this.#metrics).entries()) {
      if (value === undefined) continue;
      const text = `${name} ${formatMetric(name, value)}`.trimStart();
      fields.push([text, i === 0 ? 1 : 2]);
    }
    if (showSteps && this.#rate !== undefined) {
      fields.push([formatRate(this.#rate), 5]);
    }
    // Over the whole run, so that evaluations and saving count as well.
    const passed = this.#options.clock() - this.#start;
    const left = total - this.#done();
    if (done > 0 && (left === 0 || passed >= LEAST_RATE_MS)) {
      fields.push(
        left > 0
          ? [`${formatTime(passed / done * left)} left`, 4]
          : [`in ${formatTime(passed)}`, 4],
      );
    }
    return fields;
  }

  /** The fields that fit and, where there is room, a bar and the percentage. */
  #bar(width: number): string {
    const { epochs, stepsPerEpoch, writer, label } = this.#options;
    const share = this.#done() / Math.max(epochs * stepsPerEpoch, 1);
    const percent = `${Math.floor(Math.min(share, 1) * 100)}%`.padStart(4);
    const fields = this.#fields();
    const lengthOf = () =>
      fields.reduce((sum, [text]) => sum + text.length + 2, -2);
    for (let rank = 5; rank > 0; rank--) {
      while (lengthOf() > width) {
        const at = fields.findLastIndex((field) => field[1] === rank);
        if (at < 0) break;
        fields.splice(at, 1);
      }
    }
    const room = width - lengthOf() - percent.length - 3;
    if (room >= 6) {
      const bar = drawBar(share, Math.min(room, 24), writer.unicode);
      const after = label && fields[0]?.[0] === label ? 2 : 1;
      fields.splice(after, 0, [`${bar} ${percent}`, 0]);
    }
    return fields.map(([text]) => text).join("  ").slice(0, width);
  }
}

/** Standard error, where progress does not mix with results. */
function stderrWriter(): ProgressWriter {
  const locale = environment("LC_ALL") || environment("LC_CTYPE") ||
    environment("LANG") || "UTF-8";
  return {
    isTerminal: Deno.stderr.isTerminal() && environment("TERM") !== "dumb",
    unicode: /utf-?8/i.test(locale),
    columns: () => terminalColumns() ?? 80,
    write: (text) => writeText(Deno.stderr, text),
  };
}
