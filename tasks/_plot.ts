/**
 * Observable Plot without a browser.
 *
 * @module
 */
import type * as PlotModule from "@observablehq/plot";
import { BACKGROUND } from "./_svg.ts";

/** A line across a chart at one value, with its name. */
export interface Reference {
  readonly label: string;
  readonly value: number;
}

/** Plot, and how to draw with it. */
export interface PlotTools {
  readonly Plot: typeof PlotModule;
  /** Draws a plot as an `<svg>` for the inside of a frame. */
  draw(
    top: number,
    options: PlotModule.PlotOptions & { readonly height: number },
  ): { svg: string; height: number };
}

/** Loads Plot and a document for it, when the first chart is made. */
export async function loadPlot(): Promise<PlotTools> {
  const [Plot, { DOMParser }] = await Promise.all([
    import("@observablehq/plot"),
    import("linkedom"),
  ]);
  // As XML, so that text is escaped as XML wants it.
  const document = new DOMParser().parseFromString("<svg/>", "image/svg+xml");
  return {
    Plot,
    draw: (top, options) => {
      const svg = Plot.plot({
        ...options,
        // Its type is that of the web page's library, which Deno leaves out.
        document: document as never,
      });
      // Plot's style sheet is for pages and would leak into the report.
      svg.querySelector("style")?.remove();
      svg.removeAttribute("class");
      svg.removeAttribute("font-family");
      svg.setAttribute("font-size", "12");
      svg.setAttribute("y", String(top));
      return { svg: String(svg), height: options.height };
    },
  };
}

/** Text over lines: a rim in the colour of the background. */
export const OVER_LINES: {
  readonly fill: string;
  readonly stroke: string;
  readonly strokeWidth: number;
} = { fill: "currentColor", stroke: BACKGROUND, strokeWidth: 4 };

/** How numbers are written on axes and bars. */
export function valueFormat(percent: boolean): (value: number) => string {
  if (percent) {
    return (value) => `${Number((value * 100).toFixed(2))}%`;
  }
  return (value) => {
    const size = Math.abs(value);
    if (size !== 0 && (size < 1e-4 || size >= 1e7)) {
      return value.toExponential(2).replace(/\.?0+e/, "e").replace("e+", "e");
    }
    return Number(value.toPrecision(6)).toLocaleString("en", {
      maximumFractionDigits: 8,
    });
  };
}

/** The smallest and the largest number; `[Infinity, -Infinity]` if none. */
export function rangeOf(values: readonly number[]): [number, number] {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}
