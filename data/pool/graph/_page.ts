import type { TaskRecord } from "./_task.ts";
import { escapeText } from "./_svg.ts";
import { timeText } from "./_timeline.ts";

/** What a page shows. */
export interface PageParts {
  /** Names and values. */
  readonly facts: readonly (readonly [string, string])[];
  /** The tasks, as SVG. */
  readonly graph: string;
  /** The workers, as SVG. */
  readonly timeline: string;
  readonly path: readonly TaskRecord[];
}

const STYLE = `
:root { color-scheme: light dark; --text: #1d2430; --soft: #667085;
  --faint: #c3c9d4; --line: #9aa4b5; --card: #fff; --ground: #f4f5f8;
  --critical: #c8321f; --bad: #fdeae7; --open: #f0f1f4; }
@media (prefers-color-scheme: dark) { :root { --text: #e7eaf0; --soft: #9aa4b5;
  --faint: #4a5263; --line: #6b7589; --card: #1c212b; --ground: #12151c;
  --critical: #ff7a66; --bad: #4a221d; --open: #262c38; } }
body { margin: 0; padding: 24px 32px 40px; background: var(--ground);
  color: var(--text); font: 14px/1.5 system-ui, sans-serif; }
h1 { font-size: 20px; margin: 0 0 14px; }
h2 { font-size: 15px; margin: 26px 0 8px; }
dl { display: flex; flex-wrap: wrap; gap: 10px 34px; margin: 0; }
dt { color: var(--soft); font-size: 12px; }
dd { margin: 0; font-size: 16px; font-weight: 600; }
figure { margin: 0; padding: 12px; background: var(--card); overflow: auto;
  border: 1px solid var(--faint); border-radius: 8px; }
svg { display: block; max-width: none; font: 12px system-ui, sans-serif; }
p { color: var(--soft); margin: 8px 0; max-width: 70em; }
text { fill: var(--text); }
foreignObject { pointer-events: none; }
foreignObject div { display: flex; line-height: 18px; white-space: pre; }
foreignObject span { overflow: hidden; text-overflow: ellipsis; }
.name { font-weight: 600; }
.detail { color: var(--soft); fill: var(--soft); font-size: 11px; }
.on-bar { color: #fff; font-size: 11px; }
.box > rect:first-of-type { fill: var(--card); stroke: var(--line); }
.box.open > rect:first-of-type { fill: var(--open); stroke-dasharray: 4 3; }
.box.failed > rect:first-of-type, .box.cancelled > rect:first-of-type {
  fill: var(--bad); }
.box.critical > rect:first-of-type { stroke: var(--critical); stroke-width: 2; }
.edge { fill: none; stroke: var(--line); stroke-width: 1.2; }
.edge.critical { stroke: var(--critical); stroke-width: 2; }
.arrow { fill: var(--line); }
.arrow-critical { fill: var(--critical); }
.grid { stroke: var(--faint); stroke-width: 1; }
.task.critical { stroke: var(--critical); stroke-width: 1.6; }
.key { display: inline-block; width: 12px; height: 12px; border-radius: 3px;
  border: 2px solid var(--critical); vertical-align: -2px; }`;

/** A page that needs no other file. */
export function page({ facts, graph, timeline, path }: PageParts): string {
  const list = facts.map(([name, value]) =>
    `<div><dt>${escapeText(name)}</dt><dd>${escapeText(value)}</dd></div>`
  );
  const steps = path.map(({ name, startedAt, endedAt }) =>
    `${name} (${timeText(endedAt! - startedAt!)})`
  );
  const critical = steps.length === 0 ? "" : `<p><span class="key"></span> ` +
    `Critical path: ${escapeText(abbreviate(steps).join(" → "))}</p>`;
  return `<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Task graph</title>
<style>${STYLE}
</style>
<h1>Task graph</h1>
<dl>${list.join("")}</dl>
${section("Workers", timeline)}
${critical}
${section("Tasks", graph)}
</html>
`;
}

function section(title: string, svg: string): string {
  return svg === "" ? "" : `<h2>${title}</h2>\n<figure>${svg}</figure>`;
}

function abbreviate(steps: readonly string[]): readonly string[] {
  return steps.length <= 12
    ? steps
    : [...steps.slice(0, 6), `${steps.length - 12} more`, ...steps.slice(-6)];
}
