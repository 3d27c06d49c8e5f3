import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import {
  barChart,
  type Chart,
  confusionChart,
  lineChart,
  scatterChart,
  sideBySide,
  svgToPng,
} from "../../tasks/_charts.ts";
import { grayPng } from "../../tasks/_png.ts";
import { escapeXml, frame, shorten, textWidth } from "../../tasks/_svg.ts";
import { decodePng } from "./decode_png.ts";

/** What every chart must hold to; returns the words in it. */
function wordsOf(chart: Chart): string[] {
  const { svg } = chart;
  assertMatch(svg, /^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg"/);
  assert(!/NaN|undefined|Infinity|<style|<script/.test(svg), svg);
  // Nothing is loaded from elsewhere.
  assertEquals(svg.replaceAll("http://www.w3.org/", "").match(/http/g), null);
  // Elements close in the order in which they open.
  const open: string[] = [];
  for (
    const [, close, name, self] of svg.matchAll(/<(\/?)([\w-]+)[^>]*?(\/?)>/g)
  ) {
    if (close) assertEquals(open.pop(), name);
    else if (!self) open.push(name!);
  }
  assertEquals(open, []);
  return [...svg.matchAll(/<text[^>]*>([^<]*)<\/text>/g)].map(([, t]) => t!);
}

Deno.test("lineChart() names axes, series and references, and escapes them", async () => {
  const chart = await lineChart({
    title: "Loss & <more>",
    yLabel: "loss",
    series: [
      { name: "train", values: [3, 2, 1], dashed: true },
      { name: "test <b>", values: [3, 2.5, 2.2], sd: [0.1, 0.2, 0.1] },
    ],
    references: [{ label: "target", value: 1.5 }],
  });
  const words = wordsOf(chart);
  for (
    const word of [
      "Loss &#38; &#60;more&#62;",
      "train",
      "test &#60;b&#62;",
      "target",
      "loss",
      "epoch",
    ]
  ) assert(words.includes(word), `${word} in ${words}`);
  assert(words.includes("1") && words.includes("2") && words.includes("3"));
  assertStringIncludes(chart.svg, 'stroke-dasharray="5 3.5"');
  assertStringIncludes(chart.svg, "<title>train, epoch 1: 3</title>");
});

Deno.test("lineChart() shows shares in percent and does not go past 100", async () => {
  const words = wordsOf(
    await lineChart({
      percent: true,
      series: [{ name: "accuracy", values: [0.5, 0.999] }],
    }),
  );
  assert(words.includes("100%"));
  assert(!words.some((word) => parseFloat(word) > 100));
});

Deno.test("lineChart() takes no, one, missing and infinite values", async () => {
  const none = await lineChart({ series: [] });
  assert(wordsOf(none).includes("no values"));
  for (const values of [[], [NaN], [null]]) {
    const words = wordsOf(await lineChart({ series: [{ name: "a", values }] }));
    assert(words.includes("no values"));
  }
  wordsOf(await lineChart({ series: [{ name: "a", values: [0] }] }));
  const gap = await lineChart({
    series: [{ name: "a", values: [1, null, 2, Infinity, 3, 4] }],
  });
  wordsOf(gap);
  // Two single points, and a line from 3 to 4.
  assertEquals(gap.svg.match(/<circle/g)!.length, 4);
});

Deno.test("lineChart() leaves values up to zero out of a logarithmic axis", async () => {
  const chart = await lineChart({
    logarithmic: true,
    series: [{ name: "a", values: [100, 0, -1, 0.01], sd: [200, 1, 1, 0] }],
  });
  wordsOf(chart);
  assertEquals(chart.svg.match(/<circle/g)!.length, 2);
});

Deno.test("lineChart() marks powers of ten where an axis spans several", async () => {
  const chart = await lineChart({
    logarithmic: true,
    logarithmicX: true,
    series: [{ name: "a", x: [0, 1, 10, 1000], values: [5, 1, 0.1, 1e-3] }],
  });
  const words = wordsOf(chart);
  for (const power of ["10⁰", "10¹", "10³", "10⁻¹", "10⁻³"]) {
    assert(words.includes(power), power);
  }
  // Where x is 0 there is no place; the others lie on a line.
  const path = /aria-label="line"[^]*?d="([^"]*)"/.exec(chart.svg)![1]!;
  const ends = path.match(/-?[\d.]+/g)!.map(Number);
  assertEquals(ends.length, 6);
  const [x0, y0, x1, y1, x2, y2] = ends as [number, number, ...number[]];
  assertAlmostEquals((x1! - x0) / (x2! - x0), 1 / 3, 1e-4);
  assertAlmostEquals((y1! - y0) / (y2! - y0), 1 / 3, 1e-4);
});

Deno.test("scatterChart() draws each point in a square, and the line", async () => {
  const chart = await scatterChart({
    title: "points",
    groups: [
      { name: "low", x: [0, 0.5], y: [0, 0.5] },
      { name: "high", x: [1], y: [1] },
    ],
    line: { x: [0, 1], y: [1, 0] },
  });
  const words = wordsOf(chart);
  for (const word of ["points", "low", "high", "0.4"]) {
    assert(words.includes(word), word);
  }
  const places = (name: string) =>
    [...chart.svg.matchAll(new RegExp(`<circle[^>]* ${name}="([\\d.]+)"`, "g"))]
      .map(([, place]) => Number(place));
  const ys = places("cy");
  const centers = places("cx").map((x, i) => [x, ys[i]!] as const);
  const [low, middle, high] = centers as [
    readonly [number, number],
    ...(readonly [number, number])[],
  ];
  assertEquals(centers.length, 3);
  assertEquals(high![0] - low[0], low[1] - high![1]);
  assertEquals(middle![0], (low[0] + high![0]) / 2);
  assertEquals(chart.svg.match(/aria-label="line"/g)!.length, 1);
});

Deno.test("lineChart() thins long curves but keeps their extremes", async () => {
  const values = Float32Array.from(
    { length: 50_000 },
    (_, i) => i === 31_234 ? 9 : Math.sin(i),
  );
  const chart = await lineChart({
    series: [{ name: "a", values }],
    yDomain: [-1, 9],
    xLabel: "step",
  });
  wordsOf(chart);
  assert(chart.svg.length < 40_000, `${chart.svg.length} characters`);
  // The spike reaches the upper end of the axis: margin 10 and inset 7.
  const line = /aria-label="line"[^]*?d="([^"]*)"/.exec(chart.svg)![1]!;
  const ys = line.match(/,[\d.]+/g)!.map((y) => Number(y.slice(1)));
  assertEquals(Math.min(...ys), 17);
});

Deno.test("barChart() draws bars from zero, and points where zero is left out", async () => {
  const bars = [
    { label: "none", value: 0.8512, sd: 0.012 },
    { label: "both", value: 0.9491 },
  ];
  const full = await barChart({ bars, percent: true, title: "Accuracy" });
  const words = wordsOf(full);
  assert(words.includes("85.12% ± 1.20") && words.includes("94.91%"));
  assertStringIncludes(full.svg, 'aria-label="bar"');
  const cut = await barChart({ bars, percent: true, domain: [0.8, 1] });
  wordsOf(cut);
  assert(!cut.svg.includes('aria-label="bar"'));
  assertStringIncludes(cut.svg, 'aria-label="dot"');
});

Deno.test("barChart() takes negative, missing and no bars", async () => {
  const chart = await barChart({
    bars: [{ label: "a", value: -3 }, { label: "b", value: NaN }],
    references: [{ label: "zero", value: 0 }],
  });
  assert(wordsOf(chart).includes("-3"));
  assert(wordsOf(await barChart({ bars: [] })).includes("no values"));
});

Deno.test("confusionChart() writes each count and its share of the row", async () => {
  const chart = await confusionChart({
    title: "Digits",
    counts: [[8, 2], new Int32Array([0, 0])],
    labels: ["x", "y"],
  });
  const words = wordsOf(chart);
  assert(words.includes("8") && words.includes("2") && !words.includes("0"));
  assertStringIncludes(chart.svg, "x taken for y: 2 of 10 (20%)");
  assertStringIncludes(chart.svg, "y taken for x: 0 of 0 (0%)");
});

Deno.test("confusionChart() leaves counts out of cells that are too small", async () => {
  const counts = Array.from({ length: 60 }, () => new Array(60).fill(12345));
  assert(!wordsOf(await confusionChart({ counts })).includes("12345"));
});

Deno.test("confusionChart() refuses counts that are not square and missing labels", async () => {
  await assertRejects(
    () => confusionChart({ counts: [[1, 2], [3]] }),
    RangeError,
    "confusionChart: counts must be square: row 1 has 1 of 2",
  );
  await assertRejects(
    () => confusionChart({ counts: [[1]], labels: [] }),
    RangeError,
    "confusionChart: labels must name each class: got 0 for 1",
  );
});

Deno.test("sideBySide() puts charts into rows", () => {
  const chart = (width: number, height: number): Chart =>
    frame("t", width, [], () => ({ svg: "", height: height - 47 }));
  const [a, b, c] = [chart(100, 90), chart(120, 80), chart(50, 70)];
  assertEquals([a!.width, a!.height], [100, 90]);
  const row = sideBySide([a!, b!, c!], "all");
  assertEquals([row.width, row.height], [270, 90]);
  const rows = sideBySide([a!, b!, c!], "all", 2);
  assertEquals([rows.width, rows.height], [220, 160]);
  assertStringIncludes(rows.svg, '<svg x="0" y="90" ');
});

Deno.test("svgToPng() draws the text, with weights and signs outside of ASCII", async () => {
  const ink = async (title: string) => {
    const chart = frame(title, 200, [], () => ({ svg: "", height: 10 }));
    const { width, height, pixels, channels } = decodePng(
      await svgToPng(chart, 2),
    );
    assertEquals([width, height], [400, 2 * chart.height]);
    let dark = 0;
    for (let i = 0; i < pixels.length; i += channels) {
      if (pixels[i]! < 100) dark++;
    }
    return dark;
  };
  assertEquals(await ink(" "), 0);
  const signs = await Promise.all([..."aα≤→±"].map(ink));
  for (const dark of signs) assert(dark > 10, signs.join());
  assert(new Set(signs).size > 3, `the same box for each? ${signs}`);
});

Deno.test("svgToPng() draws a chart of Plot on white at any scale", async () => {
  const chart = await lineChart({ series: [{ name: "a", values: [1, 2] }] });
  const { width, height, pixels } = decodePng(await svgToPng(chart, 0.5));
  assertEquals([width, height], [280, Math.ceil(chart.height / 2)]);
  assertEquals([...pixels.subarray(0, 3)], [255, 255, 255]);
});

Deno.test("grayPng() is read back as the same pixels, clamped", () => {
  const file = grayPng({
    pixels: [0, 0.5, 1, -1, 2, 0.2],
    width: 3,
    height: 2,
    white: 1,
  });
  assertEquals(decodePng(file), {
    width: 3,
    height: 2,
    channels: 1,
    pixels: new Uint8Array([0, 128, 255, 0, 255, 51]),
  });
  const big = Uint8Array.from({ length: 101 * 67 }, (_, i) => i * 7);
  assertEquals(
    decodePng(grayPng({ pixels: big, width: 101, height: 67 })).pixels,
    big,
  );
});

Deno.test("grayPng() refuses a size that does not fit the pixels", () => {
  assertThrows(
    () => grayPng({ pixels: [1, 2, 3], width: 2, height: 2 }),
    RangeError,
    "grayPng: 2 x 2 must be the number of pixels: got 3",
  );
});

Deno.test("shorten() cuts to the width with an ellipsis", () => {
  assertEquals(shorten("short", 100, 12), "short");
  const cut = shorten("a long title that does not fit", 100, 12);
  assert(cut.endsWith("…") && textWidth(cut, 12) <= 100);
});

Deno.test("escapeXml() leaves nothing that ends text or attributes", () => {
  assertEquals(
    escapeXml(`<a b="c" d='e'>&`),
    "&#60;a b=&#34;c&#34; d=&#39;e&#39;&#62;&#38;",
  );
  assertEquals(escapeXml("a\x00b\x1bc\n"), "a\ufffdb\ufffdc\n");
});
