/**
 * SVG text, and the frame that all charts share: background, title, legend.
 *
 * @module
 */

/** A finished chart: SVG that needs nothing else, and its size in pixels. */
export interface Chart {
  readonly title: string;
  readonly svg: string;
  readonly width: number;
  readonly height: number;
}

/** What a legend shows for one series. */
export interface LegendEntry {
  readonly name: string;
  readonly color: string;
  readonly dashed: boolean;
}

/**
 * Colours that people with any colour vision can tell apart: Okabe and Ito
 * 2008, ordered by contrast with white.
 */
export const PALETTE: readonly string[] = [
  "#0072b2",
  "#d55e00",
  "#009e73",
  "#cc79a7",
  "#e69f00",
  "#56b4e9",
];

/** Text and lines; a page may override `color` on `svg.chart`. */
export const INK = "#1f2933";
/** A page may override it as `fill` and `stroke`. */
export const BACKGROUND = "#ffffff";
/** Text on strong colours; a page may override it as `fill`. */
export const ON_COLOR = "#fff";
export const FONT_FAMILY =
  "Inter, system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif";

const PADDING = 16;
const LEGEND_ROW = 20;
const LEGEND_GAP = 18;
const LEGEND_MARK = 22;
const LEGEND_SIZE = 12;
const TITLE_SIZE = 15;

/** Text for the inside of elements and attributes, in SVG and HTML. */
export function escapeXml(text: string): string {
  return text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`)
    // Control characters are not allowed in XML, escaped or not.
    // deno-lint-ignore no-control-regex
    .replace(/[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/g, "\ufffd");
}

/**
 * About how wide a text is, for layout without a browser.
 *
 * @param text One line.
 * @param fontSize In pixels.
 * @returns Pixels, rather too many than too few.
 */
export function textWidth(text: string, fontSize: number): number {
  let ems = 0;
  for (const sign of text) {
    ems += /[iljI.,:;|!'()[\]]/.test(sign)
      ? 0.3
      : /[ ftr1-]/.test(sign)
      ? 0.4
      : /[mwMW@%—]/.test(sign)
      ? 0.95
      : sign.codePointAt(0)! > 0x2e80
      ? 1.05
      : /[A-Z]/.test(sign)
      ? 0.72
      : 0.62;
  }
  return ems * fontSize;
}

/**
 * Puts a plot under its title and legend, on a white background.
 *
 * @param title One line, shortened if it does not fit; may be empty.
 * @param width Pixels.
 * @param legend Entries, in as many rows as they need.
 * @param body Makes the plot, an `<svg>` at the given place.
 * @returns The chart.
 */
export function frame(
  title: string,
  width: number,
  legend: readonly LegendEntry[],
  body: (top: number) => { svg: string; height: number },
): Chart {
  const parts: string[] = [];
  let top = PADDING;
  if (title) {
    top += TITLE_SIZE;
    parts.push(
      `<text x="${PADDING}" y="${top}" font-size="${TITLE_SIZE}" ` +
        `font-weight="600">${
          escapeXml(shorten(title, width - 2 * PADDING, TITLE_SIZE * 1.04))
        }</text>`,
    );
    top += 8;
  }
  if (legend.length > 0) {
    let x = PADDING;
    top += 3;
    for (const { name, color, dashed } of legend) {
      const label = shorten(
        name,
        width - 2 * PADDING - LEGEND_MARK - 6,
        LEGEND_SIZE,
      );
      const taken = LEGEND_MARK + 6 + textWidth(label, LEGEND_SIZE);
      if (x > PADDING && x + taken > width - PADDING) {
        x = PADDING;
        top += LEGEND_ROW;
      }
      const middle = top + LEGEND_ROW / 2;
      parts.push(
        `<path d="M${x},${middle}h${LEGEND_MARK}" stroke="${color}" ` +
          `stroke-width="2.5"${dashed ? ' stroke-dasharray="5 3.5"' : ""}/>` +
          `<text x="${x + LEGEND_MARK + 6}" y="${middle}" dy="0.35em" ` +
          `font-size="${LEGEND_SIZE}">${escapeXml(label)}</text>`,
      );
      x += taken + LEGEND_GAP;
    }
    top += LEGEND_ROW;
  }
  const { svg, height } = body(top + 4);
  const total = top + 4 + height + 4;
  return {
    title,
    width,
    height: total,
    svg: wrapSvg(title, width, total, parts.join("") + svg),
  };
}

/**
 * Puts charts beside each other in one.
 *
 * @param charts At least one.
 * @param title What they are together, for screen readers.
 * @param columns How many in a row. @default all
 * @returns One chart as wide as its widest row.
 */
export function sideBySide(
  charts: readonly Chart[],
  title: string,
  columns: number = charts.length,
): Chart {
  let [y, width] = [0, 0];
  const parts: string[] = [];
  for (let first = 0; first < charts.length; first += columns) {
    let [x, height] = [0, 0];
    for (const chart of charts.slice(first, first + columns)) {
      parts.push(chart.svg.replace("<svg ", `<svg x="${x}" y="${y}" `));
      x += chart.width;
      height = Math.max(height, chart.height);
    }
    y += height;
    width = Math.max(width, x);
  }
  return {
    title,
    width,
    height: y,
    svg: wrapSvg(title, width, y, parts.join("")),
  };
}

/** The outermost element, with all that a file of its own needs. */
function wrapSvg(
  title: string,
  width: number,
  height: number,
  content: string,
): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" class="chart" role="img" ` +
    `aria-label="${escapeXml(title || "chart")}" ` +
    `viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" ` +
    `font-family="${escapeXml(FONT_FAMILY)}" font-size="12" ` +
    `color="${INK}" fill="currentColor">` +
    `<rect width="${width}" height="${height}" ` +
    `fill="${BACKGROUND}"/>${content}</svg>`;
}

/** Cuts a text to a width, with an ellipsis. */
export function shorten(text: string, width: number, fontSize: number): string {
  if (textWidth(text, fontSize) <= width) return text;
  const signs = [...text];
  while (
    signs.length > 1 && textWidth(`${signs.join("")}…`, fontSize) > width
  ) {
    signs.pop();
  }
  return `${signs.join("").trimEnd()}…`;
}
