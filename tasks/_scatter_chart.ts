/**
 * Points in a square.
 *
 * @module
 */
import { loadPlot } from "./_plot.ts";
import { type Chart, frame, PALETTE } from "./_svg.ts";

/** Points of one kind. */
export interface PointGroup {
  readonly name: string;
  readonly x: ArrayLike<number>;
  readonly y: ArrayLike<number>;
  /** @default the next of {@linkcode PALETTE} */
  readonly color?: string;
}

/** How a scatter chart looks. */
export interface ScatterChartOptions {
  readonly title?: string;
  readonly groups: readonly PointGroup[];
  /** A line through points, in the same scale. */
  readonly line?: {
    readonly x: readonly number[];
    readonly y: readonly number[];
  };
  /** Lowest and highest value of both axes. @default 0 to 1 */
  readonly domain?: readonly [number, number];
  /** Pixels of the chart; the plot is a square. @default 460 */
  readonly width?: number;
}

const MARGIN = { left: 42, right: 18, top: 8, bottom: 34 };

/**
 * Points by their two coordinates, each group with its colour and its entry in
 * the legend.
 *
 * @param options What to draw.
 * @returns The chart.
 */
export async function scatterChart(
  options: ScatterChartOptions,
): Promise<Chart> {
  const { title = "", groups, line, width = 460 } = options;
  const domain = [...options.domain ?? [0, 1]];
  const entries = groups.map(({ name, color }, i) => ({
    name,
    color: color ?? PALETTE[i % PALETTE.length]!,
    dashed: false,
  }));
  const side = width - MARGIN.left - MARGIN.right;
  const { Plot, draw } = await loadPlot();
  return frame(title, width, entries, (top) =>
    draw(top, {
      width,
      height: side + MARGIN.top + MARGIN.bottom,
      marginLeft: MARGIN.left,
      marginRight: MARGIN.right,
      marginTop: MARGIN.top,
      marginBottom: MARGIN.bottom,
      x: { domain },
      y: { domain },
      marks: [
        Plot.axisX({ ticks: 5, tickSize: 4, label: null }),
        Plot.axisY({ ticks: 5, tickSize: 4, label: null }),
        Plot.frame({ strokeOpacity: 0.3 }),
        ...groups.map(({ x, y }, i) =>
          Plot.dot(Array.from(x, (_, at) => at), {
            x: (at: number) => x[at]!,
            y: (at: number) => y[at]!,
            r: 1.5,
            fill: entries[i]!.color,
            clip: true,
          })
        ),
        Plot.line(line?.x.map((x, at) => ({ x, y: line.y[at]! })) ?? [], {
          x: "x",
          y: "y",
          strokeWidth: 2,
        }),
      ],
    }));
}
