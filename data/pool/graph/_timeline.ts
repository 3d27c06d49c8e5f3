import type { TaskRecord } from "./_task.ts";
import { attributes, colourOf, escapeText, nameLabel } from "./_svg.ts";

const WIDTH = 1100;
const LABEL = 76;
const LANE = 30;
const AXIS = 26;
/** Of a bar with its name on it. */
const LEAST_LABEL = 32;
/** Half of the last time may be there. */
const MARGIN = 32;

/** What each worker did when; nothing if no task ran. */
export function drawTimeline(
  records: readonly TaskRecord[],
  workers: ReadonlyMap<string, string>,
  critical: ReadonlySet<number>,
): string {
  const ran = records.filter(({ worker }) => worker !== undefined);
  if (ran.length === 0) return "";
  const began = ran.reduce((t, r) => Math.min(t, r.startedAt!), Infinity);
  const ended = ran.reduce((t, r) => Math.max(t, r.endedAt!), -Infinity);
  const span = Math.max(ended - began, 1e-3);
  const room = WIDTH - LABEL - MARGIN;
  const x = (time: number) => LABEL + (time - began) / span * room;
  const lanes = [...workers.keys()];
  const height = lanes.length * LANE + AXIS;
  const step = niceStep(span / 8);
  const ticks: string[] = [];
  for (let tick = 0; tick * step <= span; tick++) {
    const at = x(began + tick * step).toFixed(1);
    ticks.push(
      `<path class="grid" d="M${at} 0V${height - AXIS}"/>` +
        `<text class="detail" text-anchor="middle" x="${at}" y="${
          height - 8
        }">${timeText(tick * step)}</text>`,
    );
  }
  const names = lanes.map((worker, lane) =>
    `<text class="name" x="0" y="${lane * LANE + 20}">${
      escapeText(workers.get(worker)!)
    }</text>`
  );
  const bars = merged(ran, span / room / 2).map((bar) => {
    const { title, worker, startedAt, endedAt, tasks } = bar;
    const left = x(startedAt);
    const width = Math.max(x(endedAt) - left, 0.6);
    const top = lanes.indexOf(worker) * LANE + 4;
    const label = width < LEAST_LABEL ? "" : nameLabel(
      { x: left + 5, y: top + 2, width: width - 9, class: "on-bar" },
      title,
    );
    const text = `${title}\n${timeText(endedAt - startedAt)}, from ${
      timeText(startedAt - began)
    } on`;
    return `<g><title>${escapeText(text)}</title><rect ${
      attributes({
        class: tasks.some((id) => critical.has(id)) ? "task critical" : "task",
        x: left.toFixed(2),
        y: String(top),
        width: width.toFixed(2),
        height: String(LANE - 8),
        fill: colourOf(worker, workers),
      })
    } rx="${Math.min(3, width / 3).toFixed(1)}"/>${label}</g>`;
  });
  return `<svg ${
    attributes({
      viewBox: `0 0 ${WIDTH} ${height}`,
      width: String(WIDTH),
      height: String(height),
      role: "img",
      "aria-label": "What each worker did when",
    })
  }>
${ticks.join("")}
${names.join("")}
${bars.join("\n")}
</svg>`;
}

/** A task, or several too short to be told apart. */
interface Bar {
  readonly title: string;
  readonly worker: string;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly tasks: readonly number[];
}

/** A bar for each task; on each lane those shorter than `least` become one. */
function merged(ran: readonly TaskRecord[], least: number): Bar[] {
  const bars: Bar[] = [];
  const last = new Map<string, number>();
  const inOrder = ran.toSorted((a, b) => a.startedAt! - b.startedAt!);
  for (const { id, name, worker, startedAt, endedAt } of inOrder) {
    const at = last.get(worker!);
    const before = at === undefined ? undefined : bars[at]!;
    if (
      before && startedAt! - before.endedAt < least &&
      endedAt! - startedAt! < least &&
      (before.tasks.length > 1 || before.endedAt - before.startedAt < least)
    ) {
      const tasks = [...before.tasks, id];
      const title = `${tasks.length} tasks`;
      bars[at!] = { ...before, title, endedAt: endedAt!, tasks };
      continue;
    }
    last.set(worker!, bars.length);
    bars.push({
      title: name,
      worker: worker!,
      startedAt: startedAt!,
      endedAt: endedAt!,
      tasks: [id],
    });
  }
  return bars;
}

/** A duration for people. */
export function timeText(ms: number): string {
  if (ms === 0) return "0";
  if (ms < 1) return `${(ms * 1000).toPrecision(3)} µs`;
  if (ms < 1000) return `${Number(ms.toPrecision(3))} ms`;
  const seconds = ms / 1000;
  if (seconds < 60) return `${Number(seconds.toPrecision(3))} s`;
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

/** 1, 2 or 5 times a power of ten, `least` or more. */
function niceStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least));
  return power *
    ([1, 2, 5, 10].find((factor) => factor * power >= least) ?? 10);
}
