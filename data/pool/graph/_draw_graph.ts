import dagre from "@dagrejs/dagre";
import type { TaskRecord } from "./_task.ts";
import { criticalPath } from "./_critical_path.ts";
import { page } from "./_page.ts";
import { drawTimeline, timeText } from "./_timeline.ts";
import { attributes, colourOf, escapeText, label, nameLabel } from "./_svg.ts";

/** More tasks are drawn by what they do, one box for all that do the same. */
const MOST_BOXES = 300;

const BOX_WIDTH = 168;
const BOX_HEIGHT = 46;

/** One box: a task, or all of a kind. */
interface Box {
  readonly title: string;
  readonly tasks: TaskRecord[];
  readonly needs: Set<string>;
}

/** A page with the tasks, and what each worker did when. */
export function drawGraph(records: readonly TaskRecord[]): string {
  const workers = workersOf(records);
  const path = criticalPath(records);
  const critical = new Set(path.map(({ id }) => id));
  return page({
    facts: facts(records, workers, path),
    graph: records.length === 0 ? "" : drawBoxes(records, workers, critical),
    timeline: drawTimeline(records, workers, critical),
    path,
  });
}

/** Names for the workers, in the order in which they began. */
function workersOf(records: readonly TaskRecord[]): Map<string, string> {
  const ran = records.filter(({ worker }) => worker !== undefined)
    .sort((a, b) => a.startedAt! - b.startedAt!);
  const workers = new Map<string, string>();
  for (const { worker } of ran) {
    if (!workers.has(worker!)) {
      workers.set(worker!, `worker ${workers.size + 1}`);
    }
  }
  return workers;
}

function facts(
  records: readonly TaskRecord[],
  workers: ReadonlyMap<string, string>,
  path: readonly TaskRecord[],
): [string, string][] {
  const ran = records.filter(({ worker }) => worker !== undefined);
  const began = ran.reduce((t, r) => Math.min(t, r.startedAt!), Infinity);
  const ended = ran.reduce((t, r) => Math.max(t, r.endedAt!), -Infinity);
  const took = (list: readonly TaskRecord[]) =>
    list.reduce((sum, record) => sum + durationOf(record), 0);
  const busy = took(ran);
  const wall = Math.max(0, ended - began);
  const states = Map.groupBy(records, ({ state }) => state);
  return [
    [
      "tasks",
      [...states].map(([state, { length }]) => `${length} ${state}`)
        .join(", ") || "0",
    ],
    ["workers", String(workers.size)],
    ["from first to last", timeText(wall)],
    ["work", timeText(busy)],
    ["at a time", wall > 0 ? (busy / wall).toFixed(2) : "0"],
    ["critical path", timeText(took(path))],
  ];
}

function drawBoxes(
  records: readonly TaskRecord[],
  workers: ReadonlyMap<string, string>,
  critical: ReadonlySet<number>,
): string {
  const single = records.length <= MOST_BOXES;
  const keyOf = (record: TaskRecord) => single ? record.name : record.group;
  const boxes = new Map<string, Box>();
  for (const record of records) {
    const key = keyOf(record);
    const box: Box = boxes.get(key) ??
      { title: key, tasks: [], needs: new Set() };
    boxes.set(key, box);
    box.tasks.push(record);
    for (const id of record.needs) {
      const need = keyOf(records[id]!);
      if (need !== key) box.needs.add(need);
    }
  }
  const layout = new dagre.graphlib.Graph();
  layout.setGraph({
    rankdir: "LR",
    nodesep: 14,
    ranksep: 60,
    marginx: 12,
    marginy: 12,
  });
  layout.setDefaultEdgeLabel(() => ({}));
  for (const key of boxes.keys()) {
    layout.setNode(key, { width: BOX_WIDTH, height: BOX_HEIGHT });
  }
  for (const [key, { needs }] of boxes) {
    for (const need of needs) layout.setEdge(need, key);
  }
  dagre.layout(layout);
  const isCritical = (key: string) =>
    boxes.get(key)!.tasks.some(({ id }) => critical.has(id));
  const edges = layout.edges().map((edge) => {
    const { points } = layout.edge(edge) as {
      points: { x: number; y: number }[];
    };
    const onPath = isCritical(edge.v) && isCritical(edge.w);
    return `<path ${
      attributes({ d: curve(points), class: onPath ? "edge critical" : "edge" })
    } marker-end="url(#arrow${onPath ? "-critical" : ""})"/>`;
  });
  const nodes = [...boxes].map(([key, box]) => {
    const { x, y } = layout.node(key) as { x: number; y: number };
    return drawBox(box, x, y, workers, isCritical(key));
  });
  const { width = 0, height = 0 } = layout.graph();
  return `<svg ${
    attributes({
      viewBox: `0 0 ${width.toFixed(0)} ${height.toFixed(0)}`,
      width: width.toFixed(0),
      height: height.toFixed(0),
      role: "img",
      "aria-label": "The tasks and what they need",
    })
  }>
<defs>${marker("arrow")}${marker("arrow-critical")}</defs>
${edges.join("\n")}
${nodes.join("\n")}
</svg>`;
}

function drawBox(
  { title, tasks }: Box,
  x: number,
  y: number,
  workers: ReadonlyMap<string, string>,
  isCritical: boolean,
): string {
  const [first] = tasks;
  const { state, worker, tries } = first!;
  const took = tasks.reduce((sum, task) => sum + durationOf(task), 0);
  const ran = tasks.filter((task) => task.worker !== undefined);
  const where = tasks.length > 1
    ? `${tasks.length} tasks`
    : workers.get(worker ?? "") ?? (title.startsWith("scatter") ? "here" : "");
  const bad = tasks.find((task) =>
    task.state === "failed" || task.state === "cancelled"
  );
  const alike = tasks.filter((task) => task.state === bad?.state);
  const stateText = tasks.length > 1 && bad
    ? `${alike.length} ${bad.state}`
    : state === "done"
    ? ""
    : state;
  const facts = [
    ran.length > 0 ? timeText(took) : "",
    where,
    tasks.length === 1 && tries > 1 ? `${tries} tries` : "",
  ].filter((text) => text !== "").join(" · ");
  const end = facts !== "" && stateText !== "" ? ` · ${stateText}` : stateText;
  const kind = bad?.state ??
    (tasks.every((t) => t.state === "done") ? "done" : "open");
  const left = x - BOX_WIDTH / 2;
  const top = y - BOX_HEIGHT / 2;
  return `<g class="box ${kind}${
    isCritical ? " critical" : ""
  }" transform="translate(${left.toFixed(1)} ${top.toFixed(1)})"><title>${
    escapeText(`${title}\n${facts}${end}`)
  }</title>` +
    `<rect width="${BOX_WIDTH}" height="${BOX_HEIGHT}" rx="6"/>` +
    `<rect class="bar" width="5" height="${BOX_HEIGHT}" rx="2.5" fill="${
      tasks.length === 1 ? colourOf(worker, workers) : "var(--faint)"
    }"/>` +
    nameLabel({ x: 14, y: 5, width: BOX_WIDTH - 20, class: "name" }, title) +
    label(
      { x: 14, y: 22, width: BOX_WIDTH - 20, class: "detail" },
      facts,
      end,
    ) + "</g>";
}

function marker(id: string): string {
  return `<marker id="${id}" viewBox="0 0 8 8" refX="7" refY="4" ` +
    `markerUnits="userSpaceOnUse" markerWidth="9" markerHeight="9" ` +
    `orient="auto">` +
    `<path d="M0 0L8 4L0 8z" class="${id}"/></marker>`;
}

/** A smooth line through the points: curves meet half-way between them. */
function curve(points: readonly { x: number; y: number }[]): string {
  const at = ({ x, y }: { x: number; y: number }) =>
    `${x.toFixed(1)} ${y.toFixed(1)}`;
  const [first, ...rest] = points;
  let d = `M${at(first!)}`;
  for (const [index, point] of rest.entries()) {
    const next = rest[index + 1];
    if (next === undefined) d += `L${at(point)}`;
    else {
      const middle = { x: (point.x + next.x) / 2, y: (point.y + next.y) / 2 };
      d += `Q${at(point)} ${at(middle)}`;
    }
  }
  return d;
}

function durationOf({ startedAt, endedAt, worker }: TaskRecord): number {
  return worker === undefined ? 0 : endedAt! - startedAt!;
}
