/**
 * Charts as self-contained SVG, in colours that everybody can tell apart.
 *
 * @module
 */
export { type Bar, barChart, type BarChartOptions } from "./_bar_chart.ts";
export { confusionChart, type ConfusionOptions } from "./_confusion_chart.ts";
export {
  lineChart,
  type LineChartOptions,
  type Series,
} from "./_line_chart.ts";
export type { Reference } from "./_plot.ts";
export { svgToPng } from "./_png.ts";
export {
  type PointGroup,
  scatterChart,
  type ScatterChartOptions,
} from "./_scatter_chart.ts";
export { type Chart, PALETTE, sideBySide } from "./_svg.ts";
