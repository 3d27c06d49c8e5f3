import { assert, assertEquals } from "@std/assert";
import { Pool, TaskGraph } from "@heddle/data/pool";
import { criticalPath } from "../../../../data/pool/graph/_critical_path.ts";
import { drawGraph } from "../../../../data/pool/graph/_draw_graph.ts";
import type { TaskRecord } from "../../../../data/pool/graph/_task.ts";
import { timeText } from "../../../../data/pool/graph/_timeline.ts";
import { add, compute, double, fail } from "./work.ts";

/** A task that ran on a worker from one time to another. */
function ran(
  id: number,
  name: string,
  needs: readonly number[],
  worker: string,
  startedAt: number,
  endedAt: number,
): TaskRecord {
  const group = name.replace(/-\d+$/, "");
  const state = "done";
  return {
    id,
    name,
    group,
    needs,
    state,
    startedAt,
    endedAt,
    worker,
    tries: 1,
  };
}

const RECORDS = [
  ran(0, "read-1", [], "a", 1000, 1100),
  ran(1, "read-2", [], "b", 1000, 1300),
  ran(2, "count-1", [0], "a", 1100, 1350),
  ran(3, "count-2", [1], "b", 1300, 1400),
  ran(4, "sum-1", [2, 3], "b", 1400, 1450),
];

Deno.test("criticalPath() is the chain that took longest", () => {
  // By hand: 300 + 100 + 50 over read-2, 100 + 250 + 50 over read-1.
  assertEquals(criticalPath(RECORDS).map(({ name }) => name), [
    "read-2",
    "count-2",
    "sum-1",
  ]);
  assertEquals(criticalPath([]), []);
});

Deno.test("drawGraph() says what ran where, for how long, and what held it up", () => {
  const html = drawGraph(RECORDS);
  for (
    const text of [
      "5 done",
      "450 ms", // from first to last, and the critical path
      "800 ms", // all of the work
      "1.78", // 800 / 450
      "<span>read</span>-2</div>",
      "<title>read-2\n300 ms · worker 2</title>",
      ">300 ms · worker 2<",
      "read-2 (300 ms) → count-2 (100 ms) → sum-1 (50 ms)",
    ]
  ) assert(html.includes(text), text);
  assertEquals(html.match(/class="edge( critical)?"/g)!.sort(), [
    'class="edge critical"',
    'class="edge critical"',
    'class="edge"',
    'class="edge"',
  ]);
  // Nothing is loaded from elsewhere.
  assertEquals(html.match(/https?:|src=|@import|<script/g), null);
});

Deno.test("drawGraph() shows names that look like markup as text", () => {
  const html = drawGraph([ran(0, '<b>&"', [], "a", 0, 1)]);
  assert(html.includes("&lt;b&gt;&amp;"));
  assert(!html.includes("<b>"));
});

Deno.test("drawGraph() cuts long names, not their numbers, and tells them in full", () => {
  const name = `${"WMW漢".repeat(20)}-217`;
  const html = drawGraph([
    ran(0, name, [], "a", 0, 100),
    { ...ran(1, "y", [0], "a", 100, 200), state: "failed", tries: 12 },
  ]);
  const label = new RegExp(
    `<foreignObject class="name"[^>]* width="148.0"[^>]*>` +
      `<div><span>${name.slice(0, -4)}</span>-217</div>`,
  );
  assert(label.test(html));
  assert(html.includes(`<title>${name}\n100 ms · worker 1</title>`));
  assert(html.includes("<span>100 ms · worker 1 · 12 tries</span> · failed"));
  assert(html.includes("text-overflow: ellipsis"));
});

Deno.test("drawGraph() puts many tasks in one box for each function", () => {
  const many = Array.from(
    { length: 1000 },
    (_, id) => ran(id, `work-${id}`, id < 10 ? [] : [id - 10], "a", id, id + 1),
  );
  const html = drawGraph(many);
  assertEquals(html.match(/class="box /g)!.length, 1);
  assert(html.includes("1000 tasks"));
  assert(html.length < 400_000, `${html.length}`);
});

Deno.test("TaskGraph.html() draws tasks that ran, wait, failed and were scattered", async () => {
  await using pool = new Pool({ workers: 2 });
  using graph = new TaskGraph(pool);
  assert((await graph.html()).includes("<h1>Task graph</h1>"));
  const data = graph.scatter(Float64Array.of(1));
  const first = graph.submit(compute, 5, data);
  await graph.submit(add, first, graph.submit(double, first)).result();
  await graph.wait([graph.submit(double, graph.submit(fail, "x"))]);
  graph.submit(compute, 60_000);
  const html = await graph.html();
  for (const text of ["scatter-1", "4 done, 2 failed", "compute-2", "add-1"]) {
    assert(html.includes(text), text);
  }
  assertEquals(html.match(/class="box failed/g)!.length, 2);
});

Deno.test("timeText() has three digits and a unit", () => {
  const texts = [0, 0.01234, 1, 123.456, 999.99, 1234, 61_000, 600_000];
  assertEquals(texts.map(timeText), [
    "0",
    "12.3 µs",
    "1 ms",
    "123 ms",
    "1000 ms",
    "1.23 s",
    "1 min 1 s",
    "10 min 0 s",
  ]);
});
