/**
 * The report of a siamese run: curves, the confusion of the digits, examples.
 *
 * @module
 */
import {
  type Chart,
  confusionChart,
  lineChart,
  type Series,
  sideBySide,
} from "./_charts.ts";
import {
  type Block,
  type GalleryItem,
  renderReport,
  type Section,
} from "./_report.ts";
import { formatTime } from "./_format.ts";
import type {
  SiameseEpoch,
  SiameseExample,
  SiameseResult,
  SiameseVariant,
} from "./siamese.ts";

const percent = (fraction: number) => `${(100 * fraction).toFixed(2)} %`;

/** `94.84 % ± 0.80` */
export function formatAccuracy(
  { mean, sd }: { mean: number; sd: number },
  rounds: number,
): string {
  return rounds > 1
    ? `${percent(mean)} ± ${(100 * sd).toFixed(2)}`
    : percent(mean);
}

/** The variants of a comparison in words. */
export const VARIANT_NAMES: Readonly<Record<string, string>> = {
  none: "neither",
  sharing: "weight sharing",
  auxiliary: "auxiliary losses",
  both: "both",
};

/** Without auxiliary losses nothing teaches the branches to name digits. */
function namesDigits({ name }: SiameseVariant): boolean {
  return name === "auxiliary" || name === "both";
}

/** Loss and accuracy over the epochs, with the spread over the rounds. */
export async function curves(result: SiameseResult): Promise<Chart> {
  const single = result.variants.length === 1;
  const over = (
    pick: (epoch: SiameseEpoch) => number,
    { history }: SiameseVariant,
  ) => {
    const epochs = Math.max(0, ...history.map(({ epoch }) => epoch));
    const at = Array.from(
      { length: epochs },
      (_, epoch) => history.filter((row) => row.epoch === epoch + 1).map(pick),
    );
    return {
      values: at.map(mean),
      ...(result.settings.rounds > 1 ? { sd: at.map(deviation) } : {}),
    };
  };
  const series = (
    train: (epoch: SiameseEpoch) => number,
    test: (epoch: SiameseEpoch) => number,
  ): Series[] =>
    single
      ? [
        { name: "train", ...over(train, result.variants[0]!) },
        { name: "test", ...over(test, result.variants[0]!) },
      ]
      : result.variants.map((variant) => ({
        name: VARIANT_NAMES[variant.name] ?? variant.name,
        ...over(test, variant),
      }));
  const where = single ? "" : " on the test pairs";
  const loss = await lineChart({
    title: `Loss${where}`,
    yLabel: "loss (nats)",
    series: series((row) => row.trainLoss, (row) => row.testLoss),
  });
  const accuracy = await lineChart({
    title: `Accuracy${where}`,
    yLabel: "pairs told right",
    percent: true,
    series: series((row) => row.trainAccuracy, (row) => row.testAccuracy),
  });
  return sideBySide([loss, accuracy], "Loss and accuracy by epoch");
}

/** The mean of some values; NaN of none. */
export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The standard deviation of a sample; 0 of a single value. */
export function deviation(values: readonly number[]): number {
  if (values.length < 2) return 0;
  const center = mean(values);
  const squares = values.map((value) => (value - center) ** 2);
  return Math.sqrt(squares.reduce((a, b) => a + b, 0) / (values.length - 1));
}

/** The page. */
export async function siameseReport(
  result: SiameseResult,
  curvesChart: Chart,
): Promise<string> {
  const { settings, variants } = result;
  const main = variants.at(-1)!;
  const { rounds } = settings;
  const sections: Section[] = [];
  if (variants.length > 1) {
    sections.push({
      title: "Weight sharing and auxiliary losses",
      blocks: [comparison(result)],
    });
  }
  sections.push({
    title: "Learning",
    blocks: [{ kind: "charts", charts: [curvesChart] }],
  });
  if (namesDigits(main)) {
    const confusion = await confusionChart({
      title: "Which digit was taken for which",
      counts: main.confusion,
    });
    sections.push({
      title: "Digits",
      blocks: [
        {
          kind: "text",
          text: `The branches say what digit they see: ${
            percent(main.digitAccuracy)
          } of the digits of the test pairs are right. Rows are the true digits.`,
        },
        { kind: "charts", charts: [confusion] },
      ],
    });
  }
  const galleries: Block[] = [];
  for (const right of [false, true]) {
    const items = main.examples.filter((example) => example.right === right);
    if (items.length === 0) continue;
    galleries.push({
      kind: "gallery",
      caption: right
        ? "Told right, the least sure first"
        : "Told wrong, the surest first",
      items: items.map((item) =>
        galleryItem(item, settings.preset, namesDigits(main))
      ),
    });
  }
  sections.push({ title: "Example pairs", blocks: galleries });
  const { testAccuracy, best } = main;
  return renderReport({
    title: "Siamese digit comparison",
    subtitle: `Is the first digit at most the second? ${result.device} ` +
      `(${result.adapter}), ${result.source}`,
    cards: [
      {
        label: "test accuracy",
        value: formatAccuracy(testAccuracy, rounds),
        note: rounds > 1
          ? `after the last epoch, over ${rounds} rounds`
          : "after the last epoch",
      },
      {
        label: "best epoch",
        value: percent(best.testAccuracy),
        note: `epoch ${best.epoch}` +
          (rounds > 1 ? `, round ${best.round}` : ""),
      },
      ...namesDigits(main)
        ? [{
          label: "digits",
          value: percent(main.digitAccuracy),
          note: "told right",
        }]
        : [],
      {
        label: "time",
        value: formatTime(1000 * result.seconds),
        note: `${result.stepsPerSecond.toFixed(1)} steps/s`,
      },
    ],
    sections,
    settings: { ...settings },
  });
}

function comparison({ variants, settings }: SiameseResult): Block {
  const best = Math.max(...variants.map((v) => v.testAccuracy.mean));
  return {
    kind: "table",
    columns: ["variant", "test accuracy", "best epoch", "digits"],
    rows: variants.map((variant) => [
      VARIANT_NAMES[variant.name] ?? variant.name,
      formatAccuracy(variant.testAccuracy, settings.rounds),
      percent(variant.best.testAccuracy),
      namesDigits(variant) ? percent(variant.digitAccuracy) : "–",
    ]),
    stressed: variants.flatMap((variant, at) =>
      variant.testAccuracy.mean === best ? [at] : []
    ),
    caption: `Accuracy on the test pairs after ${settings.epochs} epochs` +
      (settings.rounds > 1
        ? `, mean and standard deviation over ${settings.rounds} rounds`
        : ""),
  };
}

function galleryItem(
  example: SiameseExample,
  preset: string,
  named: boolean,
): GalleryItem {
  const { images, digits, seen, probability, right } = example;
  const white = preset === "original" ? 255 : 1;
  const [a, b] = digits;
  return {
    images: images.map((pixels) => ({ pixels, width: 14, height: 14, white })),
    caption: [
      `${a} ${a <= b ? "≤" : ">"} ${b}`,
      `said ${probability > 0.5 ? "≤" : ">"} (${
        percent(Math.max(probability, 1 - probability))
      })`,
      ...named ? [`saw ${seen.join(" and ")}`] : [],
    ].join("\n"),
    verdict: right ? "right" : "wrong",
  };
}
