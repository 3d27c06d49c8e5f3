/**
 * Confusion matrices as heat maps.
 *
 * @module
 */
import { loadPlot, valueFormat } from "./_plot.ts";
import { type Chart, frame, ON_COLOR, PALETTE, textWidth } from "./_svg.ts";

/** How a confusion matrix looks. */
export interface ConfusionOptions {
  readonly title?: string;
  /** `counts[target][prediction]`. */
  readonly counts: readonly ArrayLike<number>[];
  /** Names of the classes. @default 0, 1, 2, … */
  readonly labels?: readonly string[];
  /** Pixels. @default 480 */
  readonly width?: number;
}

/**
 * How often each target class was taken for which: the stronger the colour,
 * the larger the share of the row (its square root, so that rare mistakes
 * show). The counts stand in the cells.
 *
 * @param options What to draw.
 * @returns The chart.
 * @throws {RangeError} If the counts are not square or the labels too few.
 */
export async function confusionChart(
  options: ConfusionOptions,
): Promise<Chart> {
  const { title = "", counts, width = 480 } = options;
  const labels = options.labels ?? counts.map((_, i) => String(i));
  const wrong = counts.findIndex((row) => row.length !== counts.length);
  if (wrong >= 0 || labels.length !== counts.length) {
    throw new RangeError(
      wrong >= 0
        ? `confusionChart: counts must be square: row ${wrong} has ` +
          `${counts[wrong]!.length} of ${counts.length}`
        : `confusionChart: labels must name each class: got ${labels.length} ` +
          `for ${counts.length}`,
    );
  }
  const cells = counts.flatMap((row, target) => {
    const total = Array.from(row).reduce((sum, count) => sum + count, 0);
    return Array.from(row, (count, prediction) => ({
      target,
      prediction,
      count,
      total,
      strength: total > 0 ? Math.sqrt(count / total) : 0,
    }));
  });
  type Cell = typeof cells[number];
  const largest = Math.max(0, ...cells.map(({ count }) => count));
  const labelWidth = Math.max(0, ...labels.map((text) => textWidth(text, 12)));
  const marginLeft = 52 + labelWidth;
  const side = Math.max(Math.round(width - marginLeft - 16), 60);
  const cellSide = side / Math.max(counts.length, 1);
  const slanted = labelWidth > cellSide - 6;
  const marginBottom = 48 + (slanted ? Math.ceil(labelWidth * 0.45) : 0);
  // The largest count fits its cell, or none is written.
  const fontSize = Math.min(
    12,
    (cellSide - 4) / textWidth(String(largest), 1),
  );
  const name = (i: number) => labels[i] ?? "";
  const { Plot, draw } = await loadPlot();

  return frame(title, width, [], (top) =>
    draw(top, {
      width,
      height: side + 8 + marginBottom,
      marginLeft,
      marginRight: 16,
      marginTop: 8,
      marginBottom,
      x: { type: "band", domain: labels.map((_, i) => i), padding: 0.04 },
      y: { type: "band", domain: labels.map((_, i) => i), padding: 0.04 },
      marks: [
        Plot.axisX({
          tickSize: 0,
          tickFormat: name,
          ...(slanted ? { tickRotate: -35 } : {}),
          label: "predicted",
          labelAnchor: "center",
          labelArrow: "none",
        }),
        Plot.axisY({
          tickSize: 0,
          tickFormat: name,
          label: "true",
          labelOffset: marginLeft - 18,
          labelAnchor: "center",
          labelArrow: "none",
        }),
        Plot.cell(cells, {
          x: "prediction",
          y: "target",
          fill: PALETTE[0]!,
          fillOpacity: ({ strength }: Cell) => 0.05 + 0.95 * strength,
          rx: 3,
          title: ({ target, prediction, count, total }: Cell) =>
            `${name(target)} taken for ${name(prediction)}: ${count} of ` +
            `${total} (${valueFormat(true)(total > 0 ? count / total : 0)})`,
        }),
        ...(fontSize < 6 ? [] : [true, false].map((strong) =>
          Plot.text(
            cells.filter(({ strength, count }) =>
              count > 0 && strength > 0.8 === strong
            ),
            {
              x: "prediction",
              y: "target",
              text: ({ count }: Cell) => String(count),
              fontSize,
              pointerEvents: "none",
              ...(strong ? { fill: ON_COLOR, fontWeight: 600 } : {}),
            },
          )
        )),
      ],
    }));
}
