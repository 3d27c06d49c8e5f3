/**
 * Values side by side.
 *
 * @module
 */
import {
  loadPlot,
  OVER_LINES,
  rangeOf,
  type Reference,
  valueFormat,
} from "./_plot.ts";
import { type Chart, frame, PALETTE, shorten, textWidth } from "./_svg.ts";

/** One bar. */
export interface Bar {
  readonly label: string;
  readonly value: number;
  /** Standard deviation, drawn as whiskers. */
  readonly sd?: number;
  /** @default the first of {@linkcode PALETTE} */
  readonly color?: string;
}

/** How a bar chart looks. */
export interface BarChartOptions {
  readonly title?: string;
  readonly xLabel?: string;
  readonly bars: readonly Bar[];
  readonly references?: readonly Reference[];
  /** Values are fractions and are shown in percent. @default false */
  readonly percent?: boolean;
  /**
   * Lowest and highest value shown. Where it leaves out 0, points are drawn:
   * the length of a cut bar would mislead. @default from 0
   */
  readonly domain?: readonly [number, number];
  /** Pixels. @default 560 */
  readonly width?: number;
}

/**
 * Bars from the left, one below the other, each with its value.
 *
 * @param options What to draw.
 * @returns The chart.
 */
export async function barChart(options: BarChartOptions): Promise<Chart> {
  const { title = "", xLabel, percent = false, width = 560 } = options;
  const { references = [] } = options;
  const bars = options.bars.map((bar, i) => ({
    ...bar,
    index: i,
    color: bar.color ?? PALETTE[0]!,
    low: bar.value - (bar.sd ?? 0),
    high: bar.value + (bar.sd ?? 0),
  })).filter(({ value }) => Number.isFinite(value));
  const [low, high] = rangeOf([
    0,
    ...bars.flatMap((bar) => [bar.low, bar.high]),
    ...references.map(({ value }) => value),
  ]);
  const domain = options.domain ??
    (percent && low === 0 && high <= 1
      ? [0, 1]
      : low < high
      ? [low, high]
      : [0, 1]);
  const fromZero = domain[0] <= 0 && domain[1] >= 0;
  const format = valueFormat(percent);
  const exact = percent
    ? (value: number) => (value * 100).toFixed(2)
    : (value: number) => format(Number(value.toPrecision(4)));
  const valueText = ({ value, sd }: Bar) =>
    exact(value) + (percent ? "%" : "") + (sd ? ` ± ${exact(sd)}` : "");
  const labels = options.bars.map(({ label }) => textWidth(label, 12));
  const marginLeft = Math.min(
    Math.max(40, ...labels.map((label) => label + 20)),
    width / 2,
  );
  const texts = bars.map((bar) => textWidth(valueText(bar), 12));
  const { Plot, draw } = await loadPlot();

  return frame(title, width, [], (top) =>
    draw(top, {
      width,
      height: options.bars.length * 34 + 52 + (references.length ? 16 : 0),
      marginLeft,
      marginRight: Math.max(20, ...texts.map((text) => text + 16)),
      marginTop: references.length ? 24 : 8,
      marginBottom: 44,
      x: { domain: [...domain] },
      y: {
        type: "band",
        domain: options.bars.map((_, i) => i),
        padding: 0.28,
      },
      marks: [
        Plot.gridX({ ticks: 6, strokeOpacity: 0.14 }),
        Plot.axisX({
          ticks: 6,
          tickSize: 0,
          tickFormat: format,
          label: xLabel ?? null,
          labelAnchor: "center",
          labelArrow: "none",
        }),
        Plot.axisY({
          tickSize: 0,
          tickFormat: (i: number) =>
            shorten(options.bars[i]?.label ?? "", marginLeft - 12, 12),
          label: null,
        }),
        Plot.ruleX(references, {
          x: "value",
          strokeDasharray: "2 3",
          strokeOpacity: 0.7,
        }),
        Plot.text(references, {
          x: "value",
          text: "label",
          frameAnchor: "top",
          dy: -14,
          fontSize: 11,
        }),
        fromZero
          ? Plot.barX(bars, {
            x: "value",
            y: "index",
            fill: "color",
            clip: true,
          })
          : Plot.dot(bars, {
            x: "value",
            y: "index",
            fill: "color",
            r: 5,
          }),
        Plot.ruleY(bars.filter(({ sd }) => sd), {
          x1: "low",
          x2: "high",
          y: "index",
          strokeWidth: 1.5,
          clip: true,
        }),
        Plot.ruleX(fromZero ? [0] : [], { strokeOpacity: 0.5 }),
        Plot.text(bars, {
          x: ({ high }: { high: number }) =>
            Math.min(Math.max(high, 0), domain[1]),
          y: "index",
          text: valueText,
          textAnchor: "start",
          dx: fromZero ? 6 : 10,
          fontWeight: 600,
          ...OVER_LINES,
        }),
        ...(bars.length > 0
          ? []
          : [Plot.text(["no values"], { frameAnchor: "middle" })]),
      ],
    }));
}
