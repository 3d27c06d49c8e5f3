/**
 * Curves over epochs or steps.
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
import { type Chart, frame, PALETTE } from "./_svg.ts";

/** One curve; values that are null or not finite leave a gap. */
export interface Series {
  readonly name: string;
  readonly values: ArrayLike<number | null>;
  /** Where the values stand. @default 1, 2, 3, … */
  readonly x?: ArrayLike<number>;
  /** Standard deviations: a band of values ± sd. */
  readonly sd?: ArrayLike<number | null>;
  /** @default false, true where the colours repeat */
  readonly dashed?: boolean;
  /** @default the next of {@linkcode PALETTE} */
  readonly color?: string;
}

/** How a line chart looks. */
export interface LineChartOptions {
  readonly title?: string;
  /** @default "epoch" */
  readonly xLabel?: string;
  readonly yLabel?: string;
  readonly series: readonly Series[];
  /** Horizontal lines, such as a target. */
  readonly references?: readonly Reference[];
  /** Values are fractions and are shown in percent. @default false */
  readonly percent?: boolean;
  /** Drops values up to 0. @default false */
  readonly logarithmic?: boolean;
  /** The same for where the values stand. @default false */
  readonly logarithmicX?: boolean;
  /** Lowest and highest value shown. @default those of the data */
  readonly yDomain?: readonly [number, number];
  /** Pixels. @default 560 */
  readonly width?: number;
  /** Pixels without title and legend. @default 300 */
  readonly height?: number;
}

/** More points than this are thinned out. */
const MAX_POINTS = 800;
const MARGIN_LEFT = 58;
/** Curves of up to so many points show each. */
const DOTTED_POINTS = 25;

interface Point {
  readonly x: number;
  readonly y: number;
  readonly low: number;
  readonly high: number;
}

/**
 * Curves over epochs or steps, each with its colour and entry in the legend.
 *
 * Curves of more than 800 points are thinned: the lowest and highest value of
 * each of 400 stretches stay.
 *
 * @param options What to draw.
 * @returns The chart.
 */
export async function lineChart(options: LineChartOptions): Promise<Chart> {
  const { title = "", xLabel = "epoch", yLabel, series, percent = false } =
    options;
  const { references = [], logarithmic = false, yDomain } = options;
  const { logarithmicX = false } = options;
  const { width = 560, height = 300 } = options;
  const format = valueFormat(percent);
  const curves = series.map((one, i) => ({
    name: one.name,
    color: one.color ?? PALETTE[i % PALETTE.length]!,
    dashed: one.dashed ?? i >= PALETTE.length,
    band: one.sd !== undefined,
    points: pointsOf(one, logarithmic).filter(({ x }) =>
      !logarithmicX || x > 0
    ),
  }));
  const points = curves.flatMap((curve) => curve.points);
  const seen = points.filter(({ y }) => !Number.isNaN(y));
  const [xLow, xHigh] = rangeOf(points.map(({ x }) => x));
  const [low, high] = rangeOf([
    ...seen.flatMap((point) => [point.low, point.high]),
    ...references.map(({ value }) => value),
  ]);
  const domain = yDomain ?? paddedDomain(low, high, logarithmic, percent);
  const whole = points.every(({ x }) => Number.isInteger(x));
  const powersX = logarithmicX ? powersOfTen(xLow, xHigh) : undefined;
  const powersY = logarithmic ? powersOfTen(domain[0], domain[1]) : undefined;
  const { Plot, draw } = await loadPlot();

  return frame(
    title,
    width,
    series.length > 1 ? curves : [],
    (top) =>
      draw(top, {
        width,
        height,
        marginLeft: MARGIN_LEFT,
        marginRight: 20,
        marginTop: yLabel ? 30 : 10,
        inset: 7,
        insetBottom: 0,
        marginBottom: 44,
        x: {
          type: logarithmicX ? "log" : "linear",
          domain: xLow < xHigh ? [xLow, xHigh] : [xLow - 0.5, xHigh + 0.5],
        },
        y: { type: logarithmic ? "log" : "linear", domain: [...domain] },
        marks: [
          Plot.gridY({ ticks: powersY ?? 6, strokeOpacity: 0.14 }),
          Plot.axisY({
            ticks: powersY ?? 6,
            tickSize: 0,
            tickFormat: powersY ? formatPower : format,
            label: null,
          }),
          Plot.text(yLabel ? [yLabel] : [], {
            frameAnchor: "top-left",
            textAnchor: "start",
            dx: 16 - MARGIN_LEFT,
            dy: -22,
            fillOpacity: 0.75,
          }),
          Plot.axisX({
            ...(powersX
              ? { ticks: powersX }
              : whole
              ? { ticks: wholeTicks(xLow, xHigh) }
              : {}),
            tickSize: 4,
            tickFormat: powersX ? formatPower : valueFormat(false),
            label: xLabel,
            labelAnchor: "center",
            labelArrow: "none",
          }),
          Plot.ruleY([domain[0]], { strokeOpacity: 0.5 }),
          Plot.ruleY(references, {
            y: "value",
            strokeDasharray: "2 3",
            strokeOpacity: 0.7,
          }),
          ...curves.filter(({ band }) => band).map(({ points, color }) =>
            Plot.areaY(points, {
              x: "x",
              y1: "low",
              y2: "high",
              fill: color,
              fillOpacity: 0.16,
              clip: true,
            })
          ),
          ...curves.map(({ points, color, dashed }) =>
            Plot.line(points, {
              x: "x",
              y: "y",
              stroke: color,
              strokeWidth: points.length > 200 ? 1.25 : 2,
              clip: true,
              ...(dashed ? { strokeDasharray: "5 3.5" } : {}),
            })
          ),
          ...curves.filter((curve) => curve.points.length <= DOTTED_POINTS).map(
            (
              { points, color, name },
            ) =>
              Plot.dot(points.filter(({ y }) => !Number.isNaN(y)), {
                x: "x",
                y: "y",
                r: 2.4,
                fill: color,
                clip: true,
                title: ({ x, y }: Point) =>
                  `${name}, ${xLabel} ${x}: ${format(y)}`,
              }),
          ),
          ...references.map((reference) => {
            const side = emptierSide(seen, reference.value);
            return Plot.text([reference.label], {
              y: reference.value,
              frameAnchor: side,
              textAnchor: side === "left" ? "start" : "end",
              ...OVER_LINES,
              fontSize: 11,
              dx: side === "left" ? 4 : -4,
              dy: -8,
            });
          }),
          ...(seen.length > 0
            ? []
            : [Plot.text(["no values"], { frameAnchor: "middle" })]),
        ],
      }),
  );
}

/** The points of a series, thinned, in the order of x. */
function pointsOf(series: Series, logarithmic: boolean): Point[] {
  const { values, x, sd } = series;
  const points = Array.from(values, (value, i): Point => {
    const shown = value !== null && Number.isFinite(value) &&
      !(logarithmic && value <= 0);
    const y = shown ? value : NaN;
    const spread = sd?.[i] ?? 0;
    const low = logarithmic && y - spread <= 0 ? y : y - spread;
    return { x: x?.[i] ?? i + 1, y, low, high: y + spread };
  });
  if (points.length <= MAX_POINTS) return points;
  const stretch = points.length / (MAX_POINTS / 2);
  const kept: Point[] = [];
  for (let start = 0; start < points.length; start += stretch) {
    const part = points.slice(Math.floor(start), Math.floor(start + stretch));
    const seen = part.filter(({ y }) => !Number.isNaN(y))
      .sort((a, b) => a.y - b.y);
    const ends = seen.length > 0 ? [seen[0]!, seen.at(-1)!] : part.slice(0, 1);
    kept.push(...new Set(ends.sort((a, b) => a.x - b.x)));
  }
  return kept;
}

/** The side at which the curves are farther from a value. */
function emptierSide(
  points: readonly Point[],
  value: number,
): "left" | "right" {
  const [low, high] = rangeOf(points.map(({ x }) => x));
  const nearest = (x: number) =>
    Math.min(
      ...points.filter((point) => Math.abs(point.x - x) <= (high - low) / 5)
        .map(({ y }) => Math.abs(y - value)),
    );
  return nearest(low) > nearest(high) ? "left" : "right";
}

/** The data's range with some room; accuracies end at 100 %. */
function paddedDomain(
  low: number,
  high: number,
  logarithmic: boolean,
  percent: boolean,
): [number, number] {
  if (low > high) return logarithmic ? [0.1, 1] : [0, 1];
  if (logarithmic) {
    return low < high ? [low / 1.1, high * 1.1] : [low / 2, low * 2];
  }
  const room = low < high ? (high - low) * 0.06 : Math.abs(low) * 0.1 || 0.5;
  // Room below must not suggest negative losses, nor above, over 100 %.
  const bottom = low >= 0 ? Math.max(0, low - room) : low - room;
  const top = percent && high <= 1 ? Math.min(1, high + room) : high + room;
  return [bottom, top];
}

/** Whole numbers, at most about ten, at round distances. */
function wholeTicks(low: number, high: number): number[] {
  const rough = Math.max((high - low) / 8, 1);
  const power = 10 ** Math.floor(Math.log10(rough));
  const factor = [1, 2, 5, 10].find((f) => f * power >= rough)!;
  const distance = factor * power;
  const ticks: number[] = [];
  for (let x = Math.ceil(low / distance) * distance; x <= high; x += distance) {
    ticks.push(x);
  }
  return ticks;
}

/** The powers of ten in a range; undefined if there are fewer than three. */
function powersOfTen(low: number, high: number): number[] | undefined {
  const [first, last] = [low, high].map(Math.log10) as [number, number];
  const powers: number[] = [];
  for (let n = Math.ceil(first - 1e-9); n <= last + 1e-9; n++) {
    powers.push(10 ** n);
  }
  return powers.length >= 3 ? powers : undefined;
}

const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";

/** A power of ten as `10⁻³`. */
function formatPower(power: number): string {
  const exponent = Math.round(Math.log10(power));
  const digits = [...String(Math.abs(exponent))].map((d) => SUPERSCRIPTS[+d]!);
  return `10${exponent < 0 ? "⁻" : ""}${digits.join("")}`;
}
