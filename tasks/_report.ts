/**
 * A report as one HTML file that needs nothing else, for light and dark.
 *
 * @module
 */
import { type GrayImage, grayPng } from "./_png.ts";
import { REPORT_STYLE } from "./_report_style.ts";
import { type Chart, escapeXml } from "./_svg.ts";

/** A key figure. */
export interface Card {
  readonly label: string;
  readonly value: string;
  /** Below the value, as `± 0.8 over 10 rounds`. */
  readonly note?: string;
}

/** Charts beside each other where there is room. */
export interface ChartsBlock {
  readonly kind: "charts";
  readonly charts: readonly Chart[];
  readonly caption?: string;
}

/** A table; numbers stand on the right. */
export interface TableBlock {
  readonly kind: "table";
  readonly columns: readonly string[];
  readonly rows: readonly (readonly (string | number)[])[];
  /** Indices of rows to stress. */
  readonly stressed?: readonly number[];
  readonly caption?: string;
}

/** One or more small images with what there is to say about them. */
export interface GalleryItem {
  readonly images: readonly GrayImage[];
  /** Lines are kept. */
  readonly caption: string;
  /** Marks what is right or wrong, with a sign as well as a colour. */
  readonly verdict?: "right" | "wrong";
}

/** Many small grey images, each pixel crisp. */
export interface GalleryBlock {
  readonly kind: "gallery";
  readonly items: readonly GalleryItem[];
  readonly caption?: string;
}

/** A paragraph. */
export interface TextBlock {
  readonly kind: "text";
  readonly text: string;
}

/** Text as a terminal shows it: lines and columns stay. */
export interface CodeBlock {
  readonly kind: "code";
  readonly text: string;
  readonly caption?: string;
}

/** What a section is made of. */
export type Block =
  | ChartsBlock
  | TableBlock
  | GalleryBlock
  | TextBlock
  | CodeBlock;

/** A part of the report with a heading. */
export interface Section {
  readonly title: string;
  readonly blocks: readonly Block[];
}

/** All that a report says; any text is escaped. */
export interface Report {
  readonly title: string;
  /** One line below the title, such as date and device. */
  readonly subtitle?: string;
  readonly cards?: readonly Card[];
  readonly sections: readonly Section[];
  /** Shown as a table at the end. */
  readonly settings?: Readonly<Record<string, unknown>>;
  /** The last line. */
  readonly footer?: string;
}

/** About how many pixels wide the images of a gallery are. */
const IMAGE_WIDTH = 84;

/**
 * Writes a report as an HTML page, with its styles, charts and images inside.
 *
 * @param report What it says.
 * @returns The page.
 */
export function renderReport(report: Report): string {
  const { title, subtitle, cards = [], settings, footer } = report;
  const sections = [...report.sections];
  if (settings) sections.push(settingsSection(settings));
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>${escapeXml(title)}</title>
<style>${REPORT_STYLE}</style>
</head>
<body>
<main>
<header>
<h1>${escapeXml(title)}</h1>
${subtitle ? `<p class="subtitle">${escapeXml(subtitle)}</p>` : ""}
</header>
${cards.length > 0 ? `<dl class="cards">${cards.map(card).join("")}</dl>` : ""}
${sections.map(section).join("\n")}
${footer ? `<footer>${escapeXml(footer)}</footer>` : ""}
</main>
</body>
</html>
`;
}

function card({ label, value, note }: Card): string {
  return `<div><dt>${escapeXml(label)}</dt><dd>${escapeXml(value)}` +
    (note ? `<small>${escapeXml(note)}</small>` : "") + "</dd></div>";
}

function section({ title, blocks }: Section): string {
  return `<section>\n<h2>${escapeXml(title)}</h2>\n${
    blocks.map(block).join("\n")
  }\n</section>`;
}

function block(block: Block): string {
  switch (block.kind) {
    case "text":
      return `<p>${escapeXml(block.text)}</p>`;
    case "code":
      return figure(
        "code panel",
        `<pre>${escapeXml(block.text)}</pre>`,
        block.caption,
      );
    case "charts":
      return figure(
        "charts",
        block.charts.map(({ svg, width }) =>
          // May shrink to stand beside another, and grow, but not out of size.
          `<div class="panel" style="flex-basis:${Math.round(width * 0.8)}px;` +
          `max-width:min(100%,${Math.round(width * 1.15)}px)">${svg}</div>`
        ).join(""),
        block.caption,
      );
    case "table":
      return figure("table panel", table(block), block.caption);
    case "gallery":
      return figure(
        "gallery",
        block.items.map(galleryItem).join(""),
        block.caption,
      );
    default:
      return block satisfies never;
  }
}

function figure(kind: string, content: string, caption?: string): string {
  return `<figure><div class="${kind}">${content}</div>` +
    (caption ? `<figcaption>${escapeXml(caption)}</figcaption>` : "") +
    "</figure>";
}

function table({ columns, rows, stressed = [] }: TableBlock): string {
  // A column is numeric if each of its cells begins like a number.
  const numeric = columns.map((_, i) =>
    rows.length > 0 &&
    rows.every((row) => /^[-+−]?[\d.]|^[–—-]$|^$/.test(String(row[i] ?? "")))
  );
  const cell = (tag: string, value: string | number, i: number) =>
    `<${tag}${numeric[i] ? ' class="number"' : ""}>${
      escapeXml(String(value))
    }</${tag}>`;
  const head = columns.map((column, i) => cell("th", column, i)).join("");
  const body = rows.map((row, i) =>
    `<tr${stressed.includes(i) ? ' class="stressed"' : ""}>${
      row.map((value, j) => cell("td", value, j)).join("")
    }</tr>`
  );
  return `<table><thead><tr>${head}</tr></thead><tbody>${
    body.join("")
  }</tbody></table>`;
}

function galleryItem({ images, caption, verdict }: GalleryItem): string {
  const alt = escapeXml(caption.replace(/\s+/g, " "));
  const pictures = images.map((image) => {
    // Whole multiples keep all pixels the same size.
    const scale = Math.max(1, Math.round(IMAGE_WIDTH / image.width));
    const data = grayPng(image).toBase64();
    return `<img src="data:image/png;base64,${data}" alt="${alt}" ` +
      `width="${image.width * scale}" height="${image.height * scale}">`;
  });
  const mark = verdict
    ? `<b title="${verdict}">${verdict === "right" ? "✓" : "✗"}</b> `
    : "";
  return `<div class="item panel ${verdict ?? ""}"><div class="images">${
    pictures.join("")
  }</div><p>${mark}${escapeXml(caption)}</p></div>`;
}

function settingsSection(settings: Readonly<Record<string, unknown>>): Section {
  const items = Object.entries(settings).map(([name, value]) => {
    const text = value === undefined || value === null
      ? "–"
      : typeof value === "string"
      ? value
      : JSON.stringify(value);
    return [name, text];
  });
  return {
    title: "Settings",
    blocks: [{ kind: "table", columns: ["setting", "value"], rows: items }],
  };
}
