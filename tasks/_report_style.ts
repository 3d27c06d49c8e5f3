import { BACKGROUND, ON_COLOR, PALETTE } from "./_svg.ts";

/** The palette on a dark page: lighter where there is too little contrast. */
const ON_DARK: readonly string[] = [
  "#4da6e0",
  "#ff8f45",
  "#33c99b",
  "#e39cc4",
  "#f0b429",
  "#7cc7f2",
];

/** Charts carry their light colours as attributes, which styles override. */
const DARK_CHARTS: string = PALETTE.map((color, i) =>
  ["fill", "stroke"].map((paint) =>
    `svg.chart [${paint}="${color}"] { ${paint}: ${ON_DARK[i]}; }`
  ).join("\n  ")
).join("\n  ");

/** The style sheet of the report. */
export const REPORT_STYLE: string = `
:root {
  --page: #f4f6f8; --panel: #ffffff; --ink: #1f2933; --muted: #5f6c7b;
  --line: #dde3ea; --accent: ${PALETTE[0]}; --stress: #e8f2f9;
  --right: #00785a; --wrong: #b84300;
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.55 Inter, system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
}
main { max-width: 1180px; margin: 0 auto; padding: 40px 24px 48px; }
header { border-left: 4px solid var(--accent); padding-left: 16px; margin-bottom: 28px; }
h1 { font-size: 27px; line-height: 1.25; margin: 0; letter-spacing: -0.015em; }
h2 { font-size: 18px; margin: 40px 0 12px; letter-spacing: -0.01em; }
p { margin: 0 0 12px; max-width: 78ch; }
.subtitle { color: var(--muted); margin: 4px 0 0; }
.panel {
  background: var(--panel); border: 1px solid var(--line); border-radius: 10px;
}
.cards {
  display: grid; gap: 14px; margin: 0;
  grid-template-columns: repeat(auto-fit, minmax(170px, 1fr));
}
.cards > div {
  background: var(--panel); border: 1px solid var(--line);
  border-radius: 10px; padding: 14px 18px;
}
dt { color: var(--muted); font-size: 13px; }
dd {
  margin: 2px 0 0; font-size: 25px; font-weight: 650; line-height: 1.3;
  letter-spacing: -0.015em; font-variant-numeric: tabular-nums;
  overflow-wrap: anywhere;
}
dd small {
  display: block; font-size: 13px; font-weight: 400; letter-spacing: 0;
  color: var(--muted);
}
figure { margin: 0 0 16px; break-inside: avoid; }
figcaption { color: var(--muted); font-size: 13.5px; margin-top: 8px; max-width: 84ch; }
.charts { display: flex; flex-wrap: wrap; gap: 14px; }
.charts .panel { flex-grow: 1; min-width: 0; padding: 6px; }
svg.chart { display: block; width: 100%; height: auto; }
.table, .code { overflow-x: auto; }
pre {
  margin: 0; padding: 12px 18px;
  font: 13px/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
}
table { border-collapse: collapse; width: 100%; font-size: 14px; }
th, td { text-align: left; padding: 8px 18px; }
th { color: var(--muted); font-weight: 500; font-size: 13px; }
td { border-top: 1px solid var(--line); overflow-wrap: break-word; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.stressed td { background: var(--stress); font-weight: 600; }
.gallery {
  display: grid; gap: 14px;
  grid-template-columns: repeat(auto-fill, minmax(206px, 1fr));
}
.item { padding: 14px; border-top-width: 3px; break-inside: avoid; }
.item.right { border-top-color: var(--right); }
.item.wrong { border-top-color: var(--wrong); }
.item b { font-weight: 700; }
.item.right b { color: var(--right); }
.item.wrong b { color: var(--wrong); }
.images { display: flex; flex-wrap: wrap; gap: 8px; justify-content: center; }
.item img { image-rendering: pixelated; border-radius: 3px; background: #000; }
.item p { margin: 10px 0 0; font-size: 13px; line-height: 1.45; white-space: pre-line; }
footer {
  margin-top: 40px; padding-top: 14px; border-top: 1px solid var(--line);
  color: var(--muted); font-size: 13px;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --page: #12161c; --panel: #1b212a; --ink: #e4e9ef; --muted: #9aa7b5;
    --line: #2d3642; --accent: ${ON_DARK[0]}; --stress: #1f3242;
    --right: #33c99b; --wrong: #ff8f45;
  }
  svg.chart { color: var(--ink); }
  svg.chart [fill="${BACKGROUND}"] { fill: var(--panel); }
  svg.chart [stroke="${BACKGROUND}"] { stroke: var(--panel); }
  svg.chart [fill="${ON_COLOR}"] { fill: #0b1520; }
  ${DARK_CHARTS}
}
@media print { body { background: none; } main { padding: 0; } }
`;
